// What the programs in JavaScript do with functions, streams and errors in tests/suites.
const PATTERN = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

export function fill(size) {
  return new Uint8Array(Buffer.alloc(size, PATTERN));
}

export const multiplier = (factor) => (number) => number * factor;

const range = (number) => Array.from({ length: number }, (_, index) => index);

// Functions that give or take streams; counts those that are open.
function streams() {
  let open = 0;
  async function* counted(items, failure) {
    open += 1;
    try {
      for (const item of items) yield item;
      if (failure !== undefined) throw new Error(failure);
    } finally {
      open -= 1;
    }
  }
  function* upTo(number) {
    for (let item = 0; item < number; item += 1) yield item;
  }
  async function* ticking() {
    open += 1;
    try {
      for (let item = 0; ; item += 1) {
        yield item;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    } finally {
      open -= 1;
    }
  }
  return {
    ticks: ticking,
    stream_is_open: async () => {
      while (open === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      return true;
    },
    count_up: (number) => counted(upTo(number)),
    count_plainly: (number) => upTo(number),
    kinds: () => counted([1, "text", { a: [null] }, new Uint8Array([0, 255])]),
    fail_after: (number) => counted(range(number), "out of items"),
    large_items: (number, size) => counted(range(number).map(() => fill(size))),
    open_streams: async () => {
      for (let turn = 0; turn < 200 && open > 0; turn += 1)
        await new Promise((resolve) => setTimeout(resolve, 10));
      return open;
    },
    sum_stream: async (stream) => {
      let total = 0;
      for await (const item of stream) total += item;
      return total;
    },
    zip_streams: async (first, second) => {
      const pairs = [];
      for await (const item of first) pairs.push([item, (await second.next()).value]);
      return pairs;
    },
    first_of: async (stream) => {
      for await (const item of stream) return item;
    },
  };
}

// A function that never ends by itself, and what became of it.
function hanging() {
  const [begun, cancelled] = [1, 2].map(() => {
    const event = {};
    event.wait = new Promise((resolve) => {
      event.set = () => resolve(true);
    });
    return event;
  });
  return {
    hang: () => {
      const signal = globalThis.polyfn.currentSignal?.();
      signal?.addEventListener("abort", cancelled.set);
      begun.set();
      return new Promise(() => undefined);
    },
    hang_begun: () => begun.wait,
    hang_cancelled: () => cancelled.wait,
  };
}

// Functions that take functions, or give them.
function callables() {
  const kept = {};
  return {
    apply: async (call, ...args) => call(...args),
    apply_keywords: async (call, keywords) => call({ ...keywords, _rkwargs: true }),
    both: async (first, second, number) => [await first(number), await second(number)],
    apply_inside: async (holder, number) => holder.work[0](number),
    call_what_it_gives: async (call, number) => (await call(number))(21),
    apply_filled: async (call, size) => call(fill(size)),
    keep_callback: (call) => {
      kept.callback = call;
      return "kept";
    },
    use_kept: async (number) => kept.callback(number),
    keep_interface: (held) => {
      kept.held = held;
      return "kept";
    },
    use_interface: async (number) => kept.held.double(number),
    make_counter: (value) => {
      let total = value;
      return {
        increase: () => {
          total += 1;
          return total;
        },
        value: () => total,
      };
    },
    makers: (factors) => factors.map(multiplier),
  };
}

function deep_down(message) {
  throw new Error(message);
}

export function service() {
  return {
    ...streams(),
    ...hanging(),
    ...callables(),
    strictly_two: (first, second) => first + second,
    fail_deep: (message) => deep_down(message),
    sizes: (...contents) => contents.map((content) => content.byteLength),
    length_of_text: (text) => text.length,
    length_of_list: (items) => items.length,
  };
}

export const CALLBACKS = {
  add: (a, b) => a + b,
  describe_pair: (a, b) => `a=${a} b=${b}`,
  multiplier,
  length: (content) => content.byteLength,
};

export const INTERFACES = {
  counter: () => ({ _rintf: true, double: (number) => number * 2 }),
};

export async function* later(items) {
  for (const item of items) yield item;
}

export function* plainly(items) {
  yield* items;
}

// What comes out of a stream, and the error that it ends with.
export async function collect(stream, take) {
  const told = { $items: [] };
  try {
    for await (const item of stream) {
      told.$items.push(item);
      if (take !== null && told.$items.length === take) break;
    }
  } catch (error) {
    told.$error = String(error?.message ?? error);
    told.$code = error?.code ?? null;
  }
  return told;
}

// Functions in a result are called; what they give stands in their place.
export async function results(value) {
  const isCallable = (item) => typeof item === "function";
  if (Array.isArray(value) && value.length > 0 && value.every(isCallable))
    return Promise.all(value.map((item) => item(21)));
  const isPlain =
    value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;
  const members = isPlain ? Object.entries(value) : [];
  if (members.length === 0 || !members.every(([, item]) => isCallable(item))) return value;
  const found = {};
  for (const [name, method] of members) found[name] = await method();
  return { $methods: found };
}
