// Functions of peers.
import { checkCallOptions } from "./checks.js";

/** A function of a peer, as it was described to us. */
export interface Stub {
  target: string;
  method: string;
  /** 0: no reply, 1: reply by session, 2: reply by methods written out. */
  promise: number;
  name: string | null;
  doc: string | null;
  server: string | null;
  parent: string | null;
  /** The owner's public key, in hexadecimal digits. */
  encPub: string | null;
  /** The public key of the owner of the functions in its results, known from elsewhere. */
  answerKey?: string | undefined;
  isAsync: boolean | null;
  schema: unknown;
}

/** What one call may be given beside its arguments. */
export interface CallOptions {
  /** Gives the call up when it is aborted: the promise fails with the signal's reason, and the peer breaks off. */
  signal?: AbortSignal | undefined;
  /** How long to wait for the answer in all, in seconds; signs of life do not make it longer. */
  timeout?: number | undefined;
  /** The trace that the call belongs to, a W3C `traceparent`. Default: that of the call which is being served. */
  trace?: string | undefined;
}

/**
 * A function of a peer. Calls return a promise. Keywords are given in a last argument with `_rkwargs: true`.
 *
 * @example
 * await calculator.add(1, 2);
 * await calculator.add({ a: 1, b: 2, _rkwargs: true });
 */
export interface RemoteFunction {
  // biome-ignore lint/suspicious/noExplicitAny: only the peer knows the types
  (...args: any[]): Promise<any>;
  /** Its own name. */
  readonly __name__: string;
  /** Its documentation. */
  readonly __doc__: string | null;
  /** Its JSON schema: `{name, description, parameters}`. */
  readonly __schema__: unknown;
  /**
   * The same function, called with options.
   *
   * @example
   * const signal = AbortSignal.timeout(500);
   * await calculator.add.withOptions({ signal })(1, 2);
   */
  withOptions(options: CallOptions): RemoteFunction;
}

const STUB: unique symbol = Symbol("polyfn.stub");

/** Makes the function that calls what `stub` describes. */
export function makeRemote(
  stub: Stub,
  call: (stub: Stub, args: unknown[], options?: CallOptions) => Promise<unknown>,
  options?: CallOptions,
): RemoteFunction {
  const remote = (...args: unknown[]) => call(stub, args, options);
  const name = stub.name ?? stub.method.slice(stub.method.lastIndexOf(".") + 1);
  Object.defineProperties(remote, {
    [STUB]: { value: stub },
    name: { value: name },
    __name__: { value: name, enumerable: true },
    __doc__: { value: stub.doc, enumerable: true },
    __schema__: { value: stub.schema, enumerable: true },
    withOptions: {
      value: (more: CallOptions) => {
        checkCallOptions(more);
        return makeRemote(stub, call, { ...options, ...more });
      },
    },
  });
  return remote as RemoteFunction;
}

/** What a function of a peer describes; nothing for other functions. */
export function stubOf(call: object): Stub | undefined {
  return (call as { [STUB]?: Stub })[STUB];
}
