// A connection to a server.
import type { Codec } from "./codecs.js";
import { errorOf, InvalidError, type RpcError, toldError } from "./errors.js";
import { type EventListener, Events } from "./events.js";
import { checkService } from "./functions.js";
import type { Manager } from "./manager.js";
import { addOtherNames, type SnakeNames, toSnake } from "./names.js";
import { type ConnectOptions, openOptions } from "./options.js";
import { type Listener, pump } from "./pump.js";
import type { RemoteFunction, Stub } from "./remote.js";

/** A service of a peer: its functions, in folders if it has any, and its values. */
// biome-ignore lint/suspicious/noExplicitAny: only the peer knows what its service holds
export type RemoteService = Record<string, any>;

/** A service to be registered: `id`, optionally `type`, `name`, `description`, `config`, and its members. */
export type Service = object;

/** What the server was told of a service. */
export interface ServiceInfo {
  /** The full id, `workspace/client:service@app`. */
  id: string;
  name?: string;
  type?: string;
  description?: string | null;
  config: Record<string, unknown>;
  service_schema: Record<string, unknown>;
  [key: string]: unknown;
}

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

const STAR = 1;

/** The handle of a connection. {@link Client} adds the manager's methods, and the same names in snake_case. */
export class Connection implements Listener, AsyncDisposable {
  /** What the server says of this connection. */
  config: ConnectionConfig = { workspace: "", client_id: "" };
  /** All that the server's manager offers, also what has no method of its own here. */
  manager: RemoteService = {};
  readonly #events = new Events();
  readonly #client: number;
  readonly #services = new Set<string>();
  readonly #closed: Promise<void>;
  #settleClosed: () => void = () => undefined;
  #connecting: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #isOver = false;

