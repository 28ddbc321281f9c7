// Functions for HTTP in JavaScript: one for each kind of answer, and a tree for the router.
import { createHash } from "node:crypto";

const PAGE = "<!DOCTYPE html><title>t</title>";

// The event as the function saw it; bytes as hex.
function show(event) {
  const { body, ...seen } = event;
  const hex = body == null ? null : Buffer.from(body).toString("hex");
  return {
    status: 200,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...seen, body: hex }, (_, value) =>
      typeof value === "function" ? undefined : value,
    ),
  };
}

function digest(event) {
  const body = Buffer.from(event.body ?? []);
  return { status: 200, body: `${body.length} ${createHash("sha256").update(body).digest("hex")}` };
}

function raises() {
  throw new Error("out of cheese <b>");
}

async function raisesLater() {
  throw new Error("out of cheese <b>");
}

const ANSWERS = {
  full: { status: 201, headers: { "Content-Type": "text/x-made", "X-Thing": "a" }, body: "made" },
  body_only: { body: "just a body" },
  body_bytes: { status: 200, headers: { "Content-Type": "image/x-dot" }, body: new Uint8Array([0, 255, 1]) },
  unicode: { status: 200, body: "grüße 世界" },
  no_content: { status: 204 },
  redirect: { status: 302, headers: { Location: "/elsewhere" } },
  teapot: { status: 418, body: "short and stout" },
  status_code: { statusCode: 202, body: "accepted" },
  headers_only: { headers: { "X-Thing": "b" } },
  header_list: { status: 200, headers: { "Set-Cookie": ["a=1", "b=2"] }, body: "" },
  header_pairs: {
    status: 200,
    headers: [
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ],
    body: "",
  },
  with_extras: { status: 201, body: "taken", note: "ignored" },
  body_object: { status: 201, body: { a: [1, null] } },
  body_list: { status: 200, body: [1, 2] },
  body_number: { status: 200, body: 7 },
  body_typed_object: { status: 200, headers: { "Content-Type": "application/ld+json" }, body: { a: 1 } },
  status_word: { status: "ok" },
  users: { users: ["ann", "bob"] },
  status_and_others: { status: 200, users: [] },
  body_and_others: { body: "x", title: "y" },
  status_out_of_range: { status: 999 },
  text: "grüße",
  html: PAGE,
  bytes: new Uint8Array([0, 255, 1]),
  nothing: undefined,
  list: [1, { a: null }],
  number: 42,
  fraction: 1.5,
  boolean: true,
};

function named(name) {
  return (event) => ({ status: 200, body: `${name} ${event.function_path ?? "None"}` });
}

// Service name to members.
async function* given(...items) {
  yield* items;
}

async function* failing(...items) {
  yield* items;
  throw new Error("out of cheese <b>");
}

// Answers that come bit by bit.
function streams() {
  let closed = 0;
  async function* endless() {
    try {
      for (let number = 0; ; number++) yield { number };
    } finally {
      closed++;
    }
  }
  const waiting = [];
  // Waits for a call of another function in the middle.
  async function* waits() {
    yield { number: 0 };
    await new Promise((open) => waiting.push(open));
    yield { number: 1 };
  }
  function goesOn() {
    const opened = waiting.length > 0;
    for (const open of waiting.splice(0)) open();
    return { body: opened ? "True" : "False" };
  }
  const counts = [0, 0];
  const stays = () => {
    counts[0]++;
    const signal = globalThis.polyfn.currentSignal();
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        counts[1]++;
        reject(signal.reason);
      });
    });
  };
  const events = { status: 201, headers: { "content-type": "text/event-stream" } };
  return {
    texts: () => given("grüße ", "welt"),
    bytes: () => given(new Uint8Array([0, 255]), new Uint8Array([1])),
    objects: () => given({ a: 1 }, [null]),
    events: () => ({ ...events, body: given({ a: 1 }, "data: text\n\n") }),
    nothing: () => given(),
    fails: () => failing(),
    breaks: () => failing("some"),
    refuses: () => refusing(),
    refuses_late: () => refusing("some"),
    waits: () => waits(),
    goes_on: () => goesOn(),
    endless: () => endless(),
    closed: () => ({ body: String(closed) }),
    stays: () => stays(),
    stayed: () => ({ counts }),
    nested: () => ({ rows: [given({ a: 1 })] }),
    functions: () => ({ more: () => 1 }),
  };
}

