// The examples in the comments of the package and in its document run as they stand, but for the server's address.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import express from "express";
import { Hono } from "hono";
import { WebSocket } from "ws";
import * as zod from "zod";
import { PACKAGE, serverForFile } from "./server.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SOURCES = join(ROOT, "bindings-node/js");
const AsyncFunction = (async () => undefined).constructor;
const polyfn = await import(PACKAGE);
const server = await serverForFile();

/** The examples in the comments of a file. */
function inComments(file) {
  const text = readFileSync(join(SOURCES, file), "utf8");
  const comments = text.match(/\/\*\*[\s\S]*?\*\//g) ?? [];
  return comments.flatMap((comment) => {
    const lines = comment.split("\n").map((line) => line.replace(/^\s*\*?\s?(?:\/$)?/, ""));
    const [, ...examples] = lines.join("\n").split("@example\n");
    return examples.map((example) => example.split(/\n@/)[0]);
  });
}

function inDocument(file) {
  const text = readFileSync(join(ROOT, file), "utf8");
  return [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
}

/** What the examples speak of. */
async function scope() {
  const owner = await polyfn.connectToServer(server.url);
  const api = await polyfn.connectToServer(server.url, { token: await owner.generateToken() });
  class Point {
    constructor(x, y) {
      Object.assign(this, { x, y });
    }
  }
  const config = { visibility: "public" };
  const add = (a, b) => a + b;
  await owner.registerService({ id: "calculator", config, add });
  const { id } = await owner.registerService({
    id: "login",
    config,
    start: () => ({ key: "k", login_url: "https://lab.example/login" }),
    check: (key, timeout, profile) => [key, timeout, profile] && owner.generateToken(),
  });
  await owner.registerService({
    id: "examples",
    async *tail() {
      yield "ERROR";
    },
    fail: () => {
      throw new Error("as it should");
    },
    openLog: () => new File(["line 1\nline 2"], "app.log"),
    double: (matrix) => matrix,
    render: (page) => page,
  });
  const calculator = await api.getService("calculator");
  const service = await api.getService("examples");
  const printed = [];
  const names = {
    ...polyfn,
    zod,
    Hono,
    express,
    WebSocket,
    printed,
    Point,
    calculator,
    service,
    owner,
    server: api,
    api,
    page: "a page",
  };
  // Nobody is there to log in.
  names.login = (options) =>
    polyfn.login({
      ...options,
      loginServiceId: id,
      loginCallback: ({ login_url }) => printed.push(login_url),
    });
  names.console = { log: (...values) => printed.push(values.join(" ")) };
  return names;
}

/** The example as the body of a function: what it imports is given to it. */
function body(code) {
  const urls = /(?:http|ws):\/\/localhost:9527(\/my-lab)?|https:\/\/lab\.example/g;
  return code.replace(/^import .*$/gm, "").replace(urls, (url, lab) => {
    const base = url.startsWith("ws") ? server.url.replace("http", "ws") : server.url;
    return lab === undefined ? base : `${base}/LAB`;
  });
}

describe("the examples", () => {
  let names;
  beforeEach(async () => {
    names = await scope();
  });
  afterEach(async () => {
    await names.api.disconnect();
    await names.owner.disconnect();
  });

  const documents = ["docs/javascript.md", "docs/fetch.md"];
  const found = readdirSync(SOURCES, { recursive: true })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => [file, inComments(file)])
    .concat(documents.map((file) => [file, inDocument(file)]));
  for (const [file, examples] of found) {
    examples.forEach((code, at) => {
      test(`${file} ${at + 1}: ${code.trim().split("\n")[0]}`, async () => {
        const own = [...code.matchAll(/^(?:const|let|class) (\w+)/gm)].map(([, name]) => name);
        const given = Object.keys(names).filter((name) => !own.includes(name));
        const source = body(code).replaceAll("LAB", names.api.workspace);
        const prints = [...code.matchAll(/\/\/ prints (.*)$/gm)].map(([, text]) => text);
        const run = new AsyncFunction(
          ...given,
          `${source}\nreturn typeof api === "object" ? api : undefined;`,
        );
        const used = await run(...given.map((name) => names[name]));
        if (own.includes("api")) await used.disconnect();
        if (prints.length > 0) assert.deepEqual(names.printed, prints);
      });
    });
  }

  test("are there", () => assert.ok(found.flatMap(([, examples]) => examples).length > 15));
});
