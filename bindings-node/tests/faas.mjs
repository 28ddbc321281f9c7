// Functions written for `faas-js-runtime`, what they are asked, and where our answers differ on purpose.
//
// Each case names a function, and the request; the answers of both must be equal. A case with `differs` names a row of
// the table in `docs/signature.md`, and has the answer that is ours.
import { CloudEvent } from "cloudevents";

/** A value as JSON can show it. */
function shown(value) {
  if (Buffer.isBuffer(value)) return { bytes: value.toString("latin1") };
  return value === undefined ? { nothing: true } : value;
}

const ATTRIBUTES = [
  "id",
  "source",
  "type",
  "specversion",
  "subject",
  "datacontenttype",
  "myextension",
  "data",
];

/** What is there of an event, but for its time. */
function shownEvent(event) {
  return Object.fromEntries(ATTRIBUTES.map((name) => [name, shown(event?.[name])]));
}

const returning = (value) => () => value;

/** A module as programs for the runtime export it, with what it has done. */
const life = { calls: [] };
const moduleWithLife = {
  handle: () => ({ calls: life.calls }),
  init: async () => {
    life.calls.push("init");
  },
  shutdown: async () => {
    life.calls.push("shutdown");
    console.error("the module was shut down");
  },
  liveness: () => "alive",
  readiness: () => ({ ready: true }),
  cors: () => ["https://a.example", "https://b.example"],
};

/** By their names: a function, or a module. */
export const FUNCTIONS = {
  nothing: () => undefined,
  null: returning(null),
  text: returning("grüße"),
  "empty text": returning(""),
  page: returning("<html><body>hello</body></html>"),
  number: returning(42),
  zero: returning(0),
  true: returning(true),
  false: returning(false),
  object: returning({ a: [1, null, { b: "ü" }] }),
  list: returning([1, "two"]),
  dates: returning({ at: new Date(0) }),
  "undefined inside": returning({ a: undefined, b: [undefined] }),
  bytes: () => Buffer.from([0, 255]),
  "a promise": async () => ({ later: true }),
  "a thenable text": () => new Promise((resolve) => setImmediate(resolve, "later")),
  status: returning({ statusCode: 201, body: { made: true } }),
  "status and headers": returning({
    statusCode: 418,
    headers: { "Content-Type": "text/html; charset=utf-8", "X-Tea": "yes" },
    body: "<b>tea</b>",
  }),
  "text in body": returning({ body: "hello" }),
  "typed text in body": returning({ headers: { "content-type": "text/plain" }, body: "hello" }),
  "object as text": returning({ headers: { "content-type": "text/plain" }, body: { a: 1 } }),
  "bytes in body": () => ({ headers: { "content-type": "image/png" }, body: Buffer.from([137, 80]) }),
  "list in body": returning({ body: [1, 2] }),
  "no content": returning({ statusCode: 204 }),
  "status alone": returning({ statusCode: 404 }),
  "status beside others": returning({ statusCode: 202, message: "queued" }),
  "headers beside others": returning({ headers: { "x-made": "yes" }, message: "made" }),
  "status and body beside others": returning({ statusCode: 202, body: { a: 1 }, more: true }),
  cookies: returning({ headers: { "set-cookie": ["a=1", "b=2"] }, body: { a: 1 } }),
  fails: () => {
    throw new Error("boom");
  },
  "fails later": async () => {
    throw new Error("boom");
  },
  "fails with a code": () => {
    throw Object.assign(new Error("no such thing"), { code: 404 });
  },
  query: ({ query }) => query,
  "names of the query": (context) => ({
    name: shown(context.name),
    log: typeof context.log?.info,
    method: context.method,
  }),
  second: (context, body) => ({ same: body === context.body, told: shown(body) }),
  request: ({ method, headers, httpVersion, httpVersionMajor, httpVersionMinor, contentType }) => {
    const told = { method, httpVersion, httpVersionMajor, httpVersionMinor, contentType: shown(contentType) };
    return { ...told, header: shown(headers["x-thing"]), twice: shown(headers["x-twice"]) };
  },
  logs: ({ log }) => {
    for (const level of ["trace", "debug", "info", "warn", "error", "fatal"]) {
      log[level](`at ${level}`);
      log[level]({ field: 1 }, "with fields %s", "and arguments");
    }
    return "logged";
  },
  event: (context, event) => ({ same: event === context.cloudevent, event: shownEvent(event) }),
  "time of an event": (_, event) => ({ time: shown(event.time) }),
  "event as an answer": (context) =>
    context.cloudEventResponse({ n: 1 }).id("7").type("made").source("/test").version("1.0").response(),
  "event of the SDK": () =>
    new CloudEvent({ id: "8", type: "sold", source: "/sdk", data: { n: 2 }, extra: "x" }),
  "text event of the SDK": () =>
    new CloudEvent({ id: "9", type: "t", source: "/sdk", datacontenttype: "text/plain", data: "grüße" }),
  "bytes event of the SDK": () =>
    new CloudEvent({
      id: "10",
      type: "t",
      source: "/sdk",
      datacontenttype: "application/octet-stream",
      data: Uint8Array.from([0, 255]),
    }),
  "object for an event": returning({ got: "it" }),
  "nothing for an event": returning(undefined),
  module: moduleWithLife,
  "only a handle": { handle: returning("handled") },
};

