// Objects whose functions outlive the call that brought them, and the keys of a connection.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectToServer, InvalidError, NotFoundError } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

const server = await serverForFile();
let owner;
let caller;
let service;
const kept = [];

before(async () => {
  owner = await connectToServer({ serverUrl: server.url });
  const token = await owner.generateToken();
  caller = await connectToServer({ serverUrl: server.url, workspace: owner.config.workspace, token });
  const members = { id: "keeper", keep: (object) => void kept.push(object), make: () => beeper() };
  const info = await owner.registerService(members);
  service = await caller.getService(info.id);
});

after(async () => {
  await caller.disconnect();
  await owner.disconnect();
});

const beeper = () => ({
  _rintf: true,
  beep: (text = "") => `beep ${text}`,
  deep: { er: () => "down" },
  name: "robot",
});

test("an object is called after its call until either side ends it", async () => {
  for (const end of ["dispose", "unregister"]) {
    const object = beeper();
    await service.keep(object);
    const robot = kept.pop();
    assert.match(object._rintf_service_id, /^_rintf_\w+$/);
    assert.equal(robot._rintf_service_id, object._rintf_service_id);
    assert.deepEqual([await robot.beep("x"), await robot.deep.er(), robot.name], ["beep x", "down", "robot"]);
    if (end === "dispose") await robot._dispose();
    else await caller.unregisterService(object._rintf_service_id);
    await assert.rejects(robot.beep(), NotFoundError);
  }
});

test("functions that come home are called there", async () => {
  const use = async (add) => add(2);
  const info = await owner.registerService({ id: "home", make: () => (number) => number + 1, use });
  const home = await caller.getService(info.id);
  assert.equal(await home.use(await home.make()), 3, "given away in a result");
  const other = await caller.registerService({ id: "through", through: (add) => home.use(add) });
  const through = await owner.getService(other.id);
  assert.equal(await through.through((number) => number + 1), 3, "and in the arguments of a call under way");
});

test("methods of a class keep their this", async () => {
  class Robot {
    _rintf = true;
    beeps = 0;
    beep() {
      this.beeps += 1;
      return this.beeps;
    }
    _hidden() {}
  }
  const object = new Robot();
  await service.keep(object);
  const robot = kept.pop();
  assert.deepEqual([await robot.beep(), await robot.beep(), object.beeps], [1, 2, 2]);
  assert.equal(robot._hidden, undefined);
});

test("what was received can be sent back", async () => {
  await service.keep(beeper());
  const robot = kept.pop();
  const got = [];
  const info = await caller.registerService({ id: "back", take: (object) => void got.push(object) });
  await (await owner.getService(info.id)).take(robot);
  assert.equal(await got[0].beep("on"), "beep on");
});

test("a result may be one", async () => {
  assert.equal(await (await service.make()).beep("y"), "beep y");
});

test("without functions it is data", async () => {
  const object = { _rintf: true, a: 1 };
  await service.keep(object);
  assert.deepEqual(kept.pop(), object);
  assert.equal(object._rintf_service_id, undefined);
});

test("keys are made or given", async () => {
  const serverUrl = server.url;
  const made = await connectToServer({ serverUrl, encryption: true });
  assert.match(made.getPublicKey(), /^[0-9a-f]{64}$/);
  assert.equal(made.get_public_key(), made.getPublicKey());
  await made.disconnect();
  const key = Uint8Array.from({ length: 32 }, (_, number) => number);
  for (const encryptionPrivateKey of [key, Buffer.from(key).toString("hex")]) {
    const given = await connectToServer({ serverUrl, encryption: true, encryptionPrivateKey });
    assert.equal(given.getPublicKey(), "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
    await given.disconnect();
  }
  assert.equal(owner.getPublicKey(), null);
  const wrong = { serverUrl, encryption: true, encryptionPrivateKey: "ab" };
  await assert.rejects(connectToServer(wrong), { name: "InvalidError", message: /64 hexadecimal digits/ });
  await assert.rejects(owner.getService("x", { encryptionPublicKey: "07".repeat(32) }), InvalidError);
});

test("what is said under a key is understood", async () => {
  const token = await owner.generateToken();
  const options = { serverUrl: server.url, workspace: owner.config.workspace, token, encryption: true };
  const [one, other] = [await connectToServer(options), await connectToServer(options)];
  const members = {
    id: "sealed",
    config: { require_context: true },
    echo: (value, context) => [value, context.encryption, context.caller_public_key],
    apply: (callback, value) => callback(value),
    count: async function* count(to) {
      for (let number = 0; number < to; number += 1) yield number;
    },
  };
  const info = await one.registerService(members);
  const sealed = await other.getService(info.id, { encryptionPublicKey: one.getPublicKey() });
  assert.deepEqual(await sealed.echo("x"), ["x", true, other.getPublicKey()]);
  assert.equal(await sealed.apply((value) => value * 2, 21), 42);
  const bytes = Buffer.from(one.getPublicKey(), "hex");
  const again = await other.getService(info.id, { encryptionPublicKey: bytes });
  assert.deepEqual(await again.echo("x"), ["x", true, other.getPublicKey()]);
  const numbers = [];
  for await (const number of await sealed.count(3)) numbers.push(number);
  assert.deepEqual(numbers, [0, 1, 2]);
  await other.disconnect();
  await one.disconnect();
});
