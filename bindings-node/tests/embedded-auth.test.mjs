// The server inside the program, with a login provider of the same program, and functions that say what they take.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectToServer } from "hypha-rpc";
import { Server, schemaFunction } from "../lib/index.js";

const PARAMETERS = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "integer" } },
  required: ["a", "b"],
};
const add = schemaFunction((a, b) => a + b, { name: "add", parameters: PARAMETERS });

let server;
let api;

before(async () => {
  server = await Server.start();
  api = await server.connect({ workspace: "lab-own" });
  await api.registerService({ id: "calc", config: { visibility: "public" }, add });
});

after(() => server.stop());

async function ask(path, { token, json } = {}) {
  const headers = { connection: "close", ...(token && { authorization: `Bearer ${token}` }) };
  const body = json === undefined ? undefined : JSON.stringify(json);
  const type = body && { "content-type": "application/json" };
  const method = body ? "POST" : "GET";
  const answer = await fetch(server.url + path, { method, headers: { ...headers, ...type }, body });
  return [answer.status, await answer.json()];
}

test("arguments that a schema refuses are answered with 422", async () => {
  const path = "/lab-own/services/calc/add";
  assert.deepEqual(await ask(path, { json: { a: 1, b: 2 } }), [200, 3]);
  assert.deepEqual(await ask(`${path}?a=1&b=2`), [200, 3]);
  for (const json of [{ a: "one", b: 2 }, { a: 1 }, [1, 2.5]]) {
    const [status, told] = await ask(path, { json });
    assert.deepEqual([status, told.success], [422, false], JSON.stringify(told));
    assert.match(told.detail, /[ab]/);
  }
  assert.equal((await ask(`${path}?a=one&b=2`))[0], 422);
});

test("the published client is told of the schema, and refused by it", async () => {
  const theirs = await connectToServer({ server_url: server.url });
  try {
    const calc = await theirs.getService("lab-own/calc");
    assert.deepEqual(calc.add.__schema__.parameters, PARAMETERS);
    assert.equal(await calc.add(1, 2), 3);
    await assert.rejects(calc.add("one", 2), /integer/);
  } finally {
    await theirs.disconnect();
  }
});

test("a provider of the same program says who comes, and makes tokens", async () => {
  const made = new Map();
  const provider = await server.connect({ workspace: "public" });
  await provider.registerAuthService({
    parse_token: (token) => (token === "key-of-ann" ? { id: "ann" } : (made.get(token) ?? null)),
    generate_token: (user) => {
      const token = `made-${made.size}`;
      made.set(token, { id: user.id, scope: user.scope });
      return token;
    },
  });
  const whoami = async (token) => (await ask("/assets/config.json", { token }))[1].user?.id;
  assert.equal(await whoami("key-of-ann"), "ann");
  assert.equal((await ask("/assets/config.json", { token: "key-of-nobody" }))[0], 401);
  const ann = await server.connect({ token: "key-of-ann" });
  assert.equal(ann.workspace, "ws-user-ann");
  const token = await ann.generateToken({ permission: "read" });
  assert.equal(token, "made-0");
  assert.equal(await whoami(token), made.get(token).id);
  // what a provider has made ends with what it was made with
  await provider.revokeToken("key-of-ann");
  assert.equal((await ask("/assets/config.json", { token }))[0], 401);
  await provider.unregisterAuthService();
  assert.equal((await ask("/assets/config.json", { token: "key-of-nobody" }))[0], 401);
});
