// Values by way of the wire and back: what goes out and what comes in.
import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { after, before, test } from "node:test";
import { runInNewContext } from "node:vm";
import { Decoder } from "../lib/decode.js";
import { connectToServer, Extension, InvalidError, NdArray } from "../lib/index.js";
import { serverForFile } from "./server.mjs";

const server = await serverForFile();
let api;
let echo;
let classOf;

before(async () => {
  api = await connectToServer({ server_url: server.url });
  await api.registerService({
    id: "echo",
    echo: (value) => value,
    count: (...args) => args.length,
    classOf: (value) => value.constructor.name,
  });
  ({ echo, classOf } = await api.getService("echo"));
});
after(() => api.disconnect());

const SAME = {
  null: null,
  true: true,
  false: false,
  "empty text": "",
  text: "hello",
  "text beyond ASCII": "grüße 世界 😀",
  "text of 5,000 letters": "x".repeat(5000),
  "long text beyond ASCII": "世".repeat(50_000),
  zero: 0,
  "small integers": [1, -1, 127, -128, 65_535, -32_768],
  "integers around the tape's inline limit": [2 ** 26 - 1, 2 ** 26, -(2 ** 26), -(2 ** 26) - 1],
  "integers of 32 bits and more": [2 ** 31 - 1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 40, -(2 ** 40)],
  "largest safe integers": [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  floats: [0.1, -1.5, 1e300, Number.EPSILON, 1e20],
  "positive and negative zero": [0, -0],
  infinities: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  "BigInt beyond 53 bits": [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n],
  "nested lists": [[], [[]], [1, [2, [3, "four"]]]],
  "nested maps": { a: { b: { c: [{ d: 1 }] } }, empty: {} },
  "keys in odd shapes": { "": 1, "a b": 2, grün: 3, 10: 4, constructor: 5, toString: 6 },
  "a long list": Array.from({ length: 20_000 }, (_, index) => index),
  "a large map": Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`key ${index}`, index])),
  bytes: Buffer.from([0, 1, 255]),
  "no bytes": Buffer.alloc(0),
  "bytes of 100,000": Buffer.alloc(100_000, 7),
  "float32 array": new Float32Array([1.5, -2]),
  "float64 array": new Float64Array([0.1]),
  "int8 array": new Int8Array([-1, 1]),
  "int16 array": new Int16Array([-300, 300]),
  "uint16 array": new Uint16Array([65_535]),
  "int32 array": new Int32Array([-70_000]),
  "uint32 array": new Uint32Array([4_000_000_000]),
  "int64 array": new BigInt64Array([-1n, 2n ** 62n]),
  "uint64 array": new BigUint64Array([2n ** 64n - 1n]),
  Set: new Set([1, "a", null]),
  "empty Set": new Set(),
  Map: new Map([
    ["a", 1],
    [2, [3]],
  ]),
  "empty Map": new Map(),
  Date: new Date("2024-01-02T03:04:05.678Z"),
  "Date in whole seconds": new Date(5000),
  "Date before 1970": new Date(-1.5e12),
  "Date far away": new Date(8.64e15),
  Extension: new Extension(42, Buffer.from([1, 2, 3])),
};

for (const [name, value] of Object.entries(SAME)) {
  test(`${name} comes back the same`, async () => {
    assert.deepStrictEqual(await echo(value), value);
    assert.deepStrictEqual(await echo([value, { value }]), [value, { value }]);
  });
}

function shared(content) {
  const memory = new SharedArrayBuffer(content.length);
  new Uint8Array(memory).set(content);
  return memory;
}

