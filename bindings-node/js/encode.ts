// From JavaScript values to the tape that Rust replays onto the wire (`src/convert/outgoing.rs`).
import { randomUUID } from "node:crypto";
import { types } from "node:util";
import type { Codecs } from "./codecs.js";
import { declaredOf } from "./declared.js";
import { type Served, servedMembers } from "./functions.js";
import { type Stub, stubOf } from "./remote.js";
import { writeSpecial } from "./special.js";
import { Out } from "./tape.js";
import { refuseHollow, sendError, Unsendable, within } from "./unsendable.js";

const SMALL_TAPE = 64 * 1024;
/** Above this, texts and bytes lie beside the tape instead of being copied onto it. */
const LONG = 4096;
/** Lists and maps may nest so deep, as core counts it behind the message's own two levels. */
const MAX_DEPTH = 62;
const MAX_UINT = 2n ** 64n - 1n;
const MIN_INT = -(2n ** 63n);

/** Keeps what goes out and is used by peers. */
export interface Keeper {
  /** Keeps a function; gives the number by which it is called. */
  keep(call: Served): number;
  /** Keeps an iterator or a stream; gives the number by which it is asked for items. */
  keepStream(items: object): number;
  /** Lets go of what does not go out. */
  drop(handles: number[]): void;
}

/** A place on a tape. */
export interface Mark {
  at: number;
  beside: number;
  handles: number;
}

/** Writes values onto a tape. */
export class Encoder {
  /** The tape; `at` bytes of it are written. */
  bytes = Buffer.allocUnsafeSlow(SMALL_TAPE);
  at = 0;
  /** What lies beside the tape. */
  beside: Uint8Array[] | undefined;
  /** The functions on the tape, by their numbers. */
  handles: number[] = [];
  /** How the connection's own kinds of values are written, if it has any. */
  codecs: Codecs | undefined;
  #view = new DataView(this.bytes.buffer);
  #depth = 0;
  #isService = false;
  readonly #keeper: Keeper;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** Begins a new tape. */
  begin(): void {
    this.at = 0;
    this.#depth = 0;
    this.#isService = false;
    if (this.handles.length > 0) this.handles = [];
  }

  /** Lets go of what was large, and of what is the user's. */
  end(): void {
    this.beside = undefined;
    this.codecs = undefined;
    if (this.bytes.length > SMALL_TAPE) this.#resize(SMALL_TAPE);
  }

  /** How far the tape is written. */
  mark(): Mark {
    return { at: this.at, beside: this.beside?.length ?? 0, handles: this.handles.length };
  }

  /** Takes back what was written since; gives the functions in it. */
  back({ at, beside, handles }: Mark): number[] {
    this.at = at;
    if (beside === 0) this.beside = undefined;
    else this.beside?.splice(beside);
    return this.handles.splice(handles);
  }

  /** Writes a value that stands at `place` for the user. */
  root(place: string, value: unknown): void {
    this.#depth = 0;
    try {
      this.value(value);
    } catch (error) {
      throw sendError(place, error);
    }
  }

  /** The same with its length before it. */
  measured(place: string, value: unknown): void {
    const start = this.at;
    this.count(0);
    this.root(place, value);
    this.#view.setUint32(start, this.at - start - 4, true);
  }

  /** Writes a service: methods of objects go along and keep their `this`. */
  service(value: object): void {
    this.#isService = true;
    try {
      this.object(value as Record<string, unknown>);
    } catch (error) {
      throw sendError("the service", error);
    } finally {
      this.#isService = false;
    }
  }

