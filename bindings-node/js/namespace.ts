// The namespace under which programs know hypha-rpc.
import { connectToServer } from "./client.js";
import { login, logout } from "./login.js";
import { getRemoteService } from "./remote-service.js";
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
  getRemoteService,
  get_remote_service: getRemoteService,
  login,
  logout,
  schemaFunction,
  schema_function: schemaFunction,
  schemaMethod,
  schema_method: schemaMethod,
  z,
} as const;
