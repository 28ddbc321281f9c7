// Blobs and files: what is sent are the functions that read them.
import assert from "node:assert/strict";
import { Blob, File } from "node:buffer";
import { after, before, test } from "node:test";
import { connectToServer, RemoteFile } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

const server = await serverForFile();
let owner;
let api;
let files;

before(async () => {
  owner = await connectToServer({ server_url: server.url });
  await owner.registerService({
    id: "files",
    config: { visibility: "public" },
    open: (content, name) => (name ? new File([content], name, { type: "text/plain" }) : new Blob([content])),
    read: async (file) => [file.name, file.type, file.size, await file.text()],
    parts: async (file) => [await file.read(2), await file.read(), await file.seek(1), await file.read(1)],
    python: async () => {
      const lines = ["grüße\n", "world\n", ""];
      const readline = () => lines.shift();
      return { _rtype: "iostream", _rnative: "py:<class 'X'>", name: "x", read: readline, readline };
    },
    relay: (file) => file,
  });
  api = await connectToServer({ server_url: server.url });
  files = await api.getService(`${owner.workspace}/${owner.clientId}:files`);
});
after(async () => {
  await api.disconnect();
  await owner.disconnect();
});

test("a file in a result is read when it is wanted", async () => {
  const file = await files.open("grüße", "greetings.txt");
  assert.ok(file instanceof RemoteFile);
  assert.deepStrictEqual([file.name, file.type, file.size], ["greetings.txt", "text/plain", 7]);
  for (const round of ["first", "second"]) assert.equal(await file.text(), "grüße", round);
  const copy = await file.blob();
  assert.ok(copy instanceof File);
  assert.deepStrictEqual([copy.name, copy.type, await copy.text()], ["greetings.txt", "text/plain", "grüße"]);
  assert.deepStrictEqual(Buffer.from(await file.arrayBuffer()), Buffer.from("grüße"));
});

test("a blob has no name", async () => {
  const copy = await (await files.open("abc")).blob();
  assert.ok(copy instanceof Blob && !(copy instanceof File));
});

test("a file in the arguments is read by the function", async () => {
  const file = new File(["con", "tent"], "a.txt", { type: "text/html" });
  assert.deepStrictEqual(await files.read(file), ["a.txt", "text/html", 7, "content"]);
  const [two, rest, nothing, one] = await files.parts(new Blob(["content"]));
  assert.deepStrictEqual([`${two}`, `${rest}`, nothing, `${one}`], ["co", "ntent", null, "o"]);
});

test("a file larger than a block, and an empty one", async () => {
  const content = Buffer.alloc(3_000_000, "polyfn");
  assert.ok(Buffer.from(await (await files.open(content)).bytes()).equals(content));
  assert.equal(await (await files.open("")).text(), "");
});

test("a file is read as a stream", async () => {
  const file = await files.open(Buffer.alloc(2_500_000));
  let length = 0;
  for await (const block of file.stream()) length += block.length;
  assert.equal(length, 2_500_000);
});

test("what a file object of Python offers is there", async () => {
  const file = await files.python();
  assert.equal(await file.readline(), "grüße\n");
  assert.equal(await file.text(), "world\n");
});

test("a file goes back to its owner as it came, and hangs nobody", async () => {
  const file = await files.open("abc", "a.txt");
  const back = await files.relay(file);
  assert.deepStrictEqual([back.name, await back.text()], ["a.txt", "abc"]);
  const own = await files.relay(new Blob(["mine"]));
  assert.equal(own.size, 4);
  await assert.rejects(own.text(), { code: "not_found" });
});
