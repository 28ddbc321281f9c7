// A function among the arguments, called back while the call runs.
import { connectToServer } from "polyfn";

const server_url = process.env.POLYFN_SERVER_URL ?? "http://localhost:9527";
const owner = await connectToServer({ server_url });
await owner.registerService({
  id: "sums",
  config: { visibility: "public" },
  // Runs at the owner; `double` runs at the caller.
  total: async (items, double) => {
    let sum = 0;
    for (const item of items) sum += await double(item);
    return sum;
  },
});

const caller = await connectToServer({ server_url });
const sums = await caller.getService(`${owner.config.workspace}/sums`);
const double = (item) => {
  console.log("item", item);
  return item * 2;
};
console.log(await sums.total([1, 2, 3], double));

await caller.disconnect();
await owner.disconnect();
