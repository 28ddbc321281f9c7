// Events from Rust, a batch at a time, and calls to it. One pump per environment: a worker thread has its own.
import { whenAborted } from "./aborting.js";
import { type Ends, type Invocation, runHandler } from "./callback.js";
import { Codecs } from "./codecs.js";
import { Decoder, idAt } from "./decode.js";
import { Encoder, type Keeper } from "./encode.js";
import { errorOf, type RpcError, RpcTimeoutError, toldError } from "./errors.js";
import type { Served } from "./functions.js";
import { given } from "./given.js";
import { makeEvent } from "./http.js";
import { Streams } from "./inlet.js";
import native from "./native.cjs";
import { Outbox } from "./outbox.js";
import { type CallOptions, makeRemote, type RemoteFunction, type Stub } from "./remote.js";
import { currentRun, Running, reasonOf, type Watch } from "./running.js";
import { type Outlet, type Source, sourceOf } from "./sources.js";
import { writeThrown } from "./special.js";
import type { StreamStub } from "./streams.js";
import { Kind, type StreamEnd } from "./tape.js";

/** What a connection is told. */
export interface Listener {
  ready(info: Record<string, unknown>, isFirst: boolean, refused: [string, RpcError][]): void;
  disconnected(reason: string): void;
  closed(error: RpcError): void;
  signal(kind: string, message: Record<string, unknown>): void;
}

interface Call {
  client: number;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  /** Takes the call's listener from its signal. */
  unlisten: (() => void) | undefined;
}

/** What a call is made with beside its arguments; times in seconds. */
interface Terms extends CallOptions {
  /** How long to wait without a sign of life, in the place of the connection's own time. */
  patience?: number | undefined;
}

const TAPE = 64 * 1024;
const HEAD = 3;
const WITH_KWARGS = 1;
const WITH_CONTEXT = 2;
const WITH_DEADLINE = 4;
const WITH_TRACE = 8;
const WITH_EVENT = 16;
/** Beside the keywords of a call: it has times or a trace of its own. */
const WITH_TERMS = 2;
/** Every so many calls, and after every large one, it is looked whether the connection keeps up. */
const CONGESTION_CHECK = 64;
const LARGE = 32 * 1024;

