// Functions of the signature specification: they take one `context`. See `docs/signature.md`.
import { format } from "node:util";
import { CloudEventResponse } from "./cloudevent.js";
import { InvalidError } from "./errors.js";
import { type Described, servedMembers } from "./functions.js";
import type { Service } from "./service.js";

/** What a function of the signature specification logs with. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

const LEVELS: LogLevel[] = ["trace", "debug", "info", "warn", "error", "fatal"];
/** `console.trace` would show a stack. */
const SHOWN = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  fatal: "error",
} as const;
/** Members beside a `handle` that are for the owner, not for callers. */
const LIFECYCLE = new Set(["init", "shutdown", "cors"]);

/** A line of a log, on its way to the server. */
export interface LogRecord {
  level: LogLevel;
  message: string;
  request_id: string;
  service: string;
  fields?: unknown;
}

type Send = (record: LogRecord) => void;

/**
 * The log of one request: to the console, and to the log of the server. A message may have arguments as `util.format`
 * takes them, and an object of fields before it.
 */
export class Log {
  readonly #requestId: string;
  readonly #service: string;
  readonly #least: number;
  readonly #send: Send;

  /** @internal */
  constructor(requestId: string, service: string, least: number, send: Send) {
    this.#requestId = requestId;
    this.#service = service;
    this.#least = least;
    this.#send = send;
  }

  /** Logs at the finest level. */
  trace(...args: unknown[]): void {
    this.#write("trace", args);
  }

  /** Logs for those who look for a fault. */
  debug(...args: unknown[]): void {
    this.#write("debug", args);
  }

  /** Logs what happens. */
  info(...args: unknown[]): void {
    this.#write("info", args);
  }

  /** Logs what should not be. */
  warn(...args: unknown[]): void {
    this.#write("warn", args);
  }

  /** Logs what went wrong. */
  error(...args: unknown[]): void {
    this.#write("error", args);
  }

  /** Logs what cannot go on. */
  fatal(...args: unknown[]): void {
    this.#write("fatal", args);
  }

  #write(level: LogLevel, args: unknown[]): void {
    if (LEVELS.indexOf(level) < this.#least) return;
    const [first] = args;
    const hasFields = typeof first === "object" && first !== null;
    const fields = hasFields ? plain(first) : undefined;
    const message = format(...(hasFields ? args.slice(1) : args));
    const shown = fields === undefined ? [] : [JSON.stringify(fields)];
    console[SHOWN[level]](`[${this.#requestId}] ${message}`, ...shown);
    const record: LogRecord = { level, message, request_id: this.#requestId, service: this.#service };
    this.#send(fields === undefined ? record : { ...record, fields });
  }
}

/** Fields as JSON has them; an error as what it says. */
function plain(fields: object): unknown {
  if (fields instanceof Error) {
    return { err: { type: fields.name, message: fields.message, stack: fields.stack } };
  }
  try {
    return JSON.parse(JSON.stringify(fields));
  } catch {
    return { fields: String(fields) };
  }
}

/** The request as the server tells of it. */
interface Received {
  request: {
    query: Record<string, unknown>;
    body: unknown;
    headers: Record<string, string>;
    method: string;
    http_version?: string;
  };
  event?: unknown;
  [key: string]: unknown;
}

/** What a context has beside the names in the query, which never stand for anything else. */
const OWN = new Set(["cloudevent", "event", "rawBody", "req", "contentType", "caller"]);

/**
 * What a function of the signature specification is given. Besides what the specification names it has what
 * `faas-js-runtime` gives: `query`, `body`, `headers`, `method`, `cloudevent` and the names in the query on the context itself.
 */
export class FunctionContext {
  readonly request: Received["request"];
  readonly event: unknown;
  readonly cloudevent: unknown;
  readonly query: Record<string, unknown>;
  readonly body: unknown;
  readonly headers: Record<string, string>;
  readonly method: string;
  readonly httpVersion: string | undefined;
  readonly httpVersionMajor: number | undefined;
  readonly httpVersionMinor: number | undefined;
  readonly contentType: string | undefined;
  readonly log: Log;
  [key: string]: unknown;

  /** @internal */
  constructor(received: Received, log: Log) {
    Object.assign(this, received);
    const { request, event } = received;
    const [major, minor] = (request.http_version ?? "").split(".");
    this.request = request;
    this.event = event;
    this.cloudevent = event;
    this.query = request.query;
    this.body = request.body;
    this.headers = request.headers;
    this.method = request.method;
    this.httpVersion = request.http_version;
    this.httpVersionMajor = major ? Number(major) : undefined;
    this.httpVersionMinor = minor ? Number(minor) : undefined;
    this.contentType = request.headers?.["content-type"];
    this.log = log;
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (!(name in this) && !OWN.has(name)) this[name] = value;
    }
  }

