// Callers that give up: by signal, by time, or by leaving. The function that runs for them is told.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CallCancelledError,
  connectToServer,
  currentSignal,
  currentTrace,
  RpcTimeoutError,
} from "../lib/index.js";
import { pump } from "../lib/pump.js";
import { serverForFile } from "./server.mjs";

const server = await serverForFile();
let owner;
let relay;
let api;
let service;
let relayed;
let relayUrl;
/** By tag: resolves when the function with that tag has begun, and with the reason when its signal was aborted. */
const runs = new Map();

function run(tag) {
  if (!runs.has(tag)) {
    const entry = {};
    entry.begun = new Promise((resolve) => {
      entry.begin = resolve;
    });
    entry.aborted = new Promise((resolve) => {
      entry.abort = resolve;
    });
    runs.set(tag, entry);
  }
  return runs.get(tag);
}

/** A function that never ends by itself. */
function untilAborted(tag, signal) {
  run(tag).begin();
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      run(tag).abort(signal.reason);
      reject(signal.reason);
    });
  });
}

before(async () => {
  owner = await connectToServer({ server_url: server.url });
  const { id } = await owner.registerService({
    id: "waiting",
    config: { visibility: "public", require_context: true },
    wait: (tag, context) => untilAborted(tag, context.signal),
    ask: async (tag, context) => {
      run(tag).begin();
      await run(`${tag} ask`).begun;
      run(tag).abort([context.signal.aborted, context.signal.reason]);
      return "too late";
    },
    deaf: (tag) => {
      run(tag).begin();
      return run(`${tag} ask`).begun;
    },
    echo: (value) => value,
  });
  await owner.registerService({
    id: "plain",
    config: { visibility: "public" },
    wait: (tag) => untilAborted(tag, currentSignal()),
    trace: () => currentTrace() ?? null,
  });
  relay = await connectToServer({ server_url: server.url });
  const inner = await relay.getService(id);
  const { id: relayId } = await relay.registerService({
    id: "relay",
    config: { visibility: "public" },
    wait: async (tag) => {
      await inner.echo("a while");
      return await inner.wait(tag);
    },
    waitAtOnce: (tag) => inner.wait(tag),
    trace: async () => {
      const plain = await relay.getService(`${owner.workspace}/${owner.clientId}:plain`);
      return [currentTrace(), await plain.trace()];
    },
  });
  relayUrl = `${server.url}/${relay.workspace}/services/${relayId.split("/")[1]}`;
  api = await connectToServer({ server_url: server.url });
  service = await api.getService(id);
  relayed = await api.getService(relayId);
});
after(async () => {
  for (const client of [api, relay, owner]) await client.disconnect();
});

test("an aborted signal gives the call up, and the function is told", async () => {
  const controller = new AbortController();
  const own = new RangeError("mine");
  const call = service.wait.withOptions({ signal: controller.signal })("aborted");
  await run("aborted").begun;
  controller.abort(own);
  await assert.rejects(call, (error) => error === own);
  const reason = await run("aborted").aborted;
  assert.ok(reason instanceof CallCancelledError);
  assert.equal(reason.code, "cancelled");
});

test("many calls may hang on one signal without a warning", async () => {
  const warnings = [];
  const listener = (warning) => warnings.push(warning.name);
  process.on("warning", listener);
  const controller = new AbortController();
  const wait = service.wait.withOptions({ signal: controller.signal });
  const tags = Array.from({ length: 30 }, (_, number) => `many ${number}`);
  const calls = tags.map((tag) => wait(tag));
  await Promise.all(tags.map((tag) => run(tag).begun));
  controller.abort();
  for (const call of calls) await assert.rejects(call, { name: "AbortError" });
  for (const tag of tags) assert.ok((await run(tag).aborted) instanceof CallCancelledError);
  process.off("warning", listener);
  assert.deepEqual(warnings, []);
});

test("a function without a context asks for its signal", async () => {
  const plain = await api.getService(`${owner.workspace}/${owner.clientId}:plain`);
  const controller = new AbortController();
  const call = plain.wait.withOptions({ signal: controller.signal })("plain");
  await run("plain").begun;
  controller.abort();
  await assert.rejects(call, { name: "AbortError" });
  assert.ok((await run("plain").aborted) instanceof CallCancelledError);
});

