// The services of a connection whose functions take one context: their ends, and where they log to.
import type { Service } from "./service.js";
import { isModule, type LogRecord, Module } from "./signature.js";

/** Records on their way to the server's log at the same time; more are shown here only. */
const MAX_LOG_RECORDS = 256;

/** What is registered and has an end, by the names of the services. */
export class Modules {
  readonly #send: (record: LogRecord) => Promise<unknown>;
  readonly #kept = new Map<string, Module>();
  #ending: Promise<void> | undefined;
  #logging = 0;
  #isOver = false;

  constructor(send: (record: LogRecord) => Promise<unknown>) {
    this.#send = send;
  }

  /** Prepares a service before it is registered, if it is one of these. */
  async begin(service: Service): Promise<Module | undefined> {
    if (!isModule(service)) return undefined;
    const module = new Module(service, (record) => this.#log(record));
    await module.start();
    return module;
  }

  /** Notes what was registered; what it replaces is stopped. */
  async keep(name: string, module: Module | undefined): Promise<void> {
    const replaced = this.#kept.get(name);
    if (module === undefined) this.#kept.delete(name);
    else this.#kept.set(name, module);
    await replaced?.stop();
  }

  /** Stops everything: the connection is over. */
  end(): void {
    this.#isOver = true;
    const modules = [...this.#kept.values()];
    this.#kept.clear();
    this.#ending = Promise.all(modules.map((module) => module.stop())).then(() => undefined);
  }

  /** Is settled when everything is stopped. */
  async ended(): Promise<void> {
    await this.#ending;
  }

  // A server that does not keep up loses lines of its log, not calls.
  #log(record: LogRecord): void {
    if (this.#isOver || this.#logging >= MAX_LOG_RECORDS) return;
    this.#logging += 1;
    const sent = () => {
      this.#logging -= 1;
    };
    this.#send(record).then(sent, sent);
  }
}
