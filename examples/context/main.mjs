// Who calls: the context, which the caller cannot forge.
import { connectToServer } from "polyfn";

const server_url = process.env.POLYFN_SERVER_URL ?? "http://localhost:9527";
const owner = await connectToServer({ server_url });
await owner.registerService({
  id: "door",
  config: { visibility: "public", require_context: true },
  whoami: (context) => ({ user: context.user.id, client: context.from.split("/")[1] }),
});

const caller = await connectToServer({ server_url, client_id: "reader" });
const door = await caller.getService(`${owner.config.workspace}/door`);
const me = await door.whoami();
console.log(`called by ${me.client}: ${me.user === caller.config.user.id ? "True" : "False"}`);

await caller.disconnect();
await owner.disconnect();
