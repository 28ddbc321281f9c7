// The native side (`bindings-node/src/client.rs`): the same names in the same order.

export interface OpenOptions {
  serverUrl: string;
  workspace?: string;
  clientId?: string;
  token?: string;
  reconnectionToken?: string;
  name?: string;
  appId?: string;
  methodTimeout?: number;
  connectTimeout?: number;
  pingInterval?: number;
  pingTimeout?: number;
  tokenRefreshInterval?: number;
  chunkSize?: number;
  limits?: Record<string, number>;
  reconnect?: boolean;
  transport?: string;
  rintfTimeout?: number;
  encryption?: boolean;
  encryptionPrivateKey?: Uint8Array;
  encryptionPublicKey?: Uint8Array;
  headers?: [string, string][];
  tlsUnverified?: boolean;
  tlsAuthorities?: string;
}

/** The names that no codec may take. */
export function formNames(): string[];

/** The names of the limits that a connection has (`limits` of {@link OpenOptions}). */
export function limitNames(): string[];

/** `code` and `message` with a line break between them, where something failed. */
export type Told = string | null;

/** The body of an answer with an error, a JSON problem; `null` for a status that tells of no error. */
export function problem(status: number, detail: string): string | null;

/** The place in the service at `root` that an app means by a `location`; `null` when it is right as it is. */
export function locationInside(root: string, origin: string, location: string): string | null;

export class Core {
  constructor(wake: () => void);
  open(client: number, options: OpenOptions): Told;
  openInProcess(client: number, options: OpenOptions, server: EmbeddedServer): Told;
  take(tape: Int32Array): unknown[];
  call(client: number, call: number, tape: Uint8Array, beside: Uint8Array[] | undefined): Told;
  answer(count: number, tape: Uint8Array, beside: Uint8Array[] | undefined): number[] | null;
  fail(client: number, run: number, tape: Uint8Array): void;
  register(
    client: number,
    call: number,
    tape: Uint8Array,
    beside: Uint8Array[] | undefined,
    overwrite: boolean,
    isLocal: boolean,
  ): Told;
  unregister(client: number, call: number, service: string): Told;
  remove(client: number, service: string): Told;
  subscribe(client: number, call: number, types: string[]): Told;
  unsubscribe(client: number, call: number, types: string[]): Told;
  statistics(client: number): Record<string, number>;
  emit(client: number, tape: Uint8Array, beside: Uint8Array[] | undefined): Told;
  forget(client: number, call: number): void;
  openStream(client: number, stream: number, tape: Uint8Array): Told;
  items(stream: number, tape: Int32Array): unknown[];
  closeStream(client: number, stream: number): void;
  discardStream(client: number, tape: Uint8Array): void;
  beginItems(client: number, source: number): number;
  produce(
    client: number,
    source: number,
    count: number,
    tape: Uint8Array,
    beside: Uint8Array[] | undefined,
    end: number,
  ): number;
  isCongested(client: number): boolean;
  publicKey(client: number): string | null;
  close(client: number): void;
}

export interface AnsweredRequest {
  method: string;
  path: string;
  status: number;
  seconds: number;
  /** All that for people, for example `GET /dev/apps/hello/ 200 1.5 ms`. */
  line: string;
}

/** A server on a thread of its own (`bindings-node/src/server.rs`). */
export class EmbeddedServer {
  constructor();
  start(settings: string, wake: (() => void) | undefined): Promise<Told>;
  stop(): Promise<boolean>;
  requests(): AnsweredRequest[];
  url(): string;
  rootToken(): string;
}

export interface DevModule {
  path: string;
  serviceId: string;
}

/** What `polyfn dev` is to do (`bindings-node/src/command.rs`). */
export interface DevPlan {
  modules: DevModule[];
  host: string;
  port: number;
  serverUrl?: string;
  token?: string;
  workspace?: string;
  reload: boolean;
  watch: string[];
}

export function runCommand(args: string[]): { code?: number; plan?: DevPlan };
export function devRoutes(url: string, workspace: string, service: string, functions: string[]): string;
export function devFailed(error: string, file: string | undefined, line: number, source: string): string;

/** Looks after the files of modules. */
export class Watch {
  constructor(modules: string[], others: string[]);
  changed(): string[];
}
