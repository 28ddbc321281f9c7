// Functions that take one context: their ends, who may read them; and events of the official SDK.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CloudEvent, HTTP } from "cloudevents";
import { Server } from "../lib/index.js";

let server;
let api;

before(async () => {
  server = await Server.start();
  api = await server.connect({ workspace: "lab" });
});
after(() => server.stop());

/** Asks a function; connections are not kept, so that nothing waits for them at the end. */
function ask(path, { headers, ...options } = {}) {
  return fetch(`${server.url}/lab/apps/${path}`, {
    ...options,
    headers: { connection: "close", ...headers },
  });
}

const config = { visibility: "public", signature: "context" };

/** A module, and what was called of it. */
function module(id, more = {}) {
  const calls = [];
  const shutdown = async () => {
    calls.push("shutdown");
  };
  const service = {
    id,
    type: "functions",
    config,
    handle: () => "here",
    init: () => calls.push("init"),
    shutdown,
  };
  return { calls, service: { ...service, ...more } };
}

describe("a module", () => {
  test("is shut down when it is replaced, taken back, or the connection is over", async () => {
    const own = await server.connect({ workspace: "lab" });
    const [first, second, third] = [module("ends"), module("ends"), module("ends")];
    await own.registerService(first.service);
    assert.deepEqual(first.calls, ["init"]);
    await own.registerService(second.service, { overwrite: true });
    assert.deepEqual([first.calls, second.calls], [["init", "shutdown"], ["init"]]);
    await own.unregisterService("ends");
    assert.deepEqual(second.calls, ["init", "shutdown"]);
    await own.registerService(third.service);
    await own.disconnect();
    assert.deepEqual([first.calls.length, second.calls.length, third.calls], [2, 2, ["init", "shutdown"]]);
  });

  test("that cannot start is not registered", async () => {
    const init = async () => {
      throw new Error("no room");
    };
    await assert.rejects(api.registerService(module("never", { init }).service), { message: "no room" });
    assert.equal((await ask("never/")).status, 404);
  });

  test("that the server refuses is shut down", async () => {
    const { calls, service } = module("refused");
    await assert.rejects(api.registerService({ ...service, config: { ...config, max_http_calls: "many" } }));
    assert.deepEqual(calls, ["init", "shutdown"]);
  });

  test("whose shutdown fails keeps nobody from leaving", async () => {
    const own = await server.connect({ workspace: "lab" });
    const shutdown = () => {
      throw new Error("as it should");
    };
    await own.registerService(module("fails", { shutdown }).service);
    await own.disconnect();
    assert.equal(own.connectionState, "closed");
  });

  test("says whose pages may read it", async () => {
    await api.registerService(module("cors", { cors: () => ["https://a.example"] }).service);
    for (const [origin, allowed] of [
      ["https://a.example", "https://a.example"],
      ["https://b.example", null],
    ]) {
      const answer = await ask("cors/", { headers: { origin } });
      assert.equal(answer.headers.get("access-control-allow-origin"), allowed);
      const headers = { origin, "access-control-request-method": "PUT" };
      const before = await ask("cors/", { method: "OPTIONS", headers });
      assert.deepEqual([before.status, before.headers.get("access-control-allow-origin")], [204, allowed]);
    }
    // they are the owner's, not functions
    for (const path of ["cors/cors", "cors/init", "cors/shutdown"]) {
      assert.equal(await (await ask(path)).text(), "here");
    }
  });
});

const made = (more = {}) =>
  new CloudEvent({
    id: "1",
    source: "/shop",
    type: "sold",
    subject: "book",
    extra: "x",
    data: { n: 1 },
    ...more,
  });

/** The answer as the SDK reads it. */
async function received(answer) {
  assert.equal(answer.status, 200);
  return HTTP.toEvent({ headers: Object.fromEntries(answer.headers), body: await answer.text() });
}

const plain = (event) => JSON.parse(JSON.stringify(event));

describe("events of the SDK", () => {
  before(async () => {
    const events = {
      plain: () => made(),
      text: () => made({ datacontenttype: "text/plain", data: "grüße" }),
      bytes: () => made({ datacontenttype: "image/png", data: Uint8Array.from([0, 255]) }),
      answer: () => ({ status: 200, headers: { "x-made": "yes" }, body: made() }),
      structured: () => ({ headers: { "content-type": "application/cloudevents+json" }, body: made() }),
      batch: () => ({
        headers: { "content-type": "application/cloudevents-batch+json" },
        body: [made(), made({ id: "2" })],
      }),
      back: (event) => new CloudEvent({ ...event.cloudevent }).cloneWith({ id: "back" }),
    };
    await api.registerService({
      id: "events",
      type: "functions",
      config: { visibility: "public" },
      ...events,
    });
    await api.registerService({
      id: "contexts",
      type: "functions",
      config,
      plain: () => made(),
      back: (context, event) => {
        assert.equal(event, context.event);
        return new CloudEvent({ ...event }).cloneWith({ id: "back" });
      },
    });
  });

  for (const path of ["events/plain", "contexts/plain", "events/answer", "events/structured"]) {
    test(`${path} sends one`, async () => {
      const answer = await ask(path);
      const isBinary = answer.headers.has("ce-id");
      assert.equal(isBinary, path !== "events/structured");
      const event = await received(answer);
      const { time, datacontenttype: _, ...found } = plain(event);
      const { time: __, ...expected } = plain(made());
      assert.deepEqual(found, expected);
      assert.match(time, /^\d{4}-.*Z$/);
    });
  }

  test("texts and bytes", async () => {
    const text = await ask("events/text");
    assert.deepEqual([text.headers.get("content-type"), await text.text()], ["text/plain", "grüße"]);
    const bytes = await ask("events/bytes");
    assert.equal(bytes.headers.get("content-type"), "image/png");
    assert.deepEqual([...new Uint8Array(await bytes.arrayBuffer())], [0, 255]);
  });

  test("several of them", async () => {
    const events = HTTP.toEvent({
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: await (await ask("events/batch")).text(),
    });
    assert.deepEqual(
      events.map(({ id, extra, data }) => [id, extra, data]),
      [
        ["1", "x", { n: 1 }],
        ["2", "x", { n: 1 }],
      ],
    );
  });

  for (const mode of ["binary", "structured"]) {
    for (const service of ["events", "contexts"]) {
      test(`one that came to ${service} in the ${mode} mode is one of the SDK's again`, async () => {
        const sent = made({ time: "2026-03-01T12:30:15.250Z", datacontenttype: "application/json" });
        const { headers, body } = HTTP[mode](sent);
        const back = await received(await ask(`${service}/back`, { method: "POST", headers, body }));
        assert.deepEqual(plain(back), { ...plain(sent), id: "back" });
      });
    }
  }

  test("bytes come as bytes", async () => {
    const data = Uint8Array.from([0, 1, 255]);
    const { headers, body } = HTTP.structured(made({ datacontenttype: "image/png", data }));
    const answer = await ask("contexts/back", { method: "POST", headers, body });
    assert.equal(answer.headers.get("ce-id"), "back");
    assert.deepEqual([...new Uint8Array(await answer.arrayBuffer())], [0, 1, 255]);
  });
});
