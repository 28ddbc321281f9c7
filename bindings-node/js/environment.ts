// Settings from the environment and from a file `.env`.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseEnv } from "node:util";

const NAMES = { serverUrl: "SERVER_URL", token: "TOKEN", clientId: "CLIENT_ID", workspace: "WORKSPACE" };
const PREFIXES = ["POLYFN", "HYPHA"];

/**
 * The settings that the environment has, under our names or those of hypha-rpc. When it does not name a server, the
 * nearest `.env` of this folder and those above it is read as well; what the environment says goes before that.
 */
export function environmentSettings(): Record<string, string> {
  const own = Object.entries(process.env).filter(([, value]) => value);
  const isNamed = PREFIXES.some((prefix) => process.env[`${prefix}_SERVER_URL`]);
  const values = { ...(isNamed ? {} : nearestFile(process.cwd())), ...Object.fromEntries(own) };
  const found = Object.entries(NAMES).map(([option, name]) => [
    option,
    PREFIXES.map((prefix) => values[`${prefix}_${name}`]).find(Boolean),
  ]);
  return Object.fromEntries(found.filter(([, value]) => value));
}

function nearestFile(folder: string): Record<string, string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      return parseEnv(readFileSync(join(at, ".env"), "utf8"));
    } catch {
      if (dirname(at) === at) return {};
    }
  }
}
