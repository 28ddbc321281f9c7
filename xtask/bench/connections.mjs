// How each client library offers and reaches the functions that are measured: the same code for hypha-rpc and polyfn.
const SUBJECT = "bench.echo";

/** One line for the benchmark; whatever else a library prints is passed over. */
export function say(facts) {
  process.stdout.write(`BENCH ${JSON.stringify(facts)}\n`);
}

const hello = async (_event) => ({ status: 200, headers: { "content-type": "text/plain" }, body: "hello" });
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

async function connect(client, url) {
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
export async function offer(client, url) {
  if (client === "nats") {
    const { connect: join } = await import("nats");
    const connection = await join({ servers: url });
    connection.subscribe(SUBJECT, { callback: (_error, message) => message.respond(message.data) });
    await connection.flush();
    return { service: SUBJECT };
  }
  const server = await connect(client, url);
  const config = { visibility: "public" };
  const info = await server.registerService({ id: "bench", config, echo, count, repeat, size });
  await server.registerService({ id: "bench-http", type: "functions", config, hello });
  const workspace = info.id.split("/")[0];
  return { service: info.id, path: `/${workspace}/apps/bench-http/hello` };
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
