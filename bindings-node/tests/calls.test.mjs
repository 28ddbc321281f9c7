// Calls: keywords, callbacks, errors, contexts, names.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectToServer, NotFoundError, RemoteError, RpcError, RpcTimeoutError } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

const server = await serverForFile();
let api;
let service;

class Shelf {
  #prefix = "shelf";
  count = 0;
  constructor(id) {
    this.id = id;
  }
  get never() {
    throw new Error("getters of classes are not looked at");
  }
  put(title) {
    this.count += 1;
    return `${this.#prefix}: ${title} (${this.count})`;
  }
  async putLater(title) {
    return this.put(title);
  }
  _inside() {
    return "not served";
  }
}

const members = {
  id: "calls",
  add: (a, b) => a + b,
  addWithDefault: async (a, b = 10) => a + b,
  method(first, { second, third } = {}) {
    return [first, second, third];
  },
  all: (...args) => args,
  odd: function named(a = "),(", /* b, */ c = { d: [1, 2] }, e) {
    return [a, c, e];
  },
  bound: function plus(a, b) {
    return this.base + a + b;
  }.bind({ base: 100 }),
  base: 7,
  withThis(a) {
    return this.base + a;
  },
  nested: {
    base: 70,
    folder: { hello: (name) => `hello ${name}` },
    withThis: function inner(a) {
      return this.base + a;
    },
  },
  list: [() => "first", () => "second"],
  nothing: () => undefined,
  async repeat(callback, count) {
    const results = [];
    for (let number = 0; number < count; number += 1) results.push(await callback(number));
    return results;
  },
  multiplier: (factor) => (number) => number * factor,
  callLater: (callback) => {
    setImmediate(() => callback("late").catch(() => undefined));
    return "at once";
  },
  fail() {
    throw new TypeError("no good");
  },
  async failLater() {
    await null;
    throw Object.assign(new Error("later"), { name: "OddError" });
  },
  failText: () => Promise.reject("only text"),
  failKnown() {
    throw new NotFoundError("nothing there");
  },
  failResult: () => ({ items: [Symbol("s")] }),
  hang: () => new Promise(() => undefined),
  snake_case: () => "snake",
  camelCase: () => "camel",
};

before(async () => {
  api = await connectToServer({ serverUrl: server.url });
  await api.registerService(members);
  service = await api.getService("calls");
});
after(() => api.disconnect());

const keywords = (values) => ({ ...values, _rkwargs: true });

test("positional arguments and keywords", async () => {
  assert.equal(await service.add(1, 2), 3);
  assert.equal(await service.add(keywords({ b: 1, a: 2 })), 3);
  assert.equal(await service.add(1, keywords({ b: 41 })), 42, "positional arguments stay beside keywords");
  assert.equal(await service.addWithDefault(keywords({ a: 1 })), 11);
  assert.equal(await service.addWithDefault(1, keywords({ b: 2 })), 3);
  assert.deepEqual(await service.odd(keywords({ e: 5 })), ["),(", { d: [1, 2] }, 5]);
  assert.deepEqual(await service.method(1, keywords({ second: 2, third: 3 })), [1, 2, 3]);
  assert.deepEqual(await service.method(keywords({ first: 1, third: 3 })), [1, null, 3]);
});

test("the caller's object keeps its mark", async () => {
  const given = keywords({ a: 1, b: 2 });
  assert.equal(await service.add(given), 3);
  assert.equal(await service.add(given), 3);
  assert.deepEqual(given, { a: 1, b: 2, _rkwargs: true });
});

test("keywords that have no place are refused", async () => {
  await assert.rejects(service.add(1, keywords({ a: 2 })), /add\(\) got multiple values for argument 'a'/);
  await assert.rejects(service.add(keywords({ c: 2 })), /add\(\) got an unexpected keyword argument 'c'/);
  await assert.rejects(service.all(keywords({ c: 2 })), /unexpected keyword argument 'c'/);
});

test("a last object without the mark is an argument", async () => {
  assert.deepEqual(await service.all(1, { a: 1 }), [1, { a: 1 }]);
});

test("bound functions, `this`, folders, lists, values", async () => {
  assert.equal(await service.bound(1, 2), 103);
  assert.equal(await service.withThis(1), 8);
  assert.equal(await service.nested.withThis(1), 71);
  assert.equal(await service.nested.folder.hello("you"), "hello you");
  assert.equal(await service.list[1](), "second");
  assert.equal(service.base, 7);
  assert.equal(await service.nothing(), null);
});

test("instances of classes are services", async () => {
  await api.registerService(new Shelf("shelf"));
  const shelf = await api.getService("shelf");
  assert.equal(await shelf.put("a"), "shelf: a (1)");
  assert.equal(await shelf.putLater("b"), "shelf: b (2)");
  assert.equal(await shelf.put_later("c"), "shelf: c (3)");
  assert.equal(shelf._inside, undefined);
  assert.equal(shelf.constructor, Object);
  await api.unregisterService("shelf");
  await assert.rejects(api.getService("shelf"), RpcError);
});

