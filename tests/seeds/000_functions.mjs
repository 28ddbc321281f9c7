import { connectToServer, ready } from "./package.mjs";

const api = await connectToServer({ server_url: process.env.SERVER_URL });

// ---- as in the seed ----
await api.register_service({
    "id": "hello-functions",
    "type": "functions",
    "config": {
        "visibility": "public",
    },
    "hello-world": async function(event) {
        return {
            status: 200,
            headers: {'Content-Type': 'application/json'},
            body: JSON.stringify({message: "Hello World"})
        };
    },
    "index": async function(event) {
        return {
            status: 200,
            body: "Home page"
        };
    }
})
// ---- end of the seed ----

await ready(api);
