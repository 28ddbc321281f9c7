// Whether this Node reads TypeScript: newer ones do by themselves, some when they are started with a flag.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";

const FLAG = "--experimental-strip-types";

/** What of `process` decides. */
export interface Runtime {
  features: object;
  execArgv: string[];
  env: Record<string, string | undefined>;
  allowedNodeEnvironmentFlags: { has(flag: string): boolean };
}

/** `"reads"` TypeScript, would with a `"flag"`, or can `"never"`. */
export function typescriptOf(runtime: Runtime = process): "reads" | "flag" | "never" {
  const { features, execArgv, env, allowedNodeEnvironmentFlags: known } = runtime;
  const isFlagged = execArgv.includes(FLAG) || (env.NODE_OPTIONS ?? "").split(/\s+/).includes(FLAG);
  if (isFlagged || (features as { typescript?: unknown }).typescript) return "reads";
  return known.has(FLAG) ? "flag" : "never";
}

export function isTypescript(path: string): boolean {
  return /^\.[mc]?ts$/.test(extname(path));
}

/** Runs this very command once more, by a Node that reads TypeScript; gives its exit code. */
export async function runAgain(): Promise<number> {
  const flags = [FLAG, "--disable-warning=ExperimentalWarning", ...process.execArgv];
  const child = spawn(process.execPath, [...flags, ...process.argv.slice(1)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}
