// Functions that say what they take: what callers see, and what is refused before the function runs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as zod from "zod";
import { PACKAGE, serverForFile } from "./server.mjs";

const { connectToServer, InvalidError, schemaFunction, schemaMethod, z } = await import(PACKAGE);
const server = await serverForFile();

const TWO = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "integer", description: "the second" } },
  required: ["a"],
  additionalProperties: false,
};

let api;
let peer;
let number = 0;

before(async () => {
  api = await connectToServer({ serverUrl: server.url });
  peer = await connectToServer({ serverUrl: server.url, token: await api.generateToken() });
});
after(async () => {
  await peer?.disconnect();
  await api?.disconnect();
});

/** The functions as another client sees them. */
async function offered(functions, config = {}) {
  number += 1;
  const info = await api.registerService({ id: `schemas-${number}`, config, ...functions });
  return peer.getService(info.id);
}

function refused(message) {
  return (error) => {
    assert.ok(error instanceof InvalidError, String(error));
    assert.match(error.message, message);
    return true;
  };
}

describe("a JSON Schema", () => {
  const runs = [];
  const add = schemaFunction(
    (a, b = 10) => {
      runs.push([a, b]);
      return a + b;
    },
    { name: "add", description: "Adds.", parameters: TWO },
  );

  test("is seen by callers and by the server", async () => {
    const service = await offered({ add });
    const shown = { name: "add", description: "Adds.", parameters: TWO };
    assert.deepEqual(service.add.__schema__, shown);
    const info = await peer.getServiceInfo(service.id);
    assert.deepEqual(info.service_schema.add, { type: "function", function: shown });
    assert.deepEqual(Object.keys(service.add.__schema__.parameters.properties), ["a", "b"]);
  });

  test("maps positional arguments and keywords by its order and names", async () => {
    const service = await offered({ add });
    assert.equal(await service.add(1, 2), 3);
    assert.equal(await service.add(1), 11);
    assert.equal(await service.add(1, { b: 5, _rkwargs: true }), 6);
    assert.equal(await service.add({ b: 5, a: 2, _rkwargs: true }), 7);
  });

  test("refuses before the function runs", async () => {
    const service = await offered({ add });
    runs.length = 0;
    for (const [args, message] of [
      [["1", 2], /^at args\[0\]: `a` of add\(a, b\): .* "integer", found "1"$/],
      [[1, 2.5], /^at args\[1\]: `b` of add\(a, b\): .* "integer", found 2.5$/],
      [[{ b: 1, _rkwargs: true }], /needs "a"/],
      [[1, { c: 1, _rkwargs: true }], /takes no `c`/],
      [[1, 2, 3], /takes 2 arguments by position, found 3$/],
      [[1, { a: 2, _rkwargs: true }], /got `a` twice$/],
      [[undefined, 2], /found null$/],
    ]) {
      await assert.rejects(service.add(...args), refused(message));
    }
    assert.deepEqual(runs, []);
  });

  test("shows which arguments that are undefined were not given", async () => {
    const seen = (...args) => args;
    const optional = schemaFunction((a = 1, b = 2, c = 3) => [a, b, c], {
      name: "optional",
      parameters: { properties: { a: { type: "integer" }, b: { type: "integer" }, c: { type: "integer" } } },
    });
    const service = await offered({ add, optional, seen });
    assert.equal(await service.add(1, undefined), 11);
    assert.equal(await service.add(1, { b: undefined, _rkwargs: true }), 11);
    assert.deepEqual(await service.optional(undefined, undefined, undefined), [1, 2, 3]);
    assert.deepEqual(await service.optional(undefined, 5), [1, 5, 3]);
    assert.deepEqual(await service.optional(4, undefined, 6), [4, 2, 6]);
    assert.deepEqual(await service.optional(undefined, { c: 6, _rkwargs: true }), [1, 2, 6]);
    assert.deepEqual(await service.optional(undefined, 5, { a: undefined, c: 6, _rkwargs: true }), [1, 5, 6]);
    // What has to be there is sent as it is, and so is everything where no schema is shown.
    await assert.rejects(service.add(undefined), refused(/^at args\[0\]: `a` of add.* found null$/));
    await assert.rejects(service.optional(undefined, 5, { a: 1, _rkwargs: true }), refused(/got `a` twice$/));
    await assert.rejects(service.optional(undefined, 2, 3, 4), refused(/takes 3 arguments by position/));
    assert.deepEqual(await service.seen(undefined, 1, undefined), [null, 1, null]);
  });

  test("may be built by the builder of hypha-rpc", async () => {
    const parameters = z.object({ who: z.string().describe("whom"), times: z.optional(z.integer()) });
    const greet = schemaFunction((who, times = 1) => `hello ${who} `.repeat(times), {
      name: "greet",
      parameters,
    });
    const service = await offered({ greet });
    assert.deepEqual(service.greet.__schema__.parameters, {
      type: "object",
      properties: { who: { type: "string", description: "whom" }, times: { type: "integer" } },
      required: ["who"],
    });
    assert.equal(await service.greet("you", 2), "hello you hello you ");
    await assert.rejects(service.greet(5), refused(/found 5$/));
  });

  test("lets bytes through where it asks for bytes or objects", async () => {
    const parameters = {
      properties: { data: { type: "string", format: "binary" }, any: { type: "object" } },
    };
    const size = schemaFunction((data, any) => [data.length, any.length], { name: "size", parameters });
    const service = await offered({ size });
    assert.deepEqual(await service.size(new Uint8Array(3), new Uint8Array(4)), [3, 4]);
  });
});

