// Services of an application: one by the connection, one that names another by itself.
import { connectToServer, ready } from "../seeds/package.mjs";

const api = await connectToServer({
  server_url: process.env.SERVER_URL,
  app_id: "shop",
  client_id: "worker",
});
for (const [name, more] of [
  ["ours", {}],
  ["theirs", { app_id: "mall" }],
]) {
  const config = { visibility: "public" };
  await api.registerService({ id: `${name}-http`, type: "functions", config, ...more, index: () => name });
  await api.registerService({ id: `${name}-rpc`, config, ...more, add: (a, b) => a + b });
}
await ready(api);