async function* refusing(...items) {
  yield* items;
  throw new globalThis.polyfn.HTTPError(409, "not now: later");
}

function refuse(event) {
  const { HTTPError } = globalThis.polyfn;
  throw new HTTPError(404, `no ${event.path} here`, { headers: { "x-why": "because" } });
}

async function form(event) {
  const shown = {};
  const fields = await event.form();
  for (const name of new Set(fields.keys())) {
    const values = fields
      .getAll(name)
      .map(async (it) => (typeof it === "string" ? it : [it.name, it.type, await it.text()]));
    const all = await Promise.all(values);
    shown[name] = all.length > 1 ? all : all[0];
  }
  return shown;
}

// What events can do that our packages make.
function web() {
  return {
    text: (event) => event.text(),
    json: (event) => ({ read: event.json() }),
    parsed: (event) => JSON.parse(event.body),
    form,
    context: ({ context }) => ({ ws: context.ws, user: context.user.id }),
    refuses: refuse,
    refuses_later: async (event) => refuse(event),
  };
}

// A value as JSON has it; bytes as hex.
function shown(value) {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shown(item)]));
}

// Functions that take one context, which peers of every kind may offer.
function signature() {
  return {
    asked: ({ request: { headers, ...request } }) =>
      shown({ ...request, header: headers["x-thing"] ?? null }),
    event: ({ event }) => ({ event: shown(event ?? null) }),
    sent_back: ({ event }) => event,
    structured: ({ event }) => ({ headers: { "content-type": "application/cloudevents+json" }, body: event }),
    nothing: () => undefined,
    text: () => "text",
    bytes: () => new Uint8Array([0, 255]),
    object: () => ({ a: [1] }),
    status: () => ({ statusCode: 201, headers: { "x-a": "b" }, body: { a: 1 } }),
    fails: raises,
  };
}

// What our packages add to a context.
function ownSignature() {
  return {
    second: (_context, data) => ({ data: shown(data ?? null) }),
    aliases: (context) => {
      const names = ["method", "query", "body", "name", "httpVersion"];
      return shown(Object.fromEntries(names.map((name) => [name, context[name] ?? null])));
    },
    // Logs what the request says, at each level.
    says: (context) => {
      for (const level of ["trace", "debug", "info", "warn", "error", "fatal"]) {
        context.log[level]({ "level of": level }, context.request.body.message);
      }
      return "said";
    },
    logs: (context) => {
      context.log.debug("not sent");
      context.log.warn({ book: "Emma" }, "sold %d", 2);
      return "logged";
    },
    made: (context) => context.cloudEventResponse({ n: 1 }).id("7").type("t").source("/s").response(),
    refuses: ({ request }) => refuse(request),
    request_id: (context) => context.id,
  };
}

// What a module of the signature specification exports.
function moduleOf() {
  const calls = [];
  return {
    handle: ({ request }) => ({ calls, path: request.path }),
    init: () => calls.push("init"),
    shutdown: () => calls.push("shutdown"),
    liveness: () => ({ statusCode: 503, body: "ill" }),
    other: () => "other",
  };
}

export function services() {
  const answers = Object.fromEntries(Object.entries(ANSWERS).map(([name, value]) => [name, () => value]));
  const large = () => ({ status: 200, body: new Uint8Array(5_000_000).fill(120) });
  return {
    answers: { ...answers, large, show, digest, raises, raises_later: raisesLater },
    tree: {
      index: named("home"),
      leaf: named("leaf"),
      constant: 5,
      api: { index: named("api"), v1: { index: named("v1"), users: named("users") }, v2: { users: show } },
    },
    falls: {
      hello: named("hello"),
      default: named("outer"),
      deep: { default: named("inner"), known: named("known") },
    },
    streams: streams(),
    web: web(),
    echo: { default: ({ method, path, body }) => `${method} ${path} ${body?.length ?? 0}` },
    signature: signature(),
    own_signature: ownSignature(),
    module: moduleOf(),
    event: { event: (event) => ({ event: shown(event.cloudevent ?? null) }) },
    methods: {
      thing: { GET: named("get"), POST: named("post") },
      GET: named("root get"),
    },
  };
}
