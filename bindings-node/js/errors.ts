// Errors: one class for each code, all under RpcError.

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
  remoteType?: string | undefined;
  /** The traceback of the side that failed. */
  remoteTraceback?: string | undefined;
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
  /** The kind of the error. */
  readonly code: ErrorCode;
  /** The class of the error as the side that failed calls it. */
  readonly remoteType: string | undefined;
  /** The traceback of the side that failed. */
  readonly remoteTraceback: string | undefined;

  constructor(message: string, code: ErrorCode = "remote", detail: RemoteDetail = {}) {
    super(message, causeOf(message, detail));
    this.code = code;
    this.remoteType = detail.remoteType;
    this.remoteTraceback = detail.remoteTraceback;
  }
}

/** The thing asked for does not exist, or the caller may not know that it does. */
export class NotFoundError extends RpcError {}
/** The caller lacks a right. */
export class PermissionDeniedError extends RpcError {}
/** The deadline passed before the answer came. */
export class RpcTimeoutError extends RpcError {}
/** The other side disconnected, or was never there. */
export class PeerGoneError extends RpcError {}
/** A limit on size, depth or count was passed. */
export class TooLargeError extends RpcError {}
/** The input does not have the form it must have. */
export class InvalidError extends RpcError {}
/** The thing exists already, or the state does not allow the operation. */
export class ConflictError extends RpcError {}
/** Too much is under way: try again later. */
export class OverloadedError extends RpcError {}
/** The caller gave up. */
export class CancelledError extends RpcError {}
/** The function itself failed. */
export class RemoteError extends RpcError {}
/** A fault of polyfn's own. */
export class InternalError extends RpcError {}

const CLASSES: Record<ErrorCode, typeof RpcError> = {
  not_found: NotFoundError,
  permission_denied: PermissionDeniedError,
  timeout: RpcTimeoutError,
  peer_gone: PeerGoneError,
  too_large: TooLargeError,
  invalid: InvalidError,
  conflict: ConflictError,
  overloaded: OverloadedError,
  cancelled: CancelledError,
  remote: RemoteError,
  internal: InternalError,
};

for (const kind of [RpcError, ...Object.values(CLASSES)]) {
  Object.defineProperty(kind.prototype, "name", { value: kind.name, configurable: true, writable: true });
}

/** The error of a code. */
export function errorOf(code: string, message: string, detail?: RemoteDetail): RpcError {
  const known = Object.hasOwn(CLASSES, code) ? (code as ErrorCode) : "remote";
  return new CLASSES[known](message, known, detail);
}

/** The error that a native call told, `code` and `message` in one text. */
export function toldError(told: string): RpcError {
  const at = told.indexOf("\n");
  return errorOf(told.slice(0, at), told.slice(at + 1));
}

function causeOf(message: string, { remoteType, remoteTraceback }: RemoteDetail): ErrorOptions | undefined {
  if (!remoteTraceback) return undefined;
  const cause = new Error(message);
  cause.name = remoteType ?? "Error";
  cause.stack = remoteTraceback;
  return { cause };
}
