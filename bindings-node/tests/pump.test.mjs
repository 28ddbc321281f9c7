// The life of a process: it stays while something is open, and leaves by itself when nothing is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectToServer } from "../lib/index.js";
import { pump } from "../lib/pump.js";
import { COMMON_JS, PACKAGE, runProgram, serverForFile, startServer } from "./server.mjs";

const server = await serverForFile();

const ESM = `import { connectToServer } from ${JSON.stringify(PACKAGE)};
const [url] = process.argv.slice(-1);
`;
const CJS = `const { connectToServer } = require(${JSON.stringify(COMMON_JS)});
const [url] = process.argv.slice(-1);
`;

test("a process with nothing open ends by itself", async () => {
  const { code, output, errors } = await runProgram(
    `${ESM}const api = await connectToServer({ server_url: url }); console.log(typeof api.echo)`,
    [server.url],
  );
  assert.deepEqual({ code, output, errors }, { code: 0, output: "function", errors: "" });
});

test("importing alone keeps nobody", async () => {
  const { code, output } = await runProgram(`${ESM}console.log(typeof connectToServer)`, [server.url]);
  assert.deepEqual({ code, output }, { code: 0, output: "function" });
});

test("a process with a call pending stays until it ends", async () => {
  // The pause is of another process, so that only the call can keep this one.
  const owner = await connectToServer({ server_url: server.url });
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds, "paused"));
  await owner.registerService({ id: "slow", config: { visibility: "public" }, pause });
  const id = `${owner.workspace}/${owner.clientId}:slow`;
  const body = `connectToServer({ server_url: url })
    .then((api) => api.getService(${JSON.stringify(id)}))
    .then((slow) => slow.pause(400))
    .then(console.log)`;
  for (const [head, type] of [
    [ESM, "module"],
    [CJS, "commonjs"],
  ]) {
    const { code, output, errors } = await runProgram(head + body, [server.url], { type });
    assert.deepEqual({ code, output, errors }, { code: 0, output: "paused", errors: "" });
  }
  await owner.disconnect();
});

test("a process with a service open stays, and leaves after disconnect", async () => {
  const { code, output } = await runProgram(
    `${ESM}const api = await connectToServer({ server_url: url });
     await api.registerService({ id: "s", hello: () => "hi" });
     setTimeout(async () => {
       console.log(await (await api.getService("s")).hello());
       await api.disconnect();
       console.log("gone");
     }, 300).unref();`,
    [server.url],
  );
  assert.deepEqual({ code, output }, { code: 0, output: "hi\ngone" });
});

test("a process leaves after its last service is taken back", async () => {
  const { code, output } = await runProgram(
    `${ESM}const api = await connectToServer({ server_url: url });
     await api.registerService({ id: "s", hello: () => "hi" });
     await api.unregisterService("s");
     console.log("nothing open");`,
    [server.url],
  );
  assert.deepEqual({ code, output }, { code: 0, output: "nothing open" });
});

test("process.exit in the middle of calls is clean", async () => {
  const { code, errors } = await runProgram(
    `${ESM}const api = await connectToServer({ server_url: url });
     await api.registerService({ id: "s", echo: (x) => x });
     const { echo } = await api.getService("s");
     for (let n = 0; n < 64; n += 1) (async () => { for (;;) await echo(n); })();
     setTimeout(() => process.exit(7), 200);`,
    [server.url],
  );
  assert.deepEqual({ code, errors }, { code: 7, errors: "" });
});

test("serve() keeps the process until the connection is over", async () => {
  const { code, output } = await runProgram(
    `${ESM}const api = await connectToServer({ server_url: url });
     setTimeout(() => api.disconnect(), 200).unref();
     await api.serve();
     console.log("served");`,
    [server.url],
  );
  assert.deepEqual({ code, output }, { code: 0, output: "served" });
});

