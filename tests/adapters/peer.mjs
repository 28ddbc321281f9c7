// A client program for the tests: `node peer.mjs PACKAGE`, JSON lines in, JSON lines out.
// It knows only the names that hypha-rpc and polyfn share, so one program drives both.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { services as httpServices } from "./answers.mjs";
import * as behaviours from "./behaviours.mjs";
import { fill, multiplier } from "./behaviours.mjs";
import * as values from "./values.mjs";

const name = process.argv[2];
// The published hypha-rpc finds its source of randomness only where browsers have it.
if (name === "hypha-rpc") globalThis.self = globalThis;
const loaded = await import(name);
globalThis.polyfn = loaded;
const { connectToServer } = loaded.hyphaWebsocketClient ?? loaded.default?.hyphaWebsocketClient ?? loaded;

// Libraries print where they like; the answers need stdout for themselves.
console.log = console.error;
console.info = console.error;
console.debug = console.error;

class Library {
  constructor(prefix) {
    this.prefix = prefix;
  }
  shelve(title) {
    return `${this.prefix}: ${title}`;
  }
}

// What every program offers for calls. Named parameters matter: hypha-rpc reads them from the source.
function rpcService() {
  const library = new Library("shelf");
  return {
    ...behaviours.service(),
    add: (a, b) => a + b,
    greet: (name, greeting) => `${greeting ?? "Hello"} ${name}`,
    echo: (value) => value,
    echo_later: async (value) => {
      await Promise.resolve();
      return value;
    },
    fail: (message) => {
      throw new Error(message);
    },
    fail_as: (kind, message) => {
      throw new Error(`${kind}: ${message}`);
    },
    wants: (workspace, service_id) => [workspace, service_id],
    fail_later: async (message) => {
      await Promise.resolve();
      throw new Error(message);
    },
    repeat: async (callback, count) => {
      const results = [];
      for (let number = 0; number < count; number += 1) {
        results.push(await callback(number));
      }
      return results;
    },
    size: (content) => content.byteLength,
    make: (size) => fill(size),
    pause: async (seconds) => {
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      return seconds;
    },
    multiplier,
    nest: { deep: { hello: (name) => `hello ${name}` } },
    shelve: library.shelve.bind(library),
    describe: (value) => values.describe(value),
    produce: (name) => values.MAKE[name](),
    answer: 42,
  };
}

function contextService() {
  return {
    whoami: (tag, context) => ({ tag, ws: context.ws, from: context.from, user: context.user.id }),
    came_by: (_tag, context) => context.connection_type,
    trace_of: (context) => context.trace ?? null,
    sealed_by: (_tag, context) => (context.encryption ? context.caller_public_key : null),
  };
}

const SERVICES = { rpc: rpcService, context: contextService };
for (const what of Object.keys(httpServices())) {
  SERVICES[what] = () => ({ type: "functions", ...httpServices()[what] });
}

const CALLBACKS = {
  ...behaviours.CALLBACKS,
  double: (number) => number * 2,
  double_later: async (number) => {
    await Promise.resolve();
    return number * 2;
  },
  raise: () => {
    throw new Error("callback refused");
  },
};

// Turns the stand-ins of a request into values.
function revive(value) {
  if (Array.isArray(value)) {
    return value.map(revive);
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  if ("$bytes" in value) {
    return new Uint8Array(Buffer.from(value.$bytes, "hex"));
  }
  if ("$fill" in value) {
    return fill(value.$fill);
  }
  if ("$interface" in value) {
    return behaviours.INTERFACES[value.$interface]();
  }
  if ("$stream" in value) {
    return behaviours.later(value.$stream);
  }
  if ("$plain_stream" in value) {
    return behaviours.plainly(value.$plain_stream);
  }
  if ("$make" in value) {
    return values.MAKE[value.$make]();
  }
  if ("$callback" in value) {
    return CALLBACKS[value.$callback];
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item)]));
}

// Turns a result into JSON.
function plain(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const content = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value);
    return content.length > 1024
      ? { $length: content.length, $sha256: createHash("sha256").update(content).digest("hex") }
      : { $bytes: content.toString("hex") };
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value === "function") {
    return { $function: true };
  }
  if (typeof value === "bigint") {
    return Number(value);
  }
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value ?? null;
}

