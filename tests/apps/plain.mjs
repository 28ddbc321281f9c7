// An ASGI app in JavaScript: the protocol is that of the server, whichever the language of the app.
import { connectToServer, ready } from "../seeds/package.mjs";

const bytes = (text) => new TextEncoder().encode(text);
const nameOf = (header) => new TextDecoder().decode(header);

async function wholeBody(receive) {
  const parts = [];
  for (;;) {
    const message = await receive();
    parts.push(Buffer.from(message.body ?? []));
    if (!message.more_body) return Buffer.concat(parts);
  }
}

async function talk(receive, send) {
  await receive();
  await send({ type: "websocket.accept" });
  for (;;) {
    const message = await receive();
    if (message.type === "websocket.disconnect") return;
    if (typeof message.text === "string") {
      await send({ type: "websocket.send", text: message.text.toUpperCase() });
    } else {
      await send({ type: "websocket.send", bytes: new Uint8Array(message.bytes).reverse() });
    }
  }
}

const api = await connectToServer({ server_url: process.env.SERVER_URL });
await api.registerService({
  id: "plain",
  type: "asgi",
  config: { visibility: "public" },
  serve: async ({ scope, receive, send }) => {
    if (scope.type === "websocket") return talk(receive, send);
    const host = scope.headers.find(([name]) => nameOf(name) === "host");
    const headers = [[bytes("x-host"), host[1]]];
    // in one part, however long it is
    const body = new Uint8Array(await wholeBody(receive));
    await send({ type: "http.response.start", status: 201, headers });
    await send({ type: "http.response.body", body });
  },
});
await ready(api);