describe("a function", () => {
  test("that takes its parameter apart gets one object", async () => {
    const add = schemaFunction(({ a, b }) => a + b, { name: "add", parameters: TWO });
    const service = await offered({ add });
    assert.equal(await service.add(1, 2), 3);
    assert.equal(await service.add({ a: 1, b: 2, _rkwargs: true }), 3);
  });

  test("gets the context behind its parameters", async () => {
    const from = `${peer.workspace}/${peer.clientId}`;
    const described = (name, call, parameters) => schemaFunction(call, { name, parameters });
    const asking = await offered(
      {
        plain: described("plain", (a, b, context) => [a, b, context.from], TWO),
        object: described("object", ({ a, b }, context) => [a, b, context.from], TWO),
        named: described("named", (context, a) => [a, context.from], { properties: { context: {}, a: {} } }),
      },
      { require_context: true },
    );
    assert.deepEqual(await asking.object(1), [1, null, from]);
    assert.deepEqual(await asking.named({ a: 1, _rkwargs: true }), [1, from]);
    assert.deepEqual(Object.keys(asking.named.__schema__.parameters.properties), ["a"]);
    assert.deepEqual(await asking.plain(1), [1, null, from]);
    assert.deepEqual(await asking.plain(1, { b: 2, _rkwargs: true }), [1, 2, from]);
    await assert.rejects(asking.plain(1, 2, { from: "root" }), refused(/takes 2 arguments/));
    await assert.rejects(asking.plain(1, { context: { from: "root" }, _rkwargs: true }), refused(/takes no/));
  });

  test("of a class keeps its this", async () => {
    class Counter {
      count = 0;
      add(by) {
        this.count += by;
        return this.count;
      }
    }
    const parameters = { properties: { by: { type: "integer" } }, required: ["by"] };
    schemaMethod(Counter.prototype.add, { parameters });
    number += 1;
    const counter = Object.assign(new Counter(), { id: `counter-${number}` });
    const service = await peer.getService((await api.registerService(counter)).id);
    assert.equal(await service.add(2), 2);
    assert.equal(await service.add(3), 5);
    await assert.rejects(service.add("x"), refused(/`by` of add\(by\)/));
  });

  test("is described by decorators, the language's and TypeScript's", () => {
    const decorate = schemaMethod({ parameters: TWO });
    const standard = () => undefined;
    decorate(standard, { kind: "method", name: "standard" });
    assert.equal(standard.__schema__.name, "standard");
    const legacy = { value: () => undefined };
    decorate({}, "legacy", legacy);
    assert.equal(legacy.value.__schema__.name, "legacy");
    assert.throws(() => decorate({}, { kind: "field", name: "x" }), InvalidError);
  });

  test("without a schema takes what it is given", async () => {
    const service = await offered({ any: (...args) => args.length });
    assert.equal(await service.any("1", 2, 3), 3);
  });
});

