// The server inside the program: starting, connecting without a socket, stopping, leaving.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Server } from "../lib/index.js";
import { PACKAGE, runProgram } from "./server.mjs";

const HELLO = { id: "hello", type: "functions", config: { visibility: "public" }, index: () => "hi" };

async function text(url) {
  const answer = await fetch(url, { headers: { connection: "close" } });
  return [answer.status, await answer.text()];
}

test("functions of the program answer over HTTP, and requests are told", async () => {
  const told = [];
  const server = await Server.start({ onRequest: (request) => told.push(request) });
  const api = await server.connect({ workspace: "lab" });
  await api.registerService(HELLO);
  assert.deepEqual(await text(`${server.url}/lab/apps/hello/?a=b`), [200, "hi"]);
  assert.equal(await server.stop(), true);
  assert.equal(await server.stop(), true);
  assert.equal(api.connectionState, "closed");
  assert.deepEqual([told[0].method, told[0].path, told[0].status], ["GET", "/lab/apps/hello/", 200]);
  await assert.rejects(server.connect(), { code: "peer_gone" });
});

test("a server that no variable holds goes on", async () => {
  const { code, output, errors } = await runProgram(
    `import { Server } from ${JSON.stringify(PACKAGE)};
     const serve = async () => {
       const server = await Server.start();
       const api = await server.connect({ workspace: "lab" });
       await api.registerService({ id: "hello", type: "functions", config: { visibility: "public" }, index: () => "hi" });
       return server.url;
     };
     const url = await serve();
     for (let round = 0; round < 10; round++) {
       globalThis.gc();
       const answer = await fetch(url + "/lab/apps/hello/", { headers: { connection: "close" } });
       if (round === 9) console.log(await answer.text());
     }
     process.exit(0);`,
    [],
    { flags: ["--expose-gc"] },
  );
  assert.deepEqual({ code, output, errors }, { code: 0, output: "hi", errors: "" });
});

test("who connects may do everything unless it comes as a stranger", async () => {
  const server = await Server.start({ basePath: "/hy" });
  assert.match(server.url, /\/hy$/);
  const [own, stranger] = [await server.connect(), await server.connect({ token: null })];
  assert.equal(own.workspace, "ws-user-root");
  assert.match(stranger.workspace, /^ws-user-anonymouz/);
  await assert.rejects(server.connect({ token: null, workspace: "lab" }), { code: "permission_denied" });
  await assert.rejects(server.connect({ serverUrl: server.url }), { code: "invalid" });
  await server.stop();
});

test("bad settings are told", async () => {
  for (const [settings, message] of [
    [{ prot: 1 }, "there is no setting `prot`, did you mean `port`?"],
    [{ accessLog: "loud" }, /^`accessLog` is on or off/],
    [{ port: "http" }, /^invalid value 'http' for '--port <PORT>'/],
    [{ host: { name: "x" } }, /^`host` is a text, a number/],
  ]) {
    await assert.rejects(Server.start(settings), { code: "invalid", message });
  }
  const server = await Server.start();
  const port = Number(server.url.split(":").at(-1));
  await assert.rejects(Server.start({ port }), { code: "conflict" });
  await server.stop();
});

/** A thread that was told to end is seen for some moments more; nothing tells when it has ended. */
async function fewer(count, most) {
  const deadline = Date.now() + 5000;
  while (count() > most && Date.now() < deadline) await setTimeout(10);
  assert.ok(count() <= most, `${count()} threads instead of ${most}`);
}

test("many come and go and leave no thread", async () => {
  const round = async () => {
    const servers = await Promise.all([Server.start(), Server.start()]);
    for (const server of servers) assert.equal(await (await server.connect()).echo(1), 1);
    await Promise.all(servers.map((server) => server.stop()));
  };
  const threads = () => readdirSync("/proc/self/task").length;
  await round();
  await fewer(threads, Number.POSITIVE_INFINITY);
  const before = threads();
  for (let count = 0; count < 5; count += 1) {
    await round();
    await fewer(threads, before);
  }
});

function program(body) {
  const source = `import { Server } from ${JSON.stringify(PACKAGE)};\n${body}`;
  const args = ["--input-type=module", "-e", source];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 20_000 });
  return { status, stdout, stderr };
}

test("a program ends by itself when its server has stopped, and at once when it wants to", () => {
  const start =
    "const server = await Server.start(); const api = await server.connect(); console.log(await api.echo(1));";
  assert.deepEqual(program(`${start} await server.stop();`), { status: 0, stdout: "1\n", stderr: "" });
  assert.deepEqual(program(`${start} process.exit(3);`), { status: 3, stdout: "1\n", stderr: "" });
});
