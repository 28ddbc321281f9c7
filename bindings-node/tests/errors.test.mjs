// Errors on their way from one side to the other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { connectToServer, NotFoundError, RemoteError, RpcTimeoutError } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

class CheeseError extends Error {
  name = "CheeseError";
}

const server = await serverForFile();
let api;
let service;

before(async () => {
  api = await connectToServer({ server_url: server.url });
  await api.registerService({
    id: "failing",
    echo: (value) => value,
    fail: () => {
      throw new CheeseError("out of cheese");
    },
    failWithCause: async () => {
      const causes = ["first", "second"].reduce(
        (cause, text) => new CheeseError(text, { cause }),
        "at last a text",
      );
      throw new TypeError("it failed", { cause: causes });
    },
    failBy: (kind) => {
      throw new { NotFoundError, RpcTimeoutError }[kind]("by hand");
    },
    throwIt: (what) => {
      throw { text: "a text", number: 5, null: null, object: { a: 1 }, cycle: globalThis }[what];
    },
    halfACharacter: () => {
      throw new Error("half \ud83d");
    },
    pass: (other) => other(),
    endless: () => {
      const error = new Error("endless");
      error.cause = error;
      throw error;
    },
  });
  service = await api.getService("failing");
});
after(() => api.disconnect());

const caught = (promise) => promise.then(assert.fail, (error) => error);

test("class, message and stack of the side that failed", async () => {
  const error = await caught(service.fail());
  assert.ok(error instanceof RemoteError);
  assert.deepStrictEqual([error.name, error.code, error.message], ["RemoteError", "remote", "out of cheese"]);
  assert.equal(error.remoteType, "CheeseError");
  assert.match(error.remoteTraceback, /CheeseError: out of cheese\n\s+at .*fail .*errors\.test\.mjs/);
  const { cause } = error;
  assert.deepStrictEqual(
    [cause.name, cause.message, cause.stack],
    ["CheeseError", "out of cheese", error.remoteTraceback],
  );
});

test("printing shows both sides", async () => {
  const shown = inspect(await caught(service.fail()));
  assert.match(shown, /^\[RemoteError: out of cheese\]/);
  assert.match(shown, /\[cause\]: Error \[CheeseError\]: out of cheese\n\s+at .*fail /);
});

test("an error arrives with what led to it", async () => {
  const error = await caught(service.failWithCause());
  const chain = [];
  for (let cause = error.cause; cause; cause = cause.cause) chain.push([cause.name, cause.message]);
  assert.deepStrictEqual(chain, [
    ["TypeError", "it failed"],
    ["CheeseError", "second"],
    ["CheeseError", "first"],
    ["RemoteError", "at last a text"],
  ]);
  assert.match(inspect(error), /\[CheeseError\]: second\n\s+at .*errors\.test/);
});

test("the same as a value", async () => {
  const back = await service.echo(new TypeError("no good", { cause: new RangeError("too much") }));
  assert.ok(back instanceof RemoteError);
  assert.deepStrictEqual([back.message, back.code, back.remoteType], ["no good", "remote", "TypeError"]);
  assert.deepStrictEqual([back.cause.cause.name, back.cause.cause.message], ["RangeError", "too much"]);
});

test("an error that is passed on stays what it was at first", async () => {
  const error = await caught(service.pass(() => service.failWithCause()));
  assert.deepStrictEqual([error.message, error.remoteType], ["it failed", "TypeError"]);
  assert.match(error.remoteTraceback, /^TypeError: it failed\n\s+at .*failWithCause/);
  assert.deepStrictEqual([error.cause.message, error.cause.cause.message], ["it failed", "second"]);
});

test("a function may throw by kind", async () => {
  for (const kind of [NotFoundError, RpcTimeoutError]) {
    const error = await caught(service.failBy(kind.name));
    assert.ok(error instanceof kind);
    assert.deepStrictEqual([error.message, error.code], ["by hand", kind.code]);
  }
});

test("what is thrown without being an error arrives as one", async () => {
  for (const [what, message] of [
    ["text", "a text"],
    ["number", "5"],
    ["null", "null"],
    ["object", '{"a":1}'],
    ["missing", "undefined"],
    ["cycle", "the function threw something that cannot be shown"],
  ]) {
    const error = await caught(service.throwIt(what));
    assert.ok(error instanceof RemoteError);
    assert.deepStrictEqual([error.message, error.remoteType, error.cause], [message, undefined, undefined]);
  }
});

test("an error always arrives", async () => {
  assert.equal((await caught(service.halfACharacter())).message, "half \ufffd");
  let depth = 0;
  for (let cause = await caught(service.endless()); cause; cause = cause.cause) depth += 1;
  assert.equal(depth, 10);
});
