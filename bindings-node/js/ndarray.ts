// Arrays with a shape, as numpy has them.
import { InvalidError } from "./errors.js";

/** A typed array. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Items of nested lists that {@link NdArray.toArray} makes. */
export type NdItem = number | bigint | boolean | [number, number] | NdItem[];

interface Kind {
  /** A view of `memory` by the elements of this type. */
  from: (memory: ArrayBuffer) => TypedArray;
  /** The size of what has a byte order. */
  size: number;
  /** How many of them make one item. */
  parts: number;
}

function kind(view: { new (memory: ArrayBuffer): TypedArray; BYTES_PER_ELEMENT: number }, parts = 1): Kind {
  return { from: (memory) => new view(memory), size: view.BYTES_PER_ELEMENT, parts };
}

const KINDS: Record<string, Kind> = {
  bool: kind(Uint8Array),
  int8: kind(Int8Array),
  uint8: kind(Uint8Array),
  int16: kind(Int16Array),
  uint16: kind(Uint16Array),
  int32: kind(Int32Array),
  uint32: kind(Uint32Array),
  int64: kind(BigInt64Array),
  uint64: kind(BigUint64Array),
  float32: kind(Float32Array),
  float64: kind(Float64Array),
  complex64: kind(Float32Array, 2),
  complex128: kind(Float64Array, 2),
};
const HALF = (globalThis as { Float16Array?: Parameters<typeof kind>[0] }).Float16Array;
if (HALF !== undefined) KINDS.float16 = kind(HALF);

const LONG_NAMES: Record<string, string> = {
  b1: "bool",
  i1: "int8",
  u1: "uint8",
  i2: "int16",
  u2: "uint16",
  i4: "int32",
  u4: "uint32",
  i8: "int64",
  u8: "uint64",
  f2: "float16",
  f4: "float32",
  f8: "float64",
  c8: "complex64",
  c16: "complex128",
};

function kindOf(dtype: string): { name: string; kind: Kind | undefined } {
  const short = dtype.replace(/^[<>=|]/, "");
  const name = LONG_NAMES[short] ?? short;
  return { name, kind: Object.hasOwn(KINDS, name) ? KINDS[name] : undefined };
}

/** The name of the type of a typed array's elements, as numpy calls it. */
export function dtypeOf(view: ArrayBufferView): string {
  const name = Object.prototype.toString.call(view).slice(8, -1);
  return name === "Uint8ClampedArray" ? "uint8" : name.replace(/^Big|Array$/g, "").toLowerCase();
}

/**
 * An array with a shape: numpy's `ndarray` here. Elements lie in `data` in C order, those of the last dimension side by
 * side. What has no typed array of its own lies there as it can: `bool` as bytes, `complex64` and `complex128` as pairs of
 * floats, everything else as raw bytes.
 *
 * @example
 * const matrix = new NdArray(new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3]);
 * const back = await service.double(matrix);
 * console.log(back.dtype, back.shape, back.toArray());
 */
export class NdArray {
  /** The elements. */
  readonly data: TypedArray;
  /** The length of each dimension; empty for a single value. */
  readonly shape: number[];
  /** The type of the elements as numpy names it, for example `float32`. */
  readonly dtype: string;

  constructor(data: TypedArray, shape: number[] = [data.length], dtype: string = dtypeOf(data)) {
    this.data = data;
    this.shape = shape;
    this.dtype = dtype;
    if (!ArrayBuffer.isView(data)) throw new InvalidError("the data of an NdArray must be a typed array");
    const { kind } = kindOf(dtype);
    const length = kind === undefined ? undefined : data.byteLength / (kind.size * kind.parts);
    const wanted = shape.reduce((product, dimension) => product * dimension, 1);
    if (length !== undefined && length !== wanted) {
      throw new InvalidError(`${length} elements of ${dtype} do not fill the shape [${shape}]`);
    }
  }

  /** The elements as nested lists; of an array without dimensions the value itself. */
  toArray(): NdItem {
    const { kind } = kindOf(this.dtype);
    if (kind === undefined)
      throw new InvalidError(`elements of ${this.dtype} cannot be shown: read \`data\``);
    const isBool = this.dtype.endsWith("bool") || this.dtype.endsWith("b1");
    let at = 0;
    const next = (): NdItem => {
      const value = this.data[at++] as number | bigint;
      if (kind.parts === 2) return [value as number, this.data[at++] as number];
      return isBool ? value !== 0 : value;
    };
    const level = (dimension: number): NdItem =>
      dimension === this.shape.length
        ? next()
        : Array.from({ length: this.shape[dimension] as number }, () => level(dimension + 1));
    return level(0);
  }
}

/** An array from the wire; `shape` is absent for a typed array. */
export function arrayOf(memory: ArrayBuffer, dtype: string | null, shape: number[] | undefined): unknown {
  const { name, kind } = kindOf(dtype ?? "");
  const isWhole = kind !== undefined && memory.byteLength % kind.size === 0;
  const isTurned = isWhole && dtype?.startsWith(">");
  if (isTurned) swap(memory, kind.size);
  if (shape !== undefined) {
    const data = isWhole ? kind.from(memory) : new Uint8Array(memory);
    return new NdArray(data, shape, isTurned ? name : (dtype ?? ""));
  }
  // What no typed array fits keeps its parts, and goes back the same.
  return isWhole ? kind.from(memory) : { _rtype: "typedarray", _rvalue: Buffer.from(memory), _rdtype: dtype };
}

function swap(memory: ArrayBuffer, size: number): void {
  const bytes = new Uint8Array(memory);
  for (let at = 0; size > 1 && at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}
