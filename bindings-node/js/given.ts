// What a call is given: by position and by name, without the arguments that are `undefined` where they may be left out.

/** The arguments of a call. */
export interface Given {
  positional: unknown[];
  /** Those by name, if any. */
  keywords: Record<string, unknown> | undefined;
}

/** What a caller knows of a function's parameters. */
interface Known {
  /** The names of those that are given by position. */
  names: string[];
  required: unknown[];
}

/**
 * The arguments of a call as they are sent. `undefined` counts as not given, as it does in JavaScript, where the schema
 * of the function shows that the parameter may be left out; everywhere else it is sent as nil.
 */
export function given(args: unknown[], schema: unknown): Given {
  const call = parted(args);
  const { positional, keywords = {} } = call;
  const isWhole = !positional.includes(undefined) && !Object.values(keywords).includes(undefined);
  return isWhole ? call : withoutAbsent(call, known(schema));
}

/** Takes the keywords from behind the other arguments: an object with `_rkwargs: true`. */
function parted(args: unknown[]): Given {
  const last = args[args.length - 1] as { _rkwargs?: unknown } | null | undefined;
  const hasKeywords = typeof last === "object" && last !== null && Boolean(last._rkwargs);
  if (!hasKeywords) return { positional: args, keywords: undefined };
  const { _rkwargs, ...keywords } = last;
  return { positional: args.slice(0, -1), keywords };
}

function known(schema: unknown): Known {
  const { parameters, positional } = (schema ?? {}) as {
    parameters?: { properties?: object | null; required?: unknown } | null;
    positional?: unknown;
  };
  const names = Object.keys(parameters?.properties ?? {});
  const required = parameters?.required;
  return {
    // What stands behind `*rest` of a Python function is given by name only.
    names: typeof positional === "number" ? names.slice(0, positional) : names,
    required: Array.isArray(required) ? required : [],
  };
}

function withoutAbsent(call: Given, { names, required }: Known): Given {
  const isAbsent = (value: unknown, at: number): boolean =>
    value === undefined && at < names.length && !required.includes(names[at]);
  let count = call.positional.length;
  while (count > 0 && isAbsent(call.positional[count - 1], count - 1)) count -= 1;
  const positional = call.positional.slice(0, count);
  const keywords = call.keywords && present(Object.entries(call.keywords), required);
  if (!positional.some(isAbsent) || count > names.length) return { positional, keywords };
  const entries = positional.map((value, at): [string, unknown] => [names[at] as string, value]);
  // The peer refuses what is given twice.
  if (keywords && entries.some(([name]) => Object.hasOwn(keywords, name))) return { positional, keywords };
  // A gap cannot be told by position. All go by name: hypha-rpc in JavaScript takes no others beside names.
  return { positional: [], keywords: { ...present(entries, required), ...keywords } };
}

/** The arguments by name that are there, or have to be. */
function present(entries: [string, unknown][], required: unknown[]): Record<string, unknown> {
  return Object.fromEntries(
    entries.filter(([name, value]) => value !== undefined || required.includes(name)),
  );
}
