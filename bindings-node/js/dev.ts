// `polyfn dev`: serves the functions of modules, and loads them again when they are saved.
import { type Client, connectToServer } from "./client.js";
import { Modules, serviceOf, type Told } from "./loading.js";
import native, { type DevModule, type DevPlan } from "./native.cjs";
import type { ConnectOptions } from "./options.js";
import { Server } from "./server.js";

/** Milliseconds between two looks at the files: a change is served within three of them. */
const LOOK = 60;

/** Serves until the process is told to stop; gives the exit code. */
export async function serve(plan: DevPlan): Promise<number> {
  const stopped = untilSignal();
  let server: Server | undefined;
  try {
    if (plan.serverUrl === undefined) {
      const onRequest = ({ line }: { line: string }): void => say(line);
      server = await Server.start({ host: plan.host, port: plan.port, onRequest });
    }
    const api = await connected(plan, server);
    const dev = new Dev(plan, api, server?.url ?? plan.serverUrl ?? "");
    // what is saved while the modules are loaded is not missed
    const looking = plan.reload ? dev.watch() : undefined;
    await dev.start();
    const ended = await Promise.race([stopped.then(() => "told"), api.serve().then(() => "lost")]);
    if (ended === "lost") say("the connection to the server is lost");
    clearInterval(looking);
    await api.disconnect();
  } catch (error) {
    process.stderr.write(`polyfn: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await server?.stop();
  }
  return 0;
}

function connected(plan: DevPlan, server: Server | undefined): Promise<Client> {
  const workspace = plan.workspace === undefined ? {} : { workspace: plan.workspace };
  if (server) return server.connect(workspace);
  const token = plan.token === undefined ? {} : { token: plan.token };
  return connectToServer({ serverUrl: plan.serverUrl, ...workspace, ...token } as ConnectOptions);
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The modules that are served on one connection. */
class Dev {
  readonly #plan: DevPlan;
  readonly #api: Client;
  readonly #url: string;
  readonly #modules: Modules;
  readonly #told: Told;
  #busy: Promise<void> = Promise.resolve();

  constructor(plan: DevPlan, api: Client, url: string) {
    this.#plan = plan;
    this.#api = api;
    this.#url = url.replace(/\/+$/, "");
    this.#modules = new Modules(plan.modules.map(({ path }) => path));
    // an own server tells of its requests; of another one only the calls are seen here
    const called = plan.serverUrl === undefined ? undefined : say;
    this.#told = { failed: (error) => this.#tellFailed(error), called };
  }

  /** Loads a module and registers its functions; what fails leaves the last good ones in place. */
  async #load({ path, serviceId }: DevModule): Promise<void> {
    try {
      const loaded = await this.#modules.load(path);
      const { service, functions } = serviceOf(serviceId, loaded, this.#told);
      await this.#api.registerService(service, { overwrite: true });
      say(native.devRoutes(this.#url, this.#api.workspace, serviceId, functions));
    } catch (error) {
      this.#tellFailed(error, await this.#modules.placeOfLoading(path, error));
    }
  }

  /** Looks at the files from now on. */
  watch(): NodeJS.Timeout {
    const paths = this.#plan.modules.map(({ path }) => path);
    const files = new native.Watch(paths, this.#plan.watch);
    return setInterval(() => {
      if (files.changed().length > 0) void this.start();
    }, LOOK);
  }

  /** Loads all modules, one after the other, and behind what is being loaded. */
  start(): Promise<void> {
    this.#busy = this.#busy.then(async () => {
      for (const module of this.#plan.modules) await this.#load(module);
    });
    return this.#busy;
  }

  /** Tells an error with the line of the source where it came from. */
  #tellFailed(error: unknown, place = this.#modules.placeOf(error)): void {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    say(native.devFailed(text, place?.file, place?.line ?? 0, place?.source ?? ""));
  }
}
