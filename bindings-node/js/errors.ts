// Errors: one class for each code, all under RpcError.
import { types } from "node:util";

/** What went wrong, by kind; the same codes in Rust, in Python, on the wire and in HTTP answers. */
export type ErrorCode =
  | "not_found"
  | "permission_denied"
  | "timeout"
  | "peer_gone"
  | "too_large"
  | "invalid"
  | "conflict"
  | "overloaded"
  | "cancelled"
  | "remote"
  | "internal";

/** What the side that failed told about its failure. */
export interface RemoteDetail {
  /** The class of the error as its own language calls it, for example `ValueError`. */
  remoteType?: string | null | undefined;
  /** The traceback of the side that failed. */
  remoteTraceback?: string | null | undefined;
  /** The error that led to it, at that side. */
  remoteCause?: unknown;
}

/** Errors that stand for the other side's own. */
const REMOTE_SIDES = new WeakSet<object>();

/** The error of the other side as it was there: its class, its message, its traceback, what led to it. */
function remoteSide(message: string, { remoteType, remoteTraceback, remoteCause }: RemoteDetail): Error {
  const side = new Error(message, remoteCause == null ? undefined : { cause: sideWithin(remoteCause) });
  const name = remoteType ?? "Error";
  Object.defineProperty(side, "name", { value: name, configurable: true, writable: true });
  side.stack = remoteTraceback || `${name}: ${message}`;
  REMOTE_SIDES.add(side);
  return side;
}

/** Of an error that was told: what the other side had, without what we made of it. */
function sideWithin(error: unknown): unknown {
  if (!(error instanceof RpcError)) return error;
  if (isRemoteSide(error.cause)) return error.cause;
  return error.remoteType ? remoteSide(error.message, { remoteType: error.remoteType }) : error;
}

function isRemoteSide(cause: unknown): cause is Error {
  return typeof cause === "object" && cause !== null && REMOTE_SIDES.has(cause);
}

/**
 * Any error of polyfn. `code` says what went wrong; `cause` is the error of the other side, where there is one.
 *
 * @example
 * try {
 *   await api.getService("calculator");
 * } catch (error) {
 *   if (error instanceof RpcError && error.code === "not_found") console.log("start it first");
 *   else throw error;
 * }
 */
export class RpcError extends Error {
  /** The code of this class. */
  static readonly code: ErrorCode = "remote";
  /** The kind of the error. */
  readonly code: ErrorCode;
  /** The class of the error as the side that failed calls it. */
  readonly remoteType: string | undefined;
  /** The traceback of the side that failed. */
  declare readonly remoteTraceback: string | undefined;

  constructor(message: string, detail: RemoteDetail & { code?: ErrorCode; cause?: unknown } = {}) {
    super(message, causeOf(message, detail));
    this.code = detail.code ?? new.target.code;
    this.remoteType = detail.remoteType ?? undefined;
    // Not enumerable, because whoever prints the error sees it already: with the cause.
    Object.defineProperty(this, "remoteTraceback", { value: detail.remoteTraceback ?? undefined });
  }
}

/** The thing asked for does not exist, or the caller may not know that it does. */
export class NotFoundError extends RpcError {
  static override readonly code = "not_found";
}
/** The caller lacks a right. */
export class PermissionDeniedError extends RpcError {
  static override readonly code = "permission_denied";
}
/** The deadline passed before the answer came. */
export class RpcTimeoutError extends RpcError {
  static override readonly code = "timeout";
}
/** The other side disconnected, or was never there. */
export class PeerGoneError extends RpcError {
  static override readonly code = "peer_gone";
}
/** A limit on size, depth or count was passed. */
export class TooLargeError extends RpcError {
  static override readonly code = "too_large";
}
/** The input does not have the form it must have. */
export class InvalidError extends RpcError {
  static override readonly code = "invalid";
}
/** The thing exists already, or the state does not allow the operation. */
export class ConflictError extends RpcError {
  static override readonly code = "conflict";
}
/** Too much is under way: try again later. */
export class OverloadedError extends RpcError {
  static override readonly code = "overloaded";
}
/** The caller gave up. */
export class CallCancelledError extends RpcError {
  static override readonly code = "cancelled";
}
/** The function itself failed. */
export class RemoteError extends RpcError {
  static override readonly code = "remote";
}
/** A fault of polyfn's own. */
export class InternalError extends RpcError {
  static override readonly code = "internal";
}

const CLASSES: (typeof RpcError)[] = [
  NotFoundError,
  PermissionDeniedError,
  RpcTimeoutError,
  PeerGoneError,
  TooLargeError,
  InvalidError,
  ConflictError,
  OverloadedError,
  CallCancelledError,
  RemoteError,
  InternalError,
];
const BY_CODE = new Map<string, typeof RpcError>(CLASSES.map((kind) => [kind.code, kind]));

for (const kind of [RpcError, ...CLASSES]) {
  Object.defineProperty(kind.prototype, "name", { value: kind.name, configurable: true, writable: true });
}

/** The error of a code; of one that we do not know, the one for failures of functions. */
export function errorOf(code: string, message: string, detail?: RemoteDetail): RpcError {
  return new (BY_CODE.get(code) ?? RemoteError)(message, detail);
}

/** The error that a peer or the server told. Its own stack would only show how it was decoded. */
export function receivedError(code: string, message: string, detail: RemoteDetail): RpcError {
  const error = errorOf(code, message, detail);
  error.stack = `${error.name}: ${message}`;
  return error;
}

/** The error that a native call told, `code` and `message` in one text. */
export function toldError(told: string): RpcError {
  const at = told.indexOf("\n");
  return errorOf(told.slice(0, at), told.slice(at + 1));
}

function causeOf(message: string, detail: RemoteDetail & { cause?: unknown }): ErrorOptions | undefined {
  if (detail.remoteTraceback || detail.remoteCause != null) return { cause: remoteSide(message, detail) };
  return detail.cause === undefined ? undefined : { cause: detail.cause };
}

/** Errors that led to an error: at most so many of them are sent along, as in core. */
export const MAX_CAUSES = 8;

/** What is sent of something that was thrown. */
export interface Thrown {
  message: string;
  code: string;
  /** The name of its class; empty for what is no error. */
  type: string;
  trace: string;
  cause: unknown;
}

/** What is sent of something that was thrown, whatever it is. An error of another side goes on as it was told. */
export function thrownOf(thrown: unknown): Thrown {
  const isError = attempt(() => thrown instanceof Error || types.isNativeError(thrown), false);
  if (!isError) return { message: asText(thrown), code: "remote", type: "", trace: "", cause: undefined };
  const error = thrown as Error;
  const known = attempt(() => (thrown instanceof RpcError ? thrown : undefined), undefined);
  const cause = attempt(() => error.cause, undefined);
  return {
    message: attempt(() => String(error.message), "(its message cannot be read)"),
    code: attempt(() => String(known?.code ?? "remote"), "remote"),
    type: attempt(() => String(known?.remoteType ?? error.name), "Error"),
    trace: attempt(() => String(known?.remoteTraceback ?? error.stack ?? ""), ""),
    cause: attempt(() => (isRemoteSide(cause) ? cause.cause : cause) ?? undefined, undefined),
  };
}

/** To read what was thrown runs code of the user's, which may throw as well: getters, `toString`, a Proxy. */
function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function asText(thrown: unknown): string {
  const show = (): string | undefined =>
    typeof thrown === "object" ? JSON.stringify(thrown) : String(thrown);
  // Undefined is what a `toJSON` may give.
  return attempt(show, undefined) ?? "the function threw something that cannot be shown";
}