class Pump implements Keeper, Outlet, Watch, Ends {
  readonly native = new native.Core(() => this.#drain());
  /** Answers that leave at the end of the turn. */
  readonly outbox = new Outbox(this);
  readonly #calls = new Map<number, Call>();
  readonly #served = new Map<number, Served>();
  readonly #listeners = new Map<number, Listener>();
  readonly #congested = new Set<number>();
  readonly #spare: Encoder[] = [];
  /** Runs that are told when their caller gives up, by connection. */
  readonly #watched = new Map<number, Map<number, Running>>();
  readonly #sources = new Map<number, Source>();
  readonly #codecs = new Map<number, Codecs>();
  readonly #decoder = new Decoder(this);
  /** Generators and streams of peers. */
  readonly streams = new Streams(this, new Decoder(this));
  #tape = new Int32Array(TAPE);
  /** The last number given: to a call, a function or a connection. */
  #last = 0;
  // A native wake-up alone does not keep the process: a timer does, while anything is open.
  readonly #keeper = setInterval(() => undefined, 0x7fffffff).unref();
  #held = 0;

  /** Keeps the process from ending until {@link release}. */
  hold(): void {
    if (this.#held === 0) this.#keeper.ref();
    this.#held += 1;
  }

  /** Undoes one {@link hold}. */
  release(): void {
    this.#held -= 1;
    if (this.#held === 0) this.#keeper.unref();
  }

  /** How much is held; nothing of it may grow without end. */
  counts(): { calls: number; served: number; connections: number; held: number; streams: number } {
    const [calls, served, connections] = [this.#calls.size, this.#served.size, this.#listeners.size];
    return { calls, served, connections, held: this.#held, streams: this.#sources.size + this.streams.size };
  }

  /** A number for a new connection. */
  attach(listener: Listener): number {
    this.#last += 1;
    this.#listeners.set(this.#last, listener);
    return this.#last;
  }

  /** Forgets a connection that never came to be. */
  detach(client: number): void {
    this.#listeners.delete(client);
    this.#codecs.delete(client);
    this.#watched.delete(client);
  }

  /** The connection's own kinds of values, if it has any. */
  codecsOf(client: number): Codecs | undefined {
    return this.#codecs.get(client);
  }

  /** The same, to add to them. */
  ownCodecs(client: number): Codecs {
    const codecs = this.#codecs.get(client) ?? new Codecs();
    this.#codecs.set(client, codecs);
    return codecs;
  }

  /** A function of a peer that is called through `client`. */
  remote(client: number, stub: Stub): RemoteFunction {
    return makeRemote(stub, (to, args, options) => this.call(client, to, args, options));
  }

  /** A generator of a peer that `client` was told of. */
  stream(client: number, stub: StreamStub): unknown {
    return this.streams.make(client, stub);
  }

  keep(served: Served): number {
    this.#last += 1;
    this.#served.set(this.#last, served);
    return this.#last;
  }

  keepStream(items: object): number {
    this.#last += 1;
    this.#sources.set(this.#last, sourceOf(this, items));
    return this.#last;
  }

  beginItems(client: number, source: number): number {
    return this.native.beginItems(client, source);
  }

  produce(client: number, source: number, count: number, encoder: Encoder, end: StreamEnd): number {
    return this.native.produce(client, source, count, encoder.bytes, encoder.beside, end);
  }

  /** Calls a function of a peer. */
  call(client: number, stub: Stub, args: unknown[], options?: Terms): Promise<unknown> {
    if (this.#congested.size > 0 && this.#congested.has(client))
      return this.#callLater(client, stub, args, options);
    const run = currentRun();
    let terms = options;
    if (run?.isLimited) {
      terms = inherited(run, options);
      if ((terms.timeout ?? 1) <= 0) return Promise.reject(new RpcTimeoutError("the deadline has passed"));
    }
    return this.begin(
      client,
      (id, encoder) => {
        writeCall(encoder, stub, args, terms);
        const told = this.native.call(client, id, encoder.bytes, encoder.beside);
        const isLarge = encoder.beside !== undefined || encoder.at > LARGE;
        if (isLarge || id % CONGESTION_CHECK === 0) this.#checkCongestion(client);
        return told;
      },
      terms?.signal,
    );
  }

  /** Begins something that ends with an event: `work` writes and sends it. */
  begin(
    client: number,
    work: (id: number, encoder: Encoder) => string | null,
    signal?: AbortSignal,
  ): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    this.#last += 1;
    const id = this.#last;
    const encoder = this.borrow(client);
    try {
      const told = work(id, encoder);
      if (told !== null) throw toldError(told);
    } catch (error) {
      this.drop(encoder.handles);
      return Promise.reject(error);
    } finally {
      this.giveBack(encoder);
    }
    this.hold();
    return new Promise((resolve, reject) => {
      const unlisten = signal && this.#listen(client, id, signal);
      this.#calls.set(id, { client, resolve, reject, unlisten });
    });
  }

  /** Gives the call up when the signal is aborted. */
  #listen(client: number, id: number, signal: AbortSignal): () => void {
    const giveUp = (): void => {
      const call = this.#calls.get(id);
      if (call === undefined) return;
      this.#calls.delete(id);
      this.release();
      this.native.forget(client, id);
      call.reject(signal.reason);
    };
    return whenAborted(signal, giveUp);
  }

  watch(running: Running): void {
    const watched = this.#watched.get(running.client) ?? new Map<number, Running>();
    this.#watched.set(running.client, watched.set(running.run, running));
  }

  unwatch({ client, run }: Running): void {
    const watched = this.#watched.get(client);
    watched?.delete(run);
    if (watched?.size === 0) this.#watched.delete(client);
  }

  #cancelled(client: number, run: number): void {
    const running = this.#watched.get(client)?.get(run);
    const reason = reasonOf(running);
    // It is over for the connection, whatever the function makes of it.
    this.fail(client, run, reason);
    running?.cancel(reason);
  }

  /** An encoder for one message; getters of the user may need another one meanwhile. */
  borrow(client: number): Encoder {
    const encoder = this.#spare.pop() ?? new Encoder(this);
    encoder.begin();
    if (this.#codecs.size > 0) encoder.codecs = this.#codecs.get(client);
    return encoder;
  }

  giveBack(encoder: Encoder): void {
    encoder.end();
    this.#spare.push(encoder);
  }

  /** Lets go of functions and streams that did not go out. */
  drop(handles: number[]): void {
    for (const handle of handles) if (!this.#served.delete(handle)) this.#sources.delete(handle);
  }

  /** Ends a run with what its function threw. */
  fail(client: number, run: number, thrown: unknown): void {
    const encoder = this.borrow(client);
    writeThrown(encoder, thrown);
    this.native.fail(client, run, encoder.bytes);
    this.giveBack(encoder);
  }

  #checkCongestion(client: number): void {
    if (this.native.isCongested(client)) this.#congested.add(client);
  }

  async #callLater(client: number, stub: Stub, args: unknown[], options?: Terms): Promise<unknown> {
    while (this.native.isCongested(client)) await new Promise((resolve) => setTimeout(resolve, 1));
    this.#congested.delete(client);
    return this.call(client, stub, args, options);
  }

  #drain(): void {
    const tape = this.#tape;
    const beside = this.native.take(tape);
    const filled = tape[0] as number;
    const needed = tape[1] as number;
    const hasMore = tape[2] !== 0;
    // What remains waits for a turn of its own, so that timers and sockets are served between.
    if (hasMore) setImmediate(() => this.#drain());
    this.outbox.isHeld = true;
    for (let at = HEAD, besideAt = 0; at < filled; ) {
      const head = tape[at] as number;
      try {
        this.#record(tape, at, head & 255, head & 256 ? (beside[besideAt] as string) : "", beside, besideAt);
      } catch (error) {
        // One bad item never loses the rest of the batch.
        reportError(error);
      }
      besideAt += head >> 9;
      at += tape[at + 1] as number;
    }
    this.outbox.isHeld = false;
    this.outbox.flush();
    // A record larger than the tape gets one of its own size, once.
    if (needed > tape.length) this.#tape = new Int32Array(needed);
    else if (tape.length > TAPE) this.#tape = new Int32Array(TAPE);
  }

  #record(
    tape: Int32Array,
    start: number,
    kind: number,
    text: string,
    beside: unknown[],
    besideStart: number,
  ): void {
    const at = start + 2;
    const first = besideStart + (text === "" ? 0 : 1);
    switch (kind) {
      case Kind.Shape:
        return this.#decoder.learn(tape, at, text);
      case Kind.Resolved:
      case Kind.Rejected: {
        const id = idAt(tape, at);
        const call = this.#calls.get(id);
        if (call === undefined) return;
        this.#calls.delete(id);
        this.release();
        call.unlisten?.();
        return this.#end(call, kind === Kind.Resolved, tape, at + 2, text, beside, first);
      }
      case Kind.Invoke:
        return this.#invoke(tape, at, text, beside, first);
      case Kind.Released:
        return this.#let(idAt(tape, at));
      case Kind.Pull:
        return this.#pull(tape[at] as number, idAt(tape, at + 1));
      case Kind.Cancelled:
        return this.#cancelled(tape[at] as number, idAt(tape, at + 1));
      case Kind.Items:
        return this.streams.arrived(idAt(tape, at));
      default:
        return this.#state(kind, tape, at, text, beside, first);
    }
  }

  #let(handle: number): void {
    if (this.#served.delete(handle)) return;
    const source = this.#sources.get(handle);
    this.#sources.delete(handle);
    source?.close();
  }

  #pull(client: number, handle: number): void {
    this.#sources.get(handle)?.pull(client, handle);
  }

  #end(
    call: Call,
    isResolved: boolean,
    tape: Int32Array,
    at: number,
    text: string,
    beside: unknown[],
    first: number,
  ) {
    try {
      const [value] = this.#decoder.run(call.client, tape, at, text, beside, first);
      if (isResolved) call.resolve(withoutThen(value));
      else call.reject(value);
    } catch (error) {
      call.reject(error);
    }
  }

