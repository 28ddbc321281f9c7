// What a server says of a request to a web app, and what handlers of JavaScript are told of it.

/** The name and the value of a header, as they were sent. */
export type Pair = [name: Uint8Array, value: Uint8Array];

/** The scope of a request, as ASGI has it. */
export interface Scope {
  type: "http" | "websocket";
  method?: string;
  scheme: string;
  root_path?: string;
  path: string;
  raw_path?: Uint8Array | null;
  query_string: Uint8Array | string;
  headers: Pair[];
  client?: [host: string, port: number] | null;
  server?: [host: string, port: number] | null;
  workspace?: string;
  service_id?: string;
  subprotocols?: string[];
  extensions?: Record<string, unknown> & { polyfn?: { user?: Record<string, unknown> | null } };
}

/** What a handler of a service of type `fetch` is told beside the request; `request.polyfn` of `node:http`. */
export interface AppInfo {
  /** Where the service stands, `/my-lab/apps/web`: what links from the root of the server begin with. */
  rootPath: string;
  /** The URL that was asked; that of the request is without the `rootPath`. */
  url: string;
  /** Who asks, as far as is known. */
  user: Record<string, unknown> | null;
  workspace: string | undefined;
  serviceId: string | undefined;
  /** The address of whoever is connected to the server. */
  remoteAddress: string | undefined;
  remotePort: number | undefined;
}

/** Where a request goes. */
export interface Target {
  /** For example `http://localhost:9527`. */
  origin: string;
  /** The path of the service, encoded. */
  root: string;
  /** The path from the service on, encoded. */
  path: string;
  /** With its `?`; empty when there is none. */
  query: string;
}

const text = (bytes: Uint8Array | string): string =>
  typeof bytes === "string"
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** Names and values as texts, in order. */
export function headersOf(scope: Scope): [name: string, value: string][] {
  return scope.headers.map(([name, value]) => [text(name), text(value)]);
}

/** What stands in the scope of the request's URL. */
export function targetOf(scope: Scope, headers: [string, string][]): Target {
  const given = scope.raw_path ? text(scope.raw_path) : "";
  // a server of Hypha's says the decoded path here, too
  const raw = isEncoded(given) ? given : encodePath(scope.path);
  const root = rootOf(raw, scope.root_path ?? "");
  const query = text(scope.query_string);
  const path = raw.slice(root.length);
  return {
    origin: originOf(scope, headers),
    root,
    path: path.startsWith("/") ? path : `/${path}`,
    query: query === "" ? "" : `?${query}`,
  };
}

function isEncoded(path: string): boolean {
  return /^(?:[\w.~!$&'()*+,;=:@/|"<>^`{}\\[\]-]|%[\da-f]{2})+$/i.test(path);
}

function encodePath(path: string): string {
  return encodeURI(path).replace(/[?#]/g, encodeURIComponent);
}

/** As much of an encoded path as its decoded beginning is: both have the same slashes. */
function rootOf(raw: string, root: string): string {
  let end = 0;
  for (let slashes = root.split("/").length - 1; slashes > 0; slashes -= 1) {
    end = raw.indexOf("/", end + 1);
    if (end < 0) return raw;
  }
  return raw.slice(0, end);
}

function originOf({ scheme, server }: Scope, headers: [string, string][]): string {
  const secure = scheme === "https" || scheme === "wss";
  const [host, port] = server ?? ["localhost", secure ? 443 : 80];
  const own = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const asked = headers.find(([name]) => name === "host")?.[1] ?? own;
  const origin = `http${secure ? "s" : ""}://`;
  // whoever asks may write anything there
  return /^[\w.-]+(?::\d+)?$|^\[[\da-f:.]+\](?::\d+)?$/i.test(asked) && URL.canParse(`${origin}${asked}`)
    ? `${origin}${asked}`
    : `${origin}${own}`;
}

/** What a handler is told beside the request. */
export function infoOf(scope: Scope, { origin, root, path, query }: Target): AppInfo {
  return {
    rootPath: root,
    url: `${origin}${root}${path}${query}`,
    user: scope.extensions?.polyfn?.user ?? null,
    workspace: scope.workspace,
    serviceId: scope.service_id,
    remoteAddress: scope.client?.[0],
    remotePort: scope.client?.[1],
  };
}
