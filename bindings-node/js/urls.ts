// Addresses of services as URLs.
import { InvalidError } from "./errors.js";

/** The parts of the URL of a service. */
export interface ServiceUrl {
  serverUrl: string;
  workspace: string;
  clientId: string;
  serviceId: string;
  appId: string;
}

const SERVICE =
  /^(https?:\/\/[^\s?#]+?)\/([^/\s]+)\/services\/(?:([^/:@\s]+):)?([^/:@\s?#]+)(?:@([^/:@\s?#]+))?\/*$/;

/** Takes the URL of a service apart; what it does not say is `*`. */
export function parseServiceUrl(url: string): ServiceUrl {
  const found = SERVICE.exec(String(url).trim());
  if (found === null) {
    throw new InvalidError(
      `\`${url}\` is no URL of a service, expected https://host/workspace/services/service`,
    );
  }
  const [, serverUrl, workspace, clientId = "*", serviceId, appId = "*"] = found as unknown as string[];
  return { serverUrl, workspace, clientId, serviceId, appId } as ServiceUrl;
}
