// Runs every function of `faas.mjs` on `faas-js-runtime`, each on a port of its own; prints the ports.
import { Server } from "node:net";
import runtime from "faas-js-runtime";
import { FUNCTIONS } from "./faas.mjs";

process.setMaxListeners(0);
// the runtime listens everywhere, at a port that must be named
const { listen } = Server.prototype;
Server.prototype.listen = function (options, ...rest) {
  return listen.call(this, { ...options, host: "127.0.0.1", port: 0 }, ...rest);
};

const ports = {};
// on a signal the runtime ends the process behind the first function that it has started
const { module, ...others } = FUNCTIONS;
for (const [name, exported] of Object.entries({ module, ...others })) {
  const server = await runtime.start(exported, { logLevel: "silent" });
  ports[name] = server.address().port;
}
process.stdout.write(`${JSON.stringify(ports)}\n`);
