// Large bytes: whole in both directions, while everything else goes on.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { connectToServer } from "../lib/index.js";
import { PACKAGE, runProgram, serverForFile } from "./server.mjs";

const server = await serverForFile();
const LARGE = 40_000_000;
let [owner, api, service] = [];

// Bytes in which every part is another.
function pattern(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
  return bytes;
}
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

before(async () => {
  owner = await connectToServer({ server_url: server.url });
  await owner.registerService({
    id: "large",
    echo: (value) => value,
    hashed: (bytes) => hash(bytes),
    make: (size) => pattern(size),
    one: () => 1,
  });
  api = await connectToServer({ server_url: server.url, token: await owner.generateToken() });
  service = await api.getService("large");
});

after(async () => {
  await api.disconnect();
  await owner.disconnect();
});

for (const direction of ["there", "back"]) {
  test(`small calls pass large bytes on their way ${direction}`, async () => {
    const bytes = pattern(LARGE);
    let isDone = false;
    const large = (direction === "there" ? service.hashed(bytes) : service.make(LARGE)).finally(() => {
      isDone = true;
    });
    let passed = 0;
    for (; !isDone; passed += 1) assert.equal(await service.one(), 1);
    assert.ok(passed > 20, `${passed} calls passed`);
    const answer = await large;
    assert.equal(direction === "there" ? answer : hash(answer), hash(bytes));
  });
}

test("bytes that change after the call are sent as they were", async () => {
  const bytes = pattern(LARGE);
  const [expected, call] = [hash(bytes), service.hashed(bytes)];
  bytes.fill(0);
  assert.equal(await call, expected);
});

test("what was received is the receiver's own", async () => {
  const bytes = pattern(3_000_001);
  const [first, second] = await service.echo([bytes, bytes]);
  first.fill(0);
  assert.equal(hash(second), hash(bytes));
  const again = await service.echo(bytes);
  again.fill(1);
  assert.equal(hash(await service.echo(bytes)), hash(bytes));
});

test("memory that was used is used again only when nobody has it", async () => {
  const sizes = [10_000_000, 12_000_000, 9_000_000, 12_000_001];
  const kept = [];
  for (const size of sizes) {
    const bytes = pattern(size).subarray(1);
    // one answer is kept, one is let go of
    await service.echo(bytes);
    kept.push([hash(bytes), await service.echo(bytes), await service.echo([bytes.buffer, bytes])]);
  }
  for (const [expected, bytes, [whole, part]] of kept) {
    assert.deepEqual([hash(bytes), hash(part)], [expected, expected]);
    assert.equal(hash(new Uint8Array(whole, 1)), expected);
  }
});

test("typed arrays of every width", async () => {
  for (const Type of [Int16Array, Float32Array, Float64Array, BigInt64Array]) {
    const array = new Type(pattern(4_000_000).buffer.slice(0));
    const answer = await service.echo(array);
    assert.equal(answer.constructor, Type);
    assert.equal(hash(answer), hash(array));
  }
});

test("memory returns", async () => {
  const program = `
    import { connectToServer } from ${JSON.stringify(PACKAGE)};
    // nothing is kept for the next message: how many blocks would be depends on what overlaps
    const api = await connectToServer({ server_url: process.argv.at(-1), memory_kept: 1 });
    await api.registerService({ id: "s", echo: (value) => value });
    const service = await api.getService("s");
    const bytes = new Uint8Array(${LARGE});
    const echo = async () => {
      if ((await service.echo(bytes)).length !== bytes.length) throw new Error("not what was sent");
    };
    const resident = async () => {
      for (let round = 0; round < 4; round += 1) {
        globalThis.gc();
        await service.echo(1);
      }
      return process.memoryUsage.rss();
    };
    await echo();
    const before = await resident();
    for (let round = 0; round < 4; round += 1) await echo();
    console.log(JSON.stringify((await resident()) - before));
    await api.disconnect();
  `;
  const { code, output, errors } = await runProgram(program, [server.url], {
    limit: 60_000,
    flags: ["--expose-gc"],
  });
  assert.deepEqual({ code, errors }, { code: 0, errors: "" });
  const more = JSON.parse(output);
  assert.ok(more < LARGE, `${more} bytes more are held`);
});
