// `polyfn dev` at work: what it serves, what it does when a file is saved, and what it says of errors.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connectToServer, Server } from "../lib/index.js";
import { typescriptOf } from "../lib/typescript.js";

const COMMAND = fileURLToPath(new URL("../lib/command.js", import.meta.url));
const LIMIT = 20_000;

let folder;
let running = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polyfn-dev-"));
});
afterEach(async () => {
  for (const program of running) await program.end();
  running = [];
  rmSync(folder, { recursive: true });
});

function write(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A command that runs until it is told to stop. */
class Dev {
  #lines = [];
  #told = () => undefined;

  constructor(...args) {
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(?:HYPHA|POLYFN)_/.test(name)),
    );
    this.child = spawn(process.execPath, [COMMAND, "dev", ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.#lines.push(line);
        this.#told();
      });
    }
    this.child.once("exit", () => this.#told());
    running.push(this);
  }

  /** The next line that has this in it. */
  async line(word) {
    const limit = setTimeout(() => this.child.kill("SIGKILL"), LIMIT);
    const seen = [];
    for (;;) {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
        seen.push(line);
        if (!line.includes(word)) continue;
        clearTimeout(limit);
        return line;
      }
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        assert.fail(`it ended and never said ${JSON.stringify(word)}, but:\n${seen.join("\n")}`);
      }
      await new Promise((resolve) => {
        this.#told = resolve;
      });
    }
  }

  /** The URL of a service: what is behind its first line for curl. */
  async url(name = "hello") {
    for (;;) {
      const url = (await this.line("curl ")).split(" ").at(-1);
      const at = url.indexOf(`/apps/${name}/`);
      if (at > 0) return url.slice(0, at + `/apps/${name}`.length);
    }
  }

  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await ended;
  }
}

async function text(url, options) {
  const answer = await fetch(url, options);
  return answer.text();
}

/** Asks until the answer is this; gives the milliseconds that it took. */
async function until(url, expected) {
  const begun = performance.now();
  for (let last; performance.now() - begun < LIMIT; ) {
    last = await text(url);
    if (typeof expected === "string" ? last === expected : expected.test(last))
      return performance.now() - begun;
  }
  assert.fail(`it never answered ${expected}`);
}

test("a saved module is served at once, and running calls finish", async (t) => {
  const source = (word) => `
import { setTimeout as wait } from "node:timers/promises";
import { word } from "./helper.mjs";
let enter;
const entered = new Promise((resolve) => { enter = resolve; });
let go;
const gone = new Promise((resolve) => { go = resolve; });
globalThis.goes ??= go;
export const index = () => "${word} " + word;
export const enters = async () => { await entered; return "entered"; };
export const slow = async () => { enter(); await gone; return "${word} to the end"; };
export const release = () => { globalThis.goes(); return "released"; };
`;
  write("helper.mjs", 'export const word = "1";\n');
  const module = write("hello.mjs", source("one"));
  const dev = new Dev(module, "--port", "0");
  const url = await dev.url();
  assert.equal(await text(`${url}/`), "one 1");
  const entered = text(`${url}/enters`);
  const slow = text(`${url}/slow`);
  assert.equal(await entered, "entered");
  write("hello.mjs", source("another"));
  const took = await until(`${url}/`, "another 1");
  t.diagnostic(`a module was loaded again ${took.toFixed(0)} ms after it was saved`);
  assert.equal(await text(`${url}/release`), "released");
  assert.equal(await slow, "one to the end");
  // what it imports is loaded anew too
  write("helper.mjs", 'export const word = "22";\n');
  await until(`${url}/`, "another 22");
});