const JSON_TYPE = { "content-type": "application/json" };
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const EVENT = {
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/s",
  "ce-type": "t",
  "ce-subject": "sub",
  "ce-myextension": "ext",
};
const STRUCTURED = { "content-type": "application/cloudevents+json; charset=utf-8" };
const structured = (more) =>
  JSON.stringify({ specversion: "1.0", id: "1", source: "/s", type: "t", myextension: "ext", ...more });
const PARTS = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n';

const get = (name, more = {}) => ({ function: name, ...more });
const post = (name, headers, body, more = {}) => ({ function: name, method: "POST", headers, body, ...more });

/** All of them. */
export const CASES = [
  ...["nothing", "null", "text", "object", "list", "a promise", "a thenable text"].map((name) => get(name)),
  ...["status", "status and headers", "typed text in body", "bytes in body", "list in body"].map((name) =>
    get(name),
  ),
  ...["no content", "cookies", "status and body beside others", "only a handle", "logs"].map((name) =>
    get(name),
  ),
  get("dates"),
  get("undefined inside", {
    differs: "`undefined` in objects",
    ours: { status: 200, type: "application/json", body: { a: null, b: [null] } },
  }),
  get("empty text", { differs: '`""`, `0`, `false`', ours: { status: 200, type: null, body: "" } }),
  get("zero", { differs: '`""`, `0`, `false`', ours: { status: 200, type: "application/json", body: 0 } }),
  get("false", {
    differs: '`""`, `0`, `false`',
    ours: { status: 200, type: "application/json", body: false },
  }),
  get("number", { differs: "`true`, numbers", ours: { status: 200, type: "application/json", body: 42 } }),
  get("true", { differs: "`true`, numbers", ours: { status: 200, type: "application/json", body: true } }),
  get("page", {
    differs: "texts that are HTML",
    ours: { status: 200, type: "text/html", body: "<html><body>hello</body></html>" },
  }),
  get("bytes", { differs: "bytes", ours: { status: 200, type: "application/octet-stream", body: "\0ÿ" } }),
  get("text in body", {
    differs: "text in `body`",
    ours: { status: 200, type: "text/plain", body: "hello" },
  }),
  get("object as text"),
  get("status alone", { differs: "a status alone", ours: { status: 404, type: null, body: "" } }),
  get("status beside others", {
    differs: "a status, or headers, beside other keys",
    ours: { status: 200, type: "application/json", body: { statusCode: 202, message: "queued" } },
  }),
  get("headers beside others", {
    headersCompared: ["x-made"],
    differs: "a status, or headers, beside other keys",
    ours: {
      status: 200,
      type: "application/json",
      body: { headers: { "x-made": "yes" }, message: "made" },
      headers: { "x-made": null },
    },
  }),
  ...["fails", "fails later"].map((name) =>
    get(name, {
      differs: "errors",
      ours: { status: 500, type: "application/problem+json", detail: "the function failed" },
    }),
  ),
  get("fails with a code", {
    differs: "errors with a `code`",
    ours: { status: 500, type: "application/problem+json", detail: "the function failed" },
  }),

  get("query", { query: "a=1&b=%C3%BC&c=x+y&d=" }),
  get("query", { query: "a=1&b=0&a=2&a=%20" }),
  get("query", { query: "a[b]=1&a.c=2" }),
  get("query", { query: "" }),
  get("names of the query", { query: "name=Ann&other=1" }),
  get("names of the query", {
    query: "log=x&method=y&name=Ann",
    differs: "names in the query",
    ours: { status: 200, type: "application/json", body: { name: "Ann", log: "function", method: "GET" } },
  }),
  get("request", { headers: { "x-thing": "y" } }),
  post("request", { "x-thing": "y", ...JSON_TYPE }, "1"),
  get("request", { headers: { "X-Twice": "1, 2" } }),

  post("second", JSON_TYPE, '{"a": [1, null], "b": "ü"}'),
  post("second", { "content-type": "application/json; charset=utf-8" }, "[1.5]"),
  post("second", FORM, "a=1&b=x+y&a=2&c=%C3%BC"),
  post("second", { "content-type": "text/plain" }, "grüße"),
  post("second", { "content-type": "text/plain" }, "", {
    differs: "an empty body",
    ours: { status: 200, type: "application/json", body: { same: true, told: null } },
  }),
  post("second", { "content-type": "image/png" }, "\x00\x7f"),
  post("second", { "content-type": "application/octet-stream" }, "bytes"),
  post("second", {}, "no type"),
  post("second", JSON_TYPE, "{", { isStatusOnly: true }),
  post("second", JSON_TYPE, "", {
    differs: "an empty body",
    ours: { status: 200, type: "application/json", body: { same: true, told: null } },
  }),
  post("second", FORM, "a[b]=1&c[]=2", {
    differs: "nested names in forms",
    ours: { status: 200, type: "application/json", body: { same: true, told: { "a[b]": "1", "c[]": "2" } } },
  }),
  post("second", { "content-type": "application/ld+json" }, '{"a": 1}', {
    differs: "other types of JSON and text",
    ours: { status: 200, type: "application/json", body: { same: true, told: { a: 1 } } },
  }),
  post("second", { "content-type": "text/xml" }, "<a/>", {
    differs: "other types of JSON and text",
    ours: { status: 200, type: "application/json", body: { same: true, told: "<a/>" } },
  }),
  post("second", { "content-type": "multipart/form-data; boundary=x" }, PARTS, {
    differs: "multipart forms",
    ours: { status: 200, type: "application/json", body: { same: true, told: { a: "1" } } },
  }),
  get("query", {
    method: "PUT",
    differs: "methods and paths",
    ours: { status: 200, type: "application/json", body: {} },
  }),
  get("query", {
    path: "/deeper/path",
    differs: "methods and paths",
    ours: { status: 200, type: "application/json", body: {} },
  }),

  post("event", { ...EVENT, ...JSON_TYPE }, '{"a": 1}'),
  post("event", { ...EVENT, "content-type": "text/plain" }, "grüße"),
  post(
    "event",
    STRUCTURED,
    structured({ data: { a: 1 }, datacontenttype: "application/json", subject: "sub" }),
  ),
  post("event", STRUCTURED, structured({ data: "text", datacontenttype: "text/plain" })),
  post("event", STRUCTURED, structured({})),
  post("time of an event", STRUCTURED, structured({ time: "2026-01-31T10:00:00.000Z" })),
  post("time of an event", STRUCTURED, structured({}), {
    differs: "events without a time",
    ours: { status: 200, type: "application/json", body: { time: { nothing: true } } },
  }),
  ...[
    [{ ...EVENT, ...JSON_TYPE, "ce-id": "" }, "{}"],
    [{ ...EVENT, ...JSON_TYPE, "ce-specversion": "0.9" }, "{}"],
    [STRUCTURED, "{"],
    [STRUCTURED, '{"specversion": "1.0"}'],
  ].map(([headers, body]) =>
    post("event", headers, body, {
      differs: "events that are none",
      isStatusOnly: true,
      ours: { status: 400 },
    }),
  ),
  post("event", { ...EVENT, ...JSON_TYPE }, "1", {
    differs: "events with a number or a text as JSON",
    isPart: true,
    ours: { same: true, event: { id: "1", data: 1 } },
  }),
  post("event", { "content-type": "application/cloudevents-batch+json" }, `[${structured({})}]`, {
    differs: "batches of events",
    isStatusOnly: true,
    ours: { status: 200 },
  }),
  post("event as an answer", { ...EVENT, ...JSON_TYPE }, "{}", { isEvent: true }),
  post("event of the SDK", { ...EVENT, ...JSON_TYPE }, "{}", { isEvent: true }),
  post("text event of the SDK", { ...EVENT, ...JSON_TYPE }, "{}", { isEvent: true }),
  post("bytes event of the SDK", { ...EVENT, ...JSON_TYPE }, "{}", { isEvent: true }),
  post("event of the SDK", STRUCTURED, structured({}), { isEvent: true }),
  get("event of the SDK", {
    isEvent: true,
    differs: "an event as the answer to a plain request",
    ours: { status: 200, type: "application/json", body: { n: 2 } },
  }),
  post("object for an event", { ...EVENT, ...JSON_TYPE }, "{}"),
  post("nothing for an event", { ...EVENT, ...JSON_TYPE }, "{}"),

  get("module"),
  get("module", { path: "/health/liveness" }),
  get("module", { path: "/health/readiness" }),
  get("only a handle", { path: "/health/liveness" }),
  get("text", { path: "/health/readiness" }),
  get("module", {
    headers: { origin: "https://b.example" },
    headersCompared: ["access-control-allow-origin"],
  }),
  get("object", {
    headers: { origin: "https://b.example" },
    headersCompared: ["access-control-allow-origin"],
    differs: "the origins of pages",
    isPart: true,
    ours: { a: { 0: 1 } },
  }),
];

export { life };
