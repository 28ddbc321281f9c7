// Options of a connection, under the names of hypha-rpc and in camelCase.
import { readFileSync } from "node:fs";
import { types } from "node:util";
import { wrongType } from "./checks.js";
import { environmentSettings } from "./environment.js";
import { InvalidError } from "./errors.js";
import { toCamel } from "./names.js";
import native, { type OpenOptions } from "./native.cjs";

/** Options of {@link connectToServer}, in camelCase; times in seconds. */
export interface CamelOptions extends Limits {
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
  /** Headers of the requests that reach the server. */
  additionalHeaders?: Record<string, string> | null;
  /** `false` to believe any server, or the path of a file with certificates of authorities (PEM). */
  ssl?: boolean | string | null;
}

/** What a connection holds at most; each has core's default. */
export interface Limits {
  /** Calls under way at once. Default: 65,536. */
  maxCalls?: number | null;
  /** Functions given away at once, in arguments, results and interfaces. Default: 262,144. */
  maxFunctions?: number | null;
  /** Those of one peer. Default: 65,536. */
  maxFunctionsPerPeer?: number | null;
  /** Sessions that hold functions given away in results. Default: 262,144. */
  maxKept?: number | null;
  /** Functions of ours that run at once for peers. Default: 65,536. */
  maxRuns?: number | null;
  /** Those of one peer. Default: 32,768. */
  maxRunsPerPeer?: number | null;
  /** Generators of peers read at once. Default: 1,024. */
  maxStreams?: number | null;
  /**
   * Bytes of large memory that this process keeps for its next long message, for 10 seconds; of several connections
   * the largest counts. Default: 256 MiB.
   */
  memoryKept?: number | null;
  /** Bytes waiting to be sent above which callers are slowed. Default: 64 MiB. */
  sendBuffer?: number | null;
  /** Bytes that all generators of peers may send ahead. Default: 64 MiB. */
  streamBuffer?: number | null;
  /** Items that one generator may send ahead. Default: 1,024. */
  streamWindow?: number | null;
  /** The same in bytes. Default: 4 MiB. */
  streamWindowBytes?: number | null;
}

/** The limits in the other way of writing names. */
export interface SnakeLimits {
  max_calls?: number | null;
  max_functions?: number | null;
  max_functions_per_peer?: number | null;
  max_kept?: number | null;
  max_runs?: number | null;
  max_runs_per_peer?: number | null;
  max_streams?: number | null;
  memory_kept?: number | null;
  send_buffer?: number | null;
  stream_buffer?: number | null;
  stream_window?: number | null;
  stream_window_bytes?: number | null;
}

/** The same under the names of hypha-rpc. */
export interface SnakeOptions extends SnakeLimits {
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
  additional_headers?: Record<string, string> | null;
  ssl?: boolean | string | null;
}

/** Of hypha-rpc and without a meaning here: taken, so that moving over is changing one import. */
export interface InertOptions {
  kwargs_expansion?: unknown;
  logger?: unknown;
  silent?: unknown;
  WebSocketClass?: unknown;
}

/** Options of {@link connectToServer}; either way of writing names will do, mixed as well. */
export type ConnectOptions = InertOptions &
  ((CamelOptions & Partial<SnakeOptions>) | (SnakeOptions & Partial<CamelOptions>));

