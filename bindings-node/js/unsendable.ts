// Why a value cannot be sent, and where in it.
import { types } from "node:util";
import { errorOf } from "./errors.js";
import { isNative } from "./functions.js";

/** A value that has no form on the wire; `place` grows on the way up: `.items[3]`. */
export class Unsendable extends Error {
  place = "";
}

/** Puts a place before the one that an error tells. */
export function within(place: string, error: unknown): unknown {
  if (error instanceof Unsendable) error.place = place + error.place;
  return error;
}

/** The error for the user; what a getter of theirs threw stays as it is. */
export function sendError(place: string, error: unknown): unknown {
  if (!(error instanceof Unsendable)) return error;
  const inner = error.place.length > 120 ? `${error.place.slice(0, 120)}...` : error.place;
  return errorOf("invalid", `at ${place}${inner}: ${error.message}`);
}

/** What objects of the platform's own classes hold is not in their properties: an empty map would arrive. */
export function refusePlatform(value: object): void {
  if (types.isKeyObject(value)) throw refusal("KeyObject");
  const made: unknown = value.constructor;
  if (typeof made !== "function" || made === Object) return;
  const { name } = made;
  if ((globalThis as Record<string, unknown>)[name] === made) throw refusal(name);
}

/**
 * The same for an object without properties of its own, wherever its class stands: an `Intl.NumberFormat`, `Math`. It is
 * known by members that are native code. An empty instance of a user's class is the empty map that it looks like.
 */
export function refuseHollow(value: object): void {
  let level = value;
  for (;;) {
    const above: unknown = Object.getPrototypeOf(level);
    // What every object has says nothing.
    if (above === null) return;
    if (isPlatform(level)) break;
    level = above as object;
  }
  const name = Object.prototype.toString.call(value).slice(8, -1);
  const isNamespace = (globalThis as Record<string, unknown>)[name] === value;
  if (isNamespace) throw new Unsendable(`${name} cannot be sent`);
  throw refusal(name === "Object" ? "object of the platform" : name);
}

/** Whether all functions among the object's own members are the platform's. */
function isPlatform(object: object): boolean {
  // Empty maps are sent often, and the names of their members cost less than the descriptors.
  if (Object.getOwnPropertyNames(object).length === 0) return false;
  const members = Object.values(Object.getOwnPropertyDescriptors(object));
  const calls = members.map(({ get, value }) => get ?? value).filter((call) => typeof call === "function");
  // Those that `bind` makes of users' functions show no source either.
  return calls.length > 0 && calls.every((call) => isNative(call) && !call.name.startsWith("bound "));
}

function refusal(name: string): Unsendable {
  return new Unsendable(`${/^[AEIO]/i.test(name) ? "an" : "a"} ${name} cannot be sent`);
}
