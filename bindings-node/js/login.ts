// Logging in and out by the login service of a server.
import { connectToServer } from "./client.js";
import { errorOf, InvalidError } from "./errors.js";
import { toCamel } from "./names.js";
import type { CamelOptions, SnakeOptions } from "./options.js";
import type { RemoteService } from "./service.js";

/** What the user has to do: go to an address. */
export interface LoginContext {
  login_url: string;
  key: string;
  [key: string]: unknown;
}

/** Whom the login found, with `profile: true`. */
export interface UserProfile {
  token: string;
  workspace?: string;
  email?: string;
  user_id?: string;
  [key: string]: unknown;
}

type Reach = Pick<CamelOptions & SnakeOptions, "serverUrl" | "server_url">;
type Connecting = Partial<Omit<CamelOptions & SnakeOptions, "workspace" | "token">>;

/** Options of {@link login}; either way of writing names will do. */
export interface LoginOptions extends Connecting {
  /** The workspace that the token is to be for. */
  workspace?: string;
  /** The login service. Default `public/hypha-login`. */
  loginServiceId?: string;
  login_service_id?: string;
  /** How long the token is to live, in seconds. */
  expiresIn?: number;
  expires_in?: number;
  /** How long to wait for the user, in seconds, above 0. Default 60. */
  loginTimeout?: number;
  login_timeout?: number;
  /** Shows the user where to go. Default: the address is printed. */
  loginCallback?: (context: LoginContext) => unknown;
  login_callback?: (context: LoginContext) => unknown;
  /** Whether to give the profile of the user and not the token alone. */
  profile?: boolean;
}

/** Options of {@link logout}. */
export interface LogoutOptions extends Connecting {
  loginServiceId?: string;
  login_service_id?: string;
  /** Shows the user where to go. Default: the address is printed. */
  logoutCallback?: (context: { logout_url: string }) => unknown;
  logout_callback?: (context: { logout_url: string }) => unknown;
}

const OWN = new Set([
  "workspace",
  "loginServiceId",
  "expiresIn",
  "loginTimeout",
  "loginCallback",
  "logoutCallback",
  "profile",
]);

/**
 * Lets the user log in, in a browser, and gives the token; with `profile: true` the profile with the token in it.
 * Options are an object, or the URL of the server alone.
 *
 * @example
 * const token = await login({ serverUrl: "https://lab.example" });
 * const api = await connectToServer({ serverUrl: "https://lab.example", token });
 */
export function login(options: LoginOptions & { profile: true }): Promise<UserProfile>;
export function login(options: LoginOptions | string): Promise<string>;
export async function login(options: LoginOptions | string): Promise<string | UserProfile> {
  const { own, reach } = split(options);
  const timeout = positive("login_timeout", own.loginTimeout ?? 60);
  return withService(own, reach, async (service) => {
    const { workspace, expiresIn, loginCallback, profile = false } = own;
    const wishes = Object.entries({ workspace, expires_in: expiresIn }).filter(([, wish]) => wish != null);
    const asked = wishes.length ? [{ ...Object.fromEntries(wishes), _rkwargs: true }] : [];
    const context = (await service.start(...asked)) as LoginContext;
    if (loginCallback) await loginCallback(context);
    else console.log(`Please open your browser and login at ${context.login_url}`);
    return service.check(context.key, { timeout, profile, _rkwargs: true });
  });
}

/** Tells the user where to log out, and gives what the login service says. */
export async function logout(options: LogoutOptions | string): Promise<{ logout_url: string }> {
  const { own, reach } = split(options);
  return withService(own, reach, async (service) => {
    if (typeof service.logout !== "function") {
      throw errorOf("not_found", "the login service of this server has no logout");
    }
    const context = (await service.logout({})) as { logout_url: string };
    if (own.logoutCallback) await own.logoutCallback(context);
    else console.log(`Please open your browser to logout at ${context.logout_url}`);
    return context;
  });
}

type Own = LoginOptions & LogoutOptions;

/** A login that waits for nobody would give nothing instead of a token. */
function positive(name: string, seconds: unknown): number {
  if (typeof seconds === "number" && seconds > 0) return seconds;
  throw new InvalidError(`${name} must be a number of seconds above 0, not ${String(seconds)}`);
}

function split(options: object | string): { own: Own; reach: Reach } {
  const own: Record<string, unknown> = {};
  const reach: Record<string, unknown> = {};
  const given = typeof options === "string" ? { serverUrl: options } : (options ?? {});
  for (const [name, value] of Object.entries(given)) {
    const known = toCamel(name);
    if (OWN.has(known)) own[known] = value;
    else reach[name] = value;
  }
  return { own: own as Own, reach: reach as unknown as Reach };
}

async function withService<T>(
  own: Own,
  reach: Reach,
  use: (service: RemoteService) => Promise<T>,
): Promise<T> {
  const api = await connectToServer({ name: "login client", ...reach });
  try {
    return await use(await api.getService(own.loginServiceId ?? "public/hypha-login"));
  } finally {
    await api.disconnect();
  }
}
