// A connection by the names of hypha-rpc's `rpc` object, for programs that use them.
import { type CaseConversion, convertCase, type Rename } from "./case.js";
import { idOf } from "./checks.js";
import type { Connection } from "./client.js";
import { errorOf, InvalidError, NotFoundError } from "./errors.js";
import { addOtherNames, type SnakeNames, toSnake } from "./names.js";
import { type RemoteService, type Service, type ServiceInfo, shortId } from "./service.js";

/** What the connection lends to it. */
export interface Inside {
  call(target: string, method: string, args: unknown[], seconds?: number): Promise<unknown>;
  rename: Rename;
  register(service: Service, settings: { overwrite: boolean; notify: boolean }): Promise<ServiceInfo>;
  local(): Map<string, { service: Service; info: ServiceInfo | undefined }>;
  statistics(): Record<string, number>;
  close(): void;
}

/** Settings of {@link Rpc.getRemoteService}. */
export interface RemoteServiceConfig {
  /** How many seconds to wait. */
  timeout?: number;
  caseConversion?: CaseConversion | null;
  case_conversion?: CaseConversion | null;
}

/** What a connection has that is the same here. */
const SHARED = [
  "disconnect",
  "emit",
  "getPublicKey",
  "getService",
  "getServiceSchema",
  "off",
  "on",
  "once",
  "registerCodec",
  "registerService",
  "unregisterService",
  "waitFor",
] as const;

/** The methods of {@link RpcObject} that the connection does not have. */
export class Rpc {
  readonly #connection: Connection;
  readonly #inside: Inside;

  /** @internal */
  constructor(connection: Connection, inside: Inside) {
    this.#connection = connection;
    this.#inside = inside;
    for (const name of SHARED) {
      const value = (...args: unknown[]) => Reflect.apply(connection[name], connection, args);
      Object.defineProperty(this, name, { value, writable: true, configurable: true });
      if (toSnake(name) !== name) {
        Object.defineProperty(this, toSnake(name), { value, writable: true, configurable: true });
      }
    }
  }

  /** Asks another client whether it is there; fails when it does not answer within `timeout` seconds. */
  async ping(clientId: string, timeout = 1): Promise<string> {
    const client = idOf(clientId, "the client");
    const answer = await this.#inside.call(client, "services.built-in.ping", ["ping"], timeout);
    if (answer !== "pong") throw errorOf("remote", `client ${clientId} answered ${String(answer)} to a ping`);
    return "pong";
  }

  /** The server's manager as a service. */
  getManagerService(config: RemoteServiceConfig = {}): Promise<RemoteService> {
    return this.#fetch("*/manager", "default", config);
  }

  /**
   * Gets a service from the client that has it, `client:service`, without asking the manager. Without a client it is
   * one's own; without anything it is the manager.
   */
  async getRemoteService(uri?: string | null, config: RemoteServiceConfig = {}): Promise<RemoteService> {
    if (uri == null) return this.getManagerService(config);
    const colon = uri.lastIndexOf(":");
    const client = colon < 0 ? this.#connection.clientId : uri.slice(0, colon);
    const app = uri.slice(colon + 1).split("@")[1];
    const own = String(this.#connection.config.app_id ?? "*");
    if (app !== undefined && own !== "*" && app !== own) {
      throw new InvalidError(`application ${app} is not that of this client, ${own}`);
    }
    const found = await this.#fetch(client, shortId(uri), config);
    found.id = uri.replace(/@.*$/, "");
    return found;
  }

  /** A service of this client, as it was registered. */
  getLocalService(id: string): Service {
    const found = this.#inside.local().get(shortId(id));
    if (found === undefined) throw new NotFoundError(`Service not found: ${id}`);
    return found.service;
  }

  /** The services of this client by their ids. */
  getAllLocalServices(): Record<string, Service> {
    const entries = [...this.#inside.local()].map(([id, { service }]) => [id, service]);
    return Object.fromEntries(entries);
  }

  /** Offers functions without telling the server: only who knows this client can call them. */
  addService(service: Service, overwrite = false): Promise<ServiceInfo> {
    return this.#inside.register(service, { overwrite, notify: false });
  }

  /** The id of this client, and what the server knows of its services. */
  getClientInfo(): { id: string; services: ServiceInfo[] } {
    const infos = [...this.#inside.local().values()].map(({ info }) => info);
    return { id: this.#connection.clientId, services: infos.filter((info) => info !== undefined) };
  }

  /** How much the connection holds at the moment, also under the names of hypha-rpc. */
  getSessionStats(): Record<string, number> {
    const held = this.#inside.statistics();
    const { calls = 0, kept = 0 } = held;
    return { ...held, total_sessions: calls + kept, promise_sessions: calls };
  }

  /** Takes back all listeners. */
  reset(): void {
    this.#connection.off();
  }

  /** Says goodbye without waiting for the end. */
  close(): void {
    this.#inside.close();
  }

  async #fetch(client: string, service: string, config: RemoteServiceConfig): Promise<RemoteService> {
    const method = "services.built-in.get_service";
    const found = await this.#inside.call(client, method, [service], config.timeout);
    const conversion = config.caseConversion ?? config.case_conversion ?? null;
    const made = convertCase(found, conversion, this.#inside.rename) as RemoteService;
    if (conversion === null) addOtherNames(made);
    return made;
  }
}

for (const name of Object.getOwnPropertyNames(Rpc.prototype)) {
  if (name === "constructor" || toSnake(name) === name) continue;
  const value = Object.getOwnPropertyDescriptor(Rpc.prototype, name)?.value;
  Object.defineProperty(Rpc.prototype, toSnake(name), { value, writable: true, configurable: true });
}

type Shared = Pick<Connection, (typeof SHARED)[number]>;

/** A connection by the names of hypha-rpc's `rpc` object, in camelCase and in snake_case. */
export type RpcObject = Rpc & SnakeNames<Rpc> & Shared & SnakeNames<Shared>;
