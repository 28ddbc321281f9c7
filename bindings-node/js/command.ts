#!/usr/bin/env node
// The command `polyfn`: the same as the binary's, and what of it runs JavaScript.
import { serve } from "./dev.js";
import native from "./native.cjs";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

async function run(): Promise<number> {
  // A listener takes the place of Node's own, which would end the process before the server has stopped.
  const ignore = (): void => undefined;
  for (const signal of SIGNALS) process.on(signal, ignore);
  const { code, plan } = native.runCommand(["polyfn", ...process.argv.slice(2)]);
  for (const signal of SIGNALS) process.off(signal, ignore);
  return plan == null ? (code ?? 1) : serve(plan);
}

void run().then((code) => process.exit(code));
