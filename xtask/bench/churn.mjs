// Comes, works and vanishes: `churn.mjs --client polyfn --url URL --clients N --rounds N`; as churn.py does.
import { connect, options, say } from "./connections.mjs";

const SERVICES = 3;
const CALLS = 20;
const REQUESTS = 5;

const times = (count, make) => Promise.all(Array.from({ length: count }, (_, at) => make(at)));

async function ask(url) {
  const answer = await fetch(url, { headers: { connection: "close" } });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}: ${text.slice(0, 200)}`);
}

// Registers services; the path of the function.
async function offer(server) {
  const config = { visibility: "public" };
  for (let number = 0; number < SERVICES; number++)
    await server.registerService({ id: `work${number}`, config, echo: (value) => value });
  await server.registerService({ id: "web", type: "functions", config, hello: () => "hello" });
  await server.unregisterService("work0");
  return `/${server.config.workspace}/apps/${server.config.client_id}:web/hello`;
}

async function work(url, server) {
  const path = await offer(server);
  const service = await server.getService(`${server.config.workspace}/${server.config.client_id}:work1`);
  for (let number = 0; number < CALLS; number++) {
    if ((await service.echo(number)) !== number) throw new Error("the echo is not what was sent");
  }
  for (let request = 0; request < REQUESTS; request++) await ask(url + path);
}

const wanted = options();
const count = Number(wanted.clients);
for (let round = 0; round < Number(wanted.rounds); round++) {
  const servers = await times(count, () => connect(wanted.client, wanted.url));
  await Promise.all(servers.map((server) => work(wanted.url, server)));
  await Promise.all(servers.slice(0, Math.floor(count / 4)).map((server) => server.disconnect()));
  say({ clients: count, calls: count * CALLS, requests: count * REQUESTS });
}
say({ done: true });
process.exit(0);