test("errors name the file, the line and what stands there", async () => {
  write("helper.mjs", "export const word = 1;\n");
  const good = "import { word } from './helper.mjs';\n\nexport const index = () => 'good ' + word;\n";
  const module = write("hello.mjs", good);
  const dev = new Dev(module, "--port", "0");
  const url = await dev.url();
  write("hello.mjs", `${good}export const broken = (;\n`);
  assert.match(await dev.line("error: "), /SyntaxError: Unexpected token ';'/);
  assert.match(await dev.line("  at "), /hello\.mjs:4: export const broken = \(;$/);
  assert.equal(await text(`${url}/`), "good 1");
  write("helper.mjs", "export const word = 1;\nlet let = 3;\n");
  write("hello.mjs", `${good}\n`);
  assert.match(await dev.line("error: "), /SyntaxError/);
  assert.match(await dev.line("  at "), /helper\.mjs:2: let let = 3;$/);
  write("helper.mjs", "export const word = 5;\n");
  await until(`${url}/`, "good 5");
  write("hello.mjs", 'export const index = () => {\n  throw new TypeError("as it should");\n};\n');
  await until(`${url}/`, /"status":500/);
  assert.match(await dev.line("error: "), /TypeError: as it should/);
  assert.match(await dev.line("  at "), /hello\.mjs:2: throw new TypeError/);
});

test("a handle is a function of one context, and .cjs is read", async () => {
  const modules = [
    write("context.mjs", "export const handle = (context, body) => ({ query: context.query, body });\n"),
    write("alone.mjs", "export default (context) => 'alone ' + context.method;\n"),
    write(
      "common.cjs",
      "exports.index = (event) => 'common ' + event.method;\nexports.deep = { in: () => 'there' };\n",
    ),
    write("single.cjs", "module.exports = (context) => 'single ' + context.query.a;\n"),
  ];
  const dev = new Dev(...modules, "--port", "0");
  const base = (await dev.url("context")).replace(/context$/, "");
  await dev.url("single");
  const headers = { "content-type": "application/json" };
  const told = await text(`${base}context/?a=1&a=2`, { method: "POST", headers, body: '{"b": 1}' });
  assert.deepEqual(JSON.parse(told), { query: { a: ["1", "2"] }, body: { b: 1 } });
  assert.equal(await text(`${base}alone/`), "alone GET");
  assert.equal(await text(`${base}common/`), "common GET");
  assert.equal(await text(`${base}common/deep/in`), "there");
  assert.equal(await text(`${base}single/?a=b`), "single b");
  write("common.cjs", "exports.index = () => 'common again';\n");
  await until(`${base}common/`, "common again");
});

test("an app is served as it is", async () => {
  const module = write(
    "app.mjs",
    "const fetch = (request) => new Response('app ' + new URL(request.url).pathname);\nexport default { fetch };\n",
  );
  const dev = new Dev(module, "--port", "0");
  const url = await dev.url("app");
  assert.equal(await text(`${url}/a/b`), "app /a/b");
  write("app.mjs", "export default { fetch: () => new Response('another') };\n");
  await until(`${url}/`, "another");
});

test("TypeScript is read where Node can, and otherwise says which can", async () => {
  const module = write(
    "typed.ts",
    "export const index = (event: { method: string }): string => 'typed ' + event.method;\n",
  );
  const dev = new Dev(module, "--port", "0");
  if (typescriptOf() !== "never") {
    assert.equal(await text(`${await dev.url("typed")}/`), "typed GET");
  } else {
    assert.match(await dev.line("error: "), /cannot read \.ts: take Node 22\.6 or newer/);
  }
});

test("which Node reads TypeScript is known", () => {
  const flag = "--experimental-strip-types";
  const of = (features, execArgv, options, flags) =>
    typescriptOf({
      features,
      execArgv,
      env: { NODE_OPTIONS: options },
      allowedNodeEnvironmentFlags: new Set(flags),
    });
  assert.equal(of({}, [], undefined, []), "never");
  assert.equal(of({ typescript: false }, [], "--inspect", [flag]), "flag");
  assert.equal(of({ typescript: "strip" }, [], undefined, [flag]), "reads");
  assert.equal(of({}, [flag], undefined, [flag]), "reads");
  assert.equal(of({}, [], `--inspect ${flag}`, [flag]), "reads");
});

test("other files are watched, and others still are not", async () => {
  const page = write("page.txt", "one");
  const other = write("other.txt", "one");
  const module = write(
    "hello.mjs",
    `import { readFileSync } from "node:fs";
const [page, other] = ["page.txt", "other.txt"].map((name) => readFileSync(new URL(name, import.meta.url), "utf8"));
export const index = () => \`\${page} \${other}\`;\n`,
  );
  const dev = new Dev(module, "--port", "0", "--watch", page);
  const url = await dev.url();
  assert.equal(await text(`${url}/`), "one one");
  writeFileSync(other, "three");
  writeFileSync(page, "three");
  await until(`${url}/`, "three three");
});

test("functions are served through another server", async () => {
  const server = await Server.start();
  after(() => server.stop());
  const module = write("hello.mjs", 'export const index = () => "from afar";\n');
  const flags = ["--server-url", server.url, "--token", server.rootToken, "--workspace", "lab"];
  const dev = new Dev(module, ...flags);
  const url = await dev.url();
  assert.equal(url, `${server.url}/lab/apps/hello`);
  const api = await connectToServer({ serverUrl: server.url, token: server.rootToken, workspace: "lab" });
  const [before] = (await api.listServices({ type: "functions" })).map(({ id }) => id);
  assert.equal(await text(`${url}/`, { headers: { connection: "close" } }), "from afar");
  assert.match(await dev.line("/index ok"), /ms$/);
  write("hello.mjs", 'export const index = () => "from afar again";\n');
  await dev.line("curl");
  assert.equal(await text(`${url}/`, { headers: { connection: "close" } }), "from afar again");
  assert.deepEqual(
    (await api.listServices({ type: "functions" })).map(({ id }) => id),
    [before],
  );
  const ended = once(dev.child, "exit");
  dev.child.kill("SIGINT");
  assert.deepEqual(await ended, [0, null]);
  assert.deepEqual(await api.listServices({ type: "functions" }), []);
  await api.disconnect();
});

test("a server that is not there is told", async () => {
  const module = write("hello.mjs", "export const index = () => 1;\n");
  const dev = new Dev(module, "--server-url", "http://127.0.0.1:9");
  assert.match(await dev.line("polyfn: "), /127\.0\.0\.1:9/);
  if (dev.child.exitCode === null) await once(dev.child, "exit");
  assert.equal(dev.child.exitCode, 1);
});
