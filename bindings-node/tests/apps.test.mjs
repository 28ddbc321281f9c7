// Web apps as services: handlers of requests, apps of Hono and Express, listeners of `node:http`.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { WebSocket } from "ws";
import { AppSocket, connectToServer, Server, upgradeWebSocket } from "../lib/index.js";
import { SERVICES, seen } from "./apps.mjs";
import { IS_REFERENCE, startServer } from "./server.mjs";

const FRAMEWORKS = ["hono", "express"];
/** The client's connections are not kept for others: a server that stops would wait for them. */
const CLOSE = { connection: "close" };

const SERVER = IS_REFERENCE ? "the reference" : "our server";
const SERVERS = {
  [SERVER]: async () => {
    const server = await startServer();
    return { server, api: await connectToServer({ serverUrl: server.url }) };
  },
  "the embedded server": async () => {
    const server = await Server.start({ basePath: "/hub" });
    return { server, api: await server.connect({ workspace: "lab" }) };
  },
};

/** Why a test fails on the reference. */
const UNLIKE = {
  root: "it does not tell an app where it stands",
  slash: "it decodes the path before the app sees it",
  header: "it takes headers for UTF-8",
  query: "it fails at a name without a value",
  leaving: "it does not read a body that nobody asks for",
  limits: "it knows no limits of services",
  websockets: "it refuses every websocket of an app",
};

/** Waits until something is so. */
async function until(true_, what) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (true_()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(what ?? `never so: ${true_}`);
}

test("what a websocket refuses", () => {
  const socket = new AppSocket("ws://localhost/", "");
  assert.throws(() => socket.send("too early"), { name: "InvalidStateError" });
  assert.throws(() => socket.close(1002), { name: "InvalidAccessError" });
  assert.throws(() => socket.close(1000, "x".repeat(124)), { name: "SyntaxError" });
  assert.throws(() => upgradeWebSocket(new Request("http://localhost/")), { code: "invalid" });
});

