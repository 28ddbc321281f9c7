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
export type { ExecutionContext, FetchHandler } from "./apps/fetch.js";
export type { AppInfo } from "./apps/scope.js";
export {
  AppSocket,
  SocketCloseEvent,
  type SocketData,
  type UpgradeOptions,
  upgradeWebSocket,
} from "./apps/socket.js";
export type { CaseConversion } from "./case.js";
export {
  type Client,
  type ConnectionConfig,
  type ConnectionState,
  connectToServer,
  connectToServerHTTP,
  type GetServiceConfig,
  type RegisterConfig,
} from "./client.js";
export type { CloudEvent, CloudEventResponse } from "./cloudevent.js";
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
export { type Context, type FunctionEvent, type FunctionResponse, HTTPError } from "./http.js";
export {
  type LoginContext,
  type LoginOptions,
  type LogoutOptions,
  login,
  logout,
  type UserProfile,
} from "./login.js";
export type { Manager, TokenConfig } from "./manager.js";
export { hyphaWebsocketClient } from "./namespace.js";
export { NdArray, type NdItem, type TypedArray } from "./ndarray.js";
export type { ConnectOptions } from "./options.js";
export type { CallOptions, RemoteFunction } from "./remote.js";
export {
  getRemoteService,
  getRemoteServiceHTTP,
  type ReachedService,
  type RemoteServiceOptions,
} from "./remote-service.js";
export type { RpcObject } from "./rpc.js";
export { currentSignal, currentTrace } from "./running.js";
export { type FunctionSchema, type JsonSchema, schemaFunction, schemaMethod, z } from "./schema.js";
export { type OwnConnectOptions, Server, type ServerRequest, type ServerSettings } from "./server.js";
export type { RemoteService, Service, ServiceInfo } from "./service.js";
export { FunctionContext, functionMembers, type Log, type LogLevel } from "./signature.js";
export type { StandardSchema } from "./standard.js";
export { RemoteStream } from "./streams.js";
export { parseServiceUrl, type ServiceUrl } from "./urls.js";
