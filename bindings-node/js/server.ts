// A server inside this program.
import { type Client, Connection } from "./client.js";
import { errorOf, InvalidError, toldError } from "./errors.js";
import { toCamel } from "./names.js";
import native, { type AnsweredRequest, type EmbeddedServer } from "./native.cjs";
import { type ConnectOptions, openOptions } from "./options.js";
import { pump } from "./pump.js";

/** An HTTP request that a server has answered; `seconds` run from the head of the request to that of the answer. */
export type ServerRequest = AnsweredRequest;

/**
 * Settings of {@link Server.start}: the flags of `polyfn serve` by name, in camelCase or in snake_case. Absent ones have
 * the defaults of the command, but for `port`: any free one.
 */
export interface ServerSettings {
  /** Address to listen at. Default: `127.0.0.1`. */
  host?: string;
  /** Port to listen at. Default: any free one. */
  port?: number;
  /** Token of the root user. Default: made at random. */
  rootToken?: string;
  /** Is told of each HTTP request that was answered. */
  onRequest?: (request: ServerRequest) => void;
  [flag: string]: string | number | boolean | string[] | undefined | ((request: ServerRequest) => void);
}

/** Options of {@link Server.connect}: `null` as the token comes as a stranger. */
export type OwnConnectOptions = Partial<Omit<ConnectOptions, "token" | "serverUrl" | "server_url">> & {
  token?: string | null;
};

/** What runs: nobody has to keep a server in a variable for it to go on. */
const running = new Set<Server>();

/**
 * A server inside this program: the very one that `polyfn serve` runs, on a thread of its own. While it runs, the
 * process does not end by itself.
 *
 * @example
 * const server = await Server.start();
 * const api = await server.connect({ workspace: "lab" });
 * await api.registerService({ id: "hello", type: "functions", config: { visibility: "public" }, index: () => "Home page" });
 * console.log(`${server.url}/lab/apps/hello/`);
 * await server.stop();
 */
export class Server implements AsyncDisposable {
  readonly #native: EmbeddedServer;
  readonly #connections = new Set<Connection>();
  #stopping: Promise<boolean> | undefined;

  private constructor(server: EmbeddedServer) {
    this.#native = server;
  }

  /**
   * Starts a server; it listens when this resolves. Fails with `invalid` for a setting that there is not or that cannot
   * be used, with `conflict` when the port is taken.
   */
  static async start(settings: ServerSettings = {}): Promise<Server> {
    const { onRequest, ...flags } = settings;
    if (onRequest !== undefined && typeof onRequest !== "function") {
      throw new InvalidError("onRequest must be a function");
    }
    const server = new native.EmbeddedServer();
    const told = await server.start(JSON.stringify(flags), onRequest && (() => tell(server, onRequest)));
    if (told !== null) throw toldError(told);
    pump().hold();
    const started = new Server(server);
    running.add(started);
    return started;
  }

  /** Its URL on this machine, without a slash at the end. */
  get url(): string {
    return this.#native.url();
  }

  /** The token that may do everything; {@link connect} uses it unless told otherwise. */
  get rootToken(): string {
    return this.#native.rootToken();
  }

  /**
   * Connects to it without a socket. Options are those of {@link connectToServer}, but for the server's URL. This program
   * owns the server, so that without `token` it may do everything: it joins the `workspace` that it names, else
   * `ws-user-root`. With `token: null` it comes as a stranger does, into a workspace of its own.
   */
  async connect(options: OwnConnectOptions = {}): Promise<Client> {
    const names = Object.keys(options).map(toCamel);
    if (names.includes("serverUrl")) {
      throw new InvalidError("connect has no option `serverUrl`: it connects to this server");
    }
    const isOwn = !names.includes("token") && !names.includes("reconnectionToken");
    const token = isOwn ? { token: this.rootToken } : {};
    const settings = openOptions({ ...options, ...token, serverUrl: this.url } as Partial<ConnectOptions>);
    const connection = new Connection();
    try {
      await connection.open(settings, this.#native);
    } catch (error) {
      throw error instanceof Error ? error : errorOf("internal", String(error));
    }
    this.#connections.add(connection);
    return connection as unknown as Client;
  }

  /**
   * Stops: accepts nothing more, lets requests finish, closes the connections. Gives whether everything ended by itself
   * within `shutdownTimeout` (10 s).
   */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<boolean> {
    const ended = await this.#native.stop();
    // it is gone: what is left is that its clients notice
    await Promise.all([...this.#connections].map((connection) => connection.disconnect()));
    this.#connections.clear();
    pump().release();
    running.delete(this);
    return ended;
  }

  /** Lets `await using` stop the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function tell(server: EmbeddedServer, onRequest: (request: ServerRequest) => void): void {
  for (const request of server.requests()) {
    try {
      onRequest(request);
    } catch (error) {
      // seen by the process, and no reason to keep the others from being told
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
