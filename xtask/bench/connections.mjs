// How each client library offers and reaches the functions that are measured: the same code for hypha-rpc and polyfn.
import { handle } from "./handler.cjs";

const SUBJECT = "bench.echo";

/** One line for the benchmark; whatever else a library prints is passed over. */
export function say(facts) {
  process.stdout.write(`BENCH ${JSON.stringify(facts)}\n`);
}

const hello = async (_event) => ({ status: 200, headers: { "content-type": "text/plain" }, body: "hello" });
// The body, sent back.
const body = async (event) => ({
  status: 200,
  headers: { "content-type": "application/octet-stream" },
  body: event.body,
});
// A stream whose end comes long after its begin.
const first = async function* (_event) {
  yield "first\n";
  await new Promise((done) => setTimeout(done, 20));
  yield "last\n";
};
// A stream of as many lines as are asked for.
const items = async function* (event) {
  const number = Number(event.query_string.replace("n=", ""));
  for (let item = 0; item < number; item++) yield `${item}\n`;
};
const echo = (value) => value;
// A stream of small items.
const count = async function* (number) {
  for (let item = 0; item < number; item++) yield item;
};
// Calls a function of the caller, one call after the other.
const repeat = async (call, times) => {
  for (let number = 0; number < times; number++) await call(number);
  return times;
};
const size = (content) => content.byteLength;

/** A connection of this library. */
export async function connect(client, url) {
  if (client === "polyfn") {
    const { connectToServer } = await import(process.env.POLYFN_PACKAGE ?? "polyfn");
    return connectToServer({ server_url: url });
  }
  const published = await import("hypha-rpc");
  return (published.hyphaWebsocketClient ?? published.default.hyphaWebsocketClient).connectToServer({
    server_url: url,
  });
}

/** Registers what is measured, and says where others find it. */
export async function offer(client, url, many) {
  if (client === "nats") {
    const { connect: join } = await import("nats");
    const connection = await join({ servers: url });
    connection.subscribe(SUBJECT, { callback: (_error, message) => message.respond(message.data) });
    await connection.flush();
    return { service: SUBJECT };
  }
  const server = await connect(client, url);
  const facts = await register(server);
  if (many) await registerMany(server, many.split(",").map(Number));
  return facts;
}

/** Registers what is measured with a server; where others find it. */
export async function register(server) {
  const config = { visibility: "public" };
  const info = await server.registerService({ id: "bench", config, echo, count, repeat, size });
  const http = { hello, body, first, items };
  await server.registerService({ id: "bench-http", type: "functions", config, ...http });
  const context = { ...config, signature: "context" };
  await server.registerService({ id: "bench-context", type: "functions", config: context, handle });
  const [workspace, service] = info.id.split("/");
  const apps = `/${workspace}/apps`;
  return {
    workspace,
    service: info.id,
    functions: info.id.replace(/:bench$/, ":bench-http"),
    path: `${apps}/bench-http/hello`,
    handler: `${apps}/bench-context/hello`,
    call: `/${workspace}/services/${service}/echo`,
  };
}

/** One service for each number, with so many functions. */
async function registerMany(server, numbers) {
  for (const number of numbers) {
    const functions = Object.fromEntries(Array.from({ length: number }, (_, at) => [`f${at}`, hello]));
    const config = { visibility: "public" };
    await server.registerService({ id: `bench-${number}`, type: "functions", config, ...functions });
  }
}

/** The function that echoes a value through the server. */
export async function reach(client, url, service) {
  if (client === "nats") {
    const { connect: join } = await import("nats");
    const connection = await join({ servers: url });
    const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
    return async (value) => {
      const text = typeof value === "string";
      const reply = await connection.request(service, text ? encoder.encode(value) : value, {
        timeout: 60_000,
      });
      return text ? decoder.decode(reply.data) : reply.data;
    };
  }
  return (await reachService(client, url, service)).echo;
}

/** The whole service. */
export async function reachService(client, url, service) {
  const server = await connect(client, url);
  return server.getService(service);
}

/** `--name value` pairs of the command line. */
export function options() {
  const words = process.argv.slice(2);
  const pairs = {};
  for (let at = 0; at < words.length; at += 2) pairs[words[at].replace(/^--/, "")] = words[at + 1];
  return pairs;
}
