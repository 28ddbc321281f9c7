// From a tape that Rust recorded to JavaScript values: a stack machine (`src/convert/incoming.rs`).
import type { Codecs } from "./codecs.js";
import { errorOf, receivedError } from "./errors.js";
import { RemoteFile } from "./file.js";
import { arrayOf } from "./ndarray.js";
import type { Stub } from "./remote.js";
import type { StreamStub } from "./streams.js";
import { In } from "./tape.js";

/** An extension value of msgpack that has no form in JavaScript. */
export class Extension {
  constructor(
    /** Its type, -128 to 127. */
    readonly type: number,
    /** Its content. */
    readonly data: Uint8Array,
  ) {}
}

const pair = new Int32Array(2);
const asDouble = new Float64Array(pair.buffer);
const asBigInt = new BigInt64Array(pair.buffer);
const asBigUint = new BigUint64Array(pair.buffer);

/** A number of 64 bits that is known to be a safe integer, as ids are. */
export function idAt(tape: Int32Array, at: number): number {
  return (
    (tape[at] as number) + ((tape[at] as number) < 0 ? 4294967296 : 0) + (tape[at + 1] as number) * 4294967296
  );
}

/** A stack larger than this is given back after use. */
const LARGE_STACK = 4096;

/** Makes what belongs to a connection. */
export interface Maker {
  remote(client: number, stub: Stub): unknown;
  stream(client: number, stub: StreamStub): unknown;
  codecsOf(client: number): Codecs | undefined;
}

/** Replays the values of one record at a time. */
export class Decoder {
  readonly #stack: unknown[] = [];
  readonly #shapes: string[][] = [];
  readonly #maker: Maker;
  #isBusy = false;

  constructor(maker: Maker) {
    this.#maker = maker;
  }

  /** Learns the keys of a shape: its number, how many keys, their lengths. */
  learn(tape: Int32Array, at: number, text: string): void {
    const keys: string[] = [];
    const count = tape[at + 1] as number;
    for (let number = 0, from = 0; number < count; number += 1) {
      const length = tape[at + 2 + number] as number;
      keys.push(text.slice(from, from + length));
      from += length;
    }
    this.#shapes[tape[at] as number] = keys;
  }

  /** Replays the steps from `start` on; gives the values. Functions in them call by way of `client`. */
  run(
    client: number,
    tape: Int32Array,
    start: number,
    text: string,
    beside: unknown[],
    besideStart: number,
  ): unknown[] {
    // One array serves all records: setting its length costs more than counting. A codec of the user may want
    // another value meanwhile.
    if (this.#isBusy) return this.#replay([], client, tape, start, text, beside, besideStart);
    this.#isBusy = true;
    try {
      return this.#replay(this.#stack, client, tape, start, text, beside, besideStart);
    } finally {
      this.#isBusy = false;
    }
  }

  #replay(
    stack: unknown[],
    client: number,
    tape: Int32Array,
    start: number,
    text: string,
    beside: unknown[],
    besideStart: number,
  ): unknown[] {
    let top = 0;
    let at = start;
    let textAt = 0;
    let besideAt = besideStart;
    for (;;) {
      const word = tape[at++] as number;
      const argument = word >> 5;
      switch (word & 31) {
        case In.End:
          return finish(stack, top);
        case In.Nil:
          stack[top++] = null;
          break;
        case In.True:
          stack[top++] = true;
          break;
        case In.False:
          stack[top++] = false;
          break;
        case In.Int:
          stack[top++] = argument;
          break;
        case In.Double:
          load(tape, at);
          at += 2;
          stack[top++] = asDouble[0];
          break;
        case In.BigInt:
          load(tape, at);
          at += 2;
          stack[top++] = asBigInt[0];
          break;
        case In.BigUint:
          load(tape, at);
          at += 2;
          stack[top++] = asBigUint[0];
          break;
        case In.Text:
          stack[top++] = text.substring(textAt, textAt + argument);
          textAt += argument;
          break;
        case In.Beside:
          stack[top++] = beside[besideAt++];
          break;
        case In.List:
          top -= argument;
          stack[top] = stack.slice(top, top + argument);
          top += 1;
          break;
        case In.Map: {
          const keys = this.#shapes[argument] as string[];
          top -= keys.length;
          stack[top] = record(stack, top, keys);
          top += 1;
          break;
        }
        case In.Dictionary: {
          const keys: string[] = new Array(argument);
          for (let number = 0; number < argument; number += 1) {
            const length = tape[at++] as number;
            keys[number] = text.substring(textAt, textAt + length);
            textAt += length;
          }
          top -= argument;
          stack[top] = record(stack, top, keys);
          top += 1;
          break;
        }
        default:
          top = this.#rare(word & 31, argument, client, stack, top);
      }
    }
  }

