#!/usr/bin/env node
// The command `polyfn`: the same as the binary's, and what of it runs JavaScript.
import { serve } from "./dev.js";
import native from "./native.cjs";
import { isTypescript, runAgain, typescriptOf } from "./typescript.js";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

async function run(): Promise<number> {
  // A listener takes the place of Node's own, which would end the process before the server has stopped.
  const ignore = (): void => undefined;
  for (const signal of SIGNALS) process.on(signal, ignore);
  const { code, plan } = native.runCommand(["polyfn", ...process.argv.slice(2)]);
  for (const signal of SIGNALS) process.off(signal, ignore);
  if (plan == null) return code ?? 1;
  const isTyped = plan.modules.some(({ path }) => isTypescript(path));
  return isTyped && typescriptOf() === "flag" ? runAgain() : serve(plan);
}

void run().then((code) => process.exit(code));
