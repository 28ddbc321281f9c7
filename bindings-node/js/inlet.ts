// What streams need of the native side: items in bulk, taken when they are wanted.
import type { Decoder } from "./decode.js";
import type { Encoder } from "./encode.js";
import { toldError } from "./errors.js";
import type { Core } from "./native.cjs";
import { Feed, type Inlet, type Items, RemoteStream, type StreamStub } from "./streams.js";
import { Kind, StreamState } from "./tape.js";

/** What an inlet needs of the pump. */
interface Owner {
  readonly native: Core;
  borrow(client: number): Encoder;
  giveBack(encoder: Encoder): void;
  hold(): void;
  release(): void;
}

const TAPE = 32 * 1024;
const HEAD = 3;

/** Streams of peers that are being read. */
export class Streams implements Inlet {
  readonly #owner: Owner;
  /** A decoder of its own, because what is taken here overtakes the batches of events. */
  readonly #decoder: Decoder;
  readonly #feeds = new Map<number, Feed>();
  #tape = new Int32Array(TAPE);
  #last = 0;

  constructor(owner: Owner, decoder: Decoder) {
    this.#owner = owner;
    this.#decoder = decoder;
  }

  /** How many are open. */
  get size(): number {
    return this.#feeds.size;
  }

  /** A stream that `client` was told of. */
  make(client: number, stub: StreamStub): RemoteStream {
    this.#last += 1;
    return new RemoteStream(new Feed(this, this.#last, client, stub));
  }

  /** Items have come, or an end. */
  arrived(id: number): void {
    this.#feeds.get(id)?.arrived();
  }

  openStream(feed: Feed): void {
    const told = this.#withStub(feed, (tape) => this.#owner.native.openStream(feed.client, feed.id, tape));
    if (told !== null) throw toldError(told);
    this.#feeds.set(feed.id, feed);
  }

  takeItems(feed: Feed): Items {
    let beside = this.#owner.native.items(feed.id, this.#tape);
    const needed = this.#tape[1] as number;
    if (needed > 0) {
      // One item that is larger than the tape gets one of its own size, once.
      this.#tape = new Int32Array(needed);
      beside = this.#owner.native.items(feed.id, this.#tape);
    }
    try {
      return this.#items(feed, beside);
    } finally {
      if (this.#tape.length > TAPE) this.#tape = new Int32Array(TAPE);
    }
  }

  closeStream(feed: Feed): void {
    const { native } = this.#owner;
    if (feed.isOpen) native.closeStream(feed.client, feed.id);
    else this.#withStub(feed, (tape) => native.discardStream(feed.client, tape));
    this.forgetStream(feed);
  }

  forgetStream(feed: Feed): void {
    this.#feeds.delete(feed.id);
  }

  hold(): void {
    this.#owner.hold();
  }

  release(): void {
    this.#owner.release();
  }

  #items(feed: Feed, beside: unknown[]): Items {
    const tape = this.#tape;
    const filled = tape[0] as number;
    let values: unknown[] = [];
    let state = StreamState.Done as number;
    for (let at = HEAD, besideAt = 0; at < filled; at += tape[at + 1] as number) {
      const head = tape[at] as number;
      const text = head & 256 ? (beside[besideAt] as string) : "";
      const first = besideAt + (text === "" ? 0 : 1);
      besideAt += head >> 9;
      if ((head & 255) === Kind.Shape) {
        this.#decoder.learn(tape, at + 2, text);
      } else {
        state = tape[at + 2] as number;
        values = this.#decoder.run(feed.client, tape, at + 3, text, beside, first);
      }
    }
    if (state === StreamState.Open) return { values, end: undefined };
    return { values, end: state === StreamState.Failed ? { error: values.pop() } : {} };
  }

  #withStub<T>({ client, stub }: Feed, work: (tape: Uint8Array) => T): T {
    const encoder = this.#owner.borrow(client);
    for (const text of [stub.target, stub.method, stub.closeMethod]) encoder.text(text);
    for (const text of [stub.doc, stub.server, stub.parent, stub.encPub]) encoder.optional(text);
    encoder.value(stub.pushes);
    try {
      return work(encoder.bytes);
    } finally {
      this.#owner.giveBack(encoder);
    }
  }
}