test("both ways of writing names", async () => {
  assert.equal(await service.snakeCase(), "snake");
  assert.equal(await service.camel_case(), "camel");
  assert.deepEqual(
    Object.keys(service).filter((name) => /snake|camel/i.test(name)),
    ["snake_case", "camelCase"],
  );
  await api.register_service({ id: "twin", hello: () => "hi" });
  assert.equal(await (await api.get_service("twin")).hello(), "hi");
  await api.unregister_service("twin");
  assert.equal(typeof api.listServices, "function");
  assert.equal(typeof api.list_services, "function");
  assert.equal(api.client_id, api.clientId);
});

test("remote functions say what they are", async () => {
  assert.equal(service.add.name, "add");
  assert.equal(service.add.__name__, "add");
  await api.registerService({
    id: "described",
    fn: Object.assign((a) => a, {
      __doc__: "gives back",
      __schema__: { name: "fn", parameters: { type: "object" } },
    }),
  });
  const { fn } = await api.getService("described");
  assert.equal(fn.__doc__, "gives back");
  assert.deepEqual(fn.__schema__, { name: "fn", parameters: { type: "object" } });
});

test("a member named `then` does not make a promise of its service", async () => {
  // biome-ignore lint/suspicious/noThenProperty: such a member is what this is about
  await api.registerService({ id: "thenable", then: (value) => `then ${value}`, other: () => "other" });
  const found = await api.getService("thenable");
  assert.equal(await found.other(), "other");
  assert.equal(await found.then_(1), "then 1");
});

test("callbacks run while the call does", async () => {
  const seen = [];
  assert.deepEqual(await service.repeat((number) => seen.push(number), 3), [1, 2, 3]);
  assert.deepEqual(await service.repeat(async (number) => number * 2, 3), [0, 2, 4]);
  assert.deepEqual(seen, [0, 1, 2]);
});

test("errors of callbacks come back through the function", async () => {
  const refuse = () => {
    throw new Error("callback refused");
  };
  await assert.rejects(service.repeat(refuse, 1), /callback refused/);
});

test("a remote function may be handed on as a callback", async () => {
  assert.deepEqual(await service.repeat(service.nested.folder.hello, 2), ["hello 0", "hello 1"]);
});

test("functions in results stay callable", async () => {
  const double = await service.multiplier(2);
  assert.equal(await double(21), 42);
  assert.equal(await double(4), 8);
});

test("a callback after its call is gone, and nobody is hurt", async () => {
  assert.equal(await service.callLater(() => assert.fail("must not run")), "at once");
  assert.equal(await service.add(1, 1), 2);
});

test("many answers at once: good, bad, large, with functions", async () => {
  await api.registerService({
    id: "mixed",
    answer: (number) =>
      [number, Symbol("s"), Buffer.alloc(10_000, number), () => number, "x".repeat(9000)][
        number % 5 === 1 ? 1 : number % 5
      ],
    async later(number) {
      await null;
      return number % 3 ? number : { fn: () => number };
    },
  });
  const mixed = await api.getService("mixed");
  const ends = await Promise.allSettled(Array.from({ length: 500 }, (_, number) => mixed.answer(number)));
  for (const [number, { status, value, reason }] of ends.entries()) {
    const kinds = [
      () => value === number,
      () => /a symbol cannot be sent/.test(reason.message),
      () => value.length === 10_000,
      () => typeof value === "function",
      () => value.length === 9000,
    ];
    assert.ok(kinds[number % 5](), `answer ${number}: ${status}`);
  }
  assert.equal(await ends[498].value(), 498);
  const later = await Promise.all(Array.from({ length: 300 }, (_, number) => mixed.later(number)));
  assert.equal(await later[299 - 2].fn(), 297);
  assert.equal(later[298], 298);
});

test("errors carry code, type and traceback", async () => {
  await assert.rejects(service.fail(), (error) => {
    assert.ok(error instanceof RemoteError && error instanceof RpcError && error instanceof Error);
    assert.deepEqual([error.name, error.code, error.remoteType], ["RemoteError", "remote", "TypeError"]);
    assert.match(error.message, /no good/);
    assert.match(error.remoteTraceback, /calls\.test\.mjs/);
    assert.equal(error.cause.name, "TypeError");
    return true;
  });
  await assert.rejects(service.failLater(), { code: "remote", remoteType: "OddError", message: /later/ });
  await assert.rejects(service.failText(), { code: "remote", message: /only text/ });
  await assert.rejects(
    service.failKnown(),
    (error) => error instanceof NotFoundError && error.code === "not_found",
  );
  await assert.rejects(service.failResult(), /at the result\.items\[0\]: a symbol cannot be sent/);
});

test("a call that never ends ends at its deadline", async () => {
  const impatient = await connectToServer({ server_url: server.url, method_timeout: 0.3 });
  try {
    await impatient.registerService({ id: "slow", hang: async () => new Promise(() => undefined) });
    const slow = await impatient.getService("slow");
    const call = slow.hang();
    // Without heartbeats the deadline would pass; a function that runs sends them, so the call goes on.
    assert.equal(await Promise.race([call.catch(() => "ended"), delay(900)]), "still there");
  } finally {
    await impatient.disconnect();
  }
});

