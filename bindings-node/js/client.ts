// A connection to a server.
import { hosted } from "./apps/hosting.js";
import { type CaseConversion, convertCase } from "./case.js";
import { eventTypes, idOf, keyText, wrongType } from "./checks.js";
import type { Codec } from "./codecs.js";
import { environmentSettings } from "./environment.js";
import { errorOf, InvalidError, type RpcError, toldError } from "./errors.js";
import { type EventListener, Events } from "./events.js";
import type { Manager, TokenConfig } from "./manager.js";
import { Modules } from "./modules.js";
import { addOtherNames, type SnakeNames, toSnake } from "./names.js";
import type { EmbeddedServer, OpenOptions } from "./native.cjs";
import { type ConnectOptions, openOptions } from "./options.js";
import { type Listener, pump } from "./pump.js";
import { type RemoteFunction, type Stub, stubOf } from "./remote.js";
import { Rpc, type RpcObject } from "./rpc.js";
import {
  offered,
  type RemoteService,
  type Service,
  type ServiceInfo,
  schemaTree,
  shortId,
  typedService,
  withFields,
} from "./service.js";

/** What the server says of the connection. */
export interface ConnectionConfig {
  /** The workspace that was joined. */
  workspace: string;
  /** The own id in it. */
  client_id: string;
  /** The server's URL as others see it. */
  public_base_url?: string;
  [key: string]: unknown;
}

/**
 * How a connection stands. While it is `disconnected` it is being made again, and calls wait for that; `closed` is
 * for good.
 */
export type ConnectionState = "connecting" | "connected" | "disconnected" | "closed";

/** Settings of {@link Connection.registerService}. */
export interface RegisterConfig {
  /** Takes the place of a service of the same id. */
  overwrite?: boolean;
  /** `false`: the server is not told, and only who knows this client can call the service. */
  notify?: boolean;
  /** The service must have what its `type` asks for, as the manager's `getServiceType` describes it. */
  checkType?: boolean;
  check_type?: boolean;
}

/** Settings of {@link Connection.getService}. */
export interface GetServiceConfig {
  /** Which of several services of this id: `random`, `first`, `last`, `exact`, ... */
  mode?: string | null;
  /** How long the owner may take, in seconds. */
  timeout?: number;
  /** How the members are named. Default: as the owner names them, and in the other case beside that. */
  caseConversion?: CaseConversion | null;
  case_conversion?: CaseConversion | null;
  /** The owner's public key, 32 bytes or 64 hexadecimal digits: calls of the service are encrypted to it from end to end. */
  encryptionPublicKey?: string | Uint8Array;
  encryption_public_key?: string | Uint8Array;
  [key: string]: unknown;
}

interface Registered {
  service: Service;
  info: ServiceInfo | undefined;
}

const STAR = 1;

/** The handle of a connection. {@link Client} adds the manager's methods, and the same names in snake_case. */
export class Connection implements Listener, AsyncDisposable {
  /** What the server says of this connection. */
  config: ConnectionConfig = { workspace: "", client_id: "" };
  /** All that the server's manager offers, also what has no method of its own here. */
  manager: RemoteService = {};
  /** The same connection by the names of hypha-rpc's `rpc` object. */
  declare readonly rpc: RpcObject;
  readonly #events = new Events();
  readonly #client: number;
  readonly #services = new Map<string, Registered>();
  readonly #modules = new Modules((record) => this.#manager("log", [record]));
  readonly #closed: Promise<void>;
  #settleClosed: () => void = () => undefined;
  #connecting: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #state: ConnectionState = "connecting";

  /** @internal */
  constructor() {
    this.#client = pump().attach(this);
    this.#closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    const rpc = new Rpc(this, {
      call: (target, method, args, seconds) =>
        this.#call(target, method, args, seconds === undefined ? undefined : { patience: seconds }),
      rename: (call, name) => this.#rename(call, name),
      register: (service, settings) => this.#register(service, settings),
      local: () => this.#services,
      statistics: () => pump().native.statistics(this.#client),
      close: () => pump().native.close(this.#client),
    });
    Object.defineProperty(this, "rpc", { value: rpc, enumerable: false });
    bindMethods(this);
  }

