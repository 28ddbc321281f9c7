// The web apps of the tests: one written for Hono, one for Express, one for nothing but `node:http`.
import { createHash } from "node:crypto";
import express from "express";
import { Hono } from "hono";
import { HTTPError, upgradeWebSocket } from "../lib/index.js";

/** What the apps have seen. */
export const seen = { begun: [], left: [], pulled: 0, closed: [] };

const numbers = async function* (count = 5) {
  for (let number = 0; number < count; number += 1) yield Buffer.from(`${number}\n`);
};

/** A body that is never over, one block after the other. */
function endless() {
  const block = Buffer.alloc(1 << 16, "x");
  return new ReadableStream({
    pull: (controller) => {
      seen.pulled += 1;
      controller.enqueue(block);
    },
    cancel: () => seen.left.push("stream"),
  });
}

function hono() {
  const app = new Hono();
  app.get("/hello/:name", (c) => c.json({ hello: [c.req.param("name")], query: c.req.queries("a") ?? [] }));
  app.get("/where", (c) => c.json({ url: c.req.url, ...c.env }));
  app.get("/cookies", (c) => {
    c.header("set-cookie", "a=1", { append: true });
    c.header("set-cookie", "b=2; Path=/", { append: true });
    return c.text(c.req.header("cookie") ?? "", 201, { "x-made": "yes" });
  });
  app.get("/go", (c) => c.redirect(c.req.query("to")));
  app.get("/fails", () => {
    throw new TypeError("boom");
  });
  app.onError((error) => {
    throw error;
  });
  app.get("/stream", () => new Response(ReadableStream.from(numbers())));
  app.post("/echo", (c) => new Response(c.req.raw.body, { headers: { "x-type": c.req.header("x-type") } }));
  app.post("/size", async (c) => {
    const hash = createHash("sha256");
    let [size, largest] = [0, 0];
    for await (const part of c.req.raw.body ?? []) {
      size += part.length;
      largest = Math.max(largest, part.length);
      hash.update(part);
    }
    return c.json({ size, largest, sha256: hash.digest("hex"), peak: process.memoryUsage().rss });
  });
  app.post("/form", async (c) => {
    const { file, name } = await c.req.parseBody();
    return c.json({ name, file: file.name, type: file.type, size: file.size });
  });
  app.post("/unread", (c) => c.text("not read", 413));
  app.all("/waits", (c) => {
    const { signal } = c.req.raw;
    seen.begun.push("waits");
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        seen.left.push("waits");
        reject(signal.reason);
      });
    });
  });
  app.get("/endless", () => new Response(endless()));
  app.get("/events", () => {
    const body = new ReadableStream({ cancel: () => void seen.left.push("events") });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  app.get("/torn", () => {
    const body = async function* () {
      yield* numbers(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      throw new Error("torn");
    };
    return new Response(ReadableStream.from(body()));
  });
  app.get("/chat", (c) => {
    const offered = c.req.header("sec-websocket-protocol")?.split(/, ?/)[1] ?? "";
    const { socket, response } = upgradeWebSocket(c.req.raw, {
      protocol: offered,
      headers: { "x-made": "yes" },
    });
    socket.onopen = () => socket.send(`open at ${c.req.path}`);
    socket.onmessage = ({ data }) => {
      if (data === "end") socket.close(4001, "enough");
      else socket.send(typeof data === "string" ? data.toUpperCase() : new Uint8Array(data).reverse());
    };
    socket.onclose = ({ code, reason }) => seen.closed.push([code, reason]);
    return response;
  });
  app.get("/flood", (c) => {
    const { socket, response } = upgradeWebSocket(c.req.raw, { maxBuffered: 1 << 20 });
    socket.onopen = async () => {
      while (socket.readyState === socket.OPEN) {
        socket.send(new Uint8Array(1 << 16));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    socket.onclose = ({ code, reason }) => seen.closed.push([code, reason]);
    return response;
  });
  app.all("/method", (c) => c.text(c.req.method));
  return app;
}

function expressApp() {
  const app = express();
  app.get("/hello/:name", (req, res) =>
    res.json({ hello: [req.params.name], query: [req.query.a ?? []].flat() }),
  );
  app.get("/where", (req, res) =>
    res.json({
      url: req.url,
      baseUrl: req.baseUrl,
      originalUrl: req.originalUrl,
      ip: req.ip,
      host: req.host,
      ...req.polyfn,
    }),
  );
  app.get("/cookies", (req, res) => {
    res.cookie("a", "1", { path: undefined }).append("set-cookie", "b=2; Path=/");
    res
      .set("x-made", "yes")
      .status(201)
      .type("text/plain")
      .send(req.headers.cookie ?? "");
  });
  app.get("/go", (req, res) => res.redirect(req.query.to));
  app.get("/fails", () => {
    throw new TypeError("boom");
  });
  app.get("/stream", async (_req, res) => {
    for await (const part of numbers()) res.write(part);
    res.end();
  });
  app.post("/echo", (req, res) => {
    res.set("x-type", req.headers["x-type"]);
    req.pipe(res);
  });
  app.post("/size", async (req, res) => {
    const hash = createHash("sha256");
    let [size, largest] = [0, 0];
    for await (const part of req) {
      size += part.length;
      largest = Math.max(largest, part.length);
      hash.update(part);
    }
    res.json({ size, largest, sha256: hash.digest("hex"), peak: process.memoryUsage().rss });
  });
  app.post("/json", express.json(), (req, res) => res.json(req.body));
  app.post("/unread", (_req, res) => res.status(413).send("not read"));
  app.all("/waits", (req) => {
    seen.begun.push("waits");
    req.on("close", () => seen.left.push("waits"));
  });
  app.get("/endless", (_req, res) => {
    const block = Buffer.alloc(1 << 16, "x");
    const more = () => {
      do seen.pulled += 1;
      while (res.write(block));
    };
    res.on("drain", more).on("close", () => seen.left.push("stream"));
    more();
  });
  app.get("/torn", (_req, res) => {
    res.write("0\n");
    setTimeout(() => res.destroy(), 20);
  });
  app.all("/method", (req, res) => res.send(req.method));
  const inner = express.Router();
  inner.get("/where", (req, res) => res.send(req.baseUrl));
  app.use("/inner", inner);
  return app;
}

const config = { visibility: "public" };

/** All of them, by their ids. */
export const SERVICES = [
  { id: "hono", type: "fetch", config, serve: hono() },
  { id: "express", type: "express", config, serve: expressApp() },
  {
    id: "listener",
    type: "node-http",
    config,
    serve: (req, res) => {
      if (req.url === "/throws") throw new Error("boom");
      if (req.url === "/rejects") return Promise.reject(new Error("boom"));
      res.setHeader("content-type", "text/plain");
      res.end(`${req.method} ${req.url} ${req.httpVersion} ${req.headers["x-twice"]}`);
    },
  },
  { id: "function", type: "fetch", config, serve: (request) => new Response(new URL(request.url).pathname) },
  {
    id: "whole",
    type: "fetch",
    config: { ...config, whole_url: true },
    serve: ({ url }) => new Response(url),
  },
  {
    id: "rootless",
    type: "fetch",
    config: { ...config, root_path: false },
    serve: (request) => Response.redirect(new URL("/login", request.url)),
  },
  {
    id: "elsewhere",
    type: "fetch",
    config: { ...config, root_path: "/x/" },
    serve: (request, { rootPath }) =>
      new Response(null, {
        status: 301,
        headers: { location: `${new URL(request.url).pathname}in${rootPath}` },
      }),
  },
  {
    id: "refuses",
    type: "fetch",
    config,
    serve: () => {
      throw new HTTPError(409, "not now", { headers: { "x-why": "because" } });
    },
  },
  { id: "wrong", type: "fetch", config, serve: () => "no response" },
  {
    id: "small",
    type: "fetch",
    config: { ...config, max_request_body: 10 },
    serve: () => new Response("ok"),
  },
  {
    id: "asgi",
    type: "asgi",
    config,
    async serve({ scope, receive, send }) {
      let size = 0;
      for (let more = true; more; ) {
        const message = await receive();
        size += message.body.length;
        more = message.more_body;
      }
      await send({
        type: "http.response.start",
        status: 200,
        headers: [[Buffer.from("x-path"), Buffer.from(scope.path)]],
      });
      await send({ type: "http.response.body", body: Buffer.from(String(size)), more_body: false });
    },
  },
];
