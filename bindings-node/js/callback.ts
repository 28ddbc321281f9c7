// JavaScript functions as handlers: called while the batch is drained, answered at once unless they are async.
import { type Declared, declaredArguments } from "./declared.js";
import { addContext, bindKeywords, type Served, withoutContext } from "./functions.js";
import { thrownResponse } from "./http.js";
import type { Outbox } from "./outbox.js";
import { type Running, runAs } from "./running.js";

/** A call of one of our functions, with what it was called with. */
export interface Invocation {
  running: Running;
  args: unknown[];
  keywords: Record<string, unknown> | undefined;
  context: unknown;
  hasContext: boolean;
}

/** Where a handler's end goes. */
export interface Ends {
  readonly outbox: Outbox;
  fail(client: number, run: number, thrown: unknown): void;
  /** A run that was watched is over. */
  unwatch(running: Running): void;
}

/** Runs a handler and sees to it that its caller hears how it ended. */
export function runHandler(ends: Ends, served: Served, invocation: Invocation): void {
  const { running, context, hasContext } = invocation;
  try {
    if (hasContext) addSignal(context, running);
    const { declared } = served;
    const result =
      declared === undefined ? callPlain(served, invocation) : callDeclared(served, declared, invocation);
    // The member `then` of a result is the user's: to read it may throw as well.
    if (!isThenable(result)) return answer(ends, running, result);
    // Those that may ask for their signal later are told of what happens until then.
    if (hasContext || running.isLimited) running.watch();
    result.then(
      (value) => answer(ends, running, value),
      (error) => fail(ends, running, error),
    );
  } catch (error) {
    fail(ends, running, error);
  }
}

function addSignal(context: unknown, running: Running): void {
  Object.defineProperty(context, "signal", { get: () => running.signal, configurable: true });
}

function callPlain(served: Served, invocation: Invocation): unknown {
  const { running, args, keywords, hasContext, context } = invocation;
  if (keywords !== undefined)
    bindKeywords(served, args, hasContext ? withoutContext(served, keywords) : keywords);
  if (hasContext) addContext(served, args, context);
  return runAs(running, served, args);
}

function callDeclared(served: Served, declared: Declared, invocation: Invocation): unknown {
  const { running, args, keywords, hasContext, context } = invocation;
  const isDeclared = hasContext && declared.names.includes("context");
  // What a caller says the context is is no context.
  if (hasContext) delete keywords?.context;
  const found = declaredArguments(declared, args, isDeclared ? { ...keywords, context } : keywords);
  const isLast = hasContext && !isDeclared;
  const run = (taken: unknown[]) => runAs(running, served, isLast ? [...taken, context] : taken);
  return found instanceof Promise ? found.then(run) : run(found);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

function answer(ends: Ends, running: Running, value: unknown): void {
  if (running.isWatched) ends.unwatch(running);
  if (running.run === 0) return;
  try {
    ends.outbox.add(running.client, running.run, value);
  } catch (error) {
    fail(ends, running, error);
  }
}

/** Ends a run with what its function threw, whatever that is. */
export function fail(ends: Ends, running: Running, thrown: unknown): void {
  if (running.isWatched) ends.unwatch(running);
  if (running.run === 0) return;
  const response = running.isEvent ? thrownResponse(thrown) : undefined;
  if (response !== undefined) answer(ends, running, response);
  else ends.fail(running.client, running.run, thrown);
}
