// Calls of functions that declare their parameters: from arguments and keywords to what the function takes.
import { InvalidError } from "./errors.js";
import type { Described } from "./functions.js";

/** Makes the error for a value at a path of keys, the first of which is a parameter. */
export type Refuse = (problem: string, path: PropertyKey[]) => Error;

/** Checks values by the names of their parameters; gives those that the function is to get, or their promise. */
export type Admit = (
  values: Record<string, unknown>,
  refuse: Refuse,
) => Record<string, unknown> | Promise<Record<string, unknown>>;

/** What a function declared. */
export interface Declared {
  /** Its name for callers. */
  name: string;
  /** Its parameters in order. */
  names: string[];
  /** Whether it takes all of them as one object. */
  takesObject: boolean;
  /** How they are checked here; without it, core checks them against the JSON Schema. */
  admit: Admit | undefined;
}

/** Where a function holds it; the same for both builds of this package. */
export const DECLARED: unique symbol = Symbol.for("polyfn.declared");

/** What a function declared, if it did. */
export function declaredOf(call: Described): Declared | undefined {
  return (call as { [DECLARED]?: Declared })[DECLARED];
}

/** The arguments that a function gets; a promise when its schema checks asynchronously. */
export function declaredArguments(
  declared: Declared,
  args: unknown[],
  keywords: Record<string, unknown> | undefined,
): unknown[] | Promise<unknown[]> {
  const values = byName(declared, args, keywords);
  const arrange = (admitted: Record<string, unknown>) =>
    declared.takesObject ? [admitted] : declared.names.map((name) => admitted[name]);
  if (declared.admit === undefined) return arrange(values);
  const admitted = declared.admit(values, (problem, path) => refusal(declared, args.length, problem, path));
  return admitted instanceof Promise ? admitted.then(arrange) : arrange(admitted);
}

function byName(
  { name, names, takesObject }: Declared,
  args: unknown[],
  keywords: Record<string, unknown> | undefined,
): Record<string, unknown> {
  const signature = `${name}(${names.join(", ")})`;
  if (args.length > names.length) {
    throw new InvalidError(
      `at args[${names.length}]: ${signature} takes ${names.length} arguments by position, found ${args.length}`,
    );
  }
  // Defined, not assigned: no key of a peer's means more than a key.
  const values: Record<string, unknown> = {};
  const set = (key: string, value: unknown) =>
    Object.defineProperty(values, key, { value, enumerable: true, configurable: true, writable: true });
  for (const [at, value] of args.entries()) set(names[at] as string, value);
  for (const [key, value] of Object.entries(keywords ?? {})) {
    if (Object.hasOwn(values, key)) throw new InvalidError(`at ${key}: ${signature} got \`${key}\` twice`);
    if (!takesObject && !names.includes(key)) throw new InvalidError(`${signature} takes no \`${key}\``);
    set(key, value);
  }
  return values;
}

function refusal({ name, names }: Declared, positional: number, problem: string, path: PropertyKey[]): Error {
  const signature = `${name}(${names.join(", ")})`;
  if (path.length === 0) return new InvalidError(`${signature}: ${problem}`);
  const [parameter, ...inner] = path.map(String) as [string, ...string[]];
  const at = names.indexOf(parameter);
  const place = at >= 0 && at < positional ? `args[${at}]` : parameter;
  const steps = inner.map((key) => (/^\d+$/.test(key) ? `[${key}]` : `.${key}`)).join("");
  return new InvalidError(`at ${place}${steps}: \`${parameter}\` of ${signature}: ${problem}`);
}
