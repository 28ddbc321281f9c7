// One request of a web app: between a handler in this program and the server that the request came from.
import type { RemoteFunction } from "../remote.js";
import { currentSignal } from "../running.js";
import type { Pair, Scope } from "./scope.js";

/** What a server calls `serve` with: `docs/asgi.md`. */
export interface Asked {
  scope: Scope;
  receive: RemoteFunction;
  send: RemoteFunction;
  /** The first message, if it is here already. There only where `send` takes several messages at once. */
  request?: Message | null;
}

export interface Message {
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: each type of message has values of its own
  [key: string]: any;
}

/** Bytes as they are made. */
export interface Source {
  /** The next ones; `undefined` behind the last. */
  read(): Promise<Uint8Array | undefined>;
  /** Nobody wants more: a `read` that waits ends. */
  cancel(reason?: unknown): void;
}

/** An answer, its body as it is made. */
export interface Answer {
  status: number;
  headers: Pair[];
  body: Source | undefined;
}

/** Milliseconds that a handler may take before it is worth a message to know whether anybody waits for it. */
const QUICK = 10;
/** Bytes that go in one message, at most. */
const PART = 256 << 10;
const NOTHING = new Uint8Array();

/** A request under way. */
export class Exchange {
  readonly scope: Scope;
  readonly #asked: Asked;
  readonly #isBatched: boolean;
  /** How messages of the answer are called: they differ for a websocket that is refused. */
  readonly #kind: string;
  readonly #gone = new AbortController();
  /** Ends what waits for messages that nobody needs any longer. */
  readonly #over = new AbortController();
  #first: Message | null | undefined;
  #hasBody: boolean;
  #isWatching = false;
  #isAnswered = false;

