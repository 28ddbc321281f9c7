// Serves functions and calls those of another program: `demo.mjs SERVER_URL`, started by `cargo xtask demo`.
import { createInterface } from "node:readline";

const { connectToServer } = await import(process.env.POLYFN_PACKAGE ?? "polyfn");

const query = (event) => Object.fromEntries(new URLSearchParams(event.query_string));
const hello = async (event) => ({ message: `hello ${query(event).name ?? "world"}, this is Node` });
const add = (event) => ({ sum: Number(query(event).a) + Number(query(event).b) });
const tell = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`);

/** Calls the caller's own function for every item. */
async function each(items, callback) {
  const answers = [];
  for (const item of items) answers.push(await callback(item));
  return answers;
}

async function callTheOther(server, serviceId) {
  const other = await server.getService(serviceId);
  tell({ call: "tools.add(2, 3)", answer: await other.add(2, 3) });
  tell({ call: 'tools.greet("Ada")', answer: await other.greet("Ada") });
  tell({
    call: "tools.each([1, 2, 3], square)",
    answer: await other.each([1, 2, 3], (number) => number ** 2),
  });
  tell({ done: true });
}

const server = await connectToServer({ server_url: process.argv[2], name: "demo in Node" });
const config = { visibility: "public" };
await server.registerService({ id: "node-functions", type: "functions", config, hello, math: { add } });
const info = await server.registerService({
  id: "node-tools",
  config,
  add: (a, b) => a + b,
  greet: (name) => `hello ${name}, this is Node`,
  each,
});
tell({ service: info.id, path: `/${info.id.split("/")[0]}/apps/node-functions` });

process.on("SIGINT", () => {});
for await (const serviceId of createInterface({ input: process.stdin })) {
  await callTheOther(server, serviceId.trim());
}
await server.disconnect();