  /** Steps that are seldom met; gives the new top of the stack. */
  #rare(step: number, argument: number, client: number, stack: unknown[], top: number): number {
    const put = (members: number, make: (members: unknown[]) => unknown): number => {
      const base = top - members;
      stack[base] = make(stack.slice(base, top));
      return base + 1;
    };
    switch (step) {
      case In.OtherMap:
        return put(argument * 2, otherMap);
      case In.Set:
        return put(argument, (members) => new Set(members));
      case In.Pairs:
        return put(argument * 2, (members) => new Map(pairs(members)));
      case In.Date:
        return put(1, ([time]) => new Date(time as number));
      case In.Array:
        return put(2 + Math.max(argument, 0), ([memory, dtype, ...lengths]) =>
          arrayOf(
            memory as ArrayBuffer,
            dtype as string | null,
            argument < 0 ? undefined : (lengths as number[]),
          ),
        );
      case In.Error:
        return put(5, (members) => {
          const [message, code, remoteType, remoteTraceback, remoteCause] = members as [
            string,
            string,
            ...null[],
          ];
          return receivedError(code, message, { remoteType, remoteTraceback, remoteCause });
        });
      case In.Form:
        return put(1, ([form]) => this.#form(client, form as Record<string, unknown>));
      case In.Method:
        return put(10, (members) => {
          const parts = members as [string, string, number, ...null[]];
          const [target, method, promise, name, doc, server, parent, encPub, isAsync, schema] = parts;
          const stub = { target, method, promise, name, doc, server, parent, encPub, isAsync, schema };
          return this.#maker.remote(client, stub as Stub);
        });
      case In.Stream:
        return put(7, (members) => {
          const [target, method, closeMethod, doc, server, parent, encPub] = members as [
            string,
            string,
            string,
            ...null[],
          ];
          return this.#maker.stream(client, {
            target,
            method,
            closeMethod,
            doc,
            server,
            parent,
            encPub,
            pushes: argument !== 0,
          } as StreamStub);
        });
      case In.Extension:
        return put(1, ([data]) => new Extension(argument, data as Uint8Array));
      default:
        throw errorOf("internal", `a tape of values is torn: unknown step ${step}`);
    }
  }

  /** A map with an `_rtype` that core does not know. */
  #form(client: number, form: Record<string, unknown>): unknown {
    if (form._rtype === "iostream" && typeof form.read === "function") return new RemoteFile(form);
    return this.#maker.codecsOf(client)?.decode(form) ?? form;
  }
}

function finish(stack: unknown[], top: number): unknown[] {
  const values = stack.slice(0, top);
  // What was large is not kept; nor is the last value of every record.
  if (stack.length > LARGE_STACK) stack.length = 0;
  else stack.fill(undefined, 0, Math.min(stack.length, top + 8));
  return values;
}

function load(tape: Int32Array, at: number): void {
  pair[0] = tape[at] as number;
  pair[1] = tape[at + 1] as number;
}

function record(stack: unknown[], base: number, keys: string[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (let number = 0; number < keys.length; number += 1) {
    const key = keys[number] as string;
    if (key === "__proto__") {
      // An own property of that name; the plain assignment would change what the object is.
      const property = { value: stack[base + number], enumerable: true, writable: true, configurable: true };
      Object.defineProperty(object, key, property);
    } else {
      object[key] = stack[base + number];
    }
  }
  return object;
}

function* pairs(flat: unknown[]): Generator<[unknown, unknown]> {
  for (let at = 0; at < flat.length; at += 2) yield [flat[at], flat[at + 1]];
}

/**
 * A map with keys that are not all texts: numbers become names of properties. Anything else needs a Map, and so do 1 and
 * "1" in one map, which would be one name.
 */
function otherMap(flat: unknown[]): unknown {
  const entries = [...pairs(flat)];
  const isPlain = entries.every(([key]) => typeof key === "string" || typeof key === "number");
  if (!isPlain) return new Map(entries);
  const object = Object.fromEntries(entries as [string | number, unknown][]);
  return Object.keys(object).length === entries.length ? object : new Map(entries);
}
