// From a tape that Rust recorded to JavaScript values: a stack machine (`src/convert/incoming.rs`).
import { errorOf } from "./errors.js";
import type { Stub } from "./remote.js";
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

/** Replays the values of one record at a time. */
export class Decoder {
  readonly #stack: unknown[] = [];
  readonly #shapes: string[][] = [];
  readonly #remote: (client: number, stub: Stub) => unknown;

  constructor(remote: (client: number, stub: Stub) => unknown) {
    this.#remote = remote;
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
    // One array serves all records: setting its length costs more than counting.
    const stack = this.#stack;
    let top = 0;
    let at = start;
    let textAt = 0;
    let besideAt = besideStart;
    for (;;) {
      const word = tape[at++] as number;
      const argument = word >> 5;
      switch (word & 31) {
        case In.End:
          return this.#end(top);
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
          top = this.#rare(word & 31, argument, client, top);
      }
    }
  }

  #end(top: number): unknown[] {
    const values = this.#stack.slice(0, top);
    // What was large is not kept; nor is the last value of every record.
    if (this.#stack.length > LARGE_STACK) this.#stack.length = 0;
    else this.#stack.fill(undefined, 0, Math.min(this.#stack.length, top + 8));
    return values;
  }

  /** Steps that are seldom met; gives the new top of the stack. */
  #rare(step: number, argument: number, client: number, top: number): number {
    const stack = this.#stack;
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
        return put(2 + Math.max(argument, 0), (members) => array(members, argument >= 0));
      case In.Error:
        return put(4, (members) => {
          const [message, code, remoteType, remoteTraceback] = members as string[];
          return errorOf(code as string, message as string, { remoteType, remoteTraceback });
        });
      case In.Method:
        return put(9, (members) => {
          const parts = members as [string, string, number, ...null[]];
          const [target, method, promise, name, doc, server, parent, isAsync, schema] = parts;
          const stub = { target, method, promise, name, doc, server, parent, isAsync, schema };
          return this.#remote(client, stub as Stub);
        });
      case In.Extension:
        return put(1, ([data]) => new Extension(argument, data as Uint8Array));
      default:
        throw errorOf("internal", `a tape of values is torn: unknown step ${step}`);
    }
  }
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

/** A map with keys that are not all texts: numbers become names of properties, anything else needs a Map. */
function otherMap(flat: unknown[]): unknown {
  const entries = [...pairs(flat)];
  const isPlain = entries.every(([key]) => typeof key === "string" || typeof key === "number");
  return isPlain ? Object.fromEntries(entries as [string | number, unknown][]) : new Map(entries);
}

const ARRAYS: Record<string, { from: (memory: ArrayBuffer) => ArrayBufferView; size: number }> = {
  int8: { from: (memory) => new Int8Array(memory), size: 1 },
  uint8: { from: (memory) => new Uint8Array(memory), size: 1 },
  int16: { from: (memory) => new Int16Array(memory), size: 2 },
  uint16: { from: (memory) => new Uint16Array(memory), size: 2 },
  int32: { from: (memory) => new Int32Array(memory), size: 4 },
  uint32: { from: (memory) => new Uint32Array(memory), size: 4 },
  int64: { from: (memory) => new BigInt64Array(memory), size: 8 },
  uint64: { from: (memory) => new BigUint64Array(memory), size: 8 },
  float32: { from: (memory) => new Float32Array(memory), size: 4 },
  float64: { from: (memory) => new Float64Array(memory), size: 8 },
};
const LONG_NAMES: Record<string, string> = {
  i1: "int8",
  u1: "uint8",
  i2: "int16",
  u2: "uint16",
  i4: "int32",
  u4: "uint32",
  i8: "int64",
  u8: "uint64",
  f4: "float32",
  f8: "float64",
};

/** A typed array where one fits, with its `shape`; else the parts as they came, which go back the same. */
function array([memory, dtype, ...lengths]: unknown[], hasShape: boolean): unknown {
  const content = memory as ArrayBuffer;
  const given = dtype as string | null;
  const name = given?.replace(/^[<>=|]/, "") ?? "";
  const known = ARRAYS[LONG_NAMES[name] ?? name];
  if (known === undefined || content.byteLength % known.size !== 0) {
    const shape = hasShape ? { _rshape: lengths } : {};
    return {
      _rtype: hasShape ? "ndarray" : "typedarray",
      _rvalue: Buffer.from(content),
      ...shape,
      _rdtype: given,
    };
  }
  if (given?.startsWith(">")) swap(content, known.size);
  const made = known.from(content);
  if (hasShape) Object.defineProperty(made, "shape", { value: lengths, writable: true, configurable: true });
  return made;
}

function swap(memory: ArrayBuffer, size: number): void {
  const bytes = new Uint8Array(memory);
  for (let at = 0; size > 1 && at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}