test("one bad item never loses the rest of a batch", async () => {
  const { code, output, errors } = await runProgram(
    `${ESM}const seen = [];
     console.error = (_, error) => seen.push(error.message);
     const api = await connectToServer({ server_url: url });
     api.on("boom", ({ data }) => { throw new Error("listener " + data); });
     api.on("boom", async ({ data }) => { throw new Error("later " + data); });
     await api.registerService({ id: "s", echo: (x) => { if (x === 5) throw new Error("five"); return x; } });
     const { echo } = await api.getService("s");
     const calls = [];
     for (let n = 0; n < 10; n += 1) {
       calls.push(echo(n).catch((error) => "failed"));
       api.emit({ type: "boom", to: api.clientId, data: n });
     }
     const arrived = new Promise((resolve) => api.on("last", resolve));
     console.log(JSON.stringify(await Promise.all(calls)));
     api.emit({ type: "last", to: api.clientId });
     await Promise.race([arrived, new Promise((resolve) => setTimeout(resolve, 5000))]);
     console.log(seen.length, seen.sort()[0], seen.at(-1));
     await api.disconnect();`,
    [server.url],
  );
  assert.equal(errors, "");
  assert.deepEqual(
    { code, output },
    { code: 0, output: '[0,1,2,3,4,"failed",6,7,8,9]\n20 later 0 listener 9' },
  );
});

test("more events than one turn takes, and a value larger than the tape", async () => {
  const api = await connectToServer({ server_url: server.url });
  await api.registerService({ id: "s", echo: (value) => value });
  const { echo } = await api.getService("s");
  const many = await Promise.all(Array.from({ length: 3000 }, (_, number) => echo(number)));
  assert.deepEqual(
    many,
    Array.from({ length: 3000 }, (_, number) => number),
  );
  const large = Array.from({ length: 200_000 }, (_, number) => number);
  const [first, back, last] = await Promise.all([echo("before"), echo(large), echo("after")]);
  assert.deepEqual([first, back.length, back[199_999], last], ["before", 200_000, 199_999, "after"]);
  const bytes = Buffer.alloc(5_000_000, "polyfn");
  assert.ok(bytes.equals(await echo(bytes)));
  await api.disconnect();
});

test("events that pile up make the connection wait, and none is lost", async () => {
  const api = await connectToServer({ server_url: server.url });
  await api.registerService({ id: "s", echo: (value) => value });
  const { echo } = await api.getService("s");
  const heard = [];
  api.on("number", ({ data }) => heard.push(data));
  const numbers = Array.from({ length: 9000 }, (_, number) => number);
  for (const data of numbers) api.emit({ type: "number", to: api.clientId, data });
  // This thread stands still while they come back: more than may wait in memory. The calls come behind them.
  const calls = numbers.slice(0, 100).map((number) => echo(number));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  assert.deepEqual(await Promise.all(calls), numbers.slice(0, 100));
  assert.deepEqual(heard, numbers);
  await api.disconnect();
});

test("what is not needed any longer is let go", async () => {
  const api = await connectToServer({ server_url: server.url });
  const callback = (number) => number + 1;
  await api.registerService({
    id: "s",
    call: (fn) => fn(1),
    make: () => () => 2,
    fail: () => Promise.reject(new Error("x")),
  });
  const service = await api.getService("s");
  assert.equal(await service.call(callback), 2);
  const before = pump().counts();
  for (let round = 0; round < 50; round += 1) {
    assert.equal(await service.call(callback), 2);
    await assert.rejects(service.call(Symbol("s"), callback));
    await assert.rejects(service.fail(callback));
  }
  await api.echo("the last release has arrived before this answer");
  assert.deepEqual(pump().counts(), before);
  await api.unregisterService("s");
  await api.disconnect();
  const { calls, served, connections, held } = pump().counts();
  assert.deepEqual({ calls, served, connections, held }, { calls: 0, served: 0, connections: 0, held: 0 });
});

test("a client comes back after the server, and its services with it", async () => {
  const first = await startServer();
  const api = await connectToServer({ server_url: first.url, client_id: "phoenix" });
  await api.registerService({ id: "s", hello: () => "hi" });
  const broken = new Promise((resolve) => api.once("disconnected", resolve));
  const back = new Promise((resolve) => api.on("connected", resolve));
  await first.stop();
  await broken;
  const second = await startServer(first.port);
  await back;
  assert.equal(await (await api.getService(`${api.workspace}/${api.clientId}:s`)).hello(), "hi");
  await api.disconnect();
  await second.stop();
});
