// What functions of a service of type `functions` are given and may answer.

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
  [key: string]: unknown;
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
