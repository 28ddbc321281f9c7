// Serves the measured functions with a server of its own until stdin closes.
import { register, say } from "./connections.mjs";

const { Server } = await import(process.env.POLYFN_PACKAGE ?? "polyfn");
const server = await Server.start();
const client = await server.connect();
say({ ...(await register(client)), url: server.url });
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
