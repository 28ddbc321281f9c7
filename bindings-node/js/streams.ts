// Generators and streams of peers that we read.

/** A generator of a peer, as it was described to us. */
export interface StreamStub {
  target: string;
  method: string;
  closeMethod: string;
  doc: string | null;
  server: string | null;
  parent: string | null;
  /** The owner's public key, in hexadecimal digits. */
  encPub: string | null;
  /** Whether the owner sends items ahead. */
  pushes: boolean;
}

/** What is at hand of a stream. */
export interface Items {
  values: unknown[];
  /** How it ended behind them: with an error, or just so. */
  end: { error?: unknown } | undefined;
}

/** What a stream needs of the pump. */
export interface Inlet {
  openStream(feed: Feed): void;
  /** Takes items that have come; asks for more when those taken before are used up. */
  takeItems(feed: Feed): Items;
  /** Tells the peer that no more items are wanted. */
  closeStream(feed: Feed): void;
  /** Forgets a stream that is over. */
  forgetStream(feed: Feed): void;
  hold(): void;
  release(): void;
}

interface Waiter {
  /** Whoever waits keeps the stream. */
  owner: object;
  resolve(result: IteratorResult<unknown, undefined>): void;
  reject(error: unknown): void;
}

const DONE: IteratorResult<unknown, undefined> = { value: undefined, done: true };

/** What stands behind a {@link RemoteStream}; it does not keep it. */
export class Feed {
  readonly #inlet: Inlet;
  readonly #waiters: Waiter[] = [];
  #items: unknown[] = [];
  #at = 0;
  #state: "new" | "open" | "over" = "new";
  /** The error at its end, until somebody was told. */
  #failure: { error?: unknown } | undefined;

  constructor(
    inlet: Inlet,
    readonly id: number,
    readonly client: number,
    readonly stub: StreamStub,
  ) {
    this.#inlet = inlet;
  }

  /** Whether items were asked for at some time. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  next(owner: object): Promise<IteratorResult<unknown, undefined>> {
    const items = this.#items;
    if (this.#at < items.length) {
      const value = items[this.#at];
      items[this.#at] = undefined;
      this.#at += 1;
      return Promise.resolve({ value, done: false });
    }
    return this.#ask(owner);
  }

  /** Items have come, or the end. */
  arrived(): void {
    const { length } = this.#waiters;
    while (this.#waiters.length > 0 && this.#refill()) this.#serve();
    if (this.#waiters.length > 0 && this.#state === "over") this.#serve();
    if (length > 0 && this.#waiters.length === 0) this.#inlet.release();
  }

  /** No more items are wanted. */
  close(): void {
    if (this.#state !== "over") this.#inlet.closeStream(this);
    this.#state = "over";
    this.#failure = undefined;
    this.#items = [];
    this.#at = 0;
    this.arrived();
  }

  #ask(owner: object): Promise<IteratorResult<unknown, undefined>> {
    try {
      if (this.#state === "new") {
        this.#state = "open";
        this.#inlet.openStream(this);
      } else if (this.#waiters.length === 0 && this.#refill()) {
        return this.next(owner);
      }
    } catch (error) {
      this.#state = "over";
      return Promise.reject(error);
    }
    if (this.#state === "over") return this.#ended();
    if (this.#waiters.length === 0) this.#inlet.hold();
    return new Promise((resolve, reject) => this.#waiters.push({ owner, resolve, reject }));
  }

  #ended(): Promise<IteratorResult<unknown, undefined>> {
    const failure = this.#failure;
    this.#failure = undefined;
    return failure !== undefined ? Promise.reject(failure.error) : Promise.resolve(DONE);
  }

  /** Fetches what has come; whether there are items. */
  #refill(): boolean {
    if (this.#state !== "open") return false;
    const { values, end } = this.#taken();
    this.#items = values;
    this.#at = 0;
    if (end !== undefined) {
      this.#state = "over";
      if ("error" in end) this.#failure = end;
      this.#inlet.forgetStream(this);
    }
    return values.length > 0;
  }

  /** What cannot be decoded, by a codec of the user's, ends the stream. */
  #taken(): Items {
    try {
      return this.#inlet.takeItems(this);
    } catch (error) {
      this.#inlet.closeStream(this);
      return { values: [], end: { error } };
    }
  }

  /** Gives those who wait what is there. */
  #serve(): void {
    while (this.#waiters.length > 0) {
      const isThere = this.#at < this.#items.length;
      if (!isThere && this.#state !== "over") return;
      const { owner, resolve, reject } = this.#waiters.shift() as Waiter;
      if (isThere) this.next(owner).then(resolve, reject);
      else this.#ended().then(resolve, reject);
    }
  }
}

/** Streams that nobody can reach any longer are closed; one that is read in a loop is closed by the loop. */
const unreachable = new FinalizationRegistry<Feed>((feed) => feed.close());

/**
 * A generator or stream of a peer. Its items come as they are used: `for await` reads them, leaving the loop closes the
 * peer's generator at once. An error of the generator is thrown behind the items that came before it.
 *
 * @example
 * for await (const line of await service.tail("app.log")) {
 *   if (line.includes("ERROR")) break;
 * }
 */
// biome-ignore lint/suspicious/noExplicitAny: only the peer knows the type of its items
export class RemoteStream<T = any> implements AsyncIterableIterator<T>, AsyncDisposable {
  readonly #feed: Feed;

  /** @internal */
  constructor(feed: Feed) {
    this.#feed = feed;
    unreachable.register(this, feed, feed);
  }

  /** The next item. */
  next(): Promise<IteratorResult<T, undefined>> {
    return this.#feed.next(this) as Promise<IteratorResult<T, undefined>>;
  }

  /** Closes the peer's generator. */
  async return(): Promise<IteratorResult<T, undefined>> {
    unreachable.unregister(this.#feed);
    this.#feed.close();
    return { value: undefined, done: true };
  }

  /** Closes the peer's generator and fails with `error`, which the peer is not told. */
  async throw(error: unknown): Promise<IteratorResult<T, undefined>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** The same items as a web stream; cancelling it closes the peer's generator. */
  toReadableStream(): ReadableStream<T> {
    return new ReadableStream<T>(
      {
        pull: async (controller) => {
          const { value, done } = await this.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: async () => {
          await this.return();
        },
      },
      { highWaterMark: 0 },
    );
  }
}