  #invoke(tape: Int32Array, at: number, text: string, beside: unknown[], first: number): void {
    const client = tape[at] as number;
    const run = idAt(tape, at + 1);
    const flags = tape[at + 5] as number;
    let args: unknown[];
    try {
      args = this.#decoder.run(client, tape, at + 6, text, beside, first);
    } catch (error) {
      if (run !== 0) this.fail(client, run, error);
      return;
    }
    const trace = flags & WITH_TRACE ? (args.pop() as string) : undefined;
    const deadline = flags & WITH_DEADLINE ? performance.now() + (args.pop() as number) : 0;
    const hasContext = (flags & WITH_CONTEXT) !== 0;
    const context = hasContext ? args.pop() : undefined;
    const keywords = flags & WITH_KWARGS ? (args.pop() as Record<string, unknown>) : undefined;
    const isEvent = (flags & WITH_EVENT) !== 0;
    if (isEvent) makeEvent(args[0]);
    const running = new Running(this, client, run, deadline, trace, isEvent);
    const invocation: Invocation = { running, args, keywords, context, hasContext };
    const served = this.#served.get(idAt(tape, at + 3));
    if (served !== undefined) return runHandler(this, served, invocation);
    if (run !== 0)
      this.fail(client, run, errorOf("not_found", "Method expired or not found: it was let go just now"));
  }

  #state(kind: number, tape: Int32Array, at: number, text: string, beside: unknown[], first: number): void {
    const client = tape[at] as number;
    const listener = this.#listeners.get(client);
    if (kind === Kind.Closed) this.detach(client);
    if (listener === undefined) return;
    const start = kind === Kind.Ready ? at + 2 : at + 1;
    const values = this.#decoder.run(client, tape, start, text, beside, first);
    switch (kind) {
      case Kind.Ready:
        return listener.ready(parse(values[0]), tape[at + 1] !== 0, refusals(values));
      case Kind.Disconnected:
        return listener.disconnected((values[0] as string | undefined) ?? "");
      case Kind.Closed:
        return listener.closed(values[0] as RpcError);
      case Kind.Signal:
        return listener.signal(values[0] as string, values[1] as Record<string, unknown>);
      default:
        throw errorOf("internal", `a batch of events is torn: unknown kind ${kind}`);
    }
  }
}

