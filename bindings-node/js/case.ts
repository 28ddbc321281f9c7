// Names of a service's members in camelCase and snake_case, as `caseConversion` asks for them.
import { InvalidError } from "./errors.js";
import type { RemoteFunction } from "./remote.js";

/** How the members of a service are named. */
export type CaseConversion = "camel" | "snake" | "camel+snake" | "snake+camel";

/** Makes the same function under another name. */
export type Rename = (call: RemoteFunction, name: string) => RemoteFunction;

/** `do_it` as `doIt`, `_x` as `X`; a name without `_` stays. */
export function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, next: string) => next.toUpperCase());
}

/** `doIt` as `do_it`, `ABc` as `_a_bc`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, "_$&").toLowerCase();
}

/** The value with the keys of its maps renamed, those in lists too; functions and their schemas change their names. */
export function convertCase(value: unknown, conversion: CaseConversion | null, rename: Rename): unknown {
  if (conversion === null) return value;
  const cases = conversion.split("+");
  if (cases.some((one) => one !== "camel" && one !== "snake")) {
    throw new InvalidError(
      `case_conversion \`${conversion}\` is not known, expected camel, snake, camel+snake or snake+camel`,
    );
  }
  const convert = (inner: unknown, name: (key: string) => string): unknown => {
    if (Array.isArray(inner)) return inner.map((item) => convert(item, name));
    if (!isPlain(inner)) return inner;
    const entries = Object.entries(inner).map(([key, member]) => {
      const found = typeof member === "function" ? rename(member, name(key)) : convert(member, name);
      return [name(key), found];
    });
    return Object.fromEntries(entries);
  };
  const made = cases.map((one) => convert(value, one === "camel" ? camelCase : snakeCase));
  return isPlain(value) ? Object.assign({}, ...made) : made[0];
}

function isPlain(value: unknown): value is Record<string, RemoteFunction> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
