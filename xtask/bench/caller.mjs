// Measures an echo: `caller.mjs --client polyfn|hypha_rpc|nats --url URL --service ID --window SECONDS`.
import { randomBytes } from "node:crypto";
import { options, reach, say } from "./connections.mjs";

const TEXT = "hello, how are you ".repeat(5);
const LARGE = 10_000_000;
const IN_FLIGHT = 64;
const WARM_UP = 300;

async function latency(echo, window) {
  const times = [];
  const end = performance.now() + window;
  for (let begun = performance.now(); begun < end; begun = performance.now()) {
    await echo(TEXT);
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(((times.length - 1) * share) / 100)];
  return { p50_ms: at(50), p99_ms: at(99) };
}

async function calls(echo, window) {
  const begun = performance.now();
  let count = 0;
  const oneAfterTheOther = async () => {
    for (; performance.now() - begun < window; count++) await echo(TEXT);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, oneAfterTheOther));
  return { calls_per_s: (count * 1000) / (performance.now() - begun) };
}

async function large(echo, window) {
  const payload = new Uint8Array(randomBytes(LARGE));
  if (!Buffer.from(await echo(payload)).equals(payload))
    throw new Error("the echo of 10 MB is not what was sent");
  const begun = performance.now();
  let trips = 0;
  for (; trips === 0 || performance.now() - begun < window; trips++) await echo(payload);
  return { mb_per_s: (trips * LARGE) / 1e3 / (performance.now() - begun) };
}

function within(promise, limit) {
  return Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`not done in ${limit} ms`)), limit)),
  ]);
}

const wanted = options();
const window = Number(wanted.window) * 1000;
const echo = await reach(wanted.client, wanted.url, wanted.service);
if ((await echo(TEXT)) !== TEXT) throw new Error("the echo is not what was sent");
for (let round = 0; round < WARM_UP; round++) await echo(TEXT);
for (const measure of [latency, calls, large]) {
  try {
    say(await within(measure(echo, window), 3 * window + 30_000));
  } catch (error) {
    say({ failed: `${measure.name}: ${String(error).slice(0, 200)}` });
  }
}
say({ done: true });
process.exit(0);
