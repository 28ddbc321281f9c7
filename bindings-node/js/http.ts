// What functions of a service of type `functions` are given and may answer.
import native from "./native.cjs";

/** A request as a function gets it: the ASGI http scope with the differences of `docs/functions.md`. */
export interface FunctionEvent {
  type: "http";
  method: string;
  /** The path of the request. */
  path: string;
  raw_path: string;
  /** The part of the path that the function answers; for `default` above all. */
  function_path: string;
  query_string: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** The body; `null` when there is none. `toString()` and `JSON.parse` read it as UTF-8. */
  body: Buffer | null;
  scheme: string;
  http_version: string;
  /** Who asks, as far as is known. */
  user?: Record<string, unknown> | null;
  /** The body as text, read as UTF-8; empty when there is none. */
  text(): string;
  /** The body, read as JSON. One that is not JSON is answered with 400. */
  json(): unknown;
  /** The fields of a form, urlencoded or multipart. A body that is no form is answered with 400. */
  form(): Promise<FormData>;
  [key: string]: unknown;
}

/** Marks errors of every copy of this package. */
const MARK = Symbol.for("polyfn.HTTPError");

/**
 * Thrown by a function, it answers the request with this status: every caller is shown the detail. In a call that is no
 * request over HTTP it is an error like any other.
 *
 * @example
 * import { HTTPError } from "polyfn";
 *
 * const user = (event) => {
 *   throw new HTTPError(404, "no such user", { headers: { "cache-control": "no-store" } });
 * };
 */
export class HTTPError extends Error {
  /** The status, 400 to 599. */
  readonly status: number;
  /** What the caller is shown. */
  readonly detail: string;
  /** Headers of the answer; values may be lists. */
  readonly headers: Record<string, string | string[]>;
  readonly #body: string;

  constructor(
    status: number,
    detail = "",
    options: ErrorOptions & { headers?: Record<string, string | string[]> } = {},
  ) {
    super(detail === "" ? String(status) : `${status}: ${detail}`, options);
    const body = native.problem(status, String(detail));
    if (body === null) throw new RangeError(`the status of an error is 400 to 599, found ${status}`);
    this.status = status;
    this.detail = String(detail);
    this.headers = { ...options.headers };
    this.#body = body;
    Object.defineProperty(this, MARK, { value: true });
  }

  /** The answer that it stands for: a JSON problem (RFC 9457). */
  response(): FunctionResponse {
    const headers = { "content-type": "application/problem+json", ...this.headers };
    return { status: this.status, headers, body: this.#body };
  }
}
Object.defineProperty(HTTPError.prototype, "name", {
  value: "HTTPError",
  configurable: true,
  writable: true,
});

/** The answer that a function gives by throwing this, if it gives one. */
export function thrownResponse(thrown: unknown): FunctionResponse | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  try {
    return MARK in thrown ? (thrown as unknown as HTTPError).response() : undefined;
  } catch {
    // A Proxy, or a method of a subclass, may throw: then it is an error like any other.
    return undefined;
  }
}

/** What events of HTTP requests can do. */
const METHODS = {
  text(this: FunctionEvent): string {
    return this.body?.toString() ?? "";
  },
  json(this: FunctionEvent): unknown {
    try {
      return JSON.parse(this.text());
    } catch (cause) {
      throw new HTTPError(400, `the body is not JSON: ${(cause as Error).message}`, { cause });
    }
  },
  async form(this: FunctionEvent): Promise<FormData> {
    try {
      const headers = { "content-type": this.headers["content-type"] ?? "" };
      return await new Response(this.body, { headers }).formData();
    } catch (cause) {
      throw new HTTPError(400, `the body is no form: ${(cause as Error).message}`, { cause });
    }
  },
};
// not enumerable, so that an event shows what was asked and no more
for (const method of Object.values(METHODS)) {
  Object.defineProperty(METHODS, method.name, { value: method, enumerable: false });
}

/** Makes an event of what was decoded: the same object, with methods. */
export function makeEvent(object: unknown): void {
  Object.setPrototypeOf(object, METHODS);
}

/** Who calls; given as the last argument where the service's config says `require_context`. */
export interface Context {
  /** The caller's workspace. */
  ws: string;
  /** The caller, `workspace/client`. */
  from: string;
  /** The own address. */
  to: string;
  /** The caller's user. */
  user: { id: string; [key: string]: unknown };
  /** Is aborted when the caller gives up, is gone, or its deadline has passed. */
  readonly signal: AbortSignal;
  [key: string]: unknown;
}

/** An answer with a status. A function may also return a string, bytes, or anything that JSON can hold. */
export interface FunctionResponse {
  status?: number;
  headers?: Record<string, string | string[]> | [string, string][];
  body?: unknown;
}
