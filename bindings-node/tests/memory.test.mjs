// Many calls leave nothing behind: measured, and printed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PACKAGE, runProgram, serverForFile } from "./server.mjs";

const server = await serverForFile();
// A million by hand: POLYFN_MEMORY_CALLS=1000000.
const CALLS = Number(process.env.POLYFN_MEMORY_CALLS ?? 50_000);

const PROGRAM = `
  import { connectToServer } from ${JSON.stringify(PACKAGE)};
  const [url] = process.argv.slice(-1);
  const api = await connectToServer({ server_url: url });
  await api.registerService({
    id: "s",
    echo: (value) => value,
    apply: (callback, value) => callback(value),
    numbers: function* (count) { for (let number = 0; number < count; number += 1) yield number; },
    fail: () => { throw new Error("no"); },
  });
  const service = await api.getService("s");
  async function calls(count) {
    const one = async (number) => {
      if (number % 50 === 0) await service.apply((value) => value, number);
      else if (number % 50 === 1) for await (const _ of await service.numbers(2));
      else if (number % 50 === 2) await service.fail().catch(() => undefined);
      else await service.echo({ number, text: "text " + number, list: [number, "x"] });
    };
    for (let done = 0; done < count; done += 100)
      await Promise.all(Array.from({ length: 100 }, (_, at) => one(done + at)));
  }
  function used() {
    for (let round = 0; round < 4; round += 1) globalThis.gc();
    const { heapUsed, rss } = process.memoryUsage();
    return { heap: heapUsed / 2 ** 20, all: rss / 2 ** 20 };
  }
  await calls(${CALLS / 4});
  const before = used();
  await calls(${CALLS});
  const after = used();
  console.log(JSON.stringify({ before, after }));
  await api.disconnect();
`;

test(`memory is flat after ${CALLS} calls`, async (context) => {
  const { code, output, errors } = await runProgram(PROGRAM, [server.url], {
    limit: 600_000,
    flags: ["--expose-gc"],
  });
  assert.deepEqual({ code, errors }, { code: 0, errors: "" });
  const { before, after } = JSON.parse(output);
  const [heap, all] = [after.heap - before.heap, after.all - before.all];
  context.diagnostic(
    `heap ${after.heap.toFixed(1)} MiB (${heap.toFixed(2)} more), process ${all.toFixed(1)} MiB more`,
  );
  // 20 bytes for each call
  assert.ok(heap < CALLS / 50_000, `the heap grew by ${heap} MiB`);
  assert.ok(all < 48, `the process grew by ${all} MiB`);
});
