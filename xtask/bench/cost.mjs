// Calls a function of a service as HTTP does: `cost.mjs --client polyfn|hypha_rpc --url URL --service ID --window SECONDS`.
import { options, reachService, say } from "./connections.mjs";

const WARM_UP = 300;
const EVENT = {
  type: "http",
  http_version: "1.1",
  method: "GET",
  path: "/hello",
  query_string: "",
  headers: { host: "127.0.0.1", accept: "*/*" },
  body: null,
  function_path: "/hello",
  user: { id: "anonymous", is_anonymous: true },
};

const wanted = options();
const service = await reachService(wanted.client, wanted.url, wanted.service);
for (let round = 0; round < WARM_UP; round++) await service.hello(EVENT);
const times = [];
const end = performance.now() + Number(wanted.window) * 1000;
for (let begun = performance.now(); begun < end; begun = performance.now()) {
  await service.hello(EVENT);
  times.push(performance.now() - begun);
}
times.sort((a, b) => a - b);
say({ p50_ms: times[Math.floor(times.length / 2)] });
say({ done: true });
process.exit(0);