  /** To be made before the first `await` of the function that is called. */
  constructor(asked: Asked) {
    this.#asked = asked;
    this.scope = asked.scope;
    this.#isBatched = "request" in asked;
    this.#first = asked.request;
    const isRequest = asked.scope.type === "http";
    this.#hasBody = isRequest;
    this.#kind = isRequest ? "http.response" : "websocket.http.response";
    const cancelled = currentSignal();
    cancelled?.addEventListener("abort", () => this.#left(cancelled.reason), { once: true });
  }

  /** Is aborted when whoever asked has left. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** The body when it is here as a whole; otherwise it comes part by part. */
  takeWhole(): Uint8Array | undefined {
    const first = this.#first;
    if (first?.type !== "http.request" || first.more_body) return undefined;
    this.#first = undefined;
    this.#hasBody = false;
    return first.body ?? NOTHING;
  }

  /** The body is of no interest. */
  dropBody(): void {
    this.#hasBody = false;
  }

  /** The next part of the body; `undefined` behind the last. Fails when whoever asked leaves before that. */
  async nextPart(): Promise<Uint8Array | undefined> {
    while (this.#hasBody) {
      const message = this.#first ?? (await this.receive());
      this.#first = undefined;
      if (message.type === "http.disconnect") throw this.#left();
      this.#hasBody = message.more_body === true;
      if (!this.#hasBody && this.#isWatching && !this.#isBatched) this.#listen();
      if (message.body?.length > 0) return message.body;
    }
    return undefined;
  }

  /** The next message of the server. */
  receive(): Promise<Message> {
    return this.#asked.receive.withOptions({ signal: this.#over.signal })();
  }

  /** Gives the server a message, or several; is settled when there is room for the next. */
  async send(messages: Message[]): Promise<void> {
    try {
      if (this.#isBatched) await this.#asked.send(messages);
      else for (const message of messages) await this.#asked.send(message);
    } catch (error) {
      this.#left(error);
      throw error;
    }
  }

  /**
   * Learns from now on when whoever asked leaves. Other servers than ours tell it to the reader of the body as long as there
   * is one to come.
   */
  watch(): void {
    if (this.#isWatching || this.scope.type !== "http") return;
    this.#isWatching = true;
    if (this.#isBatched || !this.#hasBody) this.#listen();
  }

  #listen(): void {
    // of our server the end can be asked for alone, so that no part of the body is taken from its reader
    const receive = this.#asked.receive.withOptions({ signal: this.#over.signal });
    const next = this.#isBatched ? () => receive("http.disconnect") : receive;
    const listen = async (): Promise<void> => {
      while (!this.#isAnswered) {
        if (((await next()) as Message).type === "http.disconnect") return void this.#left();
      }
    };
    // what fails here fails for the answer as well
    listen().catch(() => undefined);
  }

  #left(reason: unknown = new DOMException("whoever asked has left", "AbortError")): unknown {
    if (!this.#isAnswered) this.#gone.abort(reason);
    return this.signal.reason ?? reason;
  }

  /** Runs a handler, and gives the server its answer. Gives what is left to be said as the result of `serve`. */
  async run(handle: () => Promise<Answer | undefined>): Promise<Message[] | undefined> {
    const late = setTimeout(() => this.watch(), QUICK);
    try {
      const answer = await handle();
      return answer && (await this.#answer(answer));
    } catch (error) {
      // nobody is there to be told of it
      if (this.signal.aborted) return undefined;
      throw error;
    } finally {
      clearTimeout(late);
      this.#isAnswered = true;
      this.#over.abort();
    }
  }

  async #answer({ status, headers, body }: Answer): Promise<Message[] | undefined> {
    const start = { type: `${this.#kind}.start`, status, headers };
    const isEmpty = this.scope.method === "HEAD" || status === 204 || status === 304;
    if (body === undefined || isEmpty) {
      body?.cancel();
      return this.#last([start, this.#part(undefined, false)]);
    }
    const parts = new Parts(body);
    let next = parts.next();
    // an answer that is ready goes in one message; of one that is not, the head does not wait
    const ready = await Promise.race([next, soon()]);
    if (ready === null) return this.#last([start, this.#part(undefined, false)]);
    if (ready !== undefined) {
      next = parts.next();
      if ((await Promise.race([next, soon()])) === null) {
        return this.#last([start, this.#part(ready, false)]);
      }
    }
    return this.#stream([start, this.#part(ready, true)], parts, next);
  }

  async #stream(
    begun: Message[],
    parts: Parts,
    first: Promise<Uint8Array | null>,
  ): Promise<Message[] | undefined> {
    this.watch();
    const leave = (): void => parts.cancel(this.signal.reason);
    this.signal.addEventListener("abort", leave);
    if (this.signal.aborted) leave();
    first.catch(() => undefined);
    await this.send(begun);
    for (let next = first; ; next = parts.next()) {
      const part = await next;
      this.signal.throwIfAborted();
      if (part === null) return this.#last([this.#part(undefined, false)]);
      await this.send([this.#part(part, true)]);
    }
  }

  #part(body: Uint8Array | undefined, more: boolean): Message {
    return { type: `${this.#kind}.body`, body: body ?? NOTHING, more_body: more };
  }

  /** The end of an answer: it is the result of `serve` where the server takes that. */
  async #last(messages: Message[]): Promise<Message[] | undefined> {
    if (this.#isBatched) return messages;
    await this.send(messages);
    return undefined;
  }
}

/** The parts of a body, none of them too much for one message. */
class Parts {
  readonly #source: Source;
  #rest: Uint8Array = NOTHING;

  constructor(source: Source) {
    this.#source = source;
  }

  async next(): Promise<Uint8Array | null> {
    while (this.#rest.length === 0) {
      const more = await this.#source.read();
      if (more === undefined) return null;
      this.#rest = more;
    }
    const part = this.#rest.subarray(0, PART);
    this.#rest = this.#rest.subarray(PART);
    return part;
  }

  cancel(reason: unknown): void {
    this.#rest = NOTHING;
    this.#source.cancel(reason);
  }
}

/** Is settled when all that can be done at once is done. */
function soon(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(resolve, undefined));
}
