// JavaScript functions as handlers: called while the batch is drained, answered at once unless they are async.
import { type Declared, declaredArguments } from "./declared.js";
import { addContext, bindKeywords, type Served, withoutContext } from "./functions.js";
import type { Outbox } from "./outbox.js";

/** A call of one of our functions. */
export interface Invocation {
  client: number;
  /** Names the run in the answer; 0 when nobody wants one. */
  run: number;
  args: unknown[];
  keywords: Record<string, unknown> | undefined;
  context: unknown;
  hasContext: boolean;
}

/** Where a handler's end goes. */
export interface Ends {
  readonly outbox: Outbox;
  fail(client: number, run: number, thrown: unknown): void;
}

/** Runs a handler and sees to it that its caller hears how it ended. */
export function runHandler(ends: Ends, served: Served, invocation: Invocation): void {
  let result: unknown;
  try {
    const { declared } = served;
    result =
      declared === undefined ? callPlain(served, invocation) : callDeclared(served, declared, invocation);
  } catch (error) {
    return fail(ends, invocation, error);
  }
  if (isThenable(result)) {
    result.then(
      (value) => answer(ends, invocation, value),
      (error) => fail(ends, invocation, error),
    );
  } else {
    answer(ends, invocation, result);
  }
}

function callPlain(served: Served, { args, keywords, hasContext, context }: Invocation): unknown {
  if (keywords !== undefined)
    bindKeywords(served, args, hasContext ? withoutContext(served, keywords) : keywords);
  if (hasContext) addContext(served, args, context);
  return Reflect.apply(served.call, served.self, args);
}

function callDeclared({ call, self }: Served, declared: Declared, invocation: Invocation): unknown {
  const { args, keywords, hasContext, context } = invocation;
  const isDeclared = hasContext && declared.names.includes("context");
  // What a caller says the context is is no context.
  if (hasContext) delete keywords?.context;
  const found = declaredArguments(declared, args, isDeclared ? { ...keywords, context } : keywords);
  const isLast = hasContext && !isDeclared;
  const run = (taken: unknown[]) => Reflect.apply(call, self, isLast ? [...taken, context] : taken);
  return found instanceof Promise ? found.then(run) : run(found);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

function answer(ends: Ends, invocation: Invocation, value: unknown): void {
  if (invocation.run === 0) return;
  try {
    ends.outbox.add(invocation.client, invocation.run, value);
  } catch (error) {
    fail(ends, invocation, error);
  }
}

/** Ends a run with what its function threw, whatever that is. */
export function fail(ends: Ends, { client, run }: Invocation, thrown: unknown): void {
  if (run !== 0) ends.fail(client, run, thrown);
}