  /** @internal */
  async open(options: OpenOptions, server?: EmbeddedServer): Promise<void> {
    const core = pump();
    core.hold();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#connecting = { resolve, reject };
        const told = server
          ? core.native.openInProcess(this.#client, options, server)
          : core.native.open(this.#client, options);
        if (told === null) return;
        core.detach(this.#client);
        reject(toldError(told));
      });
      await this.#attachManager();
    } catch (error) {
      core.native.close(this.#client);
      throw error;
    } finally {
      this.#connecting = undefined;
      core.release();
    }
  }

  /** The workspace that was joined. */
  get workspace(): string {
    return this.config.workspace;
  }

  /** The own id in the workspace. */
  get clientId(): string {
    return this.config.client_id;
  }

  /** The same as {@link clientId}. */
  get client_id(): string {
    return this.config.client_id;
  }

  /** How the connection stands. */
  get connectionState(): ConnectionState {
    return this.#state;
  }

  /** The same as {@link connectionState}. */
  get connection_state(): ConnectionState {
    return this.#state;
  }

  /**
   * Offers a service: an object or an instance of a class, whose functions others may call. Gives what the server was
   * told of it. `true` in the place of settings is `{ overwrite: true }`.
   *
   * @example
   * await api.registerService({ id: "calculator", config: { visibility: "public" }, add: (a, b) => a + b });
   */
  async registerService(service: Service, config: RegisterConfig | boolean = {}): Promise<ServiceInfo> {
    const settings = typeof config === "boolean" ? { overwrite: config } : (config ?? {});
    const { overwrite = false, notify = true, checkType, check_type = checkType ?? false } = settings;
    let given: Service = offered(service);
    const { type } = given as { type?: unknown };
    if (check_type && type) {
      const kind = (await this.#manager("get_service_type", [type])) as object;
      given = typedService(given, kind);
    }
    return this.#register(given, { overwrite, notify });
  }

  async #register(
    given: Service,
    { overwrite, notify }: { overwrite: boolean; notify: boolean },
  ): Promise<ServiceInfo> {
    const module = await this.#modules.begin(offered(given));
    const service = hosted(offered(module?.service ?? given));
    const registering = pump().begin(this.#client, (id, encoder) => {
      encoder.service(service);
      const { bytes, beside } = encoder;
      return pump().native.register(this.#client, id, bytes, beside, overwrite, !notify);
    });
    const info = (await registering.catch(async (error) => {
      await module?.stop();
      throw error;
    })) as ServiceInfo;
    if (this.#state !== "closed") {
      const name = shortId(info.id);
      if (!this.#services.has(name)) pump().hold();
      this.#services.set(name, { service: given, info: notify ? info : undefined });
      await this.#modules.keep(name, module);
    }
    return info;
  }

  /** Takes a service back, named by its id or by what `registerService` gave; without `notify` the server is not told. */
  async unregisterService(service: string | { id: string }, notify = true): Promise<void> {
    const id = shortId(idOf(service, "the service"));
    if (notify) {
      await pump().begin(this.#client, (call) => pump().native.unregister(this.#client, call, id));
    } else {
      const told = pump().native.remove(this.#client, id);
      if (told !== null) throw toldError(told);
    }
    if (this.#services.delete(id)) pump().release();
    await this.#modules.keep(id, undefined);
  }

  /** The schema of each function of a service, one's own or one that was got from somebody. */
  getServiceSchema(service: Service): Promise<Record<string, unknown>> {
    return Promise.resolve().then(() => schemaTree(service));
  }

  /** Registers an object as the service `default`, where {@link getApp} finds it, in the place of an earlier one. */
  async export(service: Service, config?: Record<string, unknown>): Promise<ServiceInfo> {
    const settings = config === undefined ? {} : { config };
    return this.registerService(withFields(service, { id: "default", ...settings }), { overwrite: true });
  }

  /** The own public key in hexadecimal digits, for others to encrypt to; `null` without encryption. */
  getPublicKey(): string | null {
    return pump().native.publicKey(this.#client);
  }

  /** Gets what a client, `client` or `workspace/client`, has exported. */
  async getApp(clientId = "*"): Promise<RemoteService> {
    if (clientId.includes(":")) throw new InvalidError(`\`${clientId}\` names a service, expected a client`);
    const full = clientId.includes("/") ? clientId : `${this.workspace}/${clientId}`;
    return this.getService(`${full}:default`);
  }

  /** Lists what the clients of a workspace have exported. */
  async listApps(workspace = this.workspace): Promise<ServiceInfo[]> {
    if (/[:/]/.test(workspace)) throw new InvalidError(`\`${workspace}\` is no workspace`);
    return this.#manager("list_services", [{ workspace, service_id: "default" }]) as Promise<ServiceInfo[]>;
  }

  /**
   * Offers functions that tell how this program is, under the service id `probes`.
   *
   * @example
   * await api.registerProbes({ readiness: () => ({ status: "ok" }), liveness: () => true });
   */
  async registerProbes(probes: Record<string, (...args: never[]) => unknown>): Promise<ServiceInfo> {
    const about = { id: "probes", name: "Probes", type: "probes", config: { visibility: "public" } };
    return this.registerService({ ...about, ...probes }, { overwrite: true });
  }

  /**
   * Makes a token for others.
   *
   * A server that knows nothing of narrowed tokens (`services`, `methods`, `max_uses`) makes one without any of these
   * bounds. That one is taken back, and the call fails with `InvalidError`.
   */
  async generateToken(config: TokenConfig = {}): Promise<string> {
    const token = (await this.#manager("generate_token", [config])) as string;
    if ((config.services ?? config.methods ?? config.max_uses ?? null) === null) return token;
    // the reference refuses to look into a token for another workspace
    const told = (await this.#manager("parse_token", [token]).catch(() => null)) as {
      scope?: { extra_scopes?: string[] };
    } | null;
    if (told?.scope?.extra_scopes?.some((word) => word.startsWith("polyfn:"))) return token;
    await this.#manager("revoke_token", [token]).catch(() => null);
    throw new InvalidError("this server makes no narrowed tokens: leave out services, methods and max_uses");
  }

  /**
   * Puts functions in charge of who comes with which token, and of how people log in; for the root user.
   *
   * They are registered as a service of the type `auth-service`, under the id that is given or `auth-service`; a string
   * names one that is there. The client must be in the workspace `public` or `ws-user-root`. What the functions are
   * asked is in `docs/identity.md`, with an example. They count as long as this client is there, also after it has
   * reconnected.
   */
  async registerAuthService(service: string | Record<string, unknown>): Promise<void> {
    const given = typeof service === "string" ? { id: service } : service;
    const id = String(given.id ?? "auth-service");
    if (Object.values(given).some((value) => typeof value === "function")) {
      const config = { ...(given.config as object), visibility: "protected" };
      await this.registerService({ ...given, id, type: "auth-service", config }, { overwrite: true });
    }
    await this.#manager("register_auth_service", [id]);
  }

  /**
   * Finds a service by its id: `service`, `client:service` or `workspace/client:service`.
   *
   * With `encryptionPublicKey`, the owner's public key, what its functions are told and answer is encrypted from end
   * to end. The key must come from elsewhere, not by way of the server.
   *
   * @example
   * const calculator = await api.getService("calculator");
   * console.log(await calculator.add(1, 2));
   */
  async getService(service: string | { id: string }, config: GetServiceConfig = {}): Promise<RemoteService> {
    const id = idOf(service, "the service");
    const { caseConversion, case_conversion = caseConversion ?? null, ...rest } = config ?? {};
    const { encryption_public_key, encryptionPublicKey, ...selection } = rest;
    const key = keyText(encryption_public_key ?? encryptionPublicKey, "encryptionPublicKey");
    const keywords = { config: selection, _rkwargs: true };
    const found = await this.#manager("get_service", [id, keywords], selection.timeout, key);
    const rename = (call: RemoteFunction, name: string) => this.#rename(call, name);
    const made = convertCase(found, case_conversion, rename) as RemoteService;
    if (case_conversion === null) addOtherNames(made);
    return made;
  }

  /**
   * Teaches this connection a kind of values: how instances of a class are sent, and what is made of them on receipt.
   *
   * @example
   * api.registerCodec({
   *   name: "point",
   *   type: Point,
   *   encoder: ({ x, y }) => ({ x, y }),
   *   decoder: ({ x, y }) => new Point(x, y),
   * });
   */
  registerCodec<T>(codec: Codec<T>): void {
    pump().ownCodecs(this.#client).add(codec);
  }

  /** Asks another client whether it is there; fails when it does not answer within `timeout` seconds. */
  ping(clientId: string, timeout = 5): Promise<string> {
    return this.rpc.ping(clientId, timeout);
  }

  /** Asks for events of a type, or of several, also after a reconnect. */
  async subscribe(eventType: string | string[]): Promise<unknown> {
    const types = eventTypes(eventType);
    return pump().begin(this.#client, (call) => pump().native.subscribe(this.#client, call, types));
  }

  /** Asks for no more of them. */
  async unsubscribe(eventType: string | string[]): Promise<unknown> {
    const types = eventTypes(eventType);
    return pump().begin(this.#client, (call) => pump().native.unsubscribe(this.#client, call, types));
  }

  /** Sends an event `{type, to, ...}`: to all subscribers with `to: "*"`, to one client with its id, else to the own listeners. */
  emit(message: { type: string; to?: string; [key: string]: unknown }, data?: Record<string, unknown>): void;
  emit(type: string, data?: Record<string, unknown>): void;
  emit(message: string | { type: string; to?: string }, data: Record<string, unknown> = {}): void {
    const event: { type: string; to?: string } =
      typeof message === "string" ? { ...data, type: message } : { ...message, ...data };
    if (typeof event.type !== "string") throw wrongType("the `type` of a message", "a string", event.type);
    if (event.to === undefined) return this.#events.fire(event.type, event);
    const core = pump();
    const encoder = core.borrow(this.#client);
    try {
      encoder.root("the event", event);
      const told = core.native.emit(this.#client, encoder.bytes, encoder.beside);
      if (told !== null) throw toldError(told);
    } finally {
      core.drop(encoder.handles);
      core.giveBack(encoder);
    }
  }

  /**
   * Has `listener` told of every event of a type. Besides what others send there are `connected` and `reconnected`
   * (after a reconnect), `disconnected`, `services_registered` and `services_registration_failed`.
   */
  on(type: string, listener: EventListener): this {
    this.#events.add(type, listener, false);
    return this;
  }

  /** Has `listener` told of the next event of a type. */
  once(type: string, listener: EventListener): this {
    this.#events.add(type, listener, true);
    return this;
  }

  /** Takes back a listener; without one, all of a type; without a type, all. */
  off(type?: string, listener?: EventListener): this {
    this.#events.remove(type, listener);
    return this;
  }

  /** Waits for the next event of a type, and gives its data; fails with `timeout` after so many seconds. */
  // biome-ignore lint/suspicious/noExplicitAny: each kind of event has data of its own
  waitFor(type: string, timeout?: number): Promise<any> {
    return this.#events.wait(type, timeout);
  }

  /** Keeps the process serving; resolves when the connection is over. */
  async serve(): Promise<void> {
    pump().hold();
    await this.#closed.finally(() => pump().release());
  }

  /** Says goodbye and ends the connection. What is under way fails with `peer_gone`. */
  async disconnect(): Promise<void> {
    if (this.#state === "closed") return;
    pump().outbox.flush();
    pump().native.close(this.#client);
    await this.serve();
    await this.#modules.ended();
  }

  /** Lets `await using` end the connection. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /** @internal */
  ready(info: Record<string, unknown>, isFirst: boolean, refused: [string, RpcError][]): void {
    this.#state = "connected";
    this.config = { ...this.config, ...info } as ConnectionConfig;
    for (const [service] of refused) if (this.#services.delete(service)) pump().release();
    if (isFirst) return this.#connecting?.resolve();
    this.#events.fire("manager_refreshed", {});
    this.#tellRegistered(refused);
    this.#events.fire("reconnected", info);
    this.#events.fire("connected", info);
  }

  #tellRegistered(refused: [string, RpcError][]): void {
    const known = [...this.#services.values()].filter(({ info }) => info !== undefined).length;
    // The built-in service is one of them.
    const [registered, failed] = [known + 1, refused.map(([name]) => name)];
    const total = registered + failed.length;
    this.#events.fire("services_registered", { total, registered, failed });
    if (failed.length === 0) return;
    const error = refused.map(([name, reason]) => `${name}: ${reason.message}`).join("; ");
    this.#events.fire("services_registration_failed", { error, total_services: total });
  }

  /** @internal */
  disconnected(reason: string): void {
    this.#state = "disconnected";
    this.#events.fire("disconnected", { reason });
  }

  /** @internal */
  closed(error: RpcError): void {
    this.#state = "closed";
    for (const _ of this.#services) pump().release();
    this.#services.clear();
    this.#modules.end();
    this.#connecting?.reject(error);
    this.#settleClosed();
    this.#events.fire("disconnected", { reason: error.message, error });
  }

  /** @internal */
  signal(kind: string, message: Record<string, unknown>): void {
    this.#events.fire(kind, message);
    const { data } = message as { data?: { id?: string; workspace?: string } };
    if (kind !== "client_disconnected" || !data?.id) return;
    // servers of old leave out the workspace
    const full = data.id.includes("/") ? data.id : `${data.workspace}/${data.id}`;
    this.#events.fire("remote_client_disconnected", { client_id: full });
  }

  #rename(call: RemoteFunction, name: string): RemoteFunction {
    const stub = stubOf(call);
    if (stub === undefined) return call;
    const schema = stub.schema ? { ...stub.schema, name } : stub.schema;
    return pump().remote(this.#client, { ...stub, name, schema });
  }

  #manager(name: string, args: unknown[], seconds?: number, answerKey?: string): Promise<unknown> {
    // Core knows the manager's address, which may change with a restart of the server.
    const options = seconds === undefined ? undefined : { patience: seconds + 1 };
    return this.#call("*/manager", `services.default.${name}`, args, options, answerKey);
  }

  #call(
    target: string,
    method: string,
    args: unknown[],
    options?: { patience: number },
    answerKey?: string,
  ): Promise<unknown> {
    const stub = { target, method, promise: STAR, parent: null, answerKey } as Stub;
    return pump().call(this.#client, stub, args, options);
  }

  async #attachManager(): Promise<void> {
    const manager = (await this.#call("*/manager", "services.built-in.get_service", [
      "default",
    ])) as RemoteService;
    const { config } = manager as { config?: Record<string, unknown> };
    addOtherNames(manager);
    Object.defineProperty(this, "manager", { value: manager, enumerable: false });
    this.config = { ...config, ...this.config };
    for (const [name, member] of Object.entries(manager)) {
      if (typeof member !== "function" || name.startsWith("_") || name in Connection.prototype) continue;
      Object.defineProperty(this, name, {
        value: member,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    addOtherNames(this as unknown as Record<string, unknown>);
  }
}

/** What the connection does itself, though the manager has methods of these names too. */
type OwnNames =
  | "generateToken"
  | "getApp"
  | "getPublicKey"
  | "getService"
  | "getServiceSchema"
  | "listApps"
  | "registerAuthService"
  | "registerCodec"
  | "registerProbes"
  | "registerService"
  | "unregisterService"
  | "waitFor";

/** A connection with the manager's methods; every name in camelCase and in snake_case. */
export type Client = Connection & SnakeNames<Pick<Connection, OwnNames>> & Manager & SnakeNames<Manager>;

for (const name of Object.getOwnPropertyNames(Connection.prototype)) {
  const { value } = Object.getOwnPropertyDescriptor(Connection.prototype, name) ?? {};
  if (typeof value !== "function" || toSnake(name) in Connection.prototype) continue;
  Object.defineProperty(Connection.prototype, toSnake(name), { value, writable: true, configurable: true });
}

/** As with hypha-rpc, methods may be taken off: `const { getService } = await connectToServer(url)`. */
function bindMethods(connection: Connection): void {
  const members = Object.entries(Object.getOwnPropertyDescriptors(Connection.prototype));
  for (const [name, { value }] of members) {
    if (typeof value !== "function" || name === "constructor") continue;
    const bound = { value: value.bind(connection), writable: true, configurable: true };
    Object.defineProperty(connection, name, bound);
  }
}

/**
 * Connects to a server, given by its URL or by options under the names of hypha-rpc or in camelCase. Without any it
 * reads `HYPHA_SERVER_URL`, `HYPHA_TOKEN`, `HYPHA_WORKSPACE` and `HYPHA_CLIENT_ID` (or the same with `POLYFN_`) from
 * the environment, or else from the nearest file `.env`.
 *
 * @example
 * const api = await connectToServer({ serverUrl: "http://localhost:9527" });
 * await api.registerService({ id: "hello", hello: (name) => `Hello ${name}` });
 */
export async function connectToServer(
  options?: string | ConnectOptions,
  more?: Partial<ConnectOptions>,
): Promise<Client> {
  const settings = openOptions(options, more);
  const connection = new Connection();
  try {
    await connection.open(settings);
  } catch (error) {
    if (error instanceof Error) throw error;
    throw errorOf("internal", String(error));
  }
  return connection as unknown as Client;
}

/** The same with `transport: "http"`, for networks that let no websocket through. */
export async function connectToServerHTTP(
  options?: string | ConnectOptions,
  more?: Partial<ConnectOptions>,
): Promise<Client> {
  // here and not in `more`, which would keep the environment from being read
  const given = typeof options === "string" ? { serverUrl: options } : options;
  const all = { ...given, ...more } as Partial<ConnectOptions>;
  const isEmpty = Object.keys(all).length === 0;
  return connectToServer({ ...(isEmpty ? environmentSettings() : all), transport: "http" } as ConnectOptions);
}

export type { RemoteFunction };
