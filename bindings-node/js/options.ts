// Options of a connection, under the names of hypha-rpc and in camelCase.
import { InvalidError } from "./errors.js";
import { toCamel } from "./names.js";
import type { OpenOptions } from "./native.cjs";

/** Options of {@link connectToServer}, in camelCase; times in seconds. */
export interface CamelOptions {
  /** The server: `http(s)://host[:port][/base]`, or the `ws(s)://` URL of its websocket. */
  serverUrl: string;
  /** The workspace to join. Default: the token's, else the user's own. */
  workspace?: string | null;
  /** The client's id. Default: random. */
  clientId?: string | null;
  /** The token. Default: none, which makes an anonymous user. */
  token?: string | null;
  /** A token of an earlier connection, to come back under the same name. */
  reconnectionToken?: string | null;
  /** A name for people to read. */
  name?: string | null;
  /** The application that services belong to. */
  appId?: string | null;
  /** How long a call may take without a sign of life. */
  methodTimeout?: number | null;
  /** How long connecting may take. Default: `methodTimeout`. */
  connectTimeout?: number | null;
  /** How often to ask whether the server is there. */
  pingInterval?: number | null;
  /** How long to wait for its answer. */
  pingTimeout?: number | null;
  /** How often to fetch a fresh reconnection token; 0 for never. */
  tokenRefreshInterval?: number | null;
  /** Messages above this many bytes travel in parts. */
  chunkSize?: number | null;
  /** Whether to connect again when the connection breaks. */
  reconnect?: boolean | null;
  /**
   * The way to the server: `websocket`, `http` (for networks that let no websocket through), or `auto`, which is the
   * websocket, and HTTP where it cannot be had. Default: `auto`.
   */
  transport?: "auto" | "websocket" | "http" | null;
  /** How long a call of a function of an object given with `_rintf` may take without a sign of life. */
  rintfTimeout?: number | null;
  /** Whether what is said to peers whose key is known is encrypted from end to end. */
  encryption?: boolean | null;
  /** The own private key: 32 bytes or 64 hexadecimal digits. Default: made for this connection. */
  encryptionPrivateKey?: string | Uint8Array | null;
  /** Its public twin. Default: computed. */
  encryptionPublicKey?: string | Uint8Array | null;
}

/** The same under the names of hypha-rpc. */
export interface SnakeOptions {
  server_url: string;
  workspace?: string | null;
  client_id?: string | null;
  token?: string | null;
  reconnection_token?: string | null;
  name?: string | null;
  app_id?: string | null;
  method_timeout?: number | null;
  connect_timeout?: number | null;
  ping_interval?: number | null;
  ping_timeout?: number | null;
  token_refresh_interval?: number | null;
  long_message_chunk_size?: number | null;
  reconnect?: boolean | null;
  transport?: "auto" | "websocket" | "http" | null;
  rintf_timeout?: number | null;
  encryption?: boolean | null;
  encryption_private_key?: string | Uint8Array | null;
  encryption_public_key?: string | Uint8Array | null;
}

/** Options of {@link connectToServer}; either way of writing names will do, mixed as well. */
export type ConnectOptions = (CamelOptions & Partial<SnakeOptions>) | (SnakeOptions & Partial<CamelOptions>);

const NAMES = new Set<keyof OpenOptions>([
  "serverUrl",
  "workspace",
  "clientId",
  "token",
  "reconnectionToken",
  "name",
  "appId",
  "methodTimeout",
  "connectTimeout",
  "pingInterval",
  "pingTimeout",
  "tokenRefreshInterval",
  "chunkSize",
  "reconnect",
  "transport",
  "rintfTimeout",
  "encryption",
  "encryptionPrivateKey",
  "encryptionPublicKey",
]);

/** Options as the native side takes them: what is absent has core's default. */
export function openOptions(given: ConnectOptions): OpenOptions {
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given ?? {})) {
    const known = name === "long_message_chunk_size" ? "chunkSize" : toCamel(name);
    if (value != null && NAMES.has(known as keyof OpenOptions)) options[known] = value;
  }
  for (const name of ["encryptionPrivateKey", "encryptionPublicKey"]) {
    const key = options[name] as string | Uint8Array | undefined;
    if (typeof key === "string") options[name] = Buffer.from(key);
  }
  if (typeof options.serverUrl !== "string") {
    throw new InvalidError("server_url is required, for example http://localhost:9527");
  }
  return options as unknown as OpenOptions;
}
