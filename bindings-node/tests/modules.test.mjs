// The package as users load it, and its small parts that need no server.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { bindKeywords, parametersOf } from "../lib/functions.js";
import * as esm from "../lib/index.js";
import { addOtherNames, toCamel, toSnake } from "../lib/names.js";
import { openOptions } from "../lib/options.js";
import { COMMON_JS } from "./server.mjs";

test("ESM and CommonJS export the same names", () => {
  const cjs = createRequire(import.meta.url)(COMMON_JS);
  const names = (loaded) => Object.keys(loaded).filter((name) => !["__esModule", "default"].includes(name));
  assert.deepEqual(names(cjs).sort(), names(esm).sort());
  assert.ok(names(esm).includes("connectToServer"));
});

test("the native module has what its declarations say, and no more", () => {
  const native = createRequire(import.meta.url)("../lib/native.cjs");
  const text = readFileSync(new URL("../js/native.d.cts", import.meta.url), "utf8");
  // every function of N-API has a constructor
  const methods = (names) => names.filter((name) => name !== "constructor").sort();
  const declared = {};
  for (const [, name] of text.matchAll(/^export function (\w+)/gm)) declared[name] = [];
  for (const [, name, body] of text.matchAll(/^export class (\w+) \{\n([\s\S]*?)^\}/gm)) {
    declared[name] = methods([...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, method]) => method));
  }
  const built = Object.entries(native).map(([name, value]) => [
    name,
    methods(Object.getOwnPropertyNames(value.prototype ?? {})),
  ]);
  assert.deepEqual(declared, Object.fromEntries(built));
});

test("every code has a class under RpcError", () => {
  const classes = Object.values(esm).filter((value) => value?.prototype instanceof esm.RpcError);
  assert.equal(classes.length, 11);
  for (const kind of classes)
    assert.deepEqual([new kind("x").name, new kind("x").code], [kind.name, kind.code]);
});

const SOURCES = [
  [(a, b) => [a, b], ["a", "b"]],
  [(a) => a, ["a"]],
  [async (a) => a, ["a"]],
  [() => 0, []],
  [
    function named(a, b = [1, 2], c = { d: ",)" }) {
      return [a, b, c];
    },
    ["a", "b", "c"],
  ],
  [
    async function later(
      /* a, */ b, // c
      d,
    ) {
      return [b, d];
    },
    ["b", "d"],
  ],
  [
    {
      method(a, b) {
        return a + b;
      },
    }.method,
    ["a", "b"],
  ],
  [
    {
      async *"odd (name)"(a, b) {
        yield a + b;
      },
    }["odd (name)"],
    ["a", "b"],
  ],
  [({ a, b }, c) => [a, b, c], [undefined, "c"]],
  [(a, [b]) => [a, b], ["a", undefined]],
  [(a = ((x) => x)(1), $b, _c) => [a, $b, _c], ["a", "$b", "_c"]],
  [(größe, ...rest) => [größe, rest], ["größe"]],
];
for (const [fn, names] of SOURCES) {
  test(`parameters of ${fn.toString().replace(/\s+/g, " ")}`, () =>
    assert.deepEqual(parametersOf(fn).names, names));
}

test("parameters of bound functions come from their schema", () => {
  const bound = ((a, b) => [a, b]).bind(null);
  assert.deepEqual(parametersOf(bound).names, [undefined, undefined]);
  bound.__schema__ = { parameters: { properties: { a: {}, b: {} } } };
  assert.deepEqual(parametersOf(bound).names, ["a", "b"]);
});

test("keywords without a parameter go to one that is taken apart", () => {
  const args = [1];
  bindKeywords({ call: (first, { a, b }) => [first, a, b], self: undefined, parameters: undefined }, args, {
    a: 2,
    b: 3,
  });
  assert.deepEqual(JSON.stringify(args), '[1,{"a":2,"b":3}]');
});

test("names in both cases", () => {
  assert.deepEqual(["register_service", "hello", "a_b_c", "_private", "x__y"].map(toCamel), [
    "registerService",
    "hello",
    "aBC",
    "_private",
    "xY",
  ]);
  assert.deepEqual(["registerService", "hello", "aB", "getHTTP"].map(toSnake), [
    "register_service",
    "hello",
    "a_b",
    "get_http",
  ]);
  const service = {
    do_it: () => 1,
    doIt: () => 2,
    sub: { in_there: () => 3 },
    config: { some_flag: () => 4 },
    value_x: 5,
  };
  addOtherNames(service);
  assert.equal(service.doIt(), 2, "what has a name keeps it");
  assert.equal(service.sub.inThere(), 3);
  assert.equal(service.config.someFlag, undefined);
  assert.equal(service.valueX, undefined);
  assert.deepEqual(Object.keys(service), ["do_it", "doIt", "sub", "config", "value_x"]);
});

test("options in both cases", () => {
  const camel = openOptions({ serverUrl: "http://a", clientId: "c", methodTimeout: 3, token: null });
  const snake = openOptions({ server_url: "http://a", client_id: "c", method_timeout: 3, logger: null });
  assert.deepEqual(camel, { serverUrl: "http://a", clientId: "c", methodTimeout: 3 });
  assert.deepEqual(snake, camel);
});
