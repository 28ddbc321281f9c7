// Measures what travels: `data.mjs --client polyfn|hypha_rpc --url URL --service ID --window SECONDS`.
import { randomBytes } from "node:crypto";
import { options, reachService, say } from "./connections.mjs";

const MB = 1_000_000;
const TRANSFERS = 10;
const MILLION = 1_000_000;
const IN_FLIGHT = 64;
const now = () => performance.now() / 1000;

// Items per second, as many as come within the window.
async function stream(service, window) {
  const begun = now();
  let items = 0;
  for await (const _ of await service.count(2 ** 40)) {
    items++;
    if (now() - begun > window) break;
  }
  return { items_per_s: items / (now() - begun) };
}

async function callbacks(service, window) {
  const begun = now();
  let calls = 0;
  while (now() - begun < window) calls += await service.repeat((number) => number, 100);
  return { callbacks_per_s: calls / (now() - begun) };
}

const sized = (size) => async (service, window) => {
  const payload = new Uint8Array(randomBytes(size * MB));
  const begun = now();
  let trips = 0;
  for (; trips === 0 || now() - begun < window; trips++) {
    if ((await service.echo(payload)).byteLength !== payload.byteLength)
      throw new Error("the echo is not what was sent");
  }
  return { [`mb_${size}_per_s`]: (trips * size) / (now() - begun) };
};

async function quantile(service, until) {
  const times = [];
  while (!until() || times.length < 100) {
    const begun = now();
    await service.echo(1);
    times.push(now() - begun);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(((times.length - 1) * 99) / 100)] * 1000;
}

// p99 of small calls when idle, and while 1 GB leaves by the same connection.
async function besideATransfer(service, window) {
  const end = now() + window;
  const idle = await quantile(service, () => now() > end);
  const payload = new Uint8Array(randomBytes(100 * MB));
  let done = false;
  const sending = (async () => {
    for (let trip = 0; trip < TRANSFERS; trip++) await service.size(payload);
  })().finally(() => {
    done = true;
  });
  const busy = await quantile(service, () => done);
  await sending;
  return { p99_idle_ms: idle, p99_busy_ms: busy, p99_busy_to_idle: busy / idle };
}

// What a million calls leave in the caller's memory, after the first tenth of them.
async function million(service) {
  if (wanted.client !== "polyfn") return {};
  const calls = async (count) => {
    for (let call = 0; call < count; call++) await service.echo(1);
  };
  const all = (count) => Promise.all(Array.from({ length: IN_FLIGHT }, () => calls(count / IN_FLIGHT)));
  await all(MILLION / 10);
  const before = process.memoryUsage.rss();
  await all(MILLION);
  return { million_calls_mb: (process.memoryUsage.rss() - before) / MB };
}

function within(promise, limit) {
  return Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`not done in ${limit} ms`)), limit)),
  ]);
}

const wanted = options();
const window = Number(wanted.window);
const service = await reachService(wanted.client, wanted.url, wanted.service);
const measures = {
  stream,
  callbacks,
  sized1: sized(1),
  sized10: sized(10),
  sized100: sized(100),
  besideATransfer,
  million,
};
for (const [name, measure] of Object.entries(measures)) {
  try {
    say(await within(measure(service, window), (window + 90) * 1000));
  } catch (error) {
    say({ failed: `${name}: ${String(error).slice(0, 200)}` });
  }
}
say({ done: true });
process.exit(0);
