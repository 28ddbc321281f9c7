// snake_case and camelCase: the same thing answers to both.

/** `register_service` as `registerService`; a name without an inner underscore stays. */
export function toCamel(name: string): string {
  return name.replace(/(?<=[a-z0-9])_+([a-z0-9])/gi, (_, next: string) => next.toUpperCase());
}

/** `registerService` as `register_service`. */
export function toSnake(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
}

/** Lets the functions and folders of `target` be reached in the other case too; what has a name keeps it. */
export function addOtherNames(target: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(target)) {
    const isFolder = typeof value === "object" && value !== null && !Array.isArray(value);
    if (isFolder && Object.getPrototypeOf(value) === Object.prototype && name !== "config") {
      addOtherNames(value as Record<string, unknown>);
    }
    if (!isFolder && typeof value !== "function") continue;
    for (const other of [toCamel(name), toSnake(name)]) {
      if (other in target) continue;
      Object.defineProperty(target, other, { value, enumerable: false, writable: true, configurable: true });
    }
  }
}

/** The type-level twin of {@link toSnake}. */
export type SnakeName<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeName<Rest>}`
  : Name;

/** The members of `Target` under their snake_case names. */
export type SnakeNames<Target> = { [Name in keyof Target as SnakeName<Name & string>]: Target[Name] };
