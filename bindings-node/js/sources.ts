// Generators, iterators and streams of ours that peers read: asked for items when a peer wants some.
import { Readable } from "node:stream";
import type { Encoder } from "./encode.js";
import { writeThrown } from "./special.js";
import { StreamEnd } from "./tape.js";

type Result = { done?: boolean | undefined; value?: unknown };

/** What makes the items. */
interface Producer {
  next(): Result | PromiseLike<Result>;
  /** Ends it before its end. */
  close(): unknown;
}

/** What a source needs of the pump. */
export interface Outlet {
  borrow(client: number): Encoder;
  giveBack(encoder: Encoder): void;
  drop(handles: number[]): void;
  /** How many items are wanted now; as many may be produced until {@link produce}. */
  beginItems(client: number, source: number): number;
  /** Sends items; how many are wanted then. */
  produce(client: number, source: number, count: number, encoder: Encoder, end: StreamEnd): number;
}

/** Items that leave together, at most. */
const MAX_COUNT = 1024;
const MAX_BYTES = 48 * 1024;
/** So long, in milliseconds, a producer that is never done keeps the thread. */
const SLICE = 4;
/** The time is looked at after so many items. */
const TIME_CHECK = 32;

/** A generator, an iterator or a stream that was sent to a peer. */
export class Source {
  readonly #outlet: Outlet;
  readonly #make: () => Producer;
  readonly #onResult = (result: Result): void => {
    this.#isAsking = false;
    try {
      if (this.#take(result)) this.#run();
    } catch (error) {
      // An iterator written by hand may answer anything.
      this.#fail(error);
    }
  };
  readonly #onFailure = (error: unknown): void => {
    this.#isAsking = false;
    this.#fail(error);
  };
  readonly #onTick = (): void => {
    this.#isTickDue = false;
    this.#until = 0;
    this.#flush(StreamEnd.More);
  };
  readonly #onTurn = (): void => {
    this.#isAsking = false;
    this.#until = 0;
    this.#run();
  };
  #producer: Producer | undefined;
  #encoder: Encoder | undefined;
  #client = 0;
  #handle = 0;
  /** Items that are wanted beyond those on the tape. */
  #room = 0;
  /** Items on the tape. */
  #count = 0;
  /** The producer was asked and has not answered, or waits for its turn. */
  #isAsking = false;
  #isTickDue = false;
  #isOver = false;
  #until = 0;

  constructor(outlet: Outlet, make: () => Producer) {
    this.#outlet = outlet;
    this.#make = make;
  }

  /** A peer wants items. */
  pull(client: number, handle: number): void {
    if (this.#room > 0 || this.#count > 0) return;
    this.#client = client;
    this.#handle = handle;
    this.#until = 0;
    // After the end too: what was made last may still wait to be wanted.
    const room = this.#outlet.beginItems(client, handle);
    if (this.#isOver) return;
    this.#room = room;
    this.#run();
  }

  /** Nobody will want items any longer. */
  close(): void {
    if (this.#isOver) return;
    this.#end();
    this.#closeProducer();
  }

  #closeProducer(): void {
    try {
      this.#producer ??= this.#make();
      const closed = this.#producer.close();
      // Nobody is left who could be told that closing failed.
      if (isThenable(closed)) closed.then(undefined, () => undefined);
    } catch {}
  }

  #end(): void {
    this.#isOver = true;
    this.#room = 0;
    if (this.#encoder !== undefined) this.#outlet.giveBack(this.#encoder);
    this.#encoder = undefined;
  }

  /** Asks the producer for items while they are wanted. */
  #run(): void {
    if (this.#isAsking || this.#isOver) return;
    try {
      this.#producer ??= this.#make();
      while (this.#room > 0) {
        if (this.#count % TIME_CHECK === 0 && this.#isLate()) return this.#wait();
        const result = this.#producer.next();
        if (isThenable(result)) return this.#await(result, this.#onResult);
        if (!this.#take(result)) return;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #isLate(): boolean {
    const now = performance.now();
    if (this.#until === 0) this.#until = now + SLICE;
    return now > this.#until;
  }

  /** Lets others have their turn. */
  #wait(): void {
    this.#flush(StreamEnd.More);
    this.#isAsking = true;
    setImmediate(this.#onTurn);
  }

  #await<T>(answer: PromiseLike<T>, then: (value: T) => void): void {
    this.#isAsking = true;
    answer.then(then, this.#onFailure);
    // What is there leaves when all promises that are settled already have been looked at.
    if (this.#count > 0 && !this.#isTickDue) {
      this.#isTickDue = true;
      process.nextTick(this.#onTick);
    }
  }

  /** Takes what the producer answered; whether it may be asked again. */
  #take(result: Result): boolean {
    if (this.#isOver) return false;
    if (result.done) {
      this.#flush(StreamEnd.Done);
      return false;
    }
    if (isThenable(result.value)) {
      this.#await(result.value, (value) => this.#onResult({ value }));
      return false;
    }
    this.#encoder ??= this.#outlet.borrow(this.#client);
    const before = this.#encoder.mark();
    try {
      this.#encoder.root("an item", result.value);
    } catch (error) {
      this.#outlet.drop(this.#encoder.back(before));
      this.#fail(error);
      return false;
    }
    this.#count += 1;
    this.#room -= 1;
    const { at, beside } = this.#encoder;
    if (this.#room <= 0 || this.#count >= MAX_COUNT || at > MAX_BYTES || beside !== undefined)
      this.#flush(StreamEnd.More);
    return true;
  }

  /** The producer failed, or made what cannot be sent. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#encoder ??= this.#outlet.borrow(this.#client);
    writeThrown(this.#encoder, error);
    this.#send(this.#encoder, StreamEnd.Failed);
    this.#end();
    this.#closeProducer();
  }

  #flush(end: StreamEnd): void {
    if (this.#isOver || (this.#count === 0 && end === StreamEnd.More)) return;
    this.#encoder ??= this.#outlet.borrow(this.#client);
    this.#send(this.#encoder, end);
    if (end !== StreamEnd.More) return this.#end();
    this.#outlet.giveBack(this.#encoder);
    this.#encoder = undefined;
  }

  #send(encoder: Encoder, end: StreamEnd): void {
    this.#room = this.#outlet.produce(this.#client, this.#handle, this.#count, encoder, end);
    this.#count = 0;
  }
}

function isThenable<T>(value: unknown): value is PromiseLike<T> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

type Open = {
  next?: unknown;
  [Symbol.asyncIterator]?: () => AsyncIterator<unknown>;
};

/** Whether a value is sent as a stream of items: an iterator, sync or not, or what gives an asynchronous one. */
export function isStream(value: object): boolean {
  const { next, [Symbol.asyncIterator]: iterate } = value as Open;
  return typeof iterate === "function" || typeof next === "function";
}

/** The source of a value for which {@link isStream} holds. Nothing of it is touched before the first item is wanted. */
export function sourceOf(outlet: Outlet, value: object): Source {
  return new Source(outlet, () => producerOf(value));
}

function producerOf(value: object): Producer {
  if (value instanceof ReadableStream) {
    const reader = value.getReader();
    return { next: () => reader.read(), close: () => reader.cancel() };
  }
  const { [Symbol.asyncIterator]: iterate } = value as Open;
  const iterator = (typeof iterate === "function" ? iterate.call(value) : value) as Iterator<unknown>;
  const close = value instanceof Readable ? () => value.destroy() : () => iterator.return?.();
  return { next: () => iterator.next(), close };
}
