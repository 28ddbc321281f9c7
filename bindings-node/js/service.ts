// Services that are offered: what may be one, and what it is called.
import { types } from "node:util";
import { InvalidError } from "./errors.js";
import { type Described, servedMembers } from "./functions.js";
import { stubOf } from "./remote.js";
import { schemaFunction } from "./schema.js";

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

/** What describes a service and is no part of its API. */
const DESCRIPTIVE = new Set([
  "app_id",
  "config",
  "description",
  "docs",
  "id",
  "name",
  "service_schema",
  "type",
]);

/** The id of a service without the client and the application around it. */
export function shortId(id: string): string {
  return id.slice(id.lastIndexOf(":") + 1).replace(/@.*$/, "");
}

/** The service as it is to be registered. An instance of a class may do without an id: it is the client's default. */
export function offered(service: Service): Service & { id: string; type?: unknown } {
  if (typeof service !== "object" || service === null || Array.isArray(service)) {
    throw new InvalidError("a service must be an object or an instance of a class");
  }
  refuseOthers(service);
  if (typeof (service as { id?: unknown }).id === "string") return service as { id: string };
  if (isPlain(service)) throw new InvalidError("Service id not found: give the service an `id`");
  return withFields(service, { id: "default" }) as { id: string };
}

/** Refuses objects that a service cannot be, though they look like instances of a class. */
function refuseOthers(service: Service): void {
  if (types.isPromise(service)) {
    throw new InvalidError("a service must be an object, found a promise: `await` it first");
  }
  if (types.isMap(service) || types.isSet(service)) {
    const found = types.isMap(service) ? "Map" : "Set";
    throw new InvalidError(`a service must be an object, found a ${found}: give \`{ id, ...functions }\``);
  }
}

/** The service with other fields; methods keep their `this`. */
export function withFields(service: Service, fields: Record<string, unknown>): Service {
  refuseOthers(service);
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

/** The schema of each function of a service, in the form of `service_schema`. */
export function schemaTree(service: Service): Record<string, unknown> {
  if (typeof service !== "object" || service === null) {
    throw new InvalidError("a service must be an object or an instance of a class");
  }
  const members = servedMembers(service).filter((key) => !DESCRIPTIVE.has(key) && !key.startsWith("_"));
  return Object.fromEntries(members.map((key) => [key, leaf((service as RemoteService)[key])]));
}

function leaf(value: unknown): unknown {
  if (typeof value === "function") return { type: "function", function: described(value as Described) };
  if (Array.isArray(value)) return value.map(leaf);
  if (value === null || value === undefined) return { type: "null" };
  if (typeof value === "object" && isPlain(value)) return schemaTree(value);
  const type = typeof value === "bigint" ? "number" : typeof value;
  return { type: ["number", "string", "boolean"].includes(type) ? type : "object" };
}

function described(call: Described): unknown {
  if (call.__schema__) return call.__schema__;
  const doc = call.__doc__;
  return { name: stubOf(call)?.name ?? call.name, ...(doc ? { description: doc } : {}) };
}

/** The service with the schemas of its type; it must have what the type asks for, and no more. */
export function typedService(service: Service, kind: { id?: unknown; definition?: unknown }): Service {
  const name = String(kind?.id ?? (service as { type?: unknown }).type);
  if (!isPlain(kind?.definition)) throw new InvalidError(`service type ${name} has no definition`);
  return withFields(service, typed(service as RemoteService, kind.definition as RemoteService, name, ""));
}

function typed(members: RemoteService, wanted: RemoteService, kind: string, place: string): RemoteService {
  const known = (key: string) => place !== "" || !DESCRIPTIVE.has(key);
  const keys = servedMembers(members).filter(known);
  for (const key of Object.keys(wanted).filter(known)) {
    if (!keys.includes(key)) throw new InvalidError(`a service of type ${kind} needs \`${place}${key}\``);
  }
  const entries = keys.map((key) => {
    if (!(key in wanted)) throw new InvalidError(`a service of type ${kind} has no \`${place}${key}\``);
    return [key, typedMember(members[key], wanted[key], kind, `${place}${key}`)];
  });
  return Object.fromEntries(entries);
}

function typedMember(value: unknown, wanted: RemoteService, kind: string, place: string): unknown {
  const isWanted = wanted?.type === "function";
  if (isWanted !== (typeof value === "function")) {
    const found = isWanted ? "no function" : "a function";
    throw new InvalidError(`\`${place}\` of a service of type ${kind} is ${found}`);
  }
  if (isWanted) {
    const { name = place, description, parameters } = wanted.function ?? {};
    if (parameters === undefined) return value;
    return schemaFunction(value as (...args: unknown[]) => unknown, { name, description, parameters });
  }
  return isPlain(value) ? typed(value as RemoteService, wanted ?? {}, kind, `${place}.`) : value;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
