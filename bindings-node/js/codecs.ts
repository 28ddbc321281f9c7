// Kinds of values that users teach a connection.
import { wrongType } from "./checks.js";
import { InvalidError } from "./errors.js";
import native from "./native.cjs";

/** A class, whatever its constructor takes. */
// biome-ignore lint/suspicious/noExplicitAny: a constructor of any parameters
export type Class<T> = abstract new (...args: any[]) => T;

/** How values of one class go over a connection. */
export interface Codec<T = unknown> {
  /** The name on the wire: the `_rtype` of the map that is sent. */
  name: string;
  /** The class whose instances are encoded. */
  type?: Class<T>;
  /** Makes of an instance what is sent: usually a plain object. */
  encoder?: (value: T) => unknown;
  /** Makes an instance of what was received: the object of the encoder, with `_rtype` still in it. */
  // biome-ignore lint/suspicious/noExplicitAny: only the sender's encoder knows the members
  decoder?: (form: any) => unknown;
}

/** Forms that every peer knows, which nobody may redefine. */
const BUILT_IN = new Set(native.formNames());

/** The codecs of one connection. */
export class Codecs {
  readonly #byName = new Map<string, Codec<never>>();

  /** Adds a codec; one of the same name or class gives way to it. */
  add<T>(codec: Codec<T>): void {
    const { name, type, encoder, decoder } = codec;
    if (typeof name !== "string" || name === "") throw new InvalidError("a codec needs a `name`");
    if (BUILT_IN.has(name)) throw new InvalidError(`\`${name}\` is a built-in form, choose another name`);
    for (const [part, given] of Object.entries({ encoder, decoder })) {
      if (given !== undefined && typeof given !== "function")
        throw wrongType(`the ${part} of the codec ${name}`, "a function", given);
    }
    if (encoder === undefined && decoder === undefined) {
      throw new InvalidError(`the codec ${name} needs an \`encoder\`, a \`decoder\` or both`);
    }
    if (encoder !== undefined && typeof type !== "function") {
      throw new InvalidError(`the codec ${name} needs a class as its \`type\` to encode its instances`);
    }
    for (const [other, { type: known }] of this.#byName) {
      if (other === name || (type !== undefined && (known as unknown) === type)) this.#byName.delete(other);
    }
    this.#byName.set(name, codec as unknown as Codec<never>);
  }

  /** What is sent in the place of `value`; `undefined` when no codec is for it. */
  encode(value: object): { form: unknown } | undefined {
    for (const { name, type, encoder } of this.#byName.values()) {
      if (encoder === undefined || type === undefined || !(value instanceof type)) continue;
      const form: unknown = encoder(value);
      return { form: isPlain(form) && !("_rtype" in form) ? { _rtype: name, ...form } : form };
    }
    return undefined;
  }

  /** What the map `form` stands for; the map itself when no codec is for it. */
  decode(form: Record<string, unknown>): unknown {
    const decoder = this.#byName.get(form._rtype as string)?.decoder;
    return decoder === undefined ? form : decoder(form);
  }
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
