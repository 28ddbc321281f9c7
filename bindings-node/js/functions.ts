// Functions that are offered: their parameters, and the members of the objects that hold them.
import type { Declared } from "./declared.js";

/** A function with what polyfn shows of it to callers. */
export interface Described {
  // biome-ignore lint/suspicious/noExplicitAny: users' functions take what they like
  (...args: any[]): unknown;
  /** Documentation for callers. */
  __doc__?: string | null;
  /** A JSON schema: `{name, description, parameters}`. */
  __schema__?: unknown;
}

/** A function that peers may call. */
export interface Served {
  call: Described;
  /** Its `this`: the object of the service that holds it. */
  self: unknown;
  /** Read when first needed. */
  parameters: Parameters | undefined;
  /** What it declares of its parameters, if it does. */
  declared: Declared | undefined;
}

/** What is known of a function's parameters. */
export interface Parameters {
  /** Their names; `undefined` for one that is taken apart in place. */
  names: (string | undefined)[];
  /** Whether the last one takes all that is left. */
  hasRest: boolean;
}

/** What members of an object are served: its own, and the methods of its classes. */
export function servedMembers(object: object): string[] {
  const keys = Object.keys(object);
  let prototype = Object.getPrototypeOf(object);
  while (prototype !== null && prototype !== Object.prototype) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      const isMethod = typeof value === "function" && name !== "constructor" && !name.startsWith("_");
      if (isMethod && !keys.includes(name)) keys.push(name);
    }
    prototype = Object.getPrototypeOf(prototype);
  }
  return keys;
}

const NATIVE = /\{\s*\[native code\]\s*\}\s*$/;

/** Whether a function shows no source: one of the platform, or a bound one. */
export function isNative(call: object): boolean {
  return NATIVE.test(Function.prototype.toString.call(call));
}

/** The parameters of a function, from its source; of a bound or native one, from its schema. */
export function parametersOf(call: Described): Parameters {
  const source = Function.prototype.toString.call(call);
  if (NATIVE.test(source)) {
    const { parameters } = (call.__schema__ ?? {}) as { parameters?: { properties?: object } };
    const names: (string | undefined)[] = Object.keys(parameters?.properties ?? {});
    while (names.length < call.length) names.push(undefined);
    return { names, hasRest: false };
  }
  const parts = splitParameters(source);
  const hasRest = parts.at(-1)?.startsWith("...") ?? false;
  if (hasRest) parts.pop();
  return { names: parts.map((part) => /^[\p{ID_Start}$_][\p{ID_Continue}$]*/u.exec(part)?.[0]), hasRest };
}

/** Whether a function takes its first parameter apart as an object. */
export function takesObject(call: Described): boolean {
  return splitParameters(Function.prototype.toString.call(call))[0]?.startsWith("{") ?? false;
}

/** The texts of the parameters in the source of a function: what stands between its first parentheses. */
function splitParameters(source: string): string[] {
  const single = /^(?:async\s+)?([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*=>/u.exec(source);
  if (single) return [single[1] as string];
  const parts: string[] = [];
  let current = "";
  let depth = 0;
  for (const { text, isCode } of pieces(source)) {
    if (isCode && /[([{]/.test(text)) depth += 1;
    if (isCode && /[)\]}]/.test(text)) depth -= 1;
    if (depth === 0 && isCode && text === ")") break;
    if (depth === 1 && isCode && text === ",") {
      parts.push(current.trim());
      current = "";
    } else if (
      depth > 1 ||
      (depth === 1 && !(isCode && text === "(" && parts.length === 0 && current === ""))
    ) {
      current += text;
    }
  }
  if (current.trim() !== "") parts.push(current.trim());
  return parts;
}

/** Source in pieces: strings whole, comments left out, all else character by character. */
function* pieces(source: string): Generator<{ text: string; isCode: boolean }> {
  const special =
    /\/\/.*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\[\s\S]|[^`\\])*`|[\s\S]/gy;
  for (const [text] of source.matchAll(special)) {
    if (text.startsWith("//") || text.startsWith("/*")) continue;
    yield { text, isCode: text.length === 1 };
  }
}

/**
 * Puts keywords to the places of the parameters of their names, behind the positional arguments. Keywords without a
 * parameter of their name go together to a parameter that is taken apart in place, as `({ a, b })` does.
 */
export function bindKeywords(served: Served, args: unknown[], keywords: Record<string, unknown>): void {
  served.parameters ??= parametersOf(served.call);
  const { names } = served.parameters;
  const name = served.call.name || "the function";
  // Without a prototype, so that no key of a peer's means more than a key.
  const left: Record<string, unknown> = Object.create(null);
  const positional = args.length;
  for (const [key, value] of Object.entries(keywords)) {
    const at = names.indexOf(key);
    if (at < 0) {
      left[key] = value;
    } else if (at < positional) {
      throw new TypeError(`${name}() got multiple values for argument '${key}'`);
    } else {
      args[at] = value;
    }
  }
  const unbound = Object.keys(left);
  if (unbound.length === 0) return fill(args);
  const open = names.findIndex((parameter, at) => parameter === undefined && at >= positional);
  if (open < 0) {
    throw new TypeError(`${name}() got an unexpected keyword argument '${unbound[0]}'`);
  }
  args[open] = left;
  fill(args);
}

/** Places that nothing was put to are `undefined`, not holes. */
function fill(args: unknown[]): void {
  for (let at = 0; at < args.length; at += 1) args[at] ??= undefined;
}

/** Names of a parameter that nobody but polyfn fills. */
const CONTEXT_NAME = /^_*(?:context|ctx)$/i;

/** Where the context goes, whatever a caller sends: to its name, or to a last parameter that is taken apart in place. */
function contextPlace({ names, hasRest }: Parameters): number | undefined {
  const named = names.findIndex((name) => name !== undefined && CONTEXT_NAME.test(name));
  if (named >= 0) return named;
  const last = names.length - 1;
  return last > 0 && !hasRest && names[last] === undefined ? last : undefined;
}

/**
 * Gives the context to its place, else behind all other arguments, at the earliest as the last of those declared.
 * What a caller sent as the context is no context: by name it is dropped, by position it is refused.
 */
export function addContext(served: Served, args: unknown[], context: unknown): void {
  served.parameters ??= parametersOf(served.call);
  const own = contextPlace(served.parameters);
  if (own !== undefined && args.length > own && args[own] !== undefined) {
    throw new TypeError(`${served.call.name || "the function"}() got multiple values for argument 'context'`);
  }
  const place = own ?? Math.max(args.length, served.parameters.names.length - 1);
  while (args.length < place) args.push(undefined);
  args[place] = context;
}

/** The keywords without what a caller says the context is. */
export function withoutContext(served: Served, keywords: Record<string, unknown>): Record<string, unknown> {
  served.parameters ??= parametersOf(served.call);
  const own = contextPlace(served.parameters);
  const name = own === undefined ? undefined : served.parameters.names[own];
  return Object.fromEntries(Object.entries(keywords).filter(([key]) => key !== "context" && key !== name));
}