for (const [name, start] of Object.entries(SERVERS)) {
  const isReference = name === "the reference";
  /** A test that must fail on the reference. */
  const unlike = (why, what, run) =>
    isReference ? test(`${what}: not here, ${why}`, () => assert.rejects(run)) : test(what, run);
  describe(name, () => {
    let server;
    let api;
    let root;
    let origin;
    /** The path of a service. */
    const pathOf = (id) => `${new URL(root).pathname}/${id}`;

    before(async () => {
      ({ server, api } = await start());
      for (const service of SERVICES) await api.registerService(service);
      root = `${server.url}/${api.workspace}/apps`;
      ({ origin } = new URL(root));
    });
    after(async () => {
      await api.disconnect();
      await server.stop();
    });
    beforeEach(() => Object.assign(seen, { begun: [], left: [], pulled: 0, closed: [] }));

    const get = (path, options = {}) =>
      fetch(`${root}/${path}`, { redirect: "manual", ...options, headers: { ...CLOSE, ...options.headers } });
    const post = (path, body, headers = {}) => get(path, { method: "POST", body, headers, duplex: "half" });

    for (const app of FRAMEWORKS) {
      describe(app, () => {
        test("a page", async () => {
          const answer = await get(`${app}/hello/w%C3%A9%20x?a=1&a=%20b`);
          assert.equal(answer.status, 200);
          assert.match(answer.headers.get("content-type"), /^application\/json/);
          assert.deepEqual(await answer.json(), { hello: ["wé x"], query: ["1", " b"] });
          assert.equal((await get(`${app}/not-there`)).status, 404);
        });

        unlike(UNLIKE.slash, "a slash in a name", async () => {
          assert.deepEqual((await (await get(`${app}/hello/w%2Fx`)).json()).hello, ["w/x"]);
        });

        unlike(UNLIKE.root, "an app is told where it stands", async () => {
          const told = await (await get(`${app}/where?x=%2F`)).json();
          const path = pathOf(app);
          assert.equal(told.rootPath, path);
          assert.equal(told.serviceId, app);
          assert.equal(told.workspace, api.workspace);
          assert.equal(told.user.is_anonymous, true);
          assert.equal(told.remoteAddress, "127.0.0.1");
          if (app === "hono") {
            assert.equal(told.url, `${origin}${path}/where?x=%2F`, "c.env comes behind");
          } else {
            assert.equal(told.baseUrl, path);
            assert.equal(told.originalUrl, `${path}/where?x=%2F`);
            assert.equal(told.ip, "127.0.0.1");
            assert.equal(await (await get("express/inner/where")).text(), `${path}/inner`);
          }
        });

        unlike(UNLIKE.root, "redirects stay in the service", async () => {
          const path = pathOf(app);
          for (const [to, location] of [
            ["/hello/x", `${path}/hello/x`],
            [`${origin}/hello/x?a=1`, `${origin}${path}/hello/x?a=1`],
            [`${path}/hello/x`, `${path}/hello/x`],
            ["hello/x", "hello/x"],
            ["https://elsewhere.example/", "https://elsewhere.example/"],
          ]) {
            const answer = await get(`${app}/go?to=${encodeURIComponent(to)}`);
            assert.deepEqual([answer.status, answer.headers.get("location")], [302, location]);
          }
        });

        test("headers of every kind", async () => {
          const answer = await get(`${app}/cookies`, { headers: { cookie: "c=1; d=2" } });
          assert.deepEqual([answer.status, answer.headers.get("x-made")], [201, "yes"]);
          assert.deepEqual(
            answer.headers.getSetCookie().map((cookie) => cookie.split(";")[0]),
            ["a=1", "b=2"],
          );
          assert.equal(await answer.text(), "c=1; d=2");
        });

        test("every method", async () => {
          for (const method of ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
            assert.equal(await (await get(`${app}/method`, { method })).text(), method);
          }
          const head = await get(`${app}/method`, { method: "HEAD" });
          assert.deepEqual([head.status, await head.text()], [200, ""]);
        });

        test("bodies come and go whole", async () => {
          for (const size of [0, 1, 1000, 200_000, 5_000_000]) {
            const body = randomBytes(size);
            const told = await (await post(`${app}/size`, body)).json();
            assert.deepEqual(
              [told.size, told.sha256],
              [size, createHash("sha256").update(body).digest("hex")],
            );
            const echo = await post(`${app}/echo`, body, { "x-type": "a; b" });
            assert.equal(Buffer.compare(Buffer.from(await echo.arrayBuffer()), body), 0);
            assert.equal(echo.headers.get("x-type"), "a; b");
          }
        });

        unlike(UNLIKE.header, "headers of every character", async () => {
          const echo = await post(`${app}/echo`, "x", { "x-type": "grüße" });
          assert.equal(echo.headers.get("x-type"), "grüße");
        });

        test("an answer leaves as it is made, while the request still comes", async () => {
          let feed;
          const start = (controller) => {
            feed = controller;
          };
          const body = new ReadableStream({ start });
          feed.enqueue(Buffer.from("one"));
          const answer = await post(`${app}/echo`, body, { "x-type": "x" });
          const reader = answer.body.getReader();
          assert.equal(Buffer.from((await reader.read()).value).toString(), "one");
          feed.enqueue(Buffer.from("two"));
          assert.equal(Buffer.from((await reader.read()).value).toString(), "two");
          feed.close();
          assert.equal((await reader.read()).done, true);
        });

        test("a stream", async () => {
          assert.equal(await (await get(`${app}/stream`)).text(), "0\n1\n2\n3\n4\n");
        });

        test("a large upload needs little memory", async () => {
          const part = randomBytes(1 << 20);
          const upload = async (megabytes) => {
            let left = megabytes;
            const pull = (controller) => (left-- > 0 ? controller.enqueue(part) : controller.close());
            return (await post(`${app}/size`, new ReadableStream({ pull }))).json();
          };
          await upload(8);
          const before = (await upload(8)).peak;
          const told = await upload(64);
          assert.equal(told.size, 64 << 20);
          assert.ok(told.largest <= 256 << 10);
          // the sender is in this process too
          assert.ok(told.peak - before < 60 << 20, `it grew by ${(told.peak - before) >> 20} MB`);
        });

        test("who does not read slows the app, and one that leaves ends it", async () => {
          const leaving = new AbortController();
          const answer = await get(`${app}/endless`, { signal: leaving.signal });
          assert.equal(answer.status, 200);
          let before = 0;
          await until(() => {
            const stands = seen.pulled === before && before > 10;
            before = seen.pulled;
            return stands;
          });
          assert.ok(before < 1000, `${before} blocks were made`);
          leaving.abort();
          await until(() => seen.left.includes("stream"));
        });

        test("a handler hears that nobody waits any longer", async () => {
          const leaving = new AbortController();
          const asking = get(`${app}/waits`, { signal: leaving.signal });
          until(() => seen.begun.includes("waits")).then(() => leaving.abort());
          await assert.rejects(asking, { name: "AbortError" });
          await until(() => seen.left.includes("waits"));
        });

        unlike(UNLIKE.leaving, "a handler hears it even if it reads no body", async () => {
          const { port, hostname, host } = new URL(server.url);
          // the whole body, a part of it, and as much as is read ahead
          for (const [length, sent] of [
            [200_000, 200_000],
            [300_000, 1000],
            [1_000_000, 200_000],
          ]) {
            Object.assign(seen, { begun: [], left: [] });
            const client = connect(Number(port), hostname);
            const head = `POST ${pathOf(app)}/waits HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${length}\r\n\r\n`;
            client.write(Buffer.concat([Buffer.from(head), Buffer.alloc(sent)]));
            await until(() => seen.begun.includes("waits"));
            client.destroy();
            await until(() => seen.left.includes("waits"), `${sent} of ${length}`);
          }
        });

        test("what fails", async () => {
          const failed = await get(`${app}/fails`);
          assert.equal(failed.status, isReference && app === "hono" ? 400 : 500);
          if (app === "hono") assert.ok(!(await failed.text()).includes("boom"));
          // with `connection: close` Node's fetch takes a part for the whole
          const torn = await fetch(`${root}/${app}/torn`);
          assert.equal(torn.status, 200);
          await assert.rejects(torn.text());
          const unread = await post(`${app}/unread`, randomBytes(3_000_000));
          assert.deepEqual([unread.status, await unread.text()], [413, "not read"]);
        });
      });
    }

    test("the head of an answer does not wait for its body", async () => {
      const leaving = new AbortController();
      const answer = await get("hono/events", { signal: leaving.signal });
      assert.equal(answer.headers.get("content-type"), "text/event-stream");
      leaving.abort();
      await until(() => seen.left.includes("events"));
    });

    test("forms with files, and JSON", async () => {
      const form = new FormData();
      form.set("name", "Ann");
      form.set("file", new File(["abc"], "ü.txt", { type: "text/x" }));
      const told = await (await post("hono/form", form)).json();
      assert.deepEqual(told, { name: "Ann", file: "ü.txt", type: "text/x", size: 3 });
      const json = await post("express/json", '{"a": [1]}', { "content-type": "application/json" });
      assert.deepEqual(await json.json(), { a: [1] });
    });

    test("a listener and a function", async () => {
      const answer = await get("listener/a%20b?c=1", { method: "DELETE", headers: { "x-twice": "1" } });
      assert.equal(await answer.text(), "DELETE /a%20b?c=1 1.1 1");
      for (const path of ["throws", "rejects"]) assert.equal((await get(`listener/${path}`)).status, 500);
      assert.equal(await (await get("function/a//b/")).text(), "/a//b/");
      assert.equal(await (await get("function/")).text(), "/");
    });

    unlike(UNLIKE.query, "a name without a value in a query", async () => {
      assert.equal(await (await get("listener/x?c")).text(), "GET /x?c 1.1 undefined");
    });

    unlike(UNLIKE.root, "an app may want the whole URL, or not to know where it stands", async () => {
      assert.equal(await (await get("whole/a?b=1")).text(), `${root}/whole/a?b=1`);
      assert.equal((await get("rootless/")).headers.get("location"), `${origin}/login`);
      assert.equal((await get("elsewhere/a/")).headers.get("location"), "/x/a/in/x");
    });

    unlike(UNLIKE.root, "an app is found by its client as well", async () => {
      for (const id of [`${api.clientId}:hono`, `${api.clientId}%3Ahono`]) {
        const told = await (await get(`${id}/where`)).json();
        assert.equal(told.rootPath, pathOf(id));
        assert.equal(told.url, `${root}/${id}/where`);
        assert.equal((await get(`${id}/go?to=/x`)).headers.get("location"), `${pathOf(id)}/x`);
      }
    });

    test("a handler may refuse by an HTTPError", async () => {
      const answer = await get("refuses/");
      assert.deepEqual([answer.status, answer.headers.get("x-why")], [409, "because"]);
      assert.equal((await answer.json()).detail, "not now");
    });

    unlike(UNLIKE.limits, "limits", async () => {
      assert.equal((await post("small/", "0123456789")).status, 200);
      assert.equal((await post("small/", "01234567890")).status, 413);
    });

    test("what is no answer", async () => {
      assert.equal((await get("wrong/")).status, isReference ? 400 : 500);
    });

    test("bad services are refused", async () => {
      const base = { id: "bad", config: { visibility: "public" } };
      for (const [service, message] of [
        [{ type: "fetch" }, /^a service of type fetch needs a function/],
        [{ type: "fetch", serve: { fetch: 1 } }, /^a service of type fetch needs a function/],
        [{ type: "express", serve: {} }, /^a service of type express needs an app/],
        [{ type: "fetch", serve: () => 0, config: { whole_url: 1 } }, /^`config.whole_url`/],
      ]) {
        await assert.rejects(api.registerService({ ...base, ...service }), { code: "invalid", message });
      }
    });

    test("a service of type asgi is asked as before", async () => {
      const answer = await post("asgi/x", randomBytes(300_000));
      assert.deepEqual([await answer.text(), answer.headers.get("x-path")], ["300000", "/x"]);
    });

    test("methods and hosts that no URL has", async () => {
      const { port, hostname } = new URL(server.url);
      for (const [line, host, expected] of [
        ["TRACE /hono/method", "x", /^HTTP\/1.1 405/],
        ["FOO /listener/method", "x", /^HTTP\/1.1 (?:405|400)/],
        ["GET /hono/where", "a b", /^HTTP\/1.1 (?:200|400)/],
        ["GET /hono/where", "evil.example/x?", /^HTTP\/1.1 (?:200|400)/],
        ["GET /function/../../x", "x", /^HTTP\/1.1 (?:200|404)/],
      ]) {
        const client = connect(Number(port), hostname);
        const [method, path] = line.split(" ");
        client.write(
          `${method} ${pathOf(path.slice(1))} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
        );
        const [data] = await once(client, "data");
        assert.match(data.toString(), expected, line);
        assert.ok(!data.toString().includes("evil.example/"), data.toString());
        client.destroy();
      }
    });

    describe("websockets", () => {
      const open = (path, protocols) => new WebSocket(`${root.replace("http", "ws")}/${path}`, protocols);
      const message = async (socket) => {
        const [data, isBinary] = await once(socket, "message");
        return isBinary ? data : data.toString();
      };

      unlike(UNLIKE.websockets, "texts and bytes go both ways", async () => {
        const socket = open("hono/chat", ["one", "two"]);
        const [response] = await once(socket, "upgrade");
        assert.equal(response.headers["x-made"], "yes");
        assert.equal(await message(socket), "open at /chat");
        assert.equal(socket.protocol, "two");
        for (const text of ["hello", "", "grüße 世界", "x".repeat(300_000)]) {
          socket.send(text);
          assert.equal(await message(socket), text.toUpperCase());
        }
        socket.send(Buffer.from([1, 2, 255]));
        assert.deepEqual([...(await message(socket))], [255, 2, 1]);
        socket.close(4005, "bye");
        await until(() => seen.closed.length > 0);
        assert.deepEqual(seen.closed, [[4005, "bye"]]);
      });

      unlike(UNLIKE.websockets, "an app ends it", async () => {
        const socket = open("hono/chat");
        assert.equal(await message(socket), "open at /chat");
        socket.send("end");
        const [code, reason] = await once(socket, "close");
        assert.deepEqual([code, reason.toString()], [4001, "enough"]);
        await until(() => seen.closed.length > 0);
        assert.deepEqual(seen.closed, [[4001, "enough"]]);
      });

      unlike(UNLIKE.websockets, "a client that does not read is cut off", async () => {
        const socket = open("hono/flood");
        await once(socket, "open");
        socket.pause();
        await until(() => seen.closed.length > 0);
        assert.deepEqual(seen.closed, [[1009, "the client does not read what it is sent"]]);
        socket.resume();
        const [code] = await once(socket, "close");
        assert.equal(code, 1011);
      });

      unlike(UNLIKE.websockets, "an app refuses it, or knows nothing of it", async () => {
        for (const [path, status] of [
          ["hono/hello/x", 200],
          ["hono/nothing", 404],
          ["hono/fails", 500],
          ["express/nothing", 404],
          ["listener/x", 200],
        ]) {
          const socket = open(path);
          socket.on("error", () => undefined);
          const [, response] = await once(socket, "unexpected-response");
          assert.equal(response.statusCode, status, path);
          response.destroy();
        }
      });
    });
  });
}
