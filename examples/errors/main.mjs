// What a caller gets when a function fails, and when there is none.
import { connectToServer, NotFoundError, RpcError } from "polyfn";

const server_url = process.env.POLYFN_SERVER_URL ?? "http://localhost:9527";
const owner = await connectToServer({ server_url });
await owner.registerService({
  id: "cheeses",
  config: { visibility: "public" },
  buy: (thing) => {
    throw new Error(`out of ${thing}`);
  },
});

const caller = await connectToServer({ server_url });
const cheeses = await caller.getService(`${owner.config.workspace}/cheeses`);
try {
  await cheeses.buy("cheese");
} catch (error) {
  if (error instanceof RpcError) console.log(`${error.code}: ${error.message}`);
}
try {
  await caller.getService(`${owner.config.workspace}/hams`);
} catch (error) {
  if (error instanceof NotFoundError) console.log(error.code);
}

await caller.disconnect();
await owner.disconnect();
