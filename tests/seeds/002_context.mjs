import { connectToServer, ready } from "./package.mjs";

const api = await connectToServer({ server_url: process.env.SERVER_URL });

// ---- as in the seed ----
await api.register_service({
    "id": "hello-functions",
    "type": "functions",
    "config": {
        "visibility": "public",
        "require_context": true
    },
    "hello-world": async function(event, context) {
        return {
            status: 200,
            headers: {'Content-Type': 'application/json'},
            body: JSON.stringify({message: "Hello World"})
        };
    },
    "index": async function(event, context) {
        return {
            status: 200,
            body: "Home page"
        };
    }
})
// ---- end of the seed ----

await api.register_service({
  id: "who-functions",
  type: "functions",
  config: { visibility: "public", require_context: true },
  who: async (event, context) => ({
    status: 200,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ method: event.method, ws: context.ws, to: context.to, user: context.user.id }),
  }),
});

await ready(api);
