// Generators and streams, both directions: what is made is only what is wanted, and it is closed when nobody wants it.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { connectToServer, InvalidError, PeerGoneError, RemoteStream } from "../lib/index.js";
import { pump } from "../lib/pump.js";
import { PACKAGE, runProgram, serverForFile } from "./server.mjs";

const server = await serverForFile();
let owner;
let api;
let streams;
/** What the owner's generators were told, in order. */
const log = [];
const told = (() => {
  const waiting = [];
  return {
    add(entry) {
      log.push(entry);
      for (const look of waiting.splice(0)) look();
    },
    async find(entry) {
      while (!log.includes(entry)) await new Promise((resolve) => waiting.push(resolve));
    },
  };
})();

function* counting(name, end = Number.POSITIVE_INFINITY) {
  try {
    for (let number = 0; number < end; number += 1) yield number;
  } finally {
    told.add(`${name} closed`);
  }
}

async function* countingLater(name, end = Number.POSITIVE_INFINITY) {
  try {
    for (let number = 0; number < end; number += 1) {
      if (number % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      yield number;
    }
  } finally {
    told.add(`${name} closed`);
  }
}

const pending = (name) => new ReadableStream({ cancel: () => told.add(`${name} cancelled`) });

const upTo = (end) => Array.from({ length: end }, (_, number) => number);

let stop;
const stopped = new Promise((resolve) => {
  stop = resolve;
});

before(async () => {
  owner = await connectToServer({ server_url: server.url });
  await owner.registerService({
    id: "streams",
    config: { visibility: "public" },
    counting,
    countingLater,
    later: async (end) => counting("later", end),
    iterator: () => [1, 2, 3].values(),
    byHand: () => {
      let number = 0;
      return {
        helper: () => "dropped",
        next: () => ({ done: number === 3, value: number++ }),
        [Symbol.iterator]() {
          return this;
        },
      };
    },
    iterable: () => ({
      async *[Symbol.asyncIterator]() {
        yield* [1, 2, 3];
      },
    }),
    promises: function* () {
      yield Promise.resolve(1);
      yield 2;
    },
    web: (end) => {
      let number = 0;
      return new ReadableStream({
        pull: (controller) => (number < end ? controller.enqueue(number++) : controller.close()),
        cancel: () => told.add("web cancelled"),
      });
    },
    node: () => {
      const stream = Readable.from(["a", Buffer.from("b")]);
      stream.on("close", () => told.add("node closed"));
      return stream;
    },
    endless: () =>
      new Readable({
        read() {
          this.push("x");
        },
        destroy: (_, done) => {
          told.add("node destroyed");
          done();
        },
      }),
    failing: function* () {
      yield 1;
      yield 2;
      throw new RangeError("out of cheese");
    },
    failingLater: async function* () {
      yield 1;
      await Promise.resolve();
      throw new RangeError("out of cheese");
    },
    unsendable: function* () {
      try {
        yield 1;
        yield { inner: Symbol("s") };
      } finally {
        told.add("unsendable closed");
      }
    },
    functions: function* () {
      yield (number) => number + 1;
      yield { nested: (number) => number + 2 };
    },
    inner: function* () {
      yield counting("inner", 2);
    },
    sum: async (items) => {
      let sum = 0;
      for await (const item of items) sum += item;
      return sum;
    },
    first: async (items) => {
      for await (const item of items) return item;
    },
    pending,
    untilStopped: () => stopped,
    isStream: (value) => value instanceof RemoteStream,
    pass: (items) => items,
  });
  api = await connectToServer({ server_url: server.url });
  streams = await api.getService(`${owner.workspace}/${owner.clientId}:streams`);
});
after(async () => {
  await api.disconnect();
  await owner.disconnect();
});

async function all(items) {
  const list = [];
  for await (const item of items) list.push(item);
  return list;
}

for (const [name, args, items] of [
  ["counting", ["all", 5], upTo(5)],
  ["counting", ["none", 0], []],
  ["counting", ["many", 20_000], upTo(20_000)],
  ["countingLater", ["later", 50], upTo(50)],
  ["later", [3], upTo(3)],
  ["iterator", [], [1, 2, 3]],
  ["byHand", [], [0, 1, 2]],
  ["iterable", [], [1, 2, 3]],
  ["promises", [], [1, 2]],
  ["web", [4], upTo(4)],
  ["node", [], ["a", Buffer.from("b")]],
]) {
  test(`${name}(${args}) in a result`, async () => {
    const stream = await streams[name](...args);
    assert.ok(stream instanceof RemoteStream);
    assert.deepStrictEqual(await all(stream), items);
    assert.deepStrictEqual(await stream.next(), { value: undefined, done: true });
  });
}

const ARGUMENTS = {
  "a generator": () => counting("argument", 100),
  "an async generator": () => countingLater("argument", 100),
  "an iterator": () => upTo(100).values(),
  "a web stream": () => ReadableStream.from(upTo(100)),
  "a Node stream": () => Readable.from(upTo(100)),
};
for (const [name, make] of Object.entries(ARGUMENTS)) {
  test(`${name} in the arguments`, async () => assert.equal(await streams.sum(make()), 4950));
}

test("leaving the loop closes the peer's generator at once", async () => {
  for (const [name, entry] of [
    ["counting", "left closed"],
    ["countingLater", "left later closed"],
  ]) {
    for await (const item of await streams[name](entry.replace(" closed", ""))) if (item === 7) break;
    await told.find(entry);
  }
  for await (const _ of await streams.web(1e9)) break;
  await told.find("web cancelled");
  for await (const _ of await streams.endless()) break;
  await told.find("node destroyed");
});

test("a function that leaves the loop closes the caller's generator", async () => {
  assert.equal(await streams.first(counting("first")), 0);
  await told.find("first closed");
});

test("a generator in the arguments dies with its call", async () => {
  assert.equal(await streams.isStream(pending("unread")), true);
  await told.find("unread cancelled");
});

test("a stream that is disposed of, or never read, is closed", async () => {
  const stream = await streams.counting("disposed");
  assert.equal((await stream.next()).value, 0);
  await stream[Symbol.asyncDispose]();
  await told.find("disposed closed");
  assert.deepStrictEqual(await stream.next(), { value: undefined, done: true });
  await (await streams.web(5)).return();
  await assert.rejects((await streams.counting("thrown")).throw(new RangeError("mine")), { message: "mine" });
});

test("only what is wanted is made", async () => {
  let made = 0;
  const items = (function* () {
    for (;;) yield Buffer.alloc(1000, made++);
  })();
  // Another program's function takes one item, and waits.
  let finish;
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  await api.registerService({
    id: "slow",
    config: { visibility: "public" },
    takeOne: async (stream) => {
      await stream.next();
      await finished;
    },
  });
  const slow = await owner.getService(`${api.workspace}/${api.clientId}:slow`);
  const call = slow.takeOne(items);
  await api.echo("a while");
  await api.echo("and another");
  assert.ok(made < 10_000, `${made} items were made for one that was used`);
  finish();
  await call;
});

test("an error comes behind the items before it", async () => {
  for (const [name, items] of [
    ["failing", [1, 2]],
    ["failingLater", [1]],
  ]) {
    const seen = [];
    await assert.rejects(
      (async () => {
        for await (const item of await streams[name]()) seen.push(item);
      })(),
      {
        code: "remote",
        remoteType: "RangeError",
        message: "out of cheese",
        remoteTraceback: /RangeError.*failing/s,
      },
    );
    assert.deepStrictEqual(seen, items);
  }
});

test("an item that cannot be sent ends the stream and closes the generator", async () => {
  const stream = await streams.unsendable();
  assert.equal((await stream.next()).value, 1);
  await assert.rejects(stream.next(), (error) => {
    assert.ok(error instanceof InvalidError);
    assert.match(error.message, /^at an item\.inner: a symbol cannot be sent/);
    return true;
  });
  assert.deepStrictEqual(await stream.next(), { value: undefined, done: true });
  await told.find("unsendable closed");
});

test("items may hold functions, and streams", async () => {
  const [first, { nested }] = await all(await streams.functions());
  assert.deepStrictEqual([await first(1), await nested(1)], [2, 3]);
  const [inner] = await all(await streams.inner());
  assert.deepStrictEqual(await all(inner), [0, 1]);
});

test("a stream of one peer is handed on to another", async () => {
  assert.equal(await streams.sum(await streams.countingLater("handed on", 100)), 4950);
});

test("several may ask for items at once, and get them in order", async () => {
  const stream = await streams.countingLater("several", 5);
  const asked = await Promise.all(upTo(7).map(() => stream.next()));
  assert.deepStrictEqual(
    asked.map(({ value }) => value),
    [0, 1, 2, 3, 4, undefined, undefined],
  );
});

test("a stream as a web stream", async () => {
  const reader = (await streams.counting("web")).toReadableStream().getReader();
  assert.deepStrictEqual(await reader.read(), { value: 0, done: false });
  await reader.cancel();
  await told.find("web closed");
  assert.deepStrictEqual(await all((await streams.counting("whole", 3)).toReadableStream()), [0, 1, 2]);
  const failing = (await streams.failing()).toReadableStream();
  await assert.rejects(all(failing), /out of cheese/);
});

test("items of all sizes, and large ones", async () => {
  const items = [Buffer.alloc(2_000_000, 1), "x".repeat(100_000), upTo(100_000), { a: 1 }];
  assert.equal(
    await streams.sum(
      (function* () {
        for (const item of upTo(1000)) yield item;
      })(),
    ),
    499_500,
  );
  const back = await all(await (await api.getService(await registered(items))).make());
  assert.deepStrictEqual(back, items);
});

async function registered(items) {
  const { id } = await owner.registerService({
    id: "items",
    config: { visibility: "public" },
    make: () => items.values(),
  });
  return id.replace(/@.*/, "");
}

test("a producer that goes away ends its streams", async () => {
  const other = await connectToServer({ server_url: server.url });
  const { id } = await other.registerService({ id: "x", config: { visibility: "public" }, countingLater });
  const stream = await (await api.getService(id)).countingLater("gone", 1e9);
  assert.equal((await stream.next()).value, 0);
  const ended = assert.rejects(all(stream), PeerGoneError);
  await other.disconnect();
  await ended;
  await told.find("gone closed");
});

test("nothing is left behind", async () => {
  const settled = async () => {
    await api.echo("what was closed has been told");
    await owner.echo("on both sides");
    return pump().counts();
  };
  await all(await streams.counting("first", 1));
  const before = await settled();
  for (let round = 0; round < 20; round += 1) {
    await all(await streams.counting("left", 3));
    for await (const _ of await streams.counting("left")) break;
    await streams.sum(counting("left", 3));
    await assert.rejects(all(await streams.failing()));
  }
  assert.deepStrictEqual(await settled(), before);
});

test("a process with live streams ends when nothing else is open", async () => {
  const id = `${owner.workspace}/${owner.clientId}:streams`;
  const { code, output, errors } = await runProgram(
    `import { connectToServer } from ${JSON.stringify(PACKAGE)};
     const [url] = process.argv.slice(-1);
     const api = await connectToServer({ server_url: url });
     const streams = await api.getService(${JSON.stringify(id)});
     const stream = await streams.countingLater("live");
     console.log((await stream.next()).value, (await stream.next()).value);`,
    [server.url],
  );
  assert.deepEqual({ code, output, errors }, { code: 0, output: "0 1", errors: "" });
  await told.find("live closed");
});

test("a stream that nobody can reach is closed", async () => {
  const id = `${owner.workspace}/${owner.clientId}:streams`;
  const program = runProgram(
    `import { connectToServer } from ${JSON.stringify(PACKAGE)};
     const [url] = process.argv.slice(-1);
     const api = await connectToServer({ server_url: url });
     const streams = await api.getService(${JSON.stringify(id)});
     await (await streams.counting("lost")).next();
     await streams.pending("never read");
     const collecting = setInterval(() => globalThis.gc(), 10);
     await streams.untilStopped();
     clearInterval(collecting);`,
    [server.url],
    { flags: ["--expose-gc"] },
  );
  await told.find("lost closed");
  await told.find("never read cancelled");
  stop();
  const { code, errors } = await program;
  assert.deepEqual({ code, errors }, { code: 0, errors: "" });
});
