// Schemas of other libraries: those that speak Standard Schema, zod above all. None of them is imported here.
import type { Admit } from "./declared.js";
import { InvalidError } from "./errors.js";

interface Issue {
  message: string;
  path?: readonly (PropertyKey | { key: PropertyKey })[] | undefined;
}
type Outcome = { value: unknown; issues?: undefined } | { issues: readonly Issue[] };

/** A schema of a library, by the part of Standard Schema that is used here. */
export interface StandardSchema {
  readonly "~standard": {
    readonly version: number;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
  };
}

type Convertible = StandardSchema & {
  "~standard": { jsonSchema?: { input(options: object): object } };
  toJSONSchema?: (options: object) => object;
};

/** Whether it is a schema of such a library. */
export function isStandard(value: unknown): value is StandardSchema {
  const open = (value ?? {}) as { "~standard"?: { validate?: unknown } };
  const isHolder = typeof value === "object" || typeof value === "function";
  return isHolder && typeof open["~standard"]?.validate === "function";
}

/** The same as a JSON Schema of what callers give; what JSON Schema cannot say, it leaves open. */
export function jsonSchemaOf(schema: StandardSchema): object {
  const { toJSONSchema, "~standard": standard } = schema as Convertible;
  // zod's own way leaves open what has no JSON Schema; the way of the standard refuses the whole.
  if (typeof toJSONSchema === "function")
    return toJSONSchema.call(schema, { io: "input", unrepresentable: "any" });
  if (standard.jsonSchema) return standard.jsonSchema.input({ target: "draft-2020-12" });
  throw new InvalidError(
    `this version of ${standard.vendor} cannot tell a JSON Schema: use zod 4.2 or later, or give a JSON Schema`,
  );
}

/** Checks and parses values by the library's own means. */
export function admission(schema: StandardSchema): Admit {
  return (values, refuse) => {
    const outcome = schema["~standard"].validate(values) as Outcome | Promise<Outcome>;
    const end = (found: Outcome): Record<string, unknown> => {
      const [issue] = found.issues ?? [];
      if (issue !== undefined) throw refuse(issue.message, (issue.path ?? []).map(keyOf));
      return (found as { value: Record<string, unknown> }).value;
    };
    return outcome instanceof Promise ? outcome.then(end) : end(outcome);
  };
}

function keyOf(step: PropertyKey | { key: PropertyKey }): PropertyKey {
  return typeof step === "object" ? step.key : step;
}
