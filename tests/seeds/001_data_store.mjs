import { connectToServer, ready } from "./package.mjs";

// Shares JSON values and files by URL.
class DataStore {
  items = new Map();

  putJson(key, value) {
    const content = new TextEncoder().encode(JSON.stringify(value));
    this.items.set(key, { type: "application/json", name: `${key}.json`, content });
  }

  putFile(key, name, content) {
    this.items.set(key, { type: "application/octet-stream", name, content });
  }

  get(event) {
    const item = this.items.get(new URLSearchParams(event.query_string).get("id"));
    if (!item) {
      return { status: 404, headers: { "Content-Type": "text/plain" }, body: "no such item" };
    }
    return {
      status: 200,
      headers: {
        "Content-Type": item.type,
        "Content-Length": String(item.content.length),
        "Content-Disposition": `inline; filename="${item.name}"`,
      },
      body: item.content,
    };
  }
}

const api = await connectToServer({ server_url: process.env.SERVER_URL });
const store = new DataStore();
store.putJson("numbers", { values: [1, 2, 3] });
store.putFile("dot", "dot.bin", Uint8Array.from({ length: 256 }, (_, index) => index));

const service = {
  id: "data-store",
  type: "functions",
  config: { visibility: "public", require_context: false },
  get: store.get.bind(store),
};
await api.register_service(service, { overwrite: true });
await ready(api);
