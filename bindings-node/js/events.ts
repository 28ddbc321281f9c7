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

  /** Tells everybody. A listener that fails is reported, and keeps neither the others nor the program from going on. */
  fire(kind: string, data: unknown): void {
    for (const { listener, isOnce } of [...(this.#listeners.get(kind) ?? [])]) {
      if (isOnce) this.remove(kind, listener);
      try {
        const told = listener(data);
        if (told instanceof Promise) told.catch((error: unknown) => report(kind, error));
      } catch (error) {
        report(kind, error);
      }
    }
  }
}

/** The data come from peers: none of them may end this program by what a listener did not expect. */
function report(kind: string, error: unknown): void {
  console.error(`a listener of the event ${JSON.stringify(kind)} failed:`, error);
}
