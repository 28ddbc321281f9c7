// Kinds of values that users teach their connections.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectToServer, InvalidError } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
}
class Celsius {
  constructor(degrees) {
    this.degrees = degrees;
  }
}
const POINT = {
  name: "point",
  type: Point,
  encoder: ({ x, y }) => ({ at: [x, y] }),
  decoder: ({ at, _rtype }) => Object.assign(new Point(...at), { by: _rtype }),
};

const server = await serverForFile();
let knowing;
let plain;
let echo;

before(async () => {
  knowing = await connectToServer({ server_url: server.url });
  plain = await connectToServer({ server_url: server.url });
  const service = { id: "echo", config: { visibility: "public" }, echo: (value) => value };
  await plain.registerService({ ...service, isPoint: (value) => value instanceof Point });
  ({ echo } = await knowing.getService(`${plain.workspace}/${plain.clientId}:echo`));
  knowing.registerCodec(POINT);
});
after(async () => {
  await knowing.disconnect();
  await plain.disconnect();
});

test("an instance goes out and comes back by its codec, at any depth", async () => {
  const [{ point }] = await echo([{ point: new Point(1, new Point(2, 3)) }]);
  assert.ok(point instanceof Point && point.y instanceof Point);
  assert.deepStrictEqual({ ...point.y }, { x: 2, y: 3, by: "point" });
});

test("a connection without the codec has the map, and gives it back", async () => {
  const own = await plain.getService("echo");
  assert.deepStrictEqual(await own.echo({ _rtype: "point", at: [1, 2] }), { _rtype: "point", at: [1, 2] });
  assert.equal(await own.isPoint({ _rtype: "point", at: [1, 2] }), false);
  assert.deepStrictEqual(await own.echo(new Point(1, 2)), { x: 1, y: 2 });
});

test("results of functions are encoded too", async () => {
  await knowing.registerService({
    id: "maker",
    config: { visibility: "public" },
    make: () => new Point(5, 6),
  });
  const id = `${knowing.workspace}/${knowing.clientId}:maker`;
  assert.deepStrictEqual(await (await plain.getService(id)).make(), { _rtype: "point", at: [5, 6] });
});

test("an encoder may make any value; a later codec of the class takes its place", async () => {
  knowing.registerCodec({ name: "celsius", type: Celsius, encoder: ({ degrees }) => degrees });
  assert.equal(await echo(new Celsius(21)), 21);
  knowing.register_codec({
    name: "kelvin",
    type: Celsius,
    encoder: ({ degrees }) => ({ value: degrees + 273 }),
  });
  assert.deepStrictEqual(await echo(new Celsius(0)), { _rtype: "kelvin", value: 273 });
});

test("what a codec throws reaches the caller", async () => {
  const own = new RangeError("mine");
  const fail = () => {
    throw own;
  };
  knowing.registerCodec({ name: "failing", type: class Failing {}, decoder: fail });
  await assert.rejects(echo({ _rtype: "failing" }), (error) => error === own);
  assert.equal(await echo("the next one"), "the next one");
  class Bad {}
  knowing.registerCodec({ name: "bad", type: Bad, encoder: fail });
  await assert.rejects(echo(new Bad()), (error) => error === own);
});

test("arguments that no codec can decode fail their call", async () => {
  const decoder = () => {
    throw new RangeError("no such thing");
  };
  plain.registerCodec({ name: "thing", decoder });
  await assert.rejects(echo({ _rtype: "thing" }), /no such thing/);
});

test("a codec that could not work is refused", () => {
  for (const codec of [
    {},
    { name: "x" },
    { name: "", decoder: (form) => form },
    { name: "set", decoder: (form) => form },
    { name: "x", encoder: (value) => value },
    { name: "x", type: Celsius, encoder: 5 },
    { name: "x", decoder: {} },
  ]) {
    assert.throws(() => knowing.registerCodec(codec), InvalidError);
  }
});