const CHANGED = {
  undefined: [undefined, null],
  "undefined in a map": [{ a: undefined }, { a: null }],
  "small BigInt": [5n, 5],
  "Uint8Array is bytes": [new Uint8Array([1, 2]), Buffer.from([1, 2])],
  // An array of bytes at the function, which gives it back as bytes.
  "a clamped array": [new Uint8ClampedArray([1, 255]), Buffer.from([1, 255])],
  "a DataView is memory": [
    new DataView(new Uint8Array([1, 2, 3]).buffer, 1, 2),
    new Uint8Array([2, 3]).buffer,
  ],
  "an instance of a class": [
    new (class Point {
      x = 1;
    })(),
    { x: 1 },
  ],
  "an empty instance of a class": [new (class Empty {})(), {}],
  "an instance of a class that shows nothing": [
    new (class Counter {
      #count = 1;
      get count() {
        return this.#count;
      }
    })(),
    {},
  ],
  "an object that hides its methods": [Object.defineProperty({}, "go", { value: (() => 1).bind() }), {}],
  "an empty map of another realm": [runInNewContext("({})"), {}],
  "a subclass of Array": [class extends Array {}.of(1, 2), [1, 2]],
  "a subclass of Map": [new (class extends Map {})([["a", 1]]), new Map([["a", 1]])],
  "boxed values": [
    [new Number(5), new String("s"), Object(5n)],
    [5, "s", 5],
  ],
  "what toJSON makes": [
    {
      url: new URL("http://a.example/b?c"),
      amount: {
        inner: new (class Amount {
          toJSON() {
            return { amount: "1.50" };
          }
        })(),
      },
    },
    { url: "http://a.example/b?c", amount: { inner: { amount: "1.50" } } },
  ],
  "memory that threads share": [shared([1, 2, 3]), new Uint8Array([1, 2, 3]).buffer],
  "much memory that threads share": [shared(new Array(9000).fill(7)), new Uint8Array(9000).fill(7).buffer],
  "a view of memory that threads share": [
    new Int16Array(shared(new Array(9000).fill(1)), 2, 4200),
    new Int16Array(4200).fill(257),
  ],
  "an object with a prototype of its own": [
    Object.assign(Object.create({ inherited: 1 }), { own: 2 }),
    { own: 2 },
  ],
  "a map whose key is a map without prototype": [new Map([[Object.create(null), 1]]), new Map([[{}, 1]])],
  "a map without prototype": [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
};

for (const [name, [sent, received]] of Object.entries(CHANGED)) {
  test(`changed on the way: ${name}`, async () => assert.deepStrictEqual(await echo(sent), received));
}

test("NaN stays NaN", async () => assert.ok(Number.isNaN(await echo(Number.NaN))));

test("an ArrayBuffer comes back as one", async () => {
  const back = await echo(new Uint8Array([1, 2, 3]).buffer);
  assert.ok(back instanceof ArrayBuffer);
  assert.deepStrictEqual([...new Uint8Array(back)], [1, 2, 3]);
});

test("of a view the view is sent, not the memory under it", async () => {
  const memory = new Uint8Array([0, 0, 1, 0, 2, 0, 3, 0]).buffer;
  assert.deepStrictEqual(await echo(new Int16Array(memory, 2, 2)), new Int16Array([1, 2]));
  assert.deepStrictEqual(await echo(new Uint8Array(memory, 2, 3)), Buffer.from([1, 0, 2]));
});

test("bytes and views of another realm are what they are here", async () => {
  for (const [source, name] of [
    ["new Uint8Array([1, 2])", "Buffer"],
    ["new Uint8Array(10_000)", "Buffer"],
    ["new Uint8ClampedArray([1, 2])", "Uint8Array"],
    ["new Int16Array([1, 2])", "Int16Array"],
    ["new DataView(new ArrayBuffer(2))", "ArrayBuffer"],
    ["new ArrayBuffer(2)", "ArrayBuffer"],
  ]) {
    assert.equal(await classOf(runInNewContext(source)), name, source);
  }
  assert.deepStrictEqual(await echo(runInNewContext("new Uint8Array([1, 2])")), Buffer.from([1, 2]));
});

test("bytes read as UTF-8 where a text is wanted", async () => {
  const body = await echo(new TextEncoder().encode('{"name": "Ünal"}'));
  assert.deepStrictEqual(JSON.parse(body), { name: "Ünal" });
});

test("a typed array that does not fill its type keeps its parts", async () => {
  const torn = { _rtype: "typedarray", _rvalue: Buffer.from([1, 2, 3]), _rdtype: "float32" };
  assert.deepStrictEqual(await echo(torn), torn);
});

test("a form is known wherever its `_rtype` stands", async () => {
  assert.deepStrictEqual(await echo({ _rvalue: [1, [2]], _rtype: "set" }), new Set([1, [2]]));
  const late = [{ text: "é", more: Buffer.from("x"), _rvalue: ["a", { b: "c" }], _rtype: "set" }, "behind"];
  assert.deepStrictEqual(await echo(late), [new Set(["a", { b: "c" }]), "behind"]);
  assert.deepStrictEqual(await echo({ a: 1, _rtype: "unheard of" }), { a: 1, _rtype: "unheard of" });
});

test("a key named __proto__ is only a key", async () => {
  const sent = JSON.parse('{"__proto__": {"polluted": true}, "a": 1}');
  for (let round = 0; round < 3; round += 1) {
    const back = await echo(sent);
    assert.deepStrictEqual(Object.keys(back), ["__proto__", "a"]);
    assert.equal(back.polluted, undefined);
    assert.equal(Object.getPrototypeOf(back), Object.prototype);
  }
});

test("a map whose names would collide is a Map", () => {
  // JavaScript cannot send such a map: the tape is that of `{key: 1, "1": 2}` of Python.
  const [step, argument] = [{ end: 0, int: 4, text: 8, otherMap: 13 }, 1 << 5];
  const decoded = (key) => {
    const tape = [step.int | (key * argument), step.int | argument, step.text | argument];
    tape.push(step.int | (2 * argument), step.otherMap | (2 * argument), step.end);
    return new Decoder({}).run(0, Int32Array.from(tape), 0, "1", [], 0);
  };
  const both = new Map([
    [1, 1],
    ["1", 2],
  ]);
  assert.deepStrictEqual(decoded(1), [both]);
  assert.deepStrictEqual(decoded(7), [{ 7: 1, 1: 2 }]);
});

test("maps of one shape stay apart", async () => {
  const people = Array.from({ length: 50 }, (_, age) => ({ name: `n${age}`, age, ünit: { a: age } }));
  assert.deepStrictEqual(await echo(people), people);
  assert.deepStrictEqual(
    await echo(people.map(({ age, name }) => ({ age, name }))),
    people.map(({ age, name }) => ({ age, name })),
  );
});

test("a getter may itself call a remote function", async () => {
  let inner;
  const value = {
    before: "a",
    get tricky() {
      inner = echo("inner");
      return "b";
    },
    after: "c",
  };
  assert.deepStrictEqual(await echo(value), { before: "a", tricky: "b", after: "c" });
  assert.equal(await inner, "inner");
});

/** What `make` makes of memory that is given away afterwards. */
function lost(make) {
  const memory = new ArrayBuffer(8);
  const made = make(memory);
  structuredClone(memory, { transfer: [memory] });
  return made;
}

const GONE = /^at args\[0\]\.data: a detached ArrayBuffer cannot be sent: its memory was transferred$/;
const cycle = { list: [1] };
cycle.list.push(cycle);
const REFUSED = {
  "a symbol": [[{ items: [0, 1, 2, Symbol("s")] }], /^at args\[0\]\.items\[3\]: a symbol cannot be sent/],
  "a promise": [
    ["x", { later: Promise.resolve() }],
    /^at args\[1\]\.later: a promise cannot be sent, await it first/,
  ],
  "a RegExp": [[{ pattern: /a/ }], /^at args\[0\]\.pattern: a RegExp cannot be sent/],
  "an AbortSignal": [[AbortSignal.abort()], /^at args\[0\]: an AbortSignal cannot be sent/],
  "a Headers": [[new Headers()], /^at args\[0\]: a Headers cannot be sent/],
  "half a character": [[["\ud83d"]], /^at args\[0\]\[0\]: a text with half of a surrogate pair/],
  "half a character in a long text": [[`${"x".repeat(5000)}\udc00`], /a text with half of a surrogate pair/],
  "half a character in a key": [[{ "\udc00": 1 }], /a text with half of a surrogate pair/],
  "a WeakMap": [[[new WeakMap()]], /^at args\[0\]\[0\]: a WeakMap cannot be sent/],
  "an Intl.NumberFormat": [
    [{ format: new Intl.NumberFormat() }],
    /^at args\[0\]\.format: an Intl\.NumberFormat cannot be sent/,
  ],
  "an Intl.Locale": [[new Intl.Locale("de")], /^at args\[0\]: an Intl\.Locale cannot be sent/],
  "segments of a text": [
    [new Intl.Segmenter().segment("a b")],
    /^at args\[0\]: an object of the platform cannot be sent/,
  ],
  "a WebAssembly.Memory": [
    [new WebAssembly.Memory({ initial: 1 })],
    /^at args\[0\]: a WebAssembly\.Memory cannot be sent/,
  ],
  Math: [[{ math: Math }], /^at args\[0\]\.math: Math cannot be sent/],
  Atomics: [[Atomics], /^at args\[0\]: Atomics cannot be sent/],
  "the prototype of Map": [[Map.prototype], /^at args\[0\]: a Map cannot be sent/],
  "a RegExp of another realm": [[runInNewContext("/a/")], /^at args\[0\]: a RegExp cannot be sent/],
  "a subclass of WeakMap": [[new (class extends WeakMap {})()], /^at args\[0\]: a WeakMap cannot be sent/],
  "a KeyObject": [[createSecretKey(Buffer.from("key"))], /^at args\[0\]: a KeyObject cannot be sent/],
  "a BigInt of 65 bits": [
    [{ "a key": 2n ** 64n }],
    /^at args\[0\]\["a key"\]: a BigInt of more than 64 bits/,
  ],
  "a very negative BigInt": [[-(2n ** 63n) - 1n], /^at args\[0\]: a BigInt of more than 64 bits/],
  "an invalid Date": [[new Date(Number.NaN)], /^at args\[0\]: an invalid Date cannot be sent/],
  "a detached ArrayBuffer": [[{ data: lost((memory) => memory) }], GONE],
  "bytes of one": [[{ data: lost((memory) => new Uint8Array(memory, 2)) }], GONE],
  "a Buffer of one": [[{ data: lost((memory) => Buffer.from(memory)) }], GONE],
  "an array of one": [[{ data: lost((memory) => new Float32Array(memory)) }], GONE],
  "a DataView of one": [[{ data: lost((memory) => new DataView(memory)) }], GONE],
  "an NdArray of one": [[{ data: lost((memory) => new NdArray(new Int16Array(memory), [2, 2])) }], GONE],
  "an Extension of one": [[{ data: lost((memory) => new Extension(1, new Uint8Array(memory))) }], GONE],
  "a value behind a key without a text": [
    [new Map([[Object.create(null), Symbol("s")]])],
    /^at args\[0\]\.get\(\[object Object\]\): a symbol cannot be sent/,
  ],
  "a value behind a key whose text throws": [
    [new Map([[{ toString: () => assert.fail("no text") }, Symbol("s")]])],
    /^at args\[0\]\.get\(\[object Object\]\): a symbol cannot be sent/,
  ],
  "a cycle": [
    [cycle],
    /^at args\[0\]\.list\[1\]\.list\[1\].*nested deeper than 62 levels \(is there a cycle\?\)/,
  ],
  "a bad keyword": [[{ inner: [Symbol("s")], _rkwargs: true }], /^at keywords\.inner\[0\]: a symbol/],
};

for (const [name, [args, message]] of Object.entries(REFUSED)) {
  test(`refused at the caller: ${name}`, async () => {
    await assert.rejects(echo(...args), (error) => {
      assert.ok(error instanceof InvalidError);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("what a getter throws reaches the caller as it is", async () => {
  const own = new RangeError("mine");
  const value = {
    get bad() {
      throw own;
    },
  };
  await assert.rejects(echo(value), (error) => error === own);
});

test("of sets, maps and lists arrives what they yield, whatever they say of their size", async () => {
  class Odd extends Set {
    *[Symbol.iterator]() {
      for (const item of this.values()) if (item % 2) yield item;
    }
  }
  class Doubled extends Map {
    *[Symbol.iterator]() {
      yield* this.entries();
      for (const [key, value] of this.entries()) yield [`${key} again`, value];
    }
  }
  assert.deepStrictEqual(await echo([new Odd([1, 2, 3]), 4]), [new Set([1, 3]), 4]);
  const doubled = await echo([new Doubled([["a", 1]]), 4]);
  assert.deepStrictEqual(doubled, [
    new Map([
      ["a", 1],
      ["a again", 1],
    ]),
    4,
  ]);
  const items = [
    {
      get count() {
        return items.push("more");
      },
    },
  ];
  const set = new Set([
    {
      get count() {
        return set.add("more").size;
      },
    },
  ]);
  assert.deepStrictEqual(await echo([items, set, 4]), [[{ count: 2 }], new Set([{ count: 2 }, "more"]), 4]);
});

test("62 levels pass", async () => {
  let deep = [];
  for (let level = 1; level < 62; level += 1) deep = [deep];
  assert.deepStrictEqual(await echo(deep), deep);
});

test("sets and maps count as deep as they are on the wire", async () => {
  const nest = (levels, wrap) => Array.from({ length: levels }).reduce(wrap, 1);
  const sets = nest(31, (inner) => new Set([inner]));
  assert.deepStrictEqual(await echo(sets), sets);
  await assert.rejects(echo(nest(32, (inner) => new Set([inner]))), /nested deeper than 62 levels/);
  const maps = nest(20, (inner) => new Map([[1, inner]]));
  assert.deepStrictEqual(await echo(maps), maps);
  await assert.rejects(echo(nest(21, (inner) => new Map([[1, inner]]))), /nested deeper than 62 levels/);
});
