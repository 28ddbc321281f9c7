// Schemas of functions: what callers are told of them, and what arguments must be.
import { type Admit, DECLARED, type Declared } from "./declared.js";
import { InvalidError } from "./errors.js";
import { type Described, takesObject } from "./functions.js";
import { admission, isStandard, jsonSchemaOf, type StandardSchema } from "./standard.js";

/** A JSON Schema. */
export interface JsonSchema {
  type?: string | string[];
  description?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  [keyword: string]: unknown;
}

/** What {@link schemaFunction} is told of a function. */
export interface FunctionSchema {
  /** Its name for callers. Default: its own. */
  name?: string | null;
  /** What it does. Default: its `__doc__`. */
  description?: string | null;
  /**
   * Its parameters in order, as the properties of an object: a JSON Schema, an object of the builder {@link z}, or a
   * schema of zod or of another library that speaks Standard Schema.
   */
  parameters: JsonSchema | StandardSchema;
  /** Of hypha-rpc; only `auto` is known. */
  schema_type?: "auto";
}

/** A schema as callers see it. */
export interface ShownSchema {
  name: string;
  description: string;
  parameters: JsonSchema;
}

/**
 * Says what a function takes. Callers see it, and the arguments of each call are checked before the function runs: a
 * call that does not fit fails with code `invalid`. Positional arguments and keywords are mapped by the order and
 * names of the schema's properties. With a schema of zod the function gets the parsed values.
 *
 * A function that takes its first parameter apart in place, `({ a, b }) => ...`, gets all of them as one object. The
 * context, where a service asks for it, comes behind the declared parameters.
 *
 * @example
 * const add = schemaFunction((a, b) => a + b, {
 *   name: "add",
 *   description: "Adds two numbers.",
 *   parameters: {
 *     type: "object",
 *     properties: { a: { type: "number" }, b: { type: "number" } },
 *     required: ["a", "b"],
 *   },
 * });
 * await api.registerService({ id: "calculator", add });
 *
 * @example
 * import * as zod from "zod";
 * const parameters = zod.object({ who: zod.string().min(1), times: zod.number().int().default(1) });
 * const greet = schemaFunction(({ who, times }) => `Hello ${who}! `.repeat(times), { name: "greet", parameters });
 */
// biome-ignore lint/suspicious/noExplicitAny: users' functions take what they like
export function schemaFunction<F extends (...args: any[]) => unknown>(call: F, schema: FunctionSchema): F {
  if (typeof call !== "function") throw new InvalidError("schemaFunction describes a function");
  const { parameters, schema_type: type = "auto" } = schema ?? {};
  if (type !== "auto") throw new InvalidError(`schema_type \`${type}\` is not known, leave it out`);
  const described = call as unknown as Described & { [DECLARED]?: Declared };
  const name = schema?.name || call.name;
  if (!name) throw new InvalidError("a function without a name needs a `name` in its schema");
  const { shown, admit } = read(name, parameters);
  const names = Object.keys(shown.properties ?? {});
  const description = schema.description ?? described.__doc__ ?? "";
  described.__schema__ = { name, description, parameters: shown } satisfies ShownSchema;
  const declared: Declared = { name, names, takesObject: takesObject(described), admit };
  Object.defineProperty(described, DECLARED, { value: declared, configurable: true });
  return call;
}

type Method = (...args: unknown[]) => unknown;
type MethodDecorator = (...decorated: unknown[]) => void;

/**
 * The same for a method of a class: as a decorator, or with the method as the first argument.
 *
 * @example
 * class Calculator {
 *   add(a, b) {
 *     return a + b;
 *   }
 * }
 * schemaMethod(Calculator.prototype.add, {
 *   parameters: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } },
 * });
 */
export function schemaMethod(schema: FunctionSchema): MethodDecorator;
// biome-ignore lint/suspicious/noExplicitAny: users' functions take what they like
export function schemaMethod<F extends (...args: any[]) => unknown>(call: F, schema: FunctionSchema): F;
export function schemaMethod(first: FunctionSchema | Method, schema?: FunctionSchema): unknown {
  if (typeof first === "function") return schemaFunction(first, schema as FunctionSchema);
  return (target: unknown, context: unknown, descriptor?: { value?: unknown }): void => {
    // Decorators of the language get the method and its context; those of TypeScript before it, the prototype,
    // the name and the descriptor.
    const method = typeof target === "function" && descriptor === undefined ? target : descriptor?.value;
    const key = typeof context === "object" ? (context as { name: PropertyKey }).name : context;
    if (typeof method !== "function") throw new InvalidError("schemaMethod decorates methods");
    schemaFunction(method as Method, { ...first, name: first.name ?? String(key) });
  };
}

function read(name: string, parameters: unknown): { shown: JsonSchema; admit: Admit | undefined } {
  const isForeign = isStandard(parameters);
  const shown = plain(isForeign ? jsonSchemaOf(parameters) : parameters) as JsonSchema | undefined;
  const isObject = typeof shown === "object" && shown !== null && !Array.isArray(shown);
  if (!isObject || (shown.type ?? "object") !== "object" || isComposed(shown)) {
    throw new InvalidError(
      `\`parameters\` of ${name} must be the JSON Schema of an object, or a schema of zod`,
    );
  }
  const { type = "object", properties = {}, ...rest } = shown;
  delete rest.$schema;
  return { shown: { type, properties, ...rest }, admit: isForeign ? admission(parameters) : undefined };
}

/** Whether it is made of others, and names no arguments itself: a union, an intersection, a reference. */
function isComposed(shown: JsonSchema): boolean {
  const isOpen = shown.type === undefined && shown.properties === undefined;
  return isOpen && ["anyOf", "oneOf", "allOf", "$ref"].some((key) => key in shown);
}

/** Without what is no JSON: builders of schemas leave functions and marks of their own in them. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, member]) => key !== "_optional" && member !== undefined && typeof member !== "function",
  );
  return Object.fromEntries(entries.map(([key, member]) => [key, plain(member)]));
}

interface Built extends JsonSchema {
  _optional?: boolean;
}

/** A schema that can be described. */
export interface Describable extends Built {
  describe(description: string): JsonSchema;
}

function scalar(type: string): () => Describable {
  return () => {
    const schema = { type, _optional: false };
    return { ...schema, describe: (description) => ({ ...schema, description }) };
  };
}

/**
 * A small builder of JSON Schemas, the one of hypha-rpc.
 *
 * @example
 * const parameters = z.object({ a: z.number().describe("the first"), b: z.optional(z.number()) });
 */
export const z = {
  object: (properties: Record<string, JsonSchema>): JsonSchema => ({
    type: "object",
    properties,
    required: Object.keys(properties).filter((key) => !(properties[key] as Built)._optional),
  }),
  string: scalar("string"),
  number: scalar("number"),
  integer: scalar("integer"),
  boolean: scalar("boolean"),
  array: (items?: JsonSchema): Describable => {
    const schema = { type: "array", ...(items === undefined ? {} : { items }), _optional: false };
    return { ...schema, describe: (description) => ({ ...schema, description }) };
  },
  optional: (schema: JsonSchema): JsonSchema => ({ ...schema, _optional: true }),
};
