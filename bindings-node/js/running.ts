// Functions of ours that run for peers: what they may know of their caller's patience.
import { AsyncLocalStorage } from "node:async_hooks";
import { CallCancelledError, RpcTimeoutError } from "./errors.js";
import type { Served } from "./functions.js";

/** Who is told that somebody wants to hear of a run's end. */
export interface Watch {
  watch(running: Running): void;
}

/** A call of one of our functions. Ordinary calls pay nothing for what it can do beyond. */
export class Running {
  readonly #watch: Watch;
  #controller: AbortController | undefined;
  #reason: unknown;
  /** Whether it is to be told when its caller gives up. */
  isWatched = false;

  constructor(
    watch: Watch,
    readonly client: number,
    /** Names the run in the answer; 0 when nobody wants one. */
    readonly run: number,
    /** Until when the caller waits, in the time of `performance.now()`; 0 when it did not say. */
    readonly deadline: number,
    /** The trace that the call belongs to, a W3C `traceparent`. */
    readonly trace: string | undefined,
    /** Whether it answers an HTTP request. */
    readonly isEvent = false,
  ) {
    this.#watch = watch;
  }

  /** Whether calls made meanwhile inherit something. */
  get isLimited(): boolean {
    return this.deadline !== 0 || this.trace !== undefined;
  }

  /** Is aborted when the caller gives up. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.watch();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Wants to be told when the caller gives up. */
  watch(): void {
    if (this.isWatched || this.run === 0) return;
    this.isWatched = true;
    this.#watch.watch(this);
  }

  /** The caller gave up. */
  cancel(reason: unknown): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/** A caller whose time is up says so as well, and may be heard so many milliseconds before the own clock. */
const CLOCKS_DIFFER = 100;

/** Why a run is broken off. */
export function reasonOf(running: Running | undefined): CallCancelledError | RpcTimeoutError {
  const { deadline } = running ?? { deadline: 0 };
  const isLate = deadline !== 0 && performance.now() >= deadline - CLOCKS_DIFFER;
  return isLate
    ? new RpcTimeoutError("the deadline has passed")
    : new CallCancelledError("the caller gave up");
}

/** The run whose function is in its first, synchronous part. */
let current: Running | undefined;
/** Made when a call first brings something to be inherited: following promises costs all of the process. */
let followed: AsyncLocalStorage<Running> | undefined;

/** Calls a function as a run; its calls inherit what its caller said. */
export function runAs(running: Running, served: Served, args: unknown[]): unknown {
  if (!running.isLimited) return directly(running, served, args);
  followed ??= new AsyncLocalStorage();
  return followed.run(running, directly, running, served, args);
}

function directly(running: Running, { call, self }: Served, args: unknown[]): unknown {
  const outside = current;
  current = running;
  try {
    return Reflect.apply(call, self, args);
  } finally {
    current = outside;
  }
}

/** The run that the code at hand belongs to, as far as that is known. */
export function currentRun(): Running | undefined {
  return current ?? followed?.getStore();
}

/**
 * The signal of the call that is being served: aborted when its caller gives up, is gone, or its deadline has passed. To be
 * asked for before the first `await` of a function; afterwards, and outside of any function, it may be `undefined`. A service
 * with `require_context` has it as `context.signal`, at any time.
 *
 * @example
 * const service = {
 *   id: "fetcher",
 *   fetch: async (url) => (await fetch(url, { signal: currentSignal() })).text(),
 * };
 */
export function currentSignal(): AbortSignal | undefined {
  return currentRun()?.signal;
}

/**
 * The trace that the call being served belongs to, a W3C `traceparent`; `undefined` when its caller named none. Calls made
 * while serving carry it on by themselves.
 */
export function currentTrace(): string | undefined {
  return currentRun()?.trace;
}