  /** @internal */
  constructor() {
    this.#client = pump().attach(this);
    this.#closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /** @internal */
  async open(options: ConnectOptions): Promise<void> {
    const core = pump();
    core.hold();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#connecting = { resolve, reject };
        const told = core.native.open(this.#client, openOptions(options));
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

  /**
   * Offers a service: an object or an instance of a class, whose functions others may call.
   *
   * @example
   * await api.registerService({ id: "calculator", config: { visibility: "public" }, add: (a, b) => a + b });
   */
  async registerService(service: Service, options: { overwrite?: boolean } = {}): Promise<ServiceInfo> {
    checkService(service);
    const described = typeof service.id === "string" ? service : named(service);
    const info = await pump().begin(this.#client, (id, encoder) => {
      encoder.service(described);
      const overwrite = options?.overwrite ?? false;
      return pump().native.register(this.#client, id, encoder.bytes, encoder.beside, overwrite);
    });
    this.#offers((info as ServiceInfo).id);
    return info as ServiceInfo;
  }

  /** Takes a service back. */
  async unregisterService(service: string | { id: string }): Promise<void> {
    const id = typeof service === "string" ? service : service.id;
    await pump().begin(this.#client, (call) => pump().native.unregister(this.#client, call, shortId(id)));
    if (this.#services.delete(shortId(id))) pump().release();
  }

  /** Registers an object as the service `default`, in the place of an earlier one. */
  async export(service: Service, config?: Record<string, unknown>): Promise<ServiceInfo> {
    const settings = config === undefined ? {} : { config };
    return this.registerService(withFields(service, { id: "default", ...settings }), { overwrite: true });
  }

  /** The own public key in hexadecimal digits, for others to encrypt to; `null` without encryption. */
  getPublicKey(): string | null {
    return pump().native.publicKey(this.#client);
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
  async getService(
    service: string | { id: string },
    config: Record<string, unknown> = {},
  ): Promise<RemoteService> {
    const id = typeof service === "string" ? service : service.id;
    const { encryption_public_key, encryptionPublicKey, ...asked } = config;
    const key = (encryption_public_key ?? encryptionPublicKey) as string | undefined;
    const { timeout } = asked as { timeout?: number };
    const found = await this.#manager("get_service", [id, { config: asked, _rkwargs: true }], timeout, key);
    addOtherNames(found as RemoteService);
    return found as RemoteService;
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

  /** Sends an event `{type, to, ...}`: to all subscribers with `to: "*"`, to one client with its id, else to the own listeners. */
  emit(message: { type: string; to?: string; [key: string]: unknown }): void;
  emit(type: string, data?: Record<string, unknown>): void;
  emit(message: string | { type: string; to?: string }, data: Record<string, unknown> = {}): void {
    const event: { type: string; to?: string } =
      typeof message === "string" ? { ...data, type: message } : message;
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

  /** Has `listener` told of every event of a type; of `connected` and `disconnected` too. */
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

  /** Keeps the process serving; resolves when the connection is over. */
  async serve(): Promise<void> {
    pump().hold();
    await this.#closed.finally(() => pump().release());
  }

  /** Says goodbye and ends the connection. What is under way fails with `peer_gone`. */
  async disconnect(): Promise<void> {
    if (this.#isOver) return;
    pump().outbox.flush();
    pump().native.close(this.#client);
    await this.serve();
  }

  /** Lets `await using` end the connection. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /** @internal */
  ready(info: Record<string, unknown>, isFirst: boolean, refused: [string, RpcError][]): void {
    this.config = { ...this.config, ...info } as ConnectionConfig;
    for (const [service, error] of refused) {
      if (this.#services.delete(service)) pump().release();
      this.#events.fire("services_registration_failed", { service, error });
    }
    if (isFirst) this.#connecting?.resolve();
    this.#events.fire("connected", info);
  }

  /** @internal */
  disconnected(reason: string): void {
    this.#events.fire("disconnected", { reason });
  }

  /** @internal */
  closed(error: RpcError): void {
    this.#isOver = true;
    for (const _ of this.#services) pump().release();
    this.#services.clear();
    this.#connecting?.reject(error);
    this.#settleClosed();
    this.#events.fire("disconnected", { reason: error.message, error });
  }

  /** @internal */
  signal(kind: string, message: Record<string, unknown>): void {
    this.#events.fire(kind, message);
  }

  #offers(fullId: string): void {
    const id = shortId(fullId);
    if (this.#isOver || this.#services.has(id)) return;
    this.#services.add(id);
    pump().hold();
  }

  #manager(name: string, args: unknown[], seconds?: number, answerKey?: string): Promise<unknown> {
    // Core knows the manager's address, which may change with a restart of the server.
    const path = name === "built-in" ? "services.built-in.get_service" : `services.default.${name}`;
    const stub = { target: "*/manager", method: path, promise: STAR, parent: null, answerKey } as Stub;
    return pump().call(this.#client, stub, args, seconds === undefined ? 0 : seconds + 1);
  }

  async #attachManager(): Promise<void> {
    const manager = (await this.#manager("built-in", ["default"])) as RemoteService;
    const { config } = manager as { config?: Record<string, unknown> };
    addOtherNames(manager);
    Object.defineProperty(this, "manager", { value: manager, enumerable: false });
    this.config = { ...config, ...this.config };
    for (const [name, member] of Object.entries(manager)) {
      if (typeof member !== "function" || name.startsWith("_") || isOwn(name)) continue;
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

/** A connection with the manager's methods; every name in camelCase and in snake_case. */
export type Client = Connection & SnakeNames<Pick<Connection, OwnNames>> & Manager & SnakeNames<Manager>;

type OwnNames = (typeof OWN_NAMES)[number];

const OWN_NAMES = [
  "registerService",
  "unregisterService",
  "getService",
  "registerCodec",
  "getPublicKey",
] as const;

/** The manager's own methods of these names are for the inside: they do not know the service's functions. */
function isOwn(name: string): boolean {
  return (
    ["register_service", "unregister_service", "get_service"].includes(name) || name in Connection.prototype
  );
}

for (const name of OWN_NAMES) {
  Object.defineProperty(Connection.prototype, toSnake(name), {
    value: Connection.prototype[name],
    writable: true,
    configurable: true,
  });
}

function shortId(id: string): string {
  return id.slice(id.lastIndexOf(":") + 1).replace(/@.*$/, "");
}

/** An instance of a class may do without an id: it is the client's default service. */
function named(service: Record<string, unknown>): Service {
  const prototype = Object.getPrototypeOf(service);
  if (prototype === Object.prototype || prototype === null) {
    throw new InvalidError("Service id not found: give the service an `id`");
  }
  return withFields(service, { id: "default" });
}

/** The service with other fields; methods keep their `this`. */
function withFields(service: Service, fields: Record<string, unknown>): Service {
  return new Proxy(service, {
    get: (target, key, receiver) =>
      Object.hasOwn(fields, key) ? fields[key as string] : Reflect.get(target, key, receiver),
    ownKeys: (target) => [...new Set([...Reflect.ownKeys(target), ...Object.keys(fields)])],
    getOwnPropertyDescriptor: (target, key) =>
      Object.hasOwn(fields, key)
        ? { value: fields[key as string], enumerable: true, configurable: true, writable: true }
        : Reflect.getOwnPropertyDescriptor(target, key),
  });
}

/**
 * Connects to a server.
 *
 * @example
 * const api = await connectToServer({ serverUrl: "http://localhost:9527" });
 * await api.registerService({ id: "hello", hello: (name) => `Hello ${name}` });
 */
export async function connectToServer(options: ConnectOptions): Promise<Client> {
  const connection = new Connection();
  try {
    await connection.open(options);
  } catch (error) {
    if (error instanceof Error) throw error;
    throw errorOf("internal", String(error));
  }
  return connection as unknown as Client;
}

export type { RemoteFunction };
