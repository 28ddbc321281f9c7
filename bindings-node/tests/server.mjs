// A server for the tests of one file. POLYFN_TEST_SERVER=hypha takes the pinned reference in place of ours.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** The package under test. */
export const PACKAGE = join(ROOT, "bindings-node/lib/index.js");
/** The same for `require`. */
export const COMMON_JS = join(ROOT, "bindings-node/lib/cjs/index.js");

/** Whether the pinned reference is tested in the place of our server. */
export const IS_REFERENCE = process.env.POLYFN_TEST_SERVER === "hypha";

const READY = /^polyfn \S+ ready at (http:\/\/\S+)$/;
const REFERENCE_READY = /Uvicorn running on (http:\/\/\S+)/;

function binary() {
  if (process.env.POLYFN_BIN) return process.env.POLYFN_BIN;
  const folders = [process.env.CARGO_TARGET_DIR ?? "target", "target"];
  const found = folders
    .map((folder) => join(ROOT, folder, "debug/polyfn"))
    .concat(`${folders[0]}/debug/polyfn`);
  const path = found.find((candidate) => existsSync(candidate));
  if (!path) throw new Error("no server binary: run `cargo build -p polyfn-server`, or set POLYFN_BIN");
  return path;
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function command(port) {
  if (!IS_REFERENCE) {
    return {
      program: binary(),
      args: ["serve", "--host", "127.0.0.1", "--port", String(port)],
      ready: READY,
    };
  }
  const python = process.env.HYPHA_PYTHON ?? join(ROOT, ".venv-hypha/bin/python");
  const args = ["-m", "hypha.server", "--host=127.0.0.1", `--port=${port || (await freePort())}`];
  return { program: python, args, ready: REFERENCE_READY };
}

/** Starts a server; `stop()` ends it and waits for its end. */
export async function startServer(port = 0) {
  const { program, args, ready } = await command(port);
  const environment = {
    ...process.env,
    HYPHA_JWT_SECRET: "the-secret-of-these-tests-1234567890",
    POLYFN_DATABASE_URI: "sqlite::memory:",
    HYPHA_WS_MSG_RATE_LIMIT: "1000000",
    HYPHA_WS_MSG_BURST_LIMIT: "1000000",
  };
  const server = spawn(program, args, { cwd: "/", env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  const exited = once(server, "exit");
  const url = await new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        log.push(line);
        const match = ready.exec(line);
        if (match) resolve(match[1]);
      });
    }
    server.on("error", reject);
    server.on("exit", (code) =>
      reject(new Error(`the server ended with ${code}: ${log.slice(-5).join("\n")}`)),
    );
  });
  return {
    url,
    port: Number(new URL(url).port),
    async stop() {
      server.kill("SIGTERM");
      await exited;
    },
  };
}

/** A server for the whole file. */
export async function serverForFile() {
  const server = await startServer();
  after(() => server.stop());
  return server;
}

/** Runs a program to its end: its code and what it printed. */
export async function runProgram(source, args, { type = "module", limit = 30_000, flags = [] } = {}) {
  const child = spawn(process.execPath, [...flags, `--input-type=${type}`, "--eval", source, "--", ...args], {
    env: { ...process.env, NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), limit);
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  return { code, signal, output: output.trim(), errors: errors.trim() };
}
