// The modules of `polyfn dev`: loading them anew, what of them is served, and where an error comes from.
import { execFile } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire, register } from "node:module";
import { dirname, extname, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Service } from "./service.js";
import { isTypescript, typescriptOf } from "./typescript.js";

/**
 * Gives every source of ours that a module imports the version of the module, so that it is loaded anew with it. Runs in
 * a thread of Node's own, which is why it stands here as text.
 */
const HOOK = `
let roots = [];
export function initialize(data) { roots = data.roots; }
export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  const version = /[?&]polyfn=(\\d+)/.exec(context.parentURL ?? "")?.[1];
  const isOurs = roots.some((root) => found.url.startsWith(root)) && !found.url.includes("/node_modules/");
  if (version === undefined || !isOurs || found.url.includes("?")) return found;
  return { ...found, url: found.url + "?polyfn=" + version };
}`;

type Call = (...args: unknown[]) => unknown;
interface Tree {
  [name: string]: Call | Tree;
}

/** What of a loaded module becomes a service. */
export interface Loaded {
  service: Service;
  /** The paths of its functions, with dots between the parts. */
  functions: string[];
}

/** Who is told of what the functions do. */
export interface Told {
  failed(error: unknown): void;
  called: ((line: string) => void) | undefined;
}

/** A line of a source. */
export interface Place {
  file: string;
  line: number;
  source: string;
}

/** Sources that are looked through for the one that is no JavaScript, at most. */
const SOURCES_MAX = 100;

/** The modules of one process. */
export class Modules {
  readonly #roots: string[];
  #version = 0;

  constructor(paths: string[]) {
    this.#roots = [...new Set(paths.map((path) => dirname(realpathSync(path)) + sep))];
    const roots = this.#roots.map((root) => pathToFileURL(root).href);
    register(`data:text/javascript,${encodeURIComponent(HOOK)}`, { data: { roots } });
  }

  /** Loads a module as it is in its file now. */
  async load(path: string): Promise<Record<string, unknown>> {
    if (isTypescript(path) && typescriptOf() !== "reads") {
      throw new Error(
        `Node ${process.version} cannot read ${extname(path)}: take Node 22.6 or newer, or JavaScript`,
      );
    }
    const { cache } = createRequire(path);
    for (const name of Object.keys(cache)) if (this.#isOurs(name)) delete cache[name];
    this.#version += 1;
    return import(`${pathToFileURL(realpathSync(path)).href}?polyfn=${this.#version}`);
  }

  #isOurs(file: string): boolean {
    return this.#roots.some((root) => file.startsWith(root)) && !file.includes(`${sep}node_modules${sep}`);
  }

