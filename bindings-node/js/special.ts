// Values that are neither plain objects nor lists, on their way to the tape.
import { Blob } from "node:buffer";
import { types } from "node:util";
import { Extension } from "./decode.js";
import type { Encoder } from "./encode.js";
import { MAX_CAUSES, thrownOf } from "./errors.js";
import { blobMembers, membersOf, RemoteFile } from "./file.js";
import { dtypeOf, NdArray } from "./ndarray.js";
import { isStream } from "./sources.js";
import { Out } from "./tape.js";
import { refusePlatform, Unsendable, within } from "./unsendable.js";

type Write = (encoder: Encoder, value: never) => void;

/** How the usual classes are written: found by prototype, which costs less than asking what a value is. */
const WRITERS = new Map<unknown, Write>([
  [Date.prototype, writeDate],
  [Map.prototype, writePairs],
  [Set.prototype, writeSet],
  [Buffer.prototype, writeBytes],
  [Uint8Array.prototype, writeBytes],
  [ArrayBuffer.prototype, writeMemory],
  [Error.prototype, writeError],
  [Extension.prototype, writeExtension],
  [NdArray.prototype, writeNdArray],
]);
for (const view of [Uint8ClampedArray, Int32Array, BigInt64Array, BigUint64Array, Float32Array, Float64Array])
  WRITERS.set(view.prototype, writeView);

/** Writes an instance of a class. */
export function writeSpecial(encoder: Encoder, value: object): void {
  const encoded = encoder.codecs?.encode(value);
  if (encoded !== undefined) return encoder.value(encoded.form);
  const write = WRITERS.get(Object.getPrototypeOf(value)) ?? writerOf(value);
  write(encoder, value as never);
}

/** The same for subclasses, and for objects of other realms. */
function writerOf(value: object): Write {
  if (Array.isArray(value)) return (encoder, items: unknown[]) => encoder.list(items);
  if (ArrayBuffer.isView(value)) return types.isUint8Array(value) ? writeBytes : writeView;
  if (types.isAnyArrayBuffer(value)) return writeMemory;
  if (types.isDate(value)) return writeDate;
  if (types.isMap(value)) return writePairs;
  if (types.isSet(value)) return writeSet;
  if (types.isNativeError(value) || value instanceof Error) return writeError;
  if (types.isBoxedPrimitive(value)) return (encoder, boxed: object) => encoder.value(boxed.valueOf());
  if (value instanceof NdArray) return writeNdArray;
  if (value instanceof Extension) return writeExtension;
  if (value instanceof RemoteFile) return (encoder, file: RemoteFile) => encoder.object(membersOf(file));
  if (value instanceof Blob) return (encoder, blob: Blob) => encoder.object(blobMembers(blob));
  return writeInstance;
}

/** An instance of a user's class: what its `toJSON` makes of it, else its own enumerable properties. */
function writeInstance(encoder: Encoder, value: object): void {
  const { then, toJSON } = value as { then?: unknown; toJSON?: unknown };
  if (typeof then === "function") throw new Unsendable("a promise cannot be sent, await it first");
  if (isStream(value)) return encoder.stream(value);
  if (typeof toJSON === "function") return encoder.value(Reflect.apply(toJSON, value, [""]));
  refusePlatform(value);
  encoder.object(value as Record<string, unknown>);
}

function writeDate(encoder: Encoder, date: Date): void {
  const time = date.getTime();
  if (Number.isNaN(time)) throw new Unsendable("an invalid Date cannot be sent");
  encoder.byte(Out.Date);
  encoder.double(time);
}

function writeBytes(encoder: Encoder, bytes: Uint8Array): void {
  if (bytes.length === 0) refuseDetached(bytes.buffer);
  encoder.block(bytes);
}

function writeView(encoder: Encoder, view: ArrayBufferView): void {
  const content = contentOf(view);
  if (types.isDataView(view)) return writeMemory(encoder, content);
  encoder.byte(Out.Array);
  encoder.text(dtypeOf(view));
  encoder.byte(NO_SHAPE);
  encoder.block(content);
}

const NO_SHAPE = 255;

function writeNdArray(encoder: Encoder, { data, shape, dtype }: NdArray): void {
  if (shape.length >= NO_SHAPE) throw new Unsendable(`an array of ${shape.length} dimensions cannot be sent`);
  encoder.byte(Out.Array);
  encoder.text(dtype);
  encoder.byte(shape.length);
  for (const length of shape) encoder.double(length);
  encoder.block(contentOf(data));
}

/** The bytes of a view, not those of the memory under it. */
function contentOf(view: ArrayBufferView): Uint8Array {
  // Before its other members: of a DataView they throw where the memory is gone.
  refuseDetached(view.buffer);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function writeMemory(encoder: Encoder, memory: ArrayBufferLike | Uint8Array): void {
  if (!(memory instanceof Uint8Array)) refuseDetached(memory);
  encoder.byte(Out.Memory);
  encoder.block(memory instanceof Uint8Array ? memory : new Uint8Array(memory));
}

/** Memory that was given away, to a worker for example, holds nothing any longer: it is not sent as no bytes. */
function refuseDetached(memory: ArrayBufferLike): void {
  if (memory.byteLength > 0) return;
  try {
    // The versions of Node before 22 have no `detached`; no view of such memory is made in any of them.
    new Uint8Array(memory);
  } catch {
    throw new Unsendable("a detached ArrayBuffer cannot be sent: its memory was transferred");
  }
}

function writePairs(encoder: Encoder, map: Map<unknown, unknown>): void {
  encoder.enter(2); // on the wire: a map that holds a list of pairs
  encoder.byte(Out.Pairs);
  // Not its size: a subclass may yield more or less, and a getter of an item may change it.
  encoder.counted(() => {
    let count = 0;
    for (const [key, value] of map) {
      try {
        encoder.value(key);
        encoder.value(value);
      } catch (error) {
        throw within(`.get(${keyText(key)})`, error);
      }
      count += 1;
    }
    return count;
  });
}

/** A key as it stands in the place of its value. */
function keyText(key: unknown): string {
  try {
    return String(key);
  } catch {
    // An object without a prototype has no text, and that of a user's may throw.
    return Object.prototype.toString.call(key);
  }
}

function writeSet(encoder: Encoder, set: Set<unknown>): void {
  encoder.enter(1); // on the wire: a map that holds a list
  encoder.byte(Out.Set);
  encoder.counted(() => {
    let count = 0;
    for (const item of set) {
      encoder.value(item);
      count += 1;
    }
    return count;
  });
}

function writeExtension(encoder: Encoder, { type, data }: Extension): void {
  encoder.byte(Out.Extension);
  encoder.byte(type & 255);
  writeBytes(encoder, data);
}

function writeError(encoder: Encoder, error: Error): void {
  encoder.byte(Out.Error);
  writeThrown(encoder, error);
}

/** What a function threw, whatever that is, with what led to it; without a step. */
export function writeThrown(encoder: Encoder, thrown: unknown, causes = MAX_CAUSES): void {
  const side = thrownOf(thrown);
  encoder.text(whole(side.message));
  encoder.text(side.code);
  encoder.text(whole(side.type));
  encoder.text(whole(side.trace));
  if (causes === 0 || side.cause === undefined) return encoder.byte(Out.Nil);
  encoder.byte(Out.Error);
  writeThrown(encoder, side.cause, causes - 1);
}

/** An error always reaches whoever waits for it, also with half a character in its text. */
function whole(text: string): string {
  return (text as string & { toWellFormed(): string }).toWellFormed();
}
