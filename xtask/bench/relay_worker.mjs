// The least a Node worker can do behind the relay: `relay_worker.mjs --url URL`. An id comes in, an id and `hello` go out.
import WebSocket from "ws";
import { options, say } from "./connections.mjs";

const socket = new WebSocket(options().url, { perMessageDeflate: false });
const hello = Buffer.from("hello");
socket.on("message", (frame) => socket.send(Buffer.concat([frame.subarray(0, 8), hello])));
socket.on("open", () => say({ path: "/hello" }));