function delay(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, "still there"));
}

test("the context is the last argument, padded to its place", async () => {
  await api.registerService({
    id: "contexts",
    config: { require_context: true },
    one: (context) => context.ws,
    two: (tag, context) => [tag, context.ws, context.from],
    named: (context, tag) => [tag, context.ws],
    last: (a, b = 2, caller) => [a, b, caller.ws],
    none: () => "no argument",
    many: (...args) => args.length,
  });
  const { workspace, clientId } = api;
  const contexts = await api.getService("contexts");
  assert.equal(await contexts.one(), workspace);
  assert.deepEqual(await contexts.two("t"), ["t", workspace, `${workspace}/${clientId}`]);
  assert.deepEqual(await contexts.two(), [null, workspace, `${workspace}/${clientId}`]);
  assert.deepEqual(await contexts.two(keywords({ tag: "k" })), ["k", workspace, `${workspace}/${clientId}`]);
  assert.deepEqual(await contexts.named(keywords({ tag: "k" })), ["k", workspace]);
  assert.deepEqual(await contexts.last(1), [1, 2, workspace]);
  assert.equal(await contexts.none(), "no argument");
  assert.equal(await contexts.many(1, 2), 3);
});

test("nobody else gives the context", async () => {
  await api.registerService({
    id: "guarded",
    config: { require_context: true },
    named: (tag, context) => [tag, context.ws],
    short: (tag, _ctx) => [tag, _ctx.ws],
    apart: (tag, { ws }) => [tag, ws],
  });
  const { workspace } = api;
  const guarded = await api.getService("guarded");
  const lie = { ws: "elsewhere" };
  for (const method of ["named", "short", "apart"]) {
    await assert.rejects(guarded[method]("t", lie), /multiple values for argument 'context'/);
    assert.deepEqual(await guarded[method](keywords({ tag: "t", context: lie })), ["t", workspace]);
  }
  assert.deepEqual(await guarded.short(keywords({ tag: "t", _ctx: lie })), ["t", workspace]);
});

test("services are refused for good reasons", async () => {
  await assert.rejects(api.registerService({ hello: () => 1 }), {
    code: "invalid",
    message: /give the service an `id`/,
  });
  await assert.rejects(api.registerService(null), { code: "invalid" });
  await assert.rejects(api.registerService({ id: "calls" }), { code: "conflict" });
  await assert.rejects(
    api.registerService({ id: "bad", inner: { s: Symbol("s") } }),
    /at the service\.inner\.s: a symbol/,
  );
  const info = await api.registerService({ ...members, id: "calls" }, { overwrite: true });
  assert.match(info.id, /:calls$/);
});

test("unknown services and methods", async () => {
  await assert.rejects(api.getService("nowhere"), (error) => error instanceof RpcError);
});

test("the manager's methods are there", async () => {
  assert.equal(await api.echo("hi"), "hi");
  const services = await api.listServices();
  assert.ok(services.some(({ id }) => id.endsWith(":calls")));
  assert.equal(typeof (await api.generateToken()), "string");
  assert.equal(await api.manager.echo("by way of the manager"), "by way of the manager");
});

test("events reach listeners once, always, and no longer", async () => {
  const seen = [];
  const listener = (event) => seen.push(["on", event.data]);
  api.on("test-event", listener);
  api.once("test-event", (event) => seen.push(["once", event.data]));
  const arrived = () => new Promise((resolve) => api.once("test-event", resolve));
  for (const data of [1, 2]) {
    const next = arrived();
    api.emit({ type: "test-event", to: api.clientId, data });
    await next;
  }
  api.off("test-event", listener);
  const next = arrived();
  api.emit({ type: "test-event", to: api.clientId, data: 3 });
  await next;
  assert.deepEqual(seen, [
    ["on", 1],
    ["once", 1],
    ["on", 2],
  ]);
});

test("connecting says what is wrong", async () => {
  await assert.rejects(connectToServer({}), /server_url is required/);
  await assert.rejects(connectToServer({ server_url: "localhost" }), { code: "invalid" });
  await assert.rejects(connectToServer({ server_url: server.url, token: "nonsense" }), RpcError);
  assert.equal(new RpcTimeoutError("x").name, "RpcTimeoutError");
});

test("after disconnect calls fail, and disconnecting again is harmless", async () => {
  const short = await connectToServer({ server_url: server.url });
  const remote = await short.echo("x").then(() => short.echo);
  const hanging = short.getService(`${api.clientId}:calls`).then((found) => found.hang());
  hanging.catch(() => undefined);
  await short.disconnect();
  await short.disconnect();
  await assert.rejects(remote("y"), { code: "peer_gone" });
  await assert.rejects(hanging, RpcError);
});

test("`await using` ends a connection", async () => {
  const short = await connectToServer({ server_url: server.url });
  await short[Symbol.asyncDispose]();
  await assert.rejects(short.registerService({ id: "late" }), { code: "peer_gone" });
});
