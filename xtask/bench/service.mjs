// Offers the measured functions until stdin closes: `service.mjs --client polyfn|hypha_rpc|nats --url URL`; with
// `--many 1,10,1000` there are services of so many functions, too.
import { offer, options, say } from "./connections.mjs";

const { client, url, many } = options();
say(await offer(client, url, many));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