function member(root, path) {
  return path.split(".").reduce((value, key) => value[key], root);
}

function arguments_(args, kwargs) {
  const list = args.map(revive);
  if (Object.keys(kwargs).length > 0) {
    list.push({ ...revive(kwargs), _rkwargs: true });
  }
  return list;
}

const clients = new Map();
const services = new Map();
// Messages that came, by the name of the client and their type.
const heard = new Map();

const operations = {
  async connect({ name, config }) {
    const client = await connectToServer(config);
    clients.set(name, client);
    const { workspace, client_id, user } = client.config;
    return { workspace, client_id, user: plain(user) };
  },
  async register({ name, what, service, config }) {
    const { overwrite = false, ...settings } = { visibility: "protected", ...config };
    if (what === "context") {
      settings.require_context = true;
    }
    const info = { id: service, config: settings };
    await clients.get(name).registerService({ ...info, ...SERVICES[what]() }, { overwrite });
  },
  async get({ name, service, key }) {
    const handle = `${name}:${service}:${services.size}`;
    const config = key ? { encryption_public_key: key } : {};
    services.set(handle, await clients.get(name).getService(service, config));
    return handle;
  },
  async public_key({ name }) {
    const client = clients.get(name);
    return (client.rpc ?? client).getPublicKey();
  },
  async call({ handle, method, args, kwargs, take = null }) {
    const parts = method.split(".");
    const last = parts.pop();
    const owner = parts.reduce((value, key) => value[key], services.get(handle));
    let result = await owner[last](...arguments_(args, kwargs));
    if (typeof result?.[Symbol.asyncIterator] === "function") result = await behaviours.collect(result, take);
    result = await behaviours.results(result);
    return typeof result === "function" ? { $then: plain(await result(21)) } : plain(result);
  },
  async told({ handle, method, args }) {
    return values.describe(await member(services.get(handle), method)(...args));
  },
  async value({ handle, path }) {
    return plain(member(services.get(handle), path));
  },
  // Begins a call and aborts it when `until` has answered.
  async give_up({ handle, method, until }) {
    const service = services.get(handle);
    const controller = new AbortController();
    const calling = service[method].withOptions({ signal: controller.signal })();
    await service[until]();
    controller.abort();
    return calling.catch((error) => error.name === "AbortError");
  },
  async listen({ name, kind }) {
    const queue = new TransformStream(undefined, undefined, { highWaterMark: 100 });
    const writer = queue.writable.getWriter();
    heard.set(`${name} ${kind}`, queue.readable.getReader());
    clients.get(name).on(kind, (message) => writer.write(message));
    await clients.get(name).subscribe(kind);
  },
  async hear({ name, kind }) {
    return plain((await heard.get(`${name} ${kind}`).read()).value);
  },
  async emit({ name, message }) {
    await clients.get(name).emit(message);
  },
  async manager({ name, method, args, kwargs }) {
    const client = clients.get(name);
    const camel = method.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
    return plain(await client[camel](...arguments_(args, kwargs)));
  },
  async disconnect({ name }) {
    const client = clients.get(name);
    clients.delete(name);
    await client.disconnect();
  },
};

function describe(error) {
  return {
    name: error?.name ?? typeof error,
    message: String(error?.message ?? error),
    code: error?.code ?? null,
    trace: String(error?.remoteTraceback ?? error?.stack ?? ""),
  };
}

function answer(fields) {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}

async function serve(line) {
  const { number, op, ...fields } = JSON.parse(line);
  try {
    answer({ answer: number, value: (await operations[op](fields)) ?? null });
  } catch (error) {
    answer({ answer: number, error: describe(error) });
  }
}

const lines = createInterface({ input: process.stdin });
lines.on("line", serve);
lines.on("close", async () => {
  await Promise.race([
    Promise.allSettled([...clients.values()].map((client) => client.disconnect())),
    new Promise((resolve) => setTimeout(resolve, 3000)),
  ]);
  process.exit(0);
});
