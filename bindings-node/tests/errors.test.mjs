// Errors on their way from one side to the other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import {
  CallCancelledError,
  connectToServer,
  InternalError,
  InvalidError,
  NotFoundError,
  PeerGoneError,
  RemoteError,
  RpcTimeoutError,
} from "../lib/index.js";
import { serverForFile } from "./server.mjs";

const OF_FUNCTIONS = [NotFoundError, InvalidError];
const OF_CALLS = [RpcTimeoutError, PeerGoneError, CallCancelledError, InternalError];

class CheeseError extends Error {
  name = "CheeseError";
}

/** What cannot be read without another error, and the message with which it arrives. */
const HOSTILE = {
  "toJSON that gives nothing": [{ toJSON() {} }, /cannot be shown/],
  "a revoked Proxy": [revoked({}), /cannot be shown/],
  "a revoked Proxy of a function": [revoked(() => 1), /cannot be shown/],
  "a message without a text": [
    Object.assign(new Error("a"), { message: Object.create(null) }),
    /cannot be read/,
  ],
  "a message that throws": [throwing("message"), /cannot be read/],
  "a name that throws": [throwing("name"), /^a fault$/],
  "a stack that throws": [throwing("stack"), /^a fault$/],
  "a cause that throws": [throwing("cause"), /^a fault$/],
  "a revoked Proxy as its cause": [new Error("a fault", { cause: revoked({}) }), /^a fault$/],
  "a code that throws": [throwing("code", new NotFoundError("a fault")), /^a fault$/],
};

function revoked(target) {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function throwing(member, error = new Error("a fault")) {
  const get = () => {
    throw new Error(`${member} cannot be had`);
  };
  return Object.defineProperty(error, member, { get });
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
      const Kind = [...OF_FUNCTIONS, ...OF_CALLS].find(({ name }) => name === kind);
      throw new Kind("by hand", { cause: new Error("why") });
    },
    waitFor: () => new Promise(() => undefined),
    throwIt: (what) => {
      throw { text: "a text", number: 5, null: null, object: { a: 1 }, cycle: globalThis }[what];
    },
    halfACharacter: () => {
      throw new Error("half \ud83d");
    },
    throwHostile: (what) => {
      throw HOSTILE[what][0];
    },
    throwHostileLater: async (what) => {
      throw HOSTILE[what][0];
    },
    generateHostile: async function* (what) {
      yield 1;
      throw HOSTILE[what][0];
    },
    giveRevoked: () => revoked({}),
    iterateBadly: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => undefined }) }),
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
  const bare = Object.assign(new RangeError("too much"), { stack: "" });
  const { cause } = await service.echo(new TypeError("no good", { cause: bare }));
  assert.deepStrictEqual([cause.cause.name, cause.cause.message], ["RangeError", "too much"]);
});

test("an error that is passed on stays what it was at first", async () => {
  const error = await caught(service.pass(() => service.failWithCause()));
  assert.deepStrictEqual([error.message, error.remoteType], ["it failed", "TypeError"]);
  assert.match(error.remoteTraceback, /^TypeError: it failed\n\s+at .*failWithCause/);
  assert.deepStrictEqual([error.cause.message, error.cause.cause.message], ["it failed", "second"]);
});

test("a function may throw by kind", async () => {
  for (const kind of OF_FUNCTIONS) {
    const error = await caught(service.failBy(kind.name));
    assert.ok(error instanceof kind);
    assert.deepStrictEqual([error.message, error.code], ["by hand", kind.code]);
  }
});

test("what became of a function's own calls is not said of the call to it", async () => {
  for (const kind of OF_CALLS) {
    const error = await caught(service.failBy(kind.name));
    assert.deepStrictEqual(
      [error.code, error.message, error.remoteType, error.cause.cause?.message],
      ["remote", "by hand", kind.name, "why"],
    );
  }
  const slow = await caught(service.pass(() => service.waitFor.withOptions({ timeout: 0.01 })()));
  assert.deepStrictEqual([slow.code, slow.remoteType], ["remote", "RpcTimeoutError"]);
  const gone = await caught(service.pass(() => api.rpc.getRemoteService("nobody:service")));
  assert.deepStrictEqual([gone.code, gone.remoteType], ["remote", "PeerGoneError"]);
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

for (const [what, [, message]] of Object.entries(HOSTILE)) {
  test(`an error always arrives: ${what}`, async () => {
    const read = async () => {
      for await (const _ of await service.generateHostile(what));
    };
    for (const promise of [service.throwHostile(what), service.throwHostileLater(what), read()]) {
      const error = await caught(promise);
      assert.ok(error instanceof RemoteError, String(error));
      assert.match(error.message, message);
    }
  });
}

test("a result that cannot be looked at is an error", async () => {
  const error = await caught(service.giveRevoked());
  assert.deepStrictEqual([error.code, error.remoteType], ["remote", "TypeError"]);
  const items = await service.iterateBadly();
  assert.equal((await caught(items.next())).remoteType, "TypeError");
});

test("a request is answered whatever its function throws", async () => {
  await api.registerService({
    id: "hostile",
    type: "functions",
    config: { visibility: "public" },
    fail: () => {
      throw revoked({});
    },
  });
  assert.equal((await fetch(`${server.url}/${api.config.workspace}/apps/hostile/fail`)).status, 500);
});
