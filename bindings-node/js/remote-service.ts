// A service by its URL alone.
import { type Client, connectToServer, type GetServiceConfig } from "./client.js";
import { InvalidError } from "./errors.js";
import type { CamelOptions, SnakeOptions } from "./options.js";
import type { RemoteService } from "./service.js";
import { parseServiceUrl } from "./urls.js";

/** Options of {@link getRemoteService}: those of a connection, and how the service is chosen and named. */
export type RemoteServiceOptions = Partial<CamelOptions & SnakeOptions> & GetServiceConfig;

/** A service with the connection through which it is called; `await using` ends it. */
export type ReachedService = RemoteService & AsyncDisposable;

const SELECTION = new Set(["caseConversion", "case_conversion", "mode", "timeout"]);

/**
 * Connects to the server of a service and gets it, by the URL `https://host/workspace/services/service`. The service
 * may be written `client:service` and `service@app`. The connection lasts as long as the program, or until the end
 * of an `await using`.
 *
 * @example
 * const calculator = await getRemoteService("http://localhost:9527/my-lab/services/calculator");
 * console.log(await calculator.add(1, 2));
 */
export async function getRemoteService(
  url: string,
  options: RemoteServiceOptions = {},
): Promise<ReachedService> {
  const { serverUrl, workspace, clientId, serviceId, appId } = parseServiceUrl(url);
  const given = Object.entries(options);
  const settings = Object.fromEntries(given.filter(([name]) => !SELECTION.has(name)));
  const selection = Object.fromEntries(given.filter(([name]) => SELECTION.has(name)));
  const known = String(settings.serverUrl ?? settings.server_url ?? serverUrl);
  if (known.replace(/\/+$/, "") !== serverUrl) {
    throw new InvalidError(`server_url ${known} is not that of the service, ${serverUrl}: leave it out`);
  }
  delete settings.server_url;
  const api: Client = await connectToServer({ ...settings, serverUrl });
  try {
    const service = await api.getService(`${workspace}/${clientId}:${serviceId}@${appId}`, selection);
    const end = () => api.disconnect();
    Object.defineProperty(service, Symbol.asyncDispose, { value: end, configurable: true });
    return service as ReachedService;
  } catch (error) {
    await api.disconnect();
    throw error;
  }
}

/** The same as {@link getRemoteService} with `transport: "http"`. */
export function getRemoteServiceHTTP(
  url: string,
  options: RemoteServiceOptions = {},
): Promise<ReachedService> {
  return getRemoteService(url, { ...options, transport: "http" });
}
