// Websockets of services of type `fetch`, in the shape of the web's own class.
import { InvalidError, OverloadedError } from "../errors.js";
import type { Exchange, Message } from "./exchange.js";
import type { Pair, Scope } from "./scope.js";

/** Bytes that may wait until they are sent, unless told otherwise. */
const MAX_BUFFERED = 16 << 20;
const FULL = { code: 1009, reason: "the client does not read what it is sent" };
const ENCODER = new TextEncoder();

const offers = new WeakMap<Request, Scope>();
const upgraded = new WeakMap<Request, AppSocket>();

/** What a websocket may be told. */
export type SocketData = string | ArrayBuffer | ArrayBufferView | Blob;

/** Event of the end of a websocket. */
export class SocketCloseEvent extends Event {
  /** The code of the end; 1006 when the connection broke. */
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;

  /** @internal */
  constructor(code: number, reason: string) {
    super("close");
    this.code = code;
    this.reason = reason;
    this.wasClean = code !== 1006;
  }
}

/**
 * A websocket of a client, with the members of the web's `WebSocket`: events `open`, `message`, `close` and `error`, `send`
 * and `close`. `send` gives a promise besides, for those who want to wait until there is room for more.
 */
export class AppSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  /** What messages of bytes come as. */
  binaryType: "arraybuffer" | "blob" = "arraybuffer";
  /** None is agreed upon with clients. */
  readonly extensions = "";
  /** The subprotocol that was chosen. */
  readonly protocol: string;
  /** The URL that was asked. */
  readonly url: string;
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: SocketCloseEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  readonly #maxBuffered: number;
  readonly #give = { up: (): void => undefined };
  #state = 0;
  #waiting = 0;
  #exchange: Exchange | undefined;
  #sending: Promise<void> = Promise.resolve();
  #closing: { code: number; reason: string } | undefined;

  /** @internal */
  constructor(url: string, protocol: string, maxBuffered: number = MAX_BUFFERED) {
    super();
    this.url = url;
    this.protocol = protocol;
    this.#maxBuffered = maxBuffered;
  }

  get readyState(): number {
    return this.#state;
  }

  /** Bytes that were not sent yet. */
  get bufferedAmount(): number {
    return this.#waiting;
  }

  /** Sends a message. What is sent behind the end is dropped; settled when there is room for the next. */
  send(data: SocketData): Promise<void> {
    if (this.#state === AppSocket.CONNECTING) {
      throw new DOMException("the websocket is not open yet", "InvalidStateError");
    }
    if (this.#state !== AppSocket.OPEN) return Promise.resolve();
    const size = sizeOf(data);
    if (this.#waiting + size > this.#maxBuffered) {
      // a farewell would wait behind all the rest
      this.#state = AppSocket.CLOSING;
      this.#closing = FULL;
      this.#give.up();
      return Promise.resolve();
    }
    this.#waiting += size;
    return this.#then(async () => {
      await this.#tell(await messageOf(data));
      this.#waiting -= size;
    });
  }

  /** Ends it behind what was sent before. */
  close(code = 1000, reason = ""): void {
    if (code !== 1000 && !(code >= 3000 && code < 5000)) {
      throw new DOMException("a code is 1000, or 3000 to 4999", "InvalidAccessError");
    }
    if (ENCODER.encode(reason).length > 123) {
      throw new DOMException("a reason has at most 123 bytes", "SyntaxError");
    }
    if (this.#state >= AppSocket.CLOSING) return;
    const isOpen = this.#state === AppSocket.OPEN;
    this.#state = AppSocket.CLOSING;
    this.#closing = { code, reason };
    if (isOpen) void this.#then(() => this.#tell({ type: "websocket.close", code, reason }));
  }

  // what cannot be sent any longer ends the loop of what is received, too
  #then(step: () => Promise<void>): Promise<void> {
    this.#sending = this.#sending.then(step).catch(() => undefined);
    return this.#sending;
  }

  async #tell(message: Message): Promise<void> {
    await this.#exchange?.send([message]);
  }

  /** Accepts it, and passes on what comes until its end. @internal */
  async open(exchange: Exchange, headers: Pair[]): Promise<void> {
    this.#exchange = exchange;
    const own = headers.filter(([name]) => !/^content-(?:type|length)$/.test(Buffer.from(name).toString()));
    const subprotocol = this.protocol === "" ? null : this.protocol;
    await exchange.send([{ type: "websocket.accept", subprotocol, headers: own }]);
    if (this.#state === AppSocket.CONNECTING) {
      this.#state = AppSocket.OPEN;
      this.#fire(new Event("open"));
    } else if (this.#closing) {
      await exchange.send([{ type: "websocket.close", ...this.#closing }]);
    }
    const full = new Promise<typeof FULL>((resolve) => {
      this.#give.up = () => resolve(FULL);
    });
    const { code, reason } = await Promise.race([this.#pass(exchange), full]);
    this.#state = AppSocket.CLOSED;
    if (code === 1006 || code === FULL.code) this.#fire(new Event("error"));
    this.#fire(new SocketCloseEvent(code, reason));
    if (this.#closing === FULL) throw new OverloadedError(`the websocket was ended: ${reason}`);
  }

  async #pass(exchange: Exchange): Promise<{ code: number; reason: string }> {
    try {
      for (;;) {
        const message = await exchange.receive();
        if (message.type === "websocket.disconnect") {
          return this.#closing ?? { code: message.code ?? 1005, reason: message.reason ?? "" };
        }
        if (message.type === "websocket.receive" && this.#state === AppSocket.OPEN) {
          this.#fire(new MessageEvent("message", { data: this.#dataOf(message) }));
        }
      }
    } catch {
      return this.#closing ?? { code: 1006, reason: "" };
    }
  }

  #dataOf({ text, bytes }: Message): string | ArrayBuffer | Blob {
    if (typeof text === "string") return text;
    const own = Uint8Array.from(bytes as Uint8Array);
    return this.binaryType === "blob" ? new Blob([own]) : own.buffer;
  }

  #fire(event: Event): void {
    const handler = this[`on${event.type}` as "onopen"];
    try {
      handler?.call(this, event);
    } catch (error) {
      // as an error in a listener is: seen by the process, and no reason to stop here
      process.nextTick(() => {
        throw error;
      });
    }
    this.dispatchEvent(event);
  }
}

function sizeOf(data: SocketData): number {
  if (typeof data === "string") return data.length;
  if (data instanceof Blob) return data.size;
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return data.byteLength;
  throw new TypeError("a websocket sends texts, and bytes in an ArrayBuffer, a view of one, or a Blob");
}

async function messageOf(data: SocketData): Promise<Message> {
  if (typeof data === "string") return { type: "websocket.send", text: data };
  const content = data instanceof Blob ? await data.arrayBuffer() : data;
  const bytes = ArrayBuffer.isView(content)
    ? new Uint8Array(content.buffer, content.byteOffset, content.byteLength)
    : new Uint8Array(content);
  return { type: "websocket.send", bytes };
}

/** This request asks for a websocket. */
export function mayUpgrade(request: Request, scope: Scope): void {
  offers.set(request, scope);
}

/** The websocket that a handler has made of a request. */
export function socketOf(request: Request): AppSocket | undefined {
  return upgraded.get(request);
}

/** Settings of {@link upgradeWebSocket}. */
export interface UpgradeOptions {
  /** One of the subprotocols that the client offers. */
  protocol?: string;
  /** Headers of the answer to the handshake. */
  headers?: Record<string, string>;
  /** Bytes that may wait until they are sent, 16 MiB; a socket with more is ended. */
  maxBuffered?: number;
}

/**
 * Makes a websocket of a request to a service of type `fetch`: the handler gives back the `response`, whose headers go
 * along, and `socket` opens then.
 *
 * @example
 * const echo = {
 *   id: "echo",
 *   type: "fetch",
 *   config: { visibility: "public" },
 *   serve: (request) => {
 *     if (request.headers.get("upgrade") !== "websocket") return new Response("a websocket, please", { status: 426 });
 *     const { socket, response } = upgradeWebSocket(request);
 *     socket.onmessage = ({ data }) => socket.send(data);
 *     return response;
 *   },
 * };
 */
export function upgradeWebSocket(
  request: Request,
  options: UpgradeOptions = {},
): { response: Response; socket: AppSocket } {
  const scope = offers.get(request);
  if (scope === undefined) {
    throw new InvalidError(
      "upgradeWebSocket needs the request that the handler was given, and one that asks for a websocket",
    );
  }
  const { protocol = "", headers = {}, maxBuffered } = options;
  if (protocol !== "" && !scope.subprotocols?.includes(protocol)) {
    throw new InvalidError(`the client does not offer the subprotocol ${JSON.stringify(protocol)}`);
  }
  const socket = new AppSocket(request.url.replace(/^http/, "ws"), protocol, maxBuffered);
  upgraded.set(request, socket);
  return { response: new Response(null, { headers }), socket };
}
