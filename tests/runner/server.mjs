// Starts our server for tests in JavaScript: `const server = await startServer(); ... await server.stop()`.
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const READY = /^polyfn \S+ ready at (http:\/\/\S+)$/;

export const SECRET = "a-secret-of-the-tests-which-signs-every-token";

function binary() {
  if (process.env.POLYFN_BIN) {
    return process.env.POLYFN_BIN;
  }
  const targets = [process.env.CARGO_TARGET_DIR, join(ROOT, "target")].filter(Boolean);
  const found = targets.map((target) => join(target, "debug/polyfn")).find(existsSync);
  if (!found) {
    throw new Error("no server binary: run cargo build -p polyfn-server, or set POLYFN_BIN");
  }
  return found;
}

// A token for the workspace that belongs to `user`, with full rights in it unless `claims` say otherwise.
export function token(user, claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const workspace = `ws-user-${user}`;
  const payload = {
    iss: "https://amun.ai/",
    sub: user,
    aud: "https://amun-ai.eu.auth0.com/api/v2/",
    iat: now,
    exp: now + 3600,
    scope: `ws:${workspace}#a wid:${workspace}`,
    gty: "client-credentials",
    "https://amun.ai/roles": ["user"],
    "https://amun.ai/email": null,
    ...claims,
  };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(payload)}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

// A name that no other test uses.
export function freshName(prefix = "t") {
  return `${prefix}-${randomBytes(6).toString("hex")}`;
}

export async function startServer({ port = 0, args = [], env = {} } = {}) {
  const child = spawn(
    binary(),
    ["serve", "--host", "127.0.0.1", "--port", String(port), "--database-uri=sqlite::memory:", ...args],
    {
      env: { ...process.env, HYPHA_JWT_SECRET: SECRET, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const log = [];
  child.stderr.setEncoding("utf8").on("data", (text) => log.push(text));
  const exited = new Promise((resolve) => child.once("exit", resolve));

  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = READY.exec(line);
      if (match) {
        resolve(match[1]);
      }
    });
    exited.then((code) =>
      reject(new Error(`the server ended with ${code} before it was ready: ${log.join("")}`)),
    );
  });

  return {
    url,
    wsUrl: `${url.replace("http", "ws")}/ws`,
    port: Number(new URL(url).port),
    log,
    process: child,
    async stop() {
      child.kill("SIGTERM");
      return await exited;
    },
  };
}
