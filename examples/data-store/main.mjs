// A store that gives values and files a URL, to be shown in web pages.
import { connectToServer, HTTPError } from "polyfn";

const url = process.env.POLYFN_SERVER_URL ?? "http://localhost:9527";

class DataStore {
  #items = new Map();
  #base = "";

  async start(server) {
    await server.registerService({
      id: "data-store",
      type: "functions",
      config: { visibility: "public" },
      get: (event) => this.get(event),
    });
    this.#base = `${url}/${server.config.workspace}/apps/data-store/get`;
  }

  put(value) {
    return this.putFile("value.json", Buffer.from(JSON.stringify(value)), "application/json");
  }

  putFile(name, content, kind = "application/octet-stream") {
    const item = crypto.randomUUID();
    this.#items.set(item, { name, kind, content });
    return item;
  }

  url = (item) => `${this.#base}?id=${item}`;
  list = () => [...this.#items.values()].map(({ name }) => name);
  remove = (item) => this.#items.delete(item);

  get(event) {
    const found = this.#items.get(new URLSearchParams(event.query_string).get("id"));
    if (!found) throw new HTTPError(404, "no such item");
    const { name, kind, content } = found;
    const headers = { "content-type": kind, "content-disposition": `inline; filename="${name}"` };
    return { headers, body: content };
  }
}

async function ask(address, headers = {}) {
  const response = await fetch(address, { headers });
  if (!response.ok) return [response.status, (await response.json()).detail];
  return [response.status, response.headers.get("content-type"), await response.text()];
}

const store = new DataStore();
const server = await connectToServer({ server_url: url });
await store.start(server);
const numbers = store.put({ numbers: [1, 2, 3] });
const dot = store.putFile(
  "dot.svg",
  Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
  "image/svg+xml",
);
console.log("items", ...store.list());
console.log(...(await ask(store.url(numbers))));
console.log(...(await ask(store.url(dot))));
console.log(...(await ask(store.url(dot), { Range: "bytes=1-3" })));
store.remove(dot);
console.log(...(await ask(store.url(dot))));
await server.disconnect();
