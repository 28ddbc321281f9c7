// Arrays with a shape: as numpy has them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectToServer, InvalidError, NdArray } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

const server = await serverForFile();
let api;
let echo;

before(async () => {
  api = await connectToServer({ server_url: server.url });
  await api.registerService({ id: "echo", echo: (value) => value });
  ({ echo } = await api.getService("echo"));
});
after(() => api.disconnect());

const SAME = {
  "two dimensions": [
    new NdArray(new Float64Array([1, 2, 3, 4, 5, 6]), [2, 3]),
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
  ],
  "one dimension, the default": [new NdArray(new Int16Array([-1, 2])), [-1, 2]],
  "bytes are an array too": [new NdArray(new Uint8Array([1, 2])), [1, 2]],
  "no dimension": [new NdArray(new Float32Array([1.5]), []), 1.5],
  "no elements": [new NdArray(new Float32Array(0), [0, 3]), []],
  "integers of 64 bits": [new NdArray(new BigInt64Array([-1n, 2n ** 62n])), [-1n, 2n ** 62n]],
  "truth values": [new NdArray(new Uint8Array([1, 0]), [2], "bool"), [true, false]],
  "complex numbers": [
    new NdArray(new Float32Array([1, 2, 3, 4]), [2], "complex64"),
    [
      [1, 2],
      [3, 4],
    ],
  ],
};

for (const [name, [array, items]] of Object.entries(SAME)) {
  test(`${name}: comes back the same`, async () => {
    const [back] = await echo([array]);
    assert.deepStrictEqual(back, array);
    assert.deepStrictEqual(back.toArray(), items);
  });
}

test("a large array comes back whole", async () => {
  const data = Float32Array.from({ length: 500_000 }, (_, index) => index);
  const back = await echo(new NdArray(data, [500, 1000]));
  assert.deepStrictEqual(back.shape, [500, 1000]);
  assert.ok(Buffer.from(back.data.buffer).equals(Buffer.from(data.buffer)));
});

test("a part of a larger memory is sent alone", async () => {
  const back = await echo(new NdArray(new Int32Array([1, 2, 3, 4]).subarray(1, 3), [2, 1]));
  assert.deepStrictEqual(back.toArray(), [[2], [3]]);
});

const parts = (bytes, shape, dtype) => ({
  _rtype: "ndarray",
  _rvalue: Buffer.from(bytes),
  _rshape: shape,
  _rdtype: dtype,
});

test("big-endian elements are turned round", async () => {
  const real = await echo(parts([0x3f, 0x80, 0, 0], [1], ">f4"));
  assert.deepStrictEqual(real, new NdArray(new Float32Array([1]), [1], "float32"));
  const complex = await echo(parts([0x3f, 0x80, 0, 0, 0x40, 0, 0, 0], [], ">c8"));
  assert.deepStrictEqual(complex.toArray(), [1, 2]);
});

test("names as numpy shortens them are known", async () => {
  assert.deepStrictEqual((await echo(parts([1, 0, 2, 0], [2], "<u2"))).data, new Uint16Array([1, 2]));
});

test("elements without a typed array stay raw, and go back the same", async () => {
  const text = await echo(parts("ab", [1], "<U2"));
  assert.deepStrictEqual([text.data, text.shape, text.dtype], [new Uint8Array([97, 98]), [1], "<U2"]);
  assert.deepStrictEqual(await echo(text), text);
  assert.throws(() => text.toArray(), InvalidError);
});

test("elements that do not fill the shape are refused", async () => {
  assert.throws(
    () => new NdArray(new Float32Array(3), [2, 2]),
    /3 elements of float32 do not fill the shape \[2,2\]/,
  );
  assert.throws(() => new NdArray([1, 2], [2]), InvalidError);
  await assert.rejects(echo(parts([1, 2, 3], [1], "float32")), /do not fill the shape/);
});
