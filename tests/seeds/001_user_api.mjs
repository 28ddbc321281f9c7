import { connectToServer, ready } from "./package.mjs";

const api = await connectToServer({ server_url: process.env.SERVER_URL });

const users = new Map([["41", "ann"]]);
const getUsers = async () => [...users.values()];
const createUser = async ({ id, name }) => {
  users.set(id, name);
  return { created: id };
};
const deleteUser = async (id) => ({ deleted: users.delete(id) && id });

// ---- as in the seed ----
// Simple REST API
api.register_service({
    "id": "user-api",
    "type": "functions",
    "users": {
        "list": async (event) => ({ users: await getUsers() }),
        "create": async (event) => await createUser(JSON.parse(event.body)),
        "delete": async (event) => await deleteUser(event.path.split('/')[3])
    }
})

// Functions for simple APIs
await api.register_service({
    "id": "simple-api",
    "type": "functions",
    "health": async (event) => ({ status: "ok" }),
    "version": async (event) => ({ version: "1.0.0" })
})
// ---- end of the seed ----

await ready(api);
