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

await api.register_service({
    "id": "nested-functions",
    "type": "functions",
    "config": {
        "visibility": "public",
    },
    "api": {
        "v1": {
            "users": async function(event) {
                return {
                    status: 200,
                    headers: {'Content-Type': 'application/json'},
                    body: JSON.stringify({users: ["alice", "bob"]})
                };
            },
            "posts": async function(event) {
                return {
                    status: 200,
                    headers: {'Content-Type': 'application/json'},
                    body: JSON.stringify({posts: []})
                };
            }
        },
        "v2": {
            "users": async function(event) {
                return {
                    status: 200,
                    headers: {'Content-Type': 'application/json'},
                    body: JSON.stringify({users: [], version: "v2"})
                };
            }
        }
    }
})

await api.register_service({
    "id": "fallback-functions",
    "type": "functions",
    "config": {
        "visibility": "public",
    },
    "hello": async function(event) {
        return {
            status: 200,
            body: "Hello from specific function"
        };
    },
    "default": async function(event) {
        const path = event.function_path || "/";
        return {
            status: 200,
            headers: {'Content-Type': 'application/json'},
            body: JSON.stringify({
                message: "Default handler", 
                path: path,
                method: event.method
            })
        };
    }
})
// ---- end of the seed ----

await ready(api);
