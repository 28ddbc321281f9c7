import { createRequire } from "node:module";
import { connectToServer, ready } from "./package.mjs";

const require = createRequire(import.meta.url);
const api = await connectToServer({ server_url: process.env.SERVER_URL });

for (const name of ["function", "handle"]) {
  const exported = require(`./003_${name}.cjs`);
  const members = typeof exported === "function" ? { handle: exported } : exported;
  await api.register_service({
    id: `exported-as-${name}`,
    type: "functions",
    config: { visibility: "public", signature: "context" },
    ...members,
  });
}

// the logger is that of our package
await api.register_service({
  id: "logs",
  type: "functions",
  config: { visibility: "public", signature: "context" },
  handle: (context) => {
    const { log } = context;
    for (const level of ["info", "warn", "error"]) log?.[level](`said by ${level}`);
    return { ours: Boolean(log) };
  },
});

await ready(api);
