// JavaScript functions as handlers: called while the batch is drained, answered at once unless they are async.
import type { Encoder } from "./encode.js";
import { RpcError } from "./errors.js";
import { addContext, bindKeywords, type Served } from "./functions.js";
import type { Core } from "./native.cjs";

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

/** What handlers need of the pump. */
export interface Answers {
  readonly native: Core;
  borrow(): Encoder;
  giveBack(encoder: Encoder): void;
  drop(handles: number[]): void;
}

/** Runs a handler and sees to it that its caller hears how it ended. */
export function runHandler(answers: Answers, served: Served, invocation: Invocation): void {
  let result: unknown;
  try {
    const { args } = invocation;
    if (invocation.keywords !== undefined) bindKeywords(served, args, invocation.keywords);
    if (invocation.hasContext) addContext(served, args, invocation.context);
    result = Reflect.apply(served.call, served.self, args);
  } catch (error) {
    return fail(answers, invocation, error);
  }
  if (isThenable(result)) {
    result.then(
      (value) => answer(answers, invocation, value),
      (error) => fail(answers, invocation, error),
    );
  } else {
    answer(answers, invocation, result);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

function answer(answers: Answers, invocation: Invocation, value: unknown): void {
  if (invocation.run === 0) return;
  const encoder = answers.borrow();
  try {
    encoder.root("the result", value);
    const isSent = answers.native.answer(invocation.client, invocation.run, encoder.bytes, encoder.beside);
    if (!isSent) answers.drop(encoder.handles);
  } catch (error) {
    answers.drop(encoder.handles);
    fail(answers, invocation, error);
  } finally {
    answers.giveBack(encoder);
  }
}

/** Ends a run with what its function threw, whatever that is. */
export function fail(answers: Answers, { client, run }: Invocation, thrown: unknown): void {
  if (run === 0) return;
  if (!(thrown instanceof Error)) return answers.native.fail(client, run, "remote", asText(thrown));
  const known = thrown instanceof RpcError ? thrown : undefined;
  const trace = known?.remoteTraceback ?? thrown.stack;
  const name = known?.remoteType ?? thrown.name;
  answers.native.fail(client, run, known?.code ?? "remote", thrown.message, name, trace);
}

function asText(thrown: unknown): string {
  try {
    return typeof thrown === "object" ? JSON.stringify(thrown) : String(thrown);
  } catch {
    return "the function threw something that cannot be shown";
  }
}
