// Functions that answer HTTP requests.
import { connectToServer } from "polyfn";

const url = process.env.POLYFN_SERVER_URL ?? "http://localhost:9527";
const server = await connectToServer({ server_url: url });

await server.registerService({
  id: "shop",
  type: "functions",
  config: { visibility: "public" },
  index: () => "Home page",
  greet: async (event) => ({ message: `hello ${event.query_string}` }),
  items: { POST: () => ({ status: 201, body: "made" }) },
  default: (event) => ({ status: 404, body: `no ${event.function_path} here` }),
});

const base = `${url}/${server.config.workspace}/apps/shop`;
for (const [path, method] of [
  ["/", "GET"],
  ["/greet?ann", "GET"],
  ["/items", "POST"],
  ["/elsewhere", "GET"],
]) {
  const response = await fetch(base + path, { method });
  console.log(response.status, await response.text());
}
await server.disconnect();
