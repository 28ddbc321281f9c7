// Offers the measured functions until stdin closes: `service.mjs --client polyfn|hypha_rpc|nats --url URL`.
import { offer, options, say } from "./connections.mjs";

const { client, url } = options();
say(await offer(client, url));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