  /** The line of the source of ours that an error comes from. */
  placeOf(error: unknown): Place | undefined {
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    for (const [, url, path, line] of stack.matchAll(
      /(?:(file:\/\/[^\s()?]+)(?:\?polyfn=\d+)?|([^\s()?:]+)):(\d+)/g,
    )) {
      const file = url === undefined ? (path as string) : fileURLToPath(url);
      if (!this.#isOurs(file)) continue;
      return placeAt(file, Number(line));
    }
    return undefined;
  }

  /**
   * The line for which a module could not be loaded. Where a source is no JavaScript Node tells nobody but the one who looks
   * at its output: so it is asked to check what belongs to the module.
   */
  async placeOfLoading(path: string, error: unknown): Promise<Place | undefined> {
    const place = this.placeOf(error);
    if (place !== undefined || !(error instanceof Error) || error.name !== "SyntaxError") return place;
    for (const file of this.#sourcesOf(realpathSync(path))) {
      const line = await badLine(file);
      if (line !== undefined) return placeAt(file, line);
    }
    return undefined;
  }

  /** A module, and what it imports of ours. */
  #sourcesOf(path: string): Set<string> {
    const found = new Set([path]);
    for (const file of found) {
      const imports = readFileSync(file, "utf8").matchAll(/\b(?:from|import)\s*\(?\s*["'](\.[^"'?]*)["']/g);
      for (const [, name] of imports) {
        const other = resolve(dirname(file), name as string);
        if (found.size < SOURCES_MAX && this.#isOurs(other) && existsSync(other)) found.add(other);
      }
    }
    return found;
  }
}

function placeAt(file: string, line: number): Place {
  return { file, line, source: readFileSync(file, "utf8").split("\n")[line - 1]?.trim() ?? "" };
}

/** The line at which a source is no JavaScript. */
function badLine(file: string): Promise<number | undefined> {
  return new Promise((done) => {
    execFile(process.execPath, ["--check", file], (error, _, told) => {
      const [, line] = /^.*:(\d+)$/m.exec(told) ?? [];
      done(error && line ? Number(line) : undefined);
    });
  });
}

/** The service that a module becomes: its exported functions, and objects of functions as folders. */
export function serviceOf(id: string, module: Record<string, unknown>, told: Told): Loaded {
  const { default: main, "module.exports": _, ...named } = module;
  if (isApp(main)) return appOf(id, main, named.config);
  const whole = typeof main === "object" && main !== null ? { ...main, ...named } : { ...named };
  if (typeof main === "function" && !isClass(main)) (whole as Record<string, unknown>).handle ??= main;
  const { config, ...members } = whole as Record<string, unknown>;
  const tree = treeOf(members, "", told);
  const functions = pathsOf(tree);
  if (functions.length === 0) throw new Error(`${id} exports no function`);
  // what the signature specification has: one function, whatever else there is beside it
  const signature = typeof tree.handle === "function" ? { signature: "context" } : {};
  const settings = { visibility: "public", ...signature, ...(config as object | undefined) };
  const service = { ...tree, id, type: "functions", config: settings } as unknown as Service;
  return { service, functions: "signature" in signature ? ["index"] : functions };
}

/** Whether a module's default export answers requests as apps of the web do, such as those of Hono. */
function isApp(main: unknown): main is object {
  return (
    typeof main === "object" && main !== null && typeof (main as { fetch?: unknown }).fetch === "function"
  );
}

function appOf(id: string, serve: object, config: unknown): Loaded {
  const settings = { visibility: "public", ...(config as object | undefined) };
  return { service: { id, type: "fetch", config: settings, serve } as Service, functions: ["default"] };
}

function treeOf(members: object, path: string, told: Told): Tree {
  const tree: Tree = {};
  for (const [name, member] of Object.entries(members)) {
    if (name.startsWith("_")) continue;
    if (typeof member === "function" && !isClass(member)) {
      tree[name] = watched(member as Call, `${path}${name}`, told);
    } else if (isPlain(member)) {
      const folder = treeOf(member, `${path}${name}/`, told);
      if (Object.keys(folder).length > 0) tree[name] = folder;
    }
  }
  return tree;
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isClass(value: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function pathsOf(tree: Tree): string[] {
  return Object.entries(tree).flatMap(([name, member]) =>
    typeof member === "function" ? [name] : pathsOf(member).map((path) => `${name}.${path}`),
  );
}

/** The same function, whose errors are told where it runs. */
function watched(call: Call, path: string, told: Told): Call {
  const ended = (begun: number, word: string): void =>
    told.called?.(`/${path} ${word} ${(performance.now() - begun).toFixed(1)} ms`);
  const failed = (error: unknown, begun: number): never => {
    // an answer, and no fault of the function
    if ((error as { name?: unknown } | null)?.name !== "HTTPError") told.failed(error);
    ended(begun, "failed");
    throw error;
  };
  return new Proxy(call, {
    apply(target, self, args) {
      const begun = performance.now();
      try {
        const result = Reflect.apply(target, self, args);
        if (!(result instanceof Promise)) {
          ended(begun, "ok");
          return result;
        }
        return result.then(
          (value) => {
            ended(begun, "ok");
            return value;
          },
          (error) => failed(error, begun),
        );
      } catch (error) {
        return failed(error, begun);
      }
    },
  });
}
