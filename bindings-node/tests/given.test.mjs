// Which arguments of a call are sent, and how, by what the caller sees of the function.
import assert from "node:assert/strict";
import { test } from "node:test";
import { given } from "../lib/given.js";

const schemaOf = (names, required, more) => ({
  parameters: { properties: Object.fromEntries(names.map((name) => [name, {}])), required },
  ...more,
});

const CASES = [
  ["without a schema undefined is nil", null, [undefined, 1, undefined], [undefined, 1, undefined]],
  ["a required parameter gets nil", schemaOf(["value"], ["value"]), [undefined], [undefined]],
  ["behind the last name undefined is nil", schemaOf(["a"]), [undefined, undefined], [undefined, undefined]],
  // A function of Python with `*rest` tells how many parameters stand before it.
  ["`*rest` gets nil", schemaOf(["a", "k"], [], { positional: 1 }), [1, undefined], [1, undefined]],
  [
    "no name is guessed for `*rest`",
    schemaOf(["a", "k"], [], { positional: 1 }),
    [undefined, 2],
    [undefined, 2],
  ],
  ["the last ones are left out", schemaOf(["a", "b"]), [undefined, undefined], []],
  ["behind a gap all go by name", schemaOf(["a", "b", "c"], ["a"]), [1, undefined, 3], [], { a: 1, c: 3 }],
  [
    "with nil for what is required",
    schemaOf(["a", "b", "c"], ["b"]),
    [undefined, undefined, 3],
    [],
    { b: undefined, c: 3 },
  ],
  ["null is given", schemaOf(["a"]), [null], [null]],
  ["keywords are left out", null, [1, { a: undefined, b: 2, _rkwargs: true }], [1], { b: 2 }],
  [
    "but those that are required",
    schemaOf(["a"], ["a"]),
    [{ a: undefined, _rkwargs: true }],
    [],
    { a: undefined },
  ],
  [
    "an odd schema says nothing",
    { parameters: { properties: null, required: "a" } },
    [undefined],
    [undefined],
  ],
];

for (const [name, schema, args, positional, keywords] of CASES) {
  test(name, () => assert.deepStrictEqual(given(args, schema), { positional, keywords }));
}