  /** Writes any value. */
  value(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.#string(value);
      case "number":
        return this.#number(value);
      case "boolean":
        return this.byte(value ? Out.True : Out.False);
      case "undefined":
        return this.byte(Out.Nil);
      case "function":
        return this.#function(value as Served["call"], undefined);
      case "bigint":
        return this.#bigint(value);
      case "symbol":
        throw new Unsendable("a symbol cannot be sent");
      default:
        return value === null ? this.byte(Out.Nil) : this.#nested(value as object);
    }
  }

  /** A byte. */
  byte(value: number): void {
    if (this.at + 1 > this.bytes.length) this.#grow(1);
    this.bytes[this.at++] = value;
  }

  /** A count, without a step. */
  count(value: number): void {
    if (this.at + 4 > this.bytes.length) this.#grow(4);
    this.#view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** The count of what `write` writes, which gives it, and that behind it. */
  counted(write: () => number): void {
    const start = this.at;
    this.count(0);
    const count = write();
    this.#view.setUint32(start, count, true);
  }

  /** A number, without a step. */
  double(value: number): void {
    if (this.at + 8 > this.bytes.length) this.#grow(8);
    this.#view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** A text, without a step. */
  text(value: string): void {
    const length = value.length;
    if (this.at + 4 + length * 3 > this.bytes.length) this.#grow(4 + length * 3);
    const start = this.at + 4;
    const written = length < 48 ? this.#ascii(value, start) : -1;
    const size = written < 0 ? this.bytes.write(wellFormed(value), start, "utf8") : written;
    this.#view.setUint32(this.at, size, true);
    this.at = start + size;
  }

  /** A text or nothing. */
  optional(value: string | null | undefined): void {
    if (value == null) return this.byte(Out.Nil);
    this.byte(Out.Text);
    this.text(value);
  }

  /** Short ASCII by hand: a call into Node's own writer costs more than that. */
  #ascii(value: string, start: number): number {
    const { bytes } = this;
    for (let number = 0; number < value.length; number += 1) {
      const unit = value.charCodeAt(number);
      if (unit > 127) return -1;
      bytes[start + number] = unit;
    }
    return value.length;
  }

  #string(value: string): void {
    if (value.length > LONG) {
      this.byte(Out.LongText);
      this.#lay(Buffer.from(wellFormed(value), "utf8"));
      return;
    }
    this.byte(Out.Text);
    this.text(value);
  }

  #number(value: number): void {
    // Of the zeros only the positive one is an integer: that of the other is kept by a float.
    if (value === (value | 0) && (value !== 0 || 1 / value > 0)) {
      this.byte(Out.Int);
      if (this.at + 4 > this.bytes.length) this.#grow(4);
      this.#view.setInt32(this.at, value, true);
      this.at += 4;
      return;
    }
    this.byte(value !== 0 && Number.isSafeInteger(value) ? Out.SafeInt : Out.Float);
    this.double(value);
  }

  #bigint(value: bigint): void {
    if (value > MAX_UINT || value < MIN_INT) {
      throw new Unsendable("a BigInt of more than 64 bits cannot be sent, send it as a string");
    }
    this.byte(value < 0n ? Out.BigInt : Out.BigUint);
    if (this.at + 8 > this.bytes.length) this.#grow(8);
    this.#view.setBigUint64(this.at, BigInt.asUintN(64, value), true);
    this.at += 8;
  }

  #nested(value: object): void {
    const outside = this.#depth;
    this.enter(1);
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) this.object(value as Record<string, unknown>);
    else if (prototype === Array.prototype) this.list(value as unknown[]);
    else writeSpecial(this, value);
    this.#depth = outside;
  }

  /** Goes so many levels deeper; who called {@link value} comes back up. */
  enter(levels: number): void {
    this.#depth += levels;
    if (this.#depth > MAX_DEPTH) {
      throw new Unsendable(`nested deeper than ${MAX_DEPTH} levels (is there a cycle?)`);
    }
  }

  /** Writes a list. */
  list(items: unknown[]): void {
    this.byte(Out.List);
    // Once, because a getter of an item may change the list.
    const { length } = items;
    this.count(length);
    for (let number = 0; number < length; number += 1) {
      try {
        this.value(items[number]);
      } catch (error) {
        throw within(`[${number}]`, error);
      }
    }
  }

  /** Writes a map of the own enumerable properties. */
  object(object: Record<string, unknown>): void {
    const keys = this.#isService ? servedMembers(object) : Object.keys(object);
    if (keys.length === 0) {
      if (Symbol.asyncIterator in object) return this.stream(object);
      refuseHollow(object);
    }
    const before = this.at;
    const functions = this.handles.length;
    const laid = this.beside?.length ?? 0;
    this.byte(Out.Map);
    this.count(keys.length);
    for (let number = 0; number < keys.length; number += 1) {
      const key = keys[number] as string;
      if (key === "next" && this.#isIterator(object)) {
        this.#keeper.drop(this.back({ at: before, beside: laid, handles: functions }));
        return this.stream(object);
      }
      if (key === "_rintf" && object[key] === true && !this.#isService) {
        this.#keeper.drop(this.back({ at: before, beside: laid, handles: functions }));
        return this.#interface(object);
      }
      this.text(key);
      try {
        this.#member(object, object[key]);
      } catch (error) {
        throw within(/^[\w$-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`, error);
      }
    }
  }

  /** An object whose functions outlive the call. Its methods keep their `this`, and it is told its id. */
  #interface(object: Record<string, unknown>): void {
    const keys = servedMembers(object);
    const functions = this.handles.length;
    const id = `_rintf_${randomUUID().replaceAll("-", "")}`;
    this.byte(Out.Interface);
    this.text(id);
    this.count(keys.length);
    for (const key of keys) {
      const value = object[key];
      this.text(key);
      if (typeof value === "function") this.#function(value as Served["call"], object);
      else this.value(value);
    }
    if (this.handles.length > functions) Reflect.set(object, "_rintf_service_id", id);
  }

  /** Whether it is an iterator written by hand, as a plain object. */
  #isIterator(object: object): boolean {
    if (this.#isService || !(Symbol.asyncIterator in object || Symbol.iterator in object)) return false;
    return typeof (object as { next?: unknown }).next === "function";
  }

  #member(owner: object, value: unknown): void {
    if (this.#isService && typeof value === "function") this.#function(value as Served["call"], owner);
    else this.value(value);
  }

  /** The arguments of a call that are given by name. */
  keywords(keywords: Record<string, unknown>): void {
    try {
      this.object(keywords);
    } catch (error) {
      throw sendError("keywords", error);
    }
  }

  #function(call: Served["call"], self: unknown): void {
    const stub = stubOf(call);
    if (stub !== undefined) return this.#stub(stub);
    const declared = declaredOf(call);
    const handle = this.#keeper.keep({ call, self, parameters: undefined, declared });
    this.handles.push(handle);
    this.byte(Out.Function);
    this.double(handle);
    this.text(call.name);
    this.optional(call.__doc__);
    this.byte(Out.Nil);
    this.byte(
      this.#isService && declared !== undefined && declared.admit === undefined ? Out.True : Out.False,
    );
    this.value(call.__schema__);
  }

  /** An iterator or a stream. */
  stream(items: object): void {
    const handle = this.#keeper.keepStream(items);
    this.handles.push(handle);
    this.byte(Out.Stream);
    this.double(handle);
  }

  #stub(stub: Stub): void {
    this.byte(Out.Stub);
    this.byte(stub.promise);
    this.text(stub.target);
    this.text(stub.method);
    for (const text of [stub.name, stub.doc, stub.server, stub.parent, stub.encPub]) this.optional(text);
    this.value(stub.isAsync);
    this.value(stub.schema);
  }

  /** Bytes with their step. */
  block(content: Uint8Array): void {
    if (content.length > LONG) {
      this.byte(Out.LongBytes);
      // Memory that other threads may write to is copied; all other lies still until it was read.
      this.#lay(types.isSharedArrayBuffer(content.buffer) ? new Uint8Array(content) : content);
      return;
    }
    this.byte(Out.Bytes);
    this.count(content.length);
    if (this.at + content.length > this.bytes.length) this.#grow(content.length);
    this.bytes.set(content, this.at);
    this.at += content.length;
  }

  #lay(content: Uint8Array): void {
    this.beside ??= [];
    this.beside.push(content);
  }

  #grow(more: number): void {
    const old = this.bytes;
    this.#resize(Math.max(old.length * 2, this.at + more));
    old.copy(this.bytes, 0, 0, this.at);
  }

  #resize(size: number): void {
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.#view = new DataView(this.bytes.buffer);
  }
}

function wellFormed(text: string): string {
  if ((text as string & { isWellFormed(): boolean }).isWellFormed()) return text;
  throw new Unsendable(
    "a text with half of a surrogate pair cannot be sent, make it whole by toWellFormed()",
  );
}
