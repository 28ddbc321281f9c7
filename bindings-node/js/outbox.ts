// Answers on their way out, collected: those of one batch of calls leave by one native call, which wakes the
// connection's thread once. Answers of async functions come just after the batch, and leave together too.
import type { Codecs } from "./codecs.js";
import type { Encoder } from "./encode.js";
import type { Core } from "./native.cjs";

/** What the outbox needs of the pump. */
export interface Sender {
  readonly native: Core;
  borrow(client: number): Encoder;
  giveBack(encoder: Encoder): void;
  drop(handles: number[]): void;
  codecsOf(client: number): Codecs | undefined;
}

/** Answers wait for the end of the turn, but not more than these. */
const MAX_COUNT = 128;
const MAX_BYTES = 48 * 1024;

/** Collects answers. */
export class Outbox {
  /** While set, somebody will flush. */
  isHeld = false;
  readonly #sender: Sender;
  readonly #kept = new Map<number, number[]>();
  #encoder: Encoder | undefined;
  #count = 0;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Adds the answer to a run; throws when the value cannot be sent. */
  add(client: number, run: number, value: unknown): void {
    this.#encoder ??= this.#sender.borrow(client);
    const encoder = this.#encoder;
    encoder.codecs = this.#sender.codecsOf(client);
    const before = encoder.mark();
    encoder.count(client);
    encoder.double(run);
    try {
      encoder.measured("the result", value);
    } catch (error) {
      this.#sender.drop(encoder.back(before));
      throw error;
    }
    if (encoder.handles.length > before.handles)
      this.#kept.set(this.#count, encoder.handles.slice(before.handles));
    this.#count += 1;
    if (this.#count >= MAX_COUNT || encoder.at > MAX_BYTES || encoder.beside !== undefined) this.flush();
    else if (this.#count === 1 && !this.isHeld) process.nextTick(() => this.flush());
  }

  /** Sends what was collected. */
  flush(): void {
    const encoder = this.#encoder;
    if (encoder === undefined || this.#count === 0) return;
    const refused = this.#sender.native.answer(this.#count, encoder.bytes, encoder.beside);
    for (const number of refused ?? []) this.#sender.drop(this.#kept.get(number) ?? []);
    this.#kept.clear();
    this.#count = 0;
    this.#encoder = undefined;
    this.#sender.giveBack(encoder);
  }
}