  /** Begins a CloudEvent as an answer: `.type(...).source(...).response()` ends it. */
  cloudEventResponse(data?: unknown): CloudEventResponse {
    return new CloudEventResponse(data);
  }
}

/**
 * The members of a service for what a module exports: a function, or an object with a `handle`.
 *
 * @example
 * const members = functionMembers((context) => `Hello ${context.query.name}`);
 * await api.registerService({ id: "hello", type: "functions", config: { signature: "context" }, ...members });
 */
export function functionMembers(exported: unknown): Record<string, unknown> {
  const found = typeof exported === "function" ? { handle: exported } : { ...(exported as object) };
  if (typeof (found as { handle?: unknown }).handle !== "function") {
    throw new InvalidError("a module of this signature exports a function, or an object with `handle`");
  }
  return found as Record<string, unknown>;
}

type Folder = Record<string, unknown>;

/** Whether a service asks for the one context. */
export function isModule(service: Service): boolean {
  const { type, config } = service as { type?: unknown; config?: { signature?: unknown } | null };
  return type === "functions" && config?.signature === "context";
}

/** A service whose functions take one context: what is registered, and what is done at its ends. */
export class Module {
  /** What is registered in its place. */
  readonly service: Service;
  readonly #name: string;
  readonly #least: number;
  readonly #send: Send;
  readonly #inits: (() => unknown)[] = [];
  #shutdowns: (() => unknown)[] = [];

  /** @internal */
  constructor(service: Service, send: Send) {
    const { id, config } = service as { id?: string; config?: { log_level?: LogLevel } };
    this.#send = send;
    this.#name = String(id);
    const level = config?.log_level ?? "info";
    this.#least = LEVELS.indexOf(level);
    if (this.#least < 0) {
      throw new InvalidError(
        `\`config.log_level\` is ${JSON.stringify(level)}, use one of ${LEVELS.join(", ")}`,
      );
    }
    this.service = this.#prepared(service, true);
  }

  /** Calls what is to be called before the service is there. */
  async start(): Promise<void> {
    for (const init of this.#inits) await init();
  }

  /** Calls what is to be called when the service is gone; one that fails does not keep others from it. */
  async stop(): Promise<void> {
    const shutdowns = this.#shutdowns;
    this.#shutdowns = [];
    for (const shutdown of shutdowns) {
      try {
        await shutdown();
      } catch (error) {
        console.error(`the shutdown of service ${this.#name} failed:`, error);
      }
    }
  }

  #prepared(folder: object, isService: boolean): Folder {
    const source = folder as Folder;
    const hasHandle = typeof source.handle === "function";
    const entries: [string, unknown][] = [];
    for (const key of servedMembers(folder)) {
      const value = source[key];
      if (hasHandle && LIFECYCLE.has(key) && typeof value === "function") this.#note(key, value, source);
      else entries.push([key, isService && key === "config" ? value : this.#member(value, source)]);
    }
    const kept = Object.fromEntries(entries);
    if (isService && hasHandle && typeof source.cors === "function") {
      kept.config = { cors: { origins: source.cors() }, ...(kept.config as object) };
    }
    return kept;
  }

  #note(key: string, call: unknown, self: object): void {
    const run = () => Reflect.apply(call as () => unknown, self, []);
    if (key === "init") this.#inits.push(run);
    if (key === "shutdown") this.#shutdowns.push(run);
  }

  #member(value: unknown, self: object): unknown {
    if (typeof value === "function") return this.#wrapped(value as Described, self);
    if (Array.isArray(value)) return value.map((item) => this.#member(item, value));
    return isFolder(value) ? this.#prepared(value, false) : value;
  }

  #wrapped(call: Described, self: object): Described {
    const answer: Described = (received: Received, caller?: unknown) => {
      if (typeof received?.request !== "object" || received.request === null) {
        throw new InvalidError("a function of signature `context` takes one context, with a `request` in it");
      }
      const log = new Log(String(received.id ?? ""), this.#name, this.#least, this.#send);
      const context = new FunctionContext(received, log);
      if (caller !== undefined) context.caller = caller;
      return Reflect.apply(call, self, [context, context.event ?? context.body]);
    };
    Object.defineProperty(answer, "name", { value: call.name });
    if (call.__doc__ !== undefined) answer.__doc__ = call.__doc__;
    if (call.__schema__ !== undefined) answer.__schema__ = call.__schema__;
    return answer;
  }
}

function isFolder(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
