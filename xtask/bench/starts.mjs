// Starts a server inside of this program, again and again, and tells how long that takes.
import { say } from "./connections.mjs";

const STARTS = 20;
const { Server } = await import(process.env.POLYFN_PACKAGE ?? "polyfn");
const starts = [];
const stops = [];
for (let number = 0; number < STARTS; number++) {
  const begun = performance.now();
  const server = await Server.start();
  const started = performance.now();
  await server.stop();
  starts.push(started - begun);
  stops.push(performance.now() - started);
}
const middle = (values) => values.toSorted((one, other) => one - other)[values.length / 2];
say({ first_ms: starts[0], start_ms: middle(starts), stop_ms: middle(stops) });
say({ done: true });
