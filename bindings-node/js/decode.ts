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
  return (tape[at] as number) + ((tape[at] as number) < 0 ? 4294967296 : 0) + (tape[at + 1] as number) * 4294967296;
}

/** Replays the values of one record at a time. */
export class Decoder {
  /** The values of the last record. */
  readonly values: unknown[] = [];
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

  /** Replays the steps from `at` on; the values then stand in `values`. Functions in them call by way of `client`. */
  run(client: number, tape: Int32Array, start: number, text: string, beside: unknown[], besideStart: number): unknown[] {
    const stack = this.values;
    stack.length = 0;
    let at = start;
    let textAt = 0;
    let besideAt = besideStart;
    for (;;) {
      const word = tape[at++] as number;
      const argument = word >> 5;
      switch (word & 31) {
        case In.End:
          return stack;
        case In.Nil:
          stack.push(null);
          break;
        case In.True:
          stack.push(true);
          break;
        case In.False:
          stack.push(false);
          break;
        case In.Int:
          stack.push(argument);
          break;
        case In.Double:
          load(tape, at);
          at += 2;
          stack.push(asDouble[0]);
          break;
        case In.BigInt:
          load(tape, at);
          at += 2;
          stack.push(asBigInt[0]);
          break;
        case In.BigUint:
          load(tape, at);
          at += 2;
          stack.push(asBigUint[0]);
          break;
        case In.Text:
          stack.push(text.substring(textAt, textAt + argument));
          textAt += argument;
          break;
        case In.Beside:
          stack.push(beside[besideAt++]);
          break;
        case In.List:
          stack.push(argument === 0 ? [] : stack.splice(stack.length - argument, argument));
          break;
        case In.Map:
          record(stack, this.#shapes[argument] as string[]);
          break;
        case In.Dictionary: {
          const keys: string[] = new Array(argument);
          for (let number = 0; number < argument; number += 1) {
            const length = tape[at++] as number;
            keys[number] = text.substring(textAt, textAt + length);
            textAt += length;
          }
          record(stack, keys);
          break;
        }
        case In.OtherMap:
          stack.push(otherMap(stack.splice(stack.length - argument * 2)));
          break;
        case In.Set:
          stack.push(new Set(argument === 0 ? [] : stack.splice(stack.length - argument)));
          break;
        case In.Pairs:
          stack.push(new Map(pairs(argument === 0 ? [] : stack.splice(stack.length - argument * 2))));
          break;
        case In.Date:
          stack.push(new Date(stack.pop() as number));
          break;
        case In.Array:
          array(stack, argument);
          break;
        case In.Error: {
          const [message, code, remoteType, remoteTraceback] = stack.splice(stack.length - 4) as string[];
          stack.push(errorOf(code as string, message as string, { remoteType, remoteTraceback }));
          break;
        }
        case In.Method: {
          const parts = stack.splice(stack.length - 9) as [string, string, number, ...null[]];
          const [target, method, promise, name, doc, server, parent, isAsync, schema] = parts;
          const stub = { target, method, promise, name, doc, server, parent, isAsync, schema };
          stack.push(this.#remote(client, stub as Stub));
          break;
        }
        case In.Extension:
          stack.push(new Extension(argument, stack.pop() as Uint8Array));
          break;
        default:
          throw errorOf("internal", `a tape of values is torn: unknown step ${word & 31}`);
      }
    }
  }
}

function load(tape: Int32Array, at: number): void {
  pair[0] = tape[at] as number;
  pair[1] = tape[at + 1] as number;
}

function record(stack: unknown[], keys: string[]): void {
  const base = stack.length - keys.length;
  const object: Record<string, unknown> = {};
  for (let number = 0; number < keys.length; number += 1) {
    const key = keys[number] as string;
    if (key === "__proto__") {
      // An own property of that name; the plain assignment would change what the object is.
      Object.defineProperty(object, key, {
        value: stack[base + number],
        enumerable: true,
        writable: true,
        configurable: true,
      });
    } else {
      object[key] = stack[base + number];
    }
  }
  stack.length = base;
  stack.push(object);
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
function array(stack: unknown[], dimensions: number): void {
  const shape = dimensions < 0 ? undefined : (dimensions === 0 ? [] : (stack.splice(stack.length - dimensions) as number[]));
  const dtype = stack.pop() as string | null;
  const memory = stack.pop() as ArrayBuffer;
  const order = dtype?.[0] ?? "";
  const name = dtype?.replace(/^[<>=|]/, "") ?? "";
  const known = ARRAYS[LONG_NAMES[name] ?? name];
  if (known === undefined || memory.byteLength % known.size !== 0) {
    const parts = { _rtype: shape ? "ndarray" : "typedarray", _rvalue: Buffer.from(memory) };
    stack.push({ ...parts, ...(shape && { _rshape: shape }), _rdtype: dtype });
    return;
  }
  if (order === ">") swap(memory, known.size);
  const made = known.from(memory);
  if (shape) Object.defineProperty(made, "shape", { value: shape, writable: true, configurable: true });
  stack.push(made);
}

function swap(memory: ArrayBuffer, size: number): void {
  const bytes = new Uint8Array(memory);
  for (let at = 0; size > 1 && at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}
