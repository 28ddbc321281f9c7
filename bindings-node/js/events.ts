// Listeners of a connection's events.
import { InvalidError, RpcTimeoutError } from "./errors.js";

/** Is told of an event. */
// biome-ignore lint/suspicious/noExplicitAny: each kind of event has data of its own
export type EventListener = (data: any) => unknown;

/** Keeps listeners by the kind of event; the one who registered first is told first. */
export class Events {
  readonly #listeners = new Map<string, { listener: EventListener; isOnce: boolean }[]>();

  /** Has `listener` told of every event of this kind. */
  add(kind: string, listener: EventListener, isOnce: boolean): void {
    if (typeof listener !== "function")
      throw new InvalidError(`the listener of \`${kind}\` must be a function`);
    const list = this.#listeners.get(kind) ?? [];
    list.push({ listener, isOnce });
    this.#listeners.set(kind, list);
  }

  /** Takes back a listener, all of a kind, or all. */
  remove(kind?: string, listener?: EventListener): void {
    if (kind === undefined) return this.#listeners.clear();
    const kept = listener
      ? (this.#listeners.get(kind) ?? []).filter((entry) => entry.listener !== listener)
      : [];
    if (kept.length > 0) this.#listeners.set(kind, kept);
    else this.#listeners.delete(kind);
  }

  /** The next event of a kind; fails after so many seconds without one. */
  wait(kind: string, seconds?: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const listener = (data: unknown) => {
        clearTimeout(timer);
        resolve(data);
      };
      this.add(kind, listener, true);
      if (seconds === undefined) return;
      timer = setTimeout(() => {
        this.remove(kind, listener);
        reject(new RpcTimeoutError(`no event \`${kind}\` within ${seconds} s`));
      }, seconds * 1000);
    });
  }

  /** Tells everybody. What a listener throws is an uncaught exception, and the others are told all the same. */
  fire(kind: string, data: unknown): void {
    for (const { listener, isOnce } of [...(this.#listeners.get(kind) ?? [])]) {
      if (isOnce) this.remove(kind, listener);
      try {
        listener(data);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}
