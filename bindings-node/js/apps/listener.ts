// Apps of `node:http`, such as those of Express: `(request, response)`. Node's own server and client speak over a
// connection inside this program, so that apps meet the very classes that they expect.
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  METHODS,
  type RequestListener,
  request,
  Server,
  type ServerResponse,
} from "node:http";
import native from "../native.cjs";
import type { Answer, Exchange, Source } from "./exchange.js";
import { pair, refusal } from "./fetch.js";
import { End } from "./pair.js";
import { type AppInfo, headersOf, infoOf, type Pair, targetOf } from "./scope.js";

/** Bytes of headers, either way: the server in front has limits of its own. */
const MAX_HEADERS = 1 << 20;
/** What belongs to the connection of whoever asks. */
const HOP = new Set(["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"]);

/** What goes with a connection. */
interface Visit {
  info: AppInfo;
  fail(error: unknown): void;
}

type Told = IncomingMessage & { originalUrl?: string; baseUrl?: string; polyfn?: AppInfo };

/** An app behind a server that listens nowhere. */
export class Listener {
  readonly #server: Server;
  readonly #visits = new WeakMap<object, Visit>();
  readonly #app: RequestListener;

  constructor(app: RequestListener | Server) {
    this.#app = app instanceof Server ? (asked, answer) => app.emit("request", asked, answer) : app;
    this.#server = createServer({ maxHeaderSize: MAX_HEADERS }, (asked, answer) =>
      this.#visit(asked, answer),
    );
    // whoever asks has patience by the rules of the server in front
    Object.assign(this.#server, { requestTimeout: 0, headersTimeout: 0, timeout: 0 });
  }

  #visit(asked: Told, answer: ServerResponse): void {
    const visit = this.#visits.get(asked.socket);
    if (visit === undefined) return void answer.destroy();
    const { info } = visit;
    asked.polyfn = info;
    // by these Express, and what is made for it, knows where it stands
    asked.baseUrl = info.rootPath;
    asked.originalUrl = `${info.rootPath}${asked.url}`;
    const fail = (error: unknown): void => visit.fail(error);
    try {
      Promise.resolve(this.#app(asked, answer) as unknown).catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Has the app answer a request. */
  async answer(exchange: Exchange, isWhole: boolean): Promise<Answer> {
    const { scope } = exchange;
    const headers = headersOf(scope);
    const target = targetOf(scope, headers);
    const method = scope.method ?? "GET";
    if (!METHODS.includes(method) || method === "CONNECT") {
      return refusal(405, "this method cannot be asked of an app");
    }
    const info = infoOf(scope, target);
    if (isWhole) info.rootPath = "";
    const { remoteAddress, remotePort } = info;
    const encrypted = info.url.startsWith("https:");
    const [near, far] = End.pair({ remoteAddress, remotePort, ...(encrypted ? { encrypted } : {}) });
    const path = `${isWhole ? target.root : ""}${target.path}${target.query}`;
    const inside = (location: string) =>
      isWhole ? location : (native.locationInside(target.root, target.origin, location) ?? location);
    const leave = (): void => void near.destroy();
    exchange.signal.addEventListener("abort", leave, { once: true });
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        near.destroy();
        reject(error);
      };
      this.#visits.set(far, { info, fail });
      far.on("error", () => undefined);
      const asking = request({
        createConnection: () => near,
        maxHeaderSize: MAX_HEADERS,
        method,
        path,
        headers: [...passedOn(headers), "connection", "close"] as never,
      });
      asking.on("error", fail);
      asking.on("response", (answer) => resolve(answerOf(answer, near, inside)));
      // an app may have its answer ready before it has read everything: then this changes nothing any longer
      upload(exchange, asking).catch(reject);
      this.#server.emit("connection", far);
    });
  }
}

/** Writes the body as fast as the app reads it. */
async function upload(exchange: Exchange, asking: ClientRequest): Promise<void> {
  const closed = new Promise<void>((resolve) => asking.once("close", resolve));
  for (let part = await exchange.nextPart(); part !== undefined; part = await exchange.nextPart()) {
    if (asking.destroyed) return;
    if (!asking.write(part)) {
      await Promise.race([new Promise((resolve) => asking.once("drain", resolve)), closed]);
    }
  }
  asking.end();
}

/** Headers in a flat list, so that each comes as it was sent. */
function passedOn(headers: [string, string][]): string[] {
  const kept = headers.filter(([name]) => !HOP.has(name));
  // a length and chunks do not go together
  const isChunked = kept.some(([name]) => name === "transfer-encoding");
  return kept.filter(([name]) => !(isChunked && name === "content-length")).flat();
}

function answerOf(answer: IncomingMessage, near: End, inside: (location: string) => string): Answer {
  const headers: Pair[] = [];
  const { rawHeaders } = answer;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    const value = rawHeaders[at + 1] as string;
    if (!HOP.has(name) && name !== "transfer-encoding") {
      headers.push(pair(name, name === "location" ? inside(value) : value));
    }
  }
  const parts = answer[Symbol.asyncIterator]();
  const body: Source = {
    async read() {
      const { value, done } = await parts.next();
      return done ? undefined : (value as Uint8Array);
    },
    cancel: () => void near.destroy(),
  };
  return { status: answer.statusCode ?? 500, headers, body };
}
