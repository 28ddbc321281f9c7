// The API of a connection: services, names, events, and what programs of hypha-rpc look for.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PACKAGE, serverForFile, startServer } from "./server.mjs";

const polyfn = await import(PACKAGE);
const { connectToServer, InvalidError, NotFoundError, PeerGoneError, RpcTimeoutError } = polyfn;
const server = await serverForFile();

let api;
let peer;

before(async () => {
  api = await connectToServer({ serverUrl: server.url, name: "api" });
  peer = await connectToServer({ serverUrl: server.url, token: await api.generateToken() });
});
after(async () => {
  await peer?.disconnect();
  await api?.disconnect();
});

const own = (service, client = api) => `${client.workspace}/${client.clientId}:${service}`;

describe("services", () => {
  test("one of the same id is replaced when that is asked for, by an object or by true", async () => {
    await api.registerService({ id: "twice", value: 1 });
    await assert.rejects(api.registerService({ id: "twice", value: 2 }), { code: "conflict" });
    await api.registerService({ id: "twice", value: 3 }, { overwrite: true });
    await api.register_service({ id: "twice", value: 4 }, true);
    assert.equal((await peer.getService("twice")).value, 4);
  });

  test("one that the server is not told of can be called by who knows its owner", async () => {
    const info = await api.registerService({ id: "quiet", add: (a, b) => a + b }, { notify: false });
    assert.equal(info.id, own("quiet"));
    assert.ok(!(await peer.listServices()).some(({ id }) => id === info.id));
    await assert.rejects(peer.getService("quiet"), NotFoundError);
    const quiet = await peer.rpc.getRemoteService(`${api.clientId}:quiet`);
    assert.equal(await quiet.add(1, 2), 3);
    await api.unregisterService("quiet", false);
    await assert.rejects(quiet.add(1, 2), NotFoundError);
    await assert.rejects(api.unregisterService("quiet", false), NotFoundError);
  });

  test("a service that was taken back is gone", async () => {
    const info = await api.registerService({ id: "brief", f: () => 1 });
    await api.unregister_service(info);
    await assert.rejects(peer.getService("brief"), NotFoundError);
    await assert.rejects(api.unregisterService("brief"), NotFoundError);
  });

  test("its schema is told as the server gets it", async () => {
    const add = polyfn.schemaFunction((a) => a, { name: "add", parameters: { properties: { a: {} } } });
    class Folder {
      list() {}
    }
    const service = {
      id: "described",
      add,
      plain() {},
      nested: { deep: [() => 1, 2] },
      folder: new Folder(),
    };
    Object.assign(service, { text: "t", none: null, yes: true });
    const schema = await api.getServiceSchema(service);
    delete service.folder;
    const { service_schema } = await api.registerService(service);
    const { folder, ...others } = schema;
    assert.deepEqual(folder, { type: "object" });
    assert.deepEqual(others, service_schema);
    const remote = await peer.getService("described");
    assert.deepEqual((await peer.get_service_schema(remote)).add, schema.add);
  });

  test("what is no service is refused, with what to do", async () => {
    const wait = { code: "invalid", message: /found a promise: `await` it first/ };
    await assert.rejects(api.registerService(Promise.resolve({ id: "late" })), wait);
    await assert.rejects(api.export(Promise.resolve({})), wait);
    for (const given of [new Map([["id", "map"]]), new Set()]) {
      const message = /found a (Map|Set): give `{ id, \.\.\.functions }`/;
      await assert.rejects(api.registerService(given), { code: "invalid", message });
    }
  });

  test("an application is what a client has exported", async () => {
    await api.export({ hello: () => "from the app" });
    await api.export({ hello: () => "from the newer app" });
    assert.equal(await (await peer.getApp(api.clientId)).hello(), "from the newer app");
    assert.equal(
      await (await peer.get_app(`${api.workspace}/${api.clientId}`)).hello(),
      "from the newer app",
    );
    assert.deepEqual(
      (await peer.listApps()).map(({ id }) => id),
      [own("default")],
    );
    await assert.rejects(peer.getApp("client:service"), InvalidError);
    await assert.rejects(peer.listApps("a/b"), InvalidError);
  });

  test("probes are a public service", async () => {
    const info = await api.registerProbes({ readiness: () => ({ status: "ok" }) });
    assert.equal(info.id, own("probes"));
    assert.deepEqual([info.type, info.config.visibility], ["probes", "public"]);
    const answer = await fetch(`${server.url}/${api.workspace}/services/${api.clientId}:probes/readiness`);
    assert.deepEqual(await answer.json(), { status: "ok" });
  });

  test("names are converted when that is asked for", async () => {
    await api.registerService({
      id: "cases",
      do_it: (a) => a,
      inner: { get_all: () => [1], listOf: [{ a_b: 1 }] },
      data: { some_key: 1 },
    });
    const keys = (value) => Object.keys(value).filter((key) => /do|get|some/i.test(key));
    const camel = await peer.getService("cases", { caseConversion: "camel" });
    assert.deepEqual([keys(camel), keys(camel.inner), keys(camel.data)], [["doIt"], ["getAll"], ["someKey"]]);
    assert.equal(camel.inner.listOf[0].aB, 1);
    assert.equal(await camel.doIt(5), 5);
    assert.equal(camel.doIt.__name__, "doIt");
    const snake = await peer.get_service("cases", { case_conversion: "snake" });
    assert.equal(snake.inner.list_of[0].a_b, 1);
    const both = await peer.getService("cases", { caseConversion: "camel+snake" });
    assert.deepEqual(keys(both), ["doIt", "do_it"]);
    const plain = await peer.getService("cases");
    assert.deepEqual(keys(plain), ["do_it"]);
    assert.equal(await plain.doIt(1), 1, "without conversion both names answer");
    await assert.rejects(peer.getService("cases", { caseConversion: "kebab" }), InvalidError);
  });

  test("what a type asks for is checked", async () => {
    const { typedService } = await import(new URL("service.js", new URL(`file://${PACKAGE}`)));
    const add = { type: "function", function: { name: "add", parameters: { properties: { a: {}, b: {} } } } };
    const kind = { id: "calc", definition: { add, nested: { sub: { type: "function" } }, version: {} } };
    const good = { id: "c", type: "calc", add: (a, b) => a + b, nested: { sub() {} }, version: 1 };
    assert.deepEqual(Object.keys(typedService(good, kind).add.__schema__.parameters.properties), ["a", "b"]);
    for (const [bad, message] of [
      [{ ...good, add: undefined }, /`add` of a service of type calc is no function/],
      [{ ...good, nested: {} }, /needs `nested.sub`/],
      [{ ...good, more: 1 }, /has no `more`/],
      [{ ...good, version() {} }, /`version` of a service of type calc is a function/],
    ]) {
      assert.throws(() => typedService(bad, kind), { code: "invalid", message });
    }
    await assert.rejects(api.registerService({ id: "c", type: "no-such" }, { checkType: true }));
  });
});

