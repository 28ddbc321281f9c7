// A service, called with arguments by position and by name.
import { connectToServer } from "polyfn";

const server_url = process.env.POLYFN_SERVER_URL ?? "http://localhost:9527";
const owner = await connectToServer({ server_url });
await owner.registerService({
  id: "tools",
  config: { visibility: "public" },
  add: (a, b) => a + b,
  greet: async (name, greeting = "Hello") => `${greeting} ${name}`,
});

const caller = await connectToServer({ server_url });
const tools = await caller.getService(`${owner.config.workspace}/tools`);
console.log(await tools.add(1, 2));
console.log(await tools.greet("ann"));
console.log(await tools.greet("bob", { greeting: "Good day", _rkwargs: true }));

await caller.disconnect();
await owner.disconnect();
