// The same functions on `faas-js-runtime` and on ours (`config.signature: "context"`): their answers are compared.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { functionMembers, Server } from "../lib/index.js";
import { CASES, FUNCTIONS, life } from "./faas.mjs";

const HOST = fileURLToPath(new URL("./faas-host.mjs", import.meta.url));
const DOCUMENT = fileURLToPath(new URL("../../docs/signature.md", import.meta.url));

/** The answer as it is compared: JSON as values, everything else byte by byte. */
async function answerOf(base, { path = "/", query, method = "GET", headers = {}, body, ...rest }) {
  const url = `${base}${path}${query === undefined ? "" : `?${query}`}`;
  const bytes = body === undefined ? {} : { body: Buffer.from(body) };
  const answer = await fetch(url, { method, headers: { connection: "close", ...headers }, ...bytes });
  const text = Buffer.from(await answer.arrayBuffer()).toString(
    /octet|image/.test(answer.headers.get("content-type")) ? "latin1" : "utf8",
  );
  if (rest.isStatusOnly) return { status: answer.status };
  const type = answer.headers.get("content-type")?.split(";")[0] ?? null;
  const isEmpty = answer.status === 204 || text === "";
  const told = { status: answer.status, type: isEmpty ? null : type, body: text };
  if (type?.endsWith("json") && text !== "") told.body = parsed(text);
  if (type === "application/problem+json") {
    told.detail = told.body.detail;
    delete told.body;
  }
  const names = rest.headersCompared ?? [];
  if (names.length > 0)
    told.headers = Object.fromEntries(names.map((name) => [name, answer.headers.get(name)]));
  if (rest.isEvent) told.event = eventOf(answer.headers);
  told.cookies = answer.headers.getSetCookie();
  return told;
}

/** The runtime says of many things that they are JSON. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The attributes of an event; its time is that of its making. */
function eventOf(headers) {
  const names = [...headers].filter(([name]) => name.startsWith("ce-"));
  return Object.fromEntries(names.map(([name, value]) => [name, name === "ce-time" ? typeof value : value]));
}

/** What is expected is there, whatever else is. */
function assertHas(found, expected) {
  for (const [key, value] of Object.entries(expected)) {
    if (typeof value === "object") assertHas(found[key], value);
    else assert.equal(found[key], value, key);
  }
}

function nameOf({ function: name, method = "GET", path = "", query, headers, body }) {
  const type = headers?.["content-type"] ?? "";
  return [name, method, path, query, type, body].filter(Boolean).join(" ").replaceAll(/\s+/g, " ");
}

describe("functions of faas-js-runtime", () => {
  let host;
  let ports;
  let server;
  let api;
  const log = [];

  before(async () => {
    host = spawn(process.execPath, [HOST], { stdio: ["ignore", "pipe", "pipe"] });
    createInterface({ input: host.stderr }).on("line", (line) => log.push(line));
    server = await Server.start();
    api = await server.connect({ workspace: "lab" });
    const config = { visibility: "public", signature: "context", log_level: "fatal" };
    for (const [at, exported] of Object.values(FUNCTIONS).entries()) {
      await api.registerService({ id: `f${at}`, type: "functions", config, ...functionMembers(exported) });
    }
    ports = await new Promise((resolve, reject) => {
      createInterface({ input: host.stdout }).once("line", (line) => resolve(JSON.parse(line)));
      host.once("exit", (code) => reject(new Error(`the runtime ended with ${code}: ${log.join("\n")}`)));
    });
  });
  after(async () => {
    await server.stop();
    host.kill();
  });

  for (const asked of CASES) {
    test(nameOf(asked), async () => {
      const at = Object.keys(FUNCTIONS).indexOf(asked.function);
      const ours = await answerOf(`${server.url}/lab/apps/f${at}`, asked);
      const theirs = await answerOf(`http://127.0.0.1:${ports[asked.function]}`, asked);
      if (asked.differs === undefined) return assert.deepEqual(ours, theirs);
      const { event: _, cookies: __, ...rest } = ours;
      if (asked.isPart) assertHas(ours.body, asked.ours);
      else assert.deepEqual(rest, asked.ours);
      assert.notDeepEqual(ours, theirs, "they are the same by now");
    });
  }

  test("the ends of a module", async () => {
    assert.deepEqual(life.calls, ["init"]);
    await api.disconnect();
    assert.deepEqual(life.calls, ["init", "shutdown"]);
    const ended = once(host, "exit");
    host.kill("SIGTERM");
    await ended;
    assert.ok(log.includes("the module was shut down"), log.join("\n"));
  });

  test("every difference stands in the document, with its reason", () => {
    const [, table] = readFileSync(DOCUMENT, "utf8").split("## Beside `faas-js-runtime`");
    const rows = [...table.matchAll(/^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$/gm)].slice(2);
    const used = new Set(CASES.map(({ differs }) => differs).filter(Boolean));
    assert.deepEqual(rows.map(([, what]) => what).sort(), [...used].sort());
    for (const [, what, , , reason] of rows) assert.ok(reason.length > 5, what);
  });
});