test("methods may be taken off their connection", async () => {
  const { echo, get_service, registerService } = api;
  await registerService({ id: "off", one: () => 1 });
  assert.deepEqual([await echo(2), await (await get_service("off")).one()], [2, 1]);
});

describe("events", () => {
  test("a message needs a type", () => {
    for (const bad of [{}, { type: 5 }, { to: "*" }, null, undefined])
      assert.throws(() => api.emit(bad), {
        code: "invalid",
        message: /`type` of a message must be a string/,
      });
  });

  test("subscribers in the workspace are told, by any of its clients", async () => {
    const heard = [];
    await api.subscribe("weather");
    await api.subscribe(["news", "sport"]);
    api.on("news", ({ text, from }) => heard.push(["on", text, from]));
    api.once("news", ({ text }) => heard.push(["once", text]));
    peer.emit({ type: "news", to: "*" }, { text: "a" });
    peer.emit({ type: "news", to: "*", text: "b" });
    peer.emit({ type: "weather", to: "*" });
    await api.waitFor("weather", 10);
    const from = `${peer.workspace}/${peer.clientId}`;
    assert.deepEqual(heard, [
      ["on", "a", from],
      ["once", "a"],
      ["on", "b", from],
    ]);
    await api.unsubscribe("news");
    peer.emit({ type: "news", to: "*", text: "c" });
    peer.emit({ type: "weather", to: "*" });
    await api.waitFor("weather", 10);
    assert.equal(heard.length, 3);
    api.off("news");
  });

  test("one client is told without a subscription, and the own listeners without a receiver", async () => {
    const direct = api.waitFor("direct", 10);
    peer.emit("direct", { to: api.clientId, number: 7 });
    assert.equal((await direct).number, 7);
    const local = api.waitFor("local", 10);
    api.emit("local", { number: 8 });
    assert.equal((await local).number, 8);
  });

  test("waiting for one that does not come ends in time", async () => {
    await assert.rejects(api.waitFor("never", 0.01), RpcTimeoutError);
    assert.throws(() => api.on("news", "no function"), InvalidError);
  });

  test("a peer cannot tell what the server or the connection itself tells", async () => {
    const heard = [];
    for (const kind of ["connected", "services_registered", "client_disconnected"]) {
      api.on(kind, () => heard.push(kind));
      peer.emit({ type: kind, to: api.clientId });
    }
    const last = api.waitFor("last", 10);
    peer.emit({ type: "last", to: api.clientId });
    await last;
    assert.deepEqual(heard, []);
    api.off("connected").off("services_registered").off("client_disconnected");
  });
});

test("a client is asked whether it is there", async () => {
  assert.equal(await peer.ping(api.clientId), "pong");
  assert.equal(await peer.rpc.ping(`${api.workspace}/${api.clientId}`, 5), "pong");
  await assert.rejects(peer.ping("nobody"), PeerGoneError);
});

