// Values of every type in JavaScript: how each is made, and how one that arrived is told in one line.

const MIDDAY = new Date("2026-03-01T12:30:15.250Z");

// Name in types.yaml -> the value, made anew each time.
export const MAKE = {
  none: () => null,
  undefined: () => undefined,
  true: () => true,
  integer: () => 42,
  "negative integer": () => -7,
  "largest exact number": () => Number.MAX_SAFE_INTEGER,
  "64-bit integer": () => 2n ** 53n + 1n,
  "least 64-bit integer": () => -(2n ** 63n),
  "largest 64-bit integer": () => 2n ** 64n - 1n,
  "small BigInt": () => 5n,
  float: () => 1.5,
  "whole float": () => 2.0,
  "negative zero": () => -0.0,
  nan: () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  text: () => "grüße 世界 🎈",
  bytes: () => new Uint8Array([0, 255, 1]),
  buffer: () => Buffer.from([0, 255]),
  "part of a buffer": () => new Uint8Array(new ArrayBuffer(8), 2, 2).fill(7),
  memory: () => new Uint8Array([0, 255, 1]).buffer,
  "data view": () => new DataView(new Uint8Array([9, 0, 255]).buffer, 1, 2),
  list: () => [1, "a", null],
  map: () => ({ a: 1, b: [2] }),
  "map with other keys": () => new Map([[1, "one"]]),
  "ordered map": () =>
    new Map([
      ["b", 1],
      ["a", 2],
    ]),
  "ordered map with other keys": () =>
    new Map([
      [1, "one"],
      [null, "none"],
    ]),
  set: () => new Set([7]),
  time: () => new Date(MIDDAY),
  error: () => new TypeError("out of cheese"),
  "float32 array": () => new Float32Array([1.5, 2.5]),
  "float64 array": () => new Float64Array([1.5]),
  "int8 array": () => new Int8Array([-1]),
  "uint16 array": () => new Uint16Array([65535]),
  "int16 array, a part": () => new Int16Array(new Int16Array([1, 2, 3, 4]).buffer, 2, 2),
  "clamped array": () => new Uint8ClampedArray([0, 255]),
  "int64 array": () => new BigInt64Array([-1n, 2n ** 53n + 1n]),
  "uint64 array": () => new BigUint64Array([2n ** 64n - 1n]),
};

const hex = (view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("hex");

// One line: the type as JavaScript calls it, and the content.
export function describe(value) {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "number") return `number ${Object.is(value, -0) ? "-0" : value}`;
  if (typeof value !== "object") return `${typeof value} ${String(value)}`;
  if (Array.isArray(value)) return `Array[${value.map(describe).join(", ")}]`;
  if (value instanceof Date) return `Date ${value.toISOString()}`;
  if (value instanceof Error) return `${value.remoteType ?? value.name} ${value.message}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer ${Buffer.from(value).toString("hex")}`;
  if (value instanceof Set) return `Set{${[...value].map(describe).join(", ")}}`;
  if (value instanceof Map) return `Map{${[...value].map(entry).join(", ")}}`;
  if (ArrayBuffer.isView(value))
    return `${value instanceof Buffer ? "Buffer" : value.constructor.name} ${hex(value)}`;
  if (value.dtype !== undefined && value.shape !== undefined)
    return `NdArray ${value.dtype} [${[...value.shape].join(", ")}] ${hex(value.data)}`;
  return `Object{${Object.entries(value).map(entry).join(", ")}}`;
}

const entry = ([key, item]) => `${typeof key === "string" ? key : describe(key)}: ${describe(item)}`;
