/**
 * polyfn: register plain functions on a server, call them from other languages and over HTTP.
 *
 * @example
 * import { connectToServer } from "polyfn";
 *
 * const api = await connectToServer({ serverUrl: "http://localhost:9527" });
 * await api.registerService({
 *   id: "hello-functions",
 *   type: "functions",
 *   config: { visibility: "public" },
 *   hello: (event) => ({ status: 200, body: `Hello from ${event.path}` }),
 * });
 *
 * @module
 */
export {
  type Client,
  type ConnectionConfig,
  connectToServer,
  type RemoteService,
  type Service,
  type ServiceInfo,
} from "./client.js";
export type { Codec } from "./codecs.js";
export { Extension } from "./decode.js";
export {
  CallCancelledError,
  ConflictError,
  type ErrorCode,
  InternalError,
  InvalidError,
  NotFoundError,
  OverloadedError,
  PeerGoneError,
  PermissionDeniedError,
  RemoteError,
  RpcError,
  RpcTimeoutError,
  TooLargeError,
} from "./errors.js";
export type { EventListener } from "./events.js";
export { RemoteFile } from "./file.js";
export type { Context, FunctionEvent, FunctionResponse } from "./http.js";
export type { Manager, TokenConfig } from "./manager.js";
export { NdArray, type NdItem, type TypedArray } from "./ndarray.js";
export type { ConnectOptions } from "./options.js";
export type { RemoteFunction } from "./remote.js";
export { type FunctionSchema, type JsonSchema, schemaFunction, schemaMethod, z } from "./schema.js";
export type { StandardSchema } from "./standard.js";
export { RemoteStream } from "./streams.js";
