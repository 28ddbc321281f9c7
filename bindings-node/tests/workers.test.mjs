// Worker threads: each has a pump of its own, and may be ended at any moment.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { connectToServer } from "../lib/index.js";
import { PACKAGE, serverForFile } from "./server.mjs";

const server = await serverForFile();

function startWorker(body) {
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.package).then(async ({ connectToServer }) => {
      const api = await connectToServer({ server_url: workerData.url });
      await api.registerService({ id: "echo", config: { visibility: "public" }, echo: (value) => value });
      const { echo } = await api.getService("echo");
      ${body}
    }).catch((error) => parentPort.postMessage({ error: String(error) }));`;
  return new Worker(source, { eval: true, workerData: { url: server.url, package: PACKAGE } });
}

async function message(worker) {
  const [said] = await once(worker, "message");
  assert.equal(said.error, undefined);
  return said;
}

test("workers and the main thread call each other", async () => {
  const api = await connectToServer({ server_url: server.url });
  const workers = [1, 2].map(() =>
    startWorker(
      'parentPort.postMessage({ id: api.workspace + "/" + api.clientId + ":echo", own: await echo("own") });',
    ),
  );
  for (const said of workers.map(message)) {
    const { id, own } = await said;
    assert.equal(own, "own");
    const remote = await api.getService(id);
    assert.equal(await remote.echo("across"), "across");
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  assert.equal(await api.echo("still here"), "still here");
  await api.disconnect();
});

test("terminate with calls under way, again and again", async () => {
  for (let round = 0; round < 4; round += 1) {
    const worker = startWorker(`
      let done = 0;
      for (let n = 0; n < 64; n += 1) (async () => { for (;;) { await echo(n); done += 1;
        if (done === 200) parentPort.postMessage({ done }); } })();`);
    assert.equal((await message(worker)).done, 200);
    assert.equal(await worker.terminate(), 1);
  }
});

test("a worker that disconnects ends by itself", async () => {
  const worker = startWorker("await api.disconnect(); parentPort.postMessage({ done: true });");
  const exited = once(worker, "exit");
  assert.equal((await message(worker)).done, true);
  assert.deepEqual(await exited, [0]);
});

const NUMBERS = `
  await api.registerService({
    id: "numbers",
    config: { visibility: "public" },
    numbers: async function* () { for (let number = 0; ; number += 1) yield number; },
  });
  const id = api.workspace + "/" + api.clientId + ":numbers";`;

test("a worker that is ended ends the streams that others read of it", async () => {
  const api = await connectToServer({ server_url: server.url });
  const worker = startWorker(`${NUMBERS} parentPort.postMessage({ id });`);
  const { id } = await message(worker);
  const stream = await (await api.getService(id)).numbers();
  const read = async () => {
    for await (const number of stream) if (number === 1000) await worker.terminate();
  };
  await assert.rejects(read(), { code: "peer_gone" });
  await api.disconnect();
});

test("a worker is ended in the middle of streams", async () => {
  for (let round = 0; round < 3; round += 1) {
    const worker = startWorker(`${NUMBERS}
      const { numbers } = await api.getService(id);
      for (let n = 0; n < 8; n += 1) (async () => {
        for await (const number of await numbers()) if (number === 2000 && n === 7) parentPort.postMessage({});
      })();`);
    await message(worker);
    assert.equal(await worker.terminate(), 1);
  }
});
