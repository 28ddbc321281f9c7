// Handlers of the web's own kind, `(Request) => Response`, as web apps.
import { thrownResponse } from "../http.js";
import native from "../native.cjs";
import type { Answer, Exchange, Source } from "./exchange.js";
import { type AppInfo, headersOf, infoOf, type Pair, targetOf } from "./scope.js";
import { mayUpgrade, socketOf } from "./socket.js";

/** What handlers may tell of work that goes on behind their answer. */
export interface ExecutionContext {
  /** Errors of the promise are shown on the console. */
  waitUntil(promise: Promise<unknown>): void;
  /** There for handlers that were written for other hosts; does nothing. */
  passThroughOnException(): void;
  /** The same: empty. */
  readonly props: unknown;
}

/** `serve` of a service of type `fetch`: a function, or an object with such a function, as the apps of Hono are. */
export type FetchHandler = (
  request: Request,
  info: AppInfo,
  context: ExecutionContext,
) => Response | Promise<Response>;

const CONTEXT: ExecutionContext = {
  waitUntil(promise) {
    promise.catch((error) => console.error("what an app went on with has failed:", error));
  },
  passThroughOnException: () => undefined,
  props: {},
};

/** How a request's URL is told. */
export interface UrlRules {
  /** The URL is that which was asked: the app knows where it stands. */
  isWhole: boolean;
}

/** Has a handler answer a request. */
export async function fetchAnswer(
  handler: FetchHandler,
  rules: UrlRules,
  exchange: Exchange,
): Promise<Answer | undefined> {
  const { scope } = exchange;
  const headers = headersOf(scope);
  const target = targetOf(scope, headers);
  const info = infoOf(scope, target);
  const url = rules.isWhole ? info.url : `${target.origin}${target.path}${target.query}`;
  const request = requestOf(exchange, url, headers);
  if (request === undefined) return refusal(405, "this method cannot be asked of an app");
  const response = await answered(() => handler(request, info, CONTEXT));
  const inside = (location: string) =>
    rules.isWhole ? location : (native.locationInside(target.root, target.origin, location) ?? location);
  const pairs = pairsOf(response, inside);
  const socket = socketOf(request);
  if (socket !== undefined && response.ok) {
    await socket.open(exchange, pairs);
    return undefined;
  }
  return { status: response.status, headers: pairs, body: bodyOf(response) };
}

async function answered(handle: () => Response | Promise<Response>): Promise<Response> {
  let response: Response;
  try {
    response = await handle();
  } catch (error) {
    const thrown = thrownResponse(error);
    if (thrown === undefined) throw error;
    const { status, body, headers } = thrown;
    const all = Object.entries(headers as Record<string, string | string[]>).flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, one]),
    );
    return new Response(body as string, { status: status as number, headers: all });
  }
  // other copies of the class are as good
  if (typeof response?.status !== "number" || typeof response.headers?.get !== "function") {
    throw new TypeError("a handler of a service of type `fetch` must give a Response");
  }
  return response;
}

/** What a request says of itself; the class refuses some methods, which are of no use to apps. */
function requestOf(exchange: Exchange, url: string, headers: [string, string][]): Request | undefined {
  const method = exchange.scope.method ?? "GET";
  if (/^(?:CONNECT|TRACE|TRACK)$/i.test(method)) return undefined;
  const told = new Headers();
  for (const [name, value] of headers) {
    const before = name === "cookie" ? told.get(name) : null;
    if (before !== null) told.set(name, `${before}; ${value}`);
    else told.append(name, value);
  }
  const { signal } = exchange;
  if (method === "GET" || method === "HEAD") {
    // the class knows no body of these
    exchange.dropBody();
    const request = new Request(url, { method, headers: told, signal });
    if (exchange.scope.type === "websocket") mayUpgrade(request, exchange.scope);
    return request;
  }
  const whole = exchange.takeWhole();
  const body = whole === undefined ? streamOf(exchange) : whole.length > 0 ? whole : null;
  return new Request(url, { method, headers: told, signal, body, duplex: "half" });
}

/** The body of a request, asked for part by part as it is read. */
function streamOf(exchange: Exchange): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      async pull(controller) {
        const part = await exchange.nextPart();
        if (part === undefined) controller.close();
        else controller.enqueue(part);
      },
    },
    { highWaterMark: 0 },
  );
}

function pairsOf(response: Response, inside: (location: string) => string): Pair[] {
  const pairs: Pair[] = [];
  for (const [name, value] of response.headers as unknown as Iterable<[string, string]>) {
    pairs.push(pair(name, name === "location" ? inside(value) : value));
  }
  return pairs;
}

/** A header in bytes. */
export function pair(name: string, value: string): Pair {
  return [Buffer.from(name, "latin1"), Buffer.from(value, "latin1")];
}

function bodyOf({ body }: Response): Source | undefined {
  if (body == null) return undefined;
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  return {
    async read() {
      const { value, done } = await reader.read();
      if (done) return undefined;
      if (value instanceof Uint8Array) return value;
      throw new TypeError("a part of the body of a Response is no Uint8Array");
    },
    cancel: (reason) => void reader.cancel(reason).catch(() => undefined),
  };
}

/** An answer of our own. */
export function refusal(status: number, text: string): Answer {
  let left: Uint8Array | undefined = Buffer.from(text);
  const read = async () => {
    const part = left;
    left = undefined;
    return part;
  };
  const headers = [pair("content-type", "text/plain; charset=utf-8")];
  return { status, headers, body: { read, cancel: () => undefined } };
}
