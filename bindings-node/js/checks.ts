// What users give, looked at before it goes on: an error names what was asked and what was found.
import { types } from "node:util";
import { InvalidError } from "./errors.js";

/** The type of a value in the words of an error. */
function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return `an instance of ${value.constructor?.name ?? "Object"}`;
  return value === undefined ? "undefined" : `a ${typeof value}`;
}

/** The error for a value of another type than was asked. */
export function wrongType(name: string, wanted: string, value: unknown): InvalidError {
  return new InvalidError(`${name} must be ${wanted}, found ${typeName(value)}`);
}

/** The text, or the `id` of an object such as `registerService` gives. */
export function idOf(given: unknown, name: string): string {
  const id = typeof given === "object" ? (given as { id?: unknown } | null)?.id : given;
  if (typeof id !== "string" || id === "") throw wrongType(name, "an id (a text, not empty)", id);
  return id;
}

/** One type of events or several, as a list. */
export function eventTypes(given: unknown): string[] {
  const types = [given].flat();
  for (const type of types) {
    if (typeof type !== "string") throw wrongType("the type of an event", "a string", type);
  }
  return types as string[];
}

/** A key in hexadecimal digits, also where it was given as bytes. */
export function keyText(given: unknown, name: string): string | undefined {
  if (given == null) return undefined;
  if (types.isUint8Array(given)) return Buffer.from(given).toString("hex");
  if (typeof given !== "string") throw wrongType(name, "64 hexadecimal digits or 32 bytes", given);
  return given;
}

/** Options of one call. */
export function checkCallOptions(given: unknown): void {
  if (typeof given !== "object" || given === null)
    throw wrongType("the options of a call", "an object", given);
  for (const [name, value] of Object.entries(given)) {
    if (!["signal", "timeout", "trace"].includes(name)) {
      throw new InvalidError(`a call has no option \`${name}\`, expected signal, timeout or trace`);
    }
    if (value === undefined) continue;
    if (name === "signal" && !isSignal(value)) throw wrongType("signal", "an AbortSignal", value);
    if (name === "timeout" && typeof value !== "number")
      throw wrongType("timeout", "a number of seconds", value);
    if (name === "trace" && typeof value !== "string") throw wrongType("trace", "a string", value);
  }
}

/** Also one of another realm, of which `instanceof` knows nothing. */
function isSignal(value: unknown): boolean {
  const signal = value as Partial<AbortSignal> | null;
  return typeof signal?.aborted === "boolean" && typeof signal.addEventListener === "function";
}
