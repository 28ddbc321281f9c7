// The namespace under which programs know hypha-rpc.
import { connectToServer, connectToServerHTTP } from "./client.js";
import { login, logout } from "./login.js";
import { getRemoteService, getRemoteServiceHTTP } from "./remote-service.js";
import { schemaFunction, schemaMethod, z } from "./schema.js";

/**
 * The entry points under the name that hypha-rpc gives them, so that moving over is changing one import.
 *
 * @example
 * import { hyphaWebsocketClient } from "polyfn";
 * const server = await hyphaWebsocketClient.connectToServer({ server_url: "http://localhost:9527" });
 */
export const hyphaWebsocketClient = {
  API_VERSION: 3,
  connectToServer,
  connect_to_server: connectToServer,
  connectToServerHTTP,
  connect_to_server_http: connectToServerHTTP,
  getRemoteService,
  get_remote_service: getRemoteService,
  getRemoteServiceHTTP,
  get_remote_service_http: getRemoteServiceHTTP,
  login,
  logout,
  schemaFunction,
  schema_function: schemaFunction,
  schemaMethod,
  schema_method: schemaMethod,
  z,
} as const;