describe("a schema of zod", () => {
  const parameters = zod.object({
    who: zod.string().trim().min(2),
    times: zod.coerce.number().int().default(2),
    tags: zod.array(zod.object({ name: zod.string() })).optional(),
  });

  test("is told as JSON Schema, in order", async () => {
    const greet = schemaFunction((who, times) => [who, times], { name: "greet", parameters });
    const service = await offered({ greet });
    const { properties, required } = service.greet.__schema__.parameters;
    assert.deepEqual(Object.keys(properties), ["who", "times", "tags"]);
    assert.deepEqual(required, ["who"]);
    assert.equal(properties.who.type, "string");
  });

  test("gives the function what it parsed", async () => {
    const greet = schemaFunction((who, times) => [who, times], { name: "greet", parameters });
    const whole = schemaFunction((all) => all, { name: "whole", parameters });
    const object = schemaFunction(({ who, times }) => [who, times], { name: "object", parameters });
    const service = await offered({ greet, whole, object });
    assert.deepEqual(await service.greet(" you "), ["you", 2]);
    assert.deepEqual(await service.greet("you", "5"), ["you", 5]);
    assert.deepEqual(await service.object({ times: 7, who: "you", _rkwargs: true }), ["you", 7]);
    assert.equal(await service.whole("you"), "you");
    assert.deepEqual(await service.greet("you", undefined), ["you", 2]);
  });

  test("refuses with the place", async () => {
    const greet = schemaFunction(() => assert.fail("it must not run"), { name: "greet", parameters });
    const service = await offered({ greet });
    await assert.rejects(
      service.greet("x"),
      refused(/^at args\[0\]: `who` of greet\(who, times, tags\): Too small/),
    );
    await assert.rejects(service.greet(), refused(/^at who: `who` of greet/));
    await assert.rejects(
      service.greet("you", { tags: [{ name: "a" }, { name: 1 }], _rkwargs: true }),
      refused(/^at tags\[1\]\.name: `tags` of greet.*expected string/),
    );
    await assert.rejects(service.greet("you", 1, [], 4), refused(/takes 3 arguments by position, found 4/));
    await assert.rejects(service.greet("you", { other: 1, _rkwargs: true }), refused(/takes no `other`/));
  });

  test("may check asynchronously, and hold what JSON Schema cannot say", async () => {
    const known = zod.object({
      name: zod.string().refine(async (name) => name === "ann", "nobody of that name"),
      data: zod.instanceof(Uint8Array).optional(),
    });
    const find = schemaFunction((name, data) => [name, data?.length], { name: "find", parameters: known });
    const service = await offered({ find });
    assert.deepEqual(await service.find("ann", new Uint8Array(3)), ["ann", 3]);
    await assert.rejects(service.find("bob"), refused(/nobody of that name/));
  });
});

describe("schemaFunction", () => {
  test("gives back the function itself", () => {
    const call = (a) => a;
    assert.equal(schemaFunction(call, { name: "call", parameters: TWO }), call);
    assert.equal(call(1), 1);
  });

  test("refuses what is no schema of parameters", () => {
    const call = () => undefined;
    for (const [schema, message] of [
      [{ parameters: { type: "string" } }, /must be the JSON Schema of an object/],
      [{ parameters: zod.string() }, /must be the JSON Schema of an object/],
      [
        { parameters: zod.union([zod.object({ a: zod.string() }), zod.object({ b: zod.string() })]) },
        /must be the JSON Schema of an object/,
      ],
      [{ parameters: { $ref: "#/$defs/all" } }, /must be the JSON Schema of an object/],
      [{ parameters: null }, /must be the JSON Schema of an object/],
      [undefined, /must be the JSON Schema of an object/],
      [{ parameters: TWO, schema_type: "pydantic" }, /schema_type `pydantic`/],
    ]) {
      assert.throws(() => schemaFunction(call, schema), refused(message));
    }
    assert.throws(() => schemaFunction(() => 1, { parameters: TWO }), refused(/needs a `name`/));
    assert.throws(() => schemaFunction("call", { parameters: TWO }), refused(/describes a function/));
  });

  test("a service whose schema is none is not registered", async () => {
    const bad = schemaFunction(() => 1, {
      name: "bad",
      parameters: { properties: { a: { type: "nonsense" } } },
    });
    await assert.rejects(
      api.registerService({ id: "bad", bad }),
      refused(/^at bad: `parameters` is not a JSON Schema/),
    );
  });
});