test("a signal that is asked for late tells what was before", async () => {
  const controller = new AbortController();
  const call = service.ask.withOptions({ signal: controller.signal })("late");
  await run("late").begun;
  controller.abort();
  await assert.rejects(call, { name: "AbortError" });
  await service.echo("the function has been told before this");
  run("late ask").begin();
  const [isAborted, reason] = await run("late").aborted;
  assert.ok(isAborted && reason instanceof CallCancelledError);
});

test("a signal that is aborted already sends nothing", async () => {
  const before = pump().counts();
  await assert.rejects(service.wait.withOptions({ signal: AbortSignal.abort() })("never"), {
    name: "AbortError",
  });
  await service.echo("after it");
  assert.ok(!runs.has("never"));
  assert.deepStrictEqual(pump().counts(), before);
});

test("a function that does not listen ends without a word", async () => {
  const controller = new AbortController();
  const call = service.deaf.withOptions({ signal: controller.signal })("deaf");
  await run("deaf").begun;
  controller.abort();
  await assert.rejects(call, { name: "AbortError" });
  run("deaf ask").begin();
  assert.equal(await service.echo("still there"), "still there");
});

test("a call that is over does not listen any longer", async () => {
  const controller = new AbortController();
  const { echo } = service;
  assert.equal(await echo.withOptions({ signal: controller.signal })(1), 1);
  controller.abort();
  assert.equal(await echo(2), 2);
});

/** Why a function was aborted whose caller gave up by time; before that is over it must have begun, which takes as
 * long as it takes. */
async function outlasted(method, tag) {
  for (let timeout = 0.1; ; timeout *= 2) {
    const name = `${tag} ${timeout}`;
    await assert.rejects(method.withOptions({ timeout })(name), RpcTimeoutError);
    await service.echo("behind it");
    if (runs.has(name)) return await run(name).aborted;
  }
}

test("past its time a call fails, and the function is told why", async () => {
  const reason = await outlasted(service.wait, "timed out");
  assert.ok(reason instanceof RpcTimeoutError, String(reason));
});

test("options add up", async () => {
  const { echo } = service;
  const patient = echo.withOptions({ timeout: 30 }).withOptions({ signal: AbortSignal.timeout(30_000) });
  assert.equal(patient.__name__, "echo");
  assert.equal(await patient("x"), "x");
});

test("calls made while serving inherit the deadline", async () => {
  for (const name of ["wait", "waitAtOnce"]) {
    assert.ok((await outlasted(relayed[name], `inherited ${name}`)) instanceof RpcTimeoutError);
  }
});

test("a caller that leaves gives up what it called", async () => {
  const other = await connectToServer({ server_url: server.url });
  const theirs = await other.getService(`${owner.workspace}/${owner.clientId}:waiting`);
  const call = theirs.wait("left");
  await run("left").begun;
  const failed = assert.rejects(call, { code: "peer_gone" });
  await other.disconnect();
  await failed;
  assert.ok((await run("left").aborted) instanceof CallCancelledError);
});

test("calls made while serving belong to the trace of the caller", async () => {
  const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const answer = await fetch(`${relayUrl}/trace`, { headers: { traceparent: trace } });
  assert.deepEqual(await answer.json(), [trace, trace]);
  assert.deepEqual(await relayed.trace(), [null, null]);
  assert.deepEqual(await relayed.trace.withOptions({ trace })(), [trace, trace]);
  assert.deepEqual(await relayed.trace.withOptions({ trace: "00-nonsense" })(), [null, null]);
});

test("there is no signal outside of a function", () => {
  assert.equal(currentSignal(), undefined);
  assert.equal(currentTrace(), undefined);
});

test("nothing is left behind", async () => {
  const before = pump().counts();
  for (let round = 0; round < 10; round += 1) {
    const controller = new AbortController();
    const call = service.wait.withOptions({ signal: controller.signal })(`round ${round}`);
    await run(`round ${round}`).begun;
    controller.abort();
    await assert.rejects(call);
    await run(`round ${round}`).aborted;
  }
  assert.deepStrictEqual(pump().counts(), before);
});
