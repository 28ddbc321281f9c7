// Why a value cannot be sent, and where in it.
import { errorOf } from "./errors.js";

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