type Check = (value: unknown) => boolean;
const TEXT: [string, Check] = ["a string", (value) => typeof value === "string"];
const NUMBER: [string, Check] = ["a number", (value) => typeof value === "number"];
const SECONDS: [string, Check] = ["a number of seconds", NUMBER[1]];
const TRUTH: [string, Check] = ["true or false", (value) => typeof value === "boolean"];
const KEY: [string, Check] = [
  "64 hexadecimal digits or 32 bytes",
  (value) => typeof value === "string" || types.isUint8Array(value),
];
const HEADERS: [string, Check] = [
  "an object of names and values",
  (value) => typeof value === "object" && !Array.isArray(value),
];
/** Of each option what it must be; `ssl` is looked at where it is used. */
const NAMES = new Map<string, [string, Check]>([
  ["serverUrl", TEXT],
  ["workspace", TEXT],
  ["clientId", TEXT],
  ["token", TEXT],
  ["reconnectionToken", TEXT],
  ["name", TEXT],
  ["appId", TEXT],
  ["methodTimeout", SECONDS],
  ["connectTimeout", SECONDS],
  ["pingInterval", SECONDS],
  ["pingTimeout", SECONDS],
  ["tokenRefreshInterval", SECONDS],
  ["chunkSize", NUMBER],
  ["reconnect", TRUTH],
  ["transport", TEXT],
  ["rintfTimeout", SECONDS],
  ["encryption", TRUTH],
  ["encryptionPrivateKey", KEY],
  ["encryptionPublicKey", KEY],
  ["additionalHeaders", HEADERS],
  ["ssl", ["a boolean or the path of a file", () => true]],
]);
/** Under the names of the core, which knows their defaults. */
const LIMITS = new Map(native.limitNames().map((name) => [toCamel(name), name]));
const INERT = new Set(["kwargsExpansion", "logger", "maxMessageBufferSize", "silent"]);
/** Of hypha-rpc and not offered yet, with the values that ask for nothing. */
const MISSING: Record<string, unknown[]> = {
  webrtc: [false],
  webrtcConfig: [],
};

/**
 * Options as the native side takes them: what is absent has core's default. Without any they come from the environment.
 */
export function openOptions(given: string | Partial<ConnectOptions> = {}, more: object = {}): OpenOptions {
  const all = { ...(typeof given === "string" ? { serverUrl: given } : given), ...more };
  const isEmpty = Object.keys(all).length === 0;
  const options = known(isEmpty ? environmentSettings() : all);
  if (typeof options.serverUrl !== "string") {
    throw new InvalidError(
      "server_url is required, for example http://localhost:9527; without any option it is HYPHA_SERVER_URL of the " +
        "environment or of a file .env",
    );
  }
  for (const name of ["encryptionPrivateKey", "encryptionPublicKey"]) {
    const key = options[name];
    if (typeof key === "string") options[name] = Buffer.from(key);
  }
  const { additionalHeaders, ssl, ...rest } = options;
  return { ...rest, ...headers(additionalHeaders), ...tls(ssl) } as unknown as OpenOptions;
}

/** What was given, under the names of the native side. */
function known(given: object): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  const limits: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const camel = toCamel(name).replace(/^longMessageChunkSize$/, "chunkSize");
    const asked = NAMES.get(camel);
    if (asked !== undefined) {
      if (value == null) continue;
      if (!asked[1](value)) throw wrongType(name, asked[0], value);
      options[camel] = value;
    } else if (LIMITS.has(camel)) {
      if (value == null) continue;
      if (!NUMBER[1](value)) throw wrongType(name, NUMBER[0], value);
      limits[LIMITS.get(camel) as string] = value;
    } else if (name === "server") {
      options.serverUrl ??= (value as { url?: string } | null)?.url;
    } else if (camel in MISSING) {
      if (value == null || MISSING[camel]?.includes(value)) continue;
      throw new InvalidError(`connectToServer does not offer \`${name}\` yet`);
    } else if (!INERT.has(camel) && name !== "WebSocketClass") {
      throw new InvalidError(`connectToServer has no option \`${name}\`${hint(camel)}`);
    }
  }
  return Object.keys(limits).length ? { ...options, limits } : options;
}

function headers(given: unknown): object {
  if (given == null) return {};
  return { headers: Object.entries(given).map(([name, value]) => [name, String(value)]) };
}

function tls(ssl: unknown): object {
  if (ssl == null || ssl === true) return {};
  if (ssl === false) return { tlsUnverified: true };
  if (typeof ssl !== "string") throw new InvalidError("ssl must be a boolean or the path of a file");
  return { tlsAuthorities: readFileSync(ssl, "utf8") };
}

function hint(name: string): string {
  const near = [...NAMES.keys(), ...LIMITS.keys(), ...INERT, ...Object.keys(MISSING)].find(
    (other) => distance(name, other) <= 2,
  );
  return near === undefined ? "" : `, did you mean \`${near}\`?`;
}

/** How many letters have to be changed, added or left out. */
function distance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()];
  for (let at = 1; at <= a.length; at += 1) {
    const next = [at];
    for (let to = 1; to <= b.length; to += 1) {
      const changed = (row[to - 1] as number) + (a[at - 1] === b[to - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[to] as number) + 1, (next[to - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