/** A member `then` would make a promise of the whole value, which never ends: it is reached as `then_`. */
function withoutThen(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const open = value as { then?: unknown; then_?: unknown };
  if (typeof open.then === "function") {
    open.then_ = open.then;
    delete open.then;
  }
  return value;
}

function parse(json: unknown): Record<string, unknown> {
  return typeof json === "string" && json !== "" ? JSON.parse(json) : {};
}

function refusals(values: unknown[]): [string, RpcError][] {
  const refused: [string, RpcError][] = [];
  for (let at = 1; at + 1 < values.length; at += 2)
    refused.push([values[at] as string, values[at + 1] as RpcError]);
  return refused;
}

/** What a call takes over from the run in which it is made. */
function inherited(run: Running, options: Terms | undefined): Terms {
  const left = run.deadline === 0 ? Number.POSITIVE_INFINITY : (run.deadline - performance.now()) / 1000;
  const timeout = Math.min(options?.timeout ?? Number.POSITIVE_INFINITY, left);
  return {
    ...options,
    trace: options?.trace ?? run.trace,
    timeout: Number.isFinite(timeout) ? timeout : undefined,
  };
}

/** A call with its arguments, keywords among them as the last one. */
function writeCall(encoder: Encoder, stub: Stub, args: unknown[], terms: Terms | undefined): void {
  const { positional, keywords } = given(args, stub.schema);
  encoder.byte(stub.promise);
  encoder.byte((keywords ? WITH_KWARGS : 0) | (terms === undefined ? 0 : WITH_TERMS));
  if (terms !== undefined) {
    encoder.double(terms.patience ?? 0);
    encoder.double(terms.timeout ?? 0);
    encoder.optional(terms.trace);
  }
  encoder.text(stub.target);
  encoder.text(stub.method);
  encoder.optional(stub.parent);
  encoder.optional(stub.encPub);
  encoder.optional(stub.answerKey);
  encoder.count(keywords ? positional.length + 1 : positional.length);
  for (let number = 0; number < positional.length; number += 1)
    encoder.root(`args[${number}]`, positional[number]);
  if (keywords) encoder.keywords(keywords);
}

/** Like a throw out of an event handler: seen by the process, not by the batch. */
function reportError(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

let made: Pump | undefined;

/** The pump of this environment, made at first use. */
export function pump(): Pump {
  made ??= new Pump();
  return made;
}
