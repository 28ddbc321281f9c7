// How long it takes until a function hears that nobody waits for it: printed, never asserted.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { CallCancelledError, connectToServer, currentSignal, RpcTimeoutError } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

const ROUNDS = 20;
/** Seconds that callers wait who give up by time. */
const PATIENCE = 0.05;

const server = await serverForFile();
let owner;
let caller;
let service;
let begun;
let aborted;

/** A function that never ends by itself; tells when its signal was aborted, and why. */
function wait() {
  const signal = currentSignal();
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      aborted.resolve({ at: performance.now(), reason: signal.reason });
      reject(signal.reason);
    });
    begun.resolve();
  });
}

function promise() {
  const made = { isKept: false };
  made.kept = new Promise((resolve) => {
    made.resolve = (value) => {
      made.isKept = true;
      resolve(value);
    };
  });
  return made;
}

/** Calls again and again; `giveUp` says when the caller was gone, and is followed by the end of the function, if it
 * has begun. */
async function measure(context, way, kind, giveUp) {
  const took = [];
  while (took.length < ROUNDS) {
    begun = promise();
    aborted = promise();
    const left = await giveUp();
    await service.echo("behind it");
    if (!begun.isKept) continue;
    const { at, reason } = await aborted.kept;
    assert.ok(reason instanceof kind, String(reason));
    took.push(at - left);
  }
  took.sort((first, second) => first - second);
  const [middle, most] = [took[ROUNDS / 2], took[ROUNDS - 1]].map((time) => time.toFixed(1));
  context.diagnostic(`${way}: ${middle} ms, at most ${most} ms, in ${ROUNDS} rounds`);
}

before(async () => {
  owner = await connectToServer({ server_url: server.url });
  caller = await connectToServer({ server_url: server.url });
  const config = { visibility: "public" };
  service = await caller.getService(
    (await owner.registerService({ id: "slow", config, wait, echo: (value) => value })).id,
  );
  await owner.registerService({ id: "slow-functions", type: "functions", config, wait });
});
after(async () => {
  for (const client of [caller, owner]) await client.disconnect();
});

test("an aborted signal", (context) =>
  measure(context, "AbortSignal", CallCancelledError, async () => {
    const controller = new AbortController();
    const call = service.wait.withOptions({ signal: controller.signal })();
    await begun.kept;
    const left = performance.now();
    controller.abort();
    await assert.rejects(call, { name: "AbortError" });
    return left;
  }));

test("a time that is over", (context) =>
  measure(context, "timeout", RpcTimeoutError, async () => {
    const left = performance.now() + PATIENCE * 1000;
    await assert.rejects(service.wait.withOptions({ timeout: PATIENCE })(), RpcTimeoutError);
    return left;
  }));

test("a caller over HTTP that is gone", (context) =>
  measure(context, "HTTP caller gone", CallCancelledError, async () => {
    const socket = connect(server.port, "127.0.0.1");
    await once(socket, "connect");
    const path = `/${owner.workspace}/apps/${owner.clientId}:slow-functions/wait`;
    socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    await begun.kept;
    const left = performance.now();
    socket.resetAndDestroy();
    return left;
  }));