describe("the rpc object", () => {
  test("has the names of hypha-rpc in both cases", () => {
    const names = `ping getManagerService getRemoteService getLocalService getAllLocalServices addService
      registerService unregisterService registerCodec emit on once off waitFor getClientInfo getSessionStats
      getServiceSchema getPublicKey reset close disconnect`;
    for (const name of names.split(/\s+/)) {
      assert.equal(typeof api.rpc[name], "function", name);
      const snake = name.replace(/[A-Z]/g, "_$&").toLowerCase();
      assert.equal(typeof api.rpc[snake], "function", snake);
    }
    assert.ok(!Object.keys(api).includes("rpc"));
  });

  test("finds services by their owner, and the manager", async () => {
    await api.rpc.register_service({ id: "by-rpc", do_it: () => 1, config: { visibility: "public" } });
    const remote = await peer.rpc.get_remote_service(own("by-rpc"), { caseConversion: "camel" });
    assert.equal(remote.id, own("by-rpc"));
    assert.equal(await remote.doIt(), 1);
    assert.equal(await (await api.rpc.getRemoteService("by-rpc")).do_it(), 1, "one's own");
    const manager = await api.rpc.getManagerService();
    assert.equal(await manager.echo("m"), "m");
    assert.equal(await (await api.rpc.getRemoteService()).echo("n"), "n");
    await assert.rejects(peer.rpc.getRemoteService(`${api.clientId}:no-such`), NotFoundError);
    await assert.rejects(peer.rpc.getRemoteService("nobody:service"), PeerGoneError);
  });

  test("knows the own services", async () => {
    const service = { id: "mine", f: () => 1 };
    await api.rpc.addService(service);
    assert.equal(api.rpc.getLocalService("mine"), service);
    assert.equal(api.rpc.getAllLocalServices().mine, service);
    const { id, services } = api.rpc.get_client_info();
    assert.equal(id, api.clientId);
    assert.ok(!services.some((info) => info.id === own("mine")), "the server does not know it");
    assert.throws(() => api.rpc.getLocalService("no-such"), NotFoundError);
  });

  test("tells how much is held", async () => {
    const call = api.echo(1);
    assert.deepEqual([api.rpc.getSessionStats().calls, api.rpc.get_session_stats().promise_sessions], [1, 1]);
    await call;
    assert.equal(api.rpc.getSessionStats().total_sessions, 0);
  });
});

test("every method answers to both of its names", () => {
  for (const name of [
    "register_service",
    "get_app",
    "list_apps",
    "wait_for",
    "register_probes",
    "generate_token",
  ]) {
    const camel = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    assert.equal(typeof api[name], "function", name);
    assert.equal(typeof api[camel], "function", camel);
  }
});

test("the namespace of hypha-rpc leads to the same", async () => {
  const { hyphaWebsocketClient } = polyfn;
  for (const name of [
    "connectToServer",
    "connectToServerHTTP",
    "getRemoteService",
    "getRemoteServiceHTTP",
    "login",
    "logout",
    "schemaFunction",
    "schemaMethod",
  ]) {
    assert.equal(hyphaWebsocketClient[name], polyfn[name]);
  }
  const same = await hyphaWebsocketClient.connectToServer({ server_url: server.url });
  assert.equal(await same.echo(1), 1);
  await same.disconnect();
});

test("a connection that breaks is made again, with all that belongs to it", async () => {
  const first = await startServer();
  const client = await connectToServer({ serverUrl: first.url });
  const told = [];
  for (const kind of [
    "disconnected",
    "manager_refreshed",
    "services_registered",
    "reconnected",
    "connected",
  ]) {
    client.on(kind, (data) => told.push([kind, data]));
  }
  await client.registerService({ id: "stays", config: { visibility: "public" }, f: () => "still here" });
  await client.registerService({ id: "local", f: () => "local" }, { notify: false });
  await client.subscribe("news");
  assert.equal(client.connectionState, "connected");
  const broken = client.waitFor("disconnected", 10);
  await first.stop();
  await broken;
  assert.equal(client.connection_state, "disconnected");
  const away = [client.echo("made while away"), client.subscribe("sport")];
  const again = client.waitFor("connected", 30);
  const second = await startServer(first.port);
  try {
    await again;
    assert.equal(client.connectionState, "connected");
    assert.equal(await away[0], "made while away");
    await away[1];
    const other = await connectToServer({ serverUrl: second.url, token: await client.generateToken() });
    assert.equal(await (await other.getService("stays")).f(), "still here");
    assert.equal(await (await other.rpc.getRemoteService(`${client.clientId}:local`)).f(), "local");
    for (const kind of ["news", "sport"]) {
      const heard = client.waitFor(kind, 10);
      other.emit({ type: kind, to: "*" });
      await heard;
    }
    assert.deepEqual(
      told.map(([kind]) => kind),
      ["disconnected", "manager_refreshed", "services_registered", "reconnected", "connected"],
    );
    assert.deepEqual(told[2][1], { total: 2, registered: 2, failed: [] });
    await other.disconnect();
    await client.disconnect();
    assert.equal(client.connectionState, "closed");
    await assert.rejects(client.echo(1), PeerGoneError);
  } finally {
    await second.stop();
  }
});
