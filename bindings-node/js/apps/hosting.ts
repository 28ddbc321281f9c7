// Web apps of JavaScript as services: what is registered in their place.
import { Server } from "node:http";
import { InvalidError } from "../errors.js";
import { type Service, withFields } from "../service.js";
import { type Asked, Exchange, type Message } from "./exchange.js";
import { type FetchHandler, fetchAnswer } from "./fetch.js";
import { Listener } from "./listener.js";

/** The types of services whose `serve` is an app of JavaScript. */
const TYPES = ["fetch", "express", "node-http"];

type Serve = (asked: Asked) => Promise<Message[] | undefined>;

/** A service as it is registered: a web app of JavaScript becomes one that servers know how to ask. */
export function hosted(service: Service): Service {
  const given = service as { type?: unknown; config?: object | null; serve?: unknown };
  const { config, serve } = given;
  const type = String(given.type ?? "").toLowerCase();
  if (!TYPES.includes(type)) return service;
  const { whole_url: isWhole = false } = (config ?? {}) as { whole_url?: boolean };
  if (typeof isWhole !== "boolean") throw new InvalidError("`config.whole_url` is true or false");
  const answer = type === "fetch" ? fetching(serve, isWhole) : listening(type, serve, isWhole);
  return withFields(service, {
    type: "asgi",
    // by this servers know that links may be whole, and that several messages may go together
    config: { root_path: true, ...config, app_protocol: 2 },
    serve: logged(answer),
  });
}

function fetching(serve: unknown, isWhole: boolean): Serve {
  const { fetch } = (serve ?? {}) as { fetch?: unknown };
  const found = typeof fetch === "function" ? fetch : serve;
  if (typeof found !== "function") {
    throw new InvalidError(
      "a service of type fetch needs a function `(request) => response`, or an object with such a `fetch`, as `serve`",
    );
  }
  const handler: FetchHandler = (...args) => Reflect.apply(found, serve, args);
  return (asked) => {
    const exchange = new Exchange(asked);
    return exchange.run(() => fetchAnswer(handler, { isWhole }, exchange));
  };
}

function listening(type: string, serve: unknown, isWhole: boolean): Serve {
  if (typeof serve !== "function" && !(serve instanceof Server)) {
    throw new InvalidError(
      `a service of type ${type} needs an app, a function \`(request, response)\`, as \`serve\``,
    );
  }
  const listener = new Listener(serve as never);
  return (asked) => {
    const exchange = new Exchange(asked);
    return exchange.run(() => listener.answer(exchange, isWhole));
  };
}

/** The function that servers call; what fails in an app is shown to its owner. */
function logged(answer: Serve): Serve {
  return async function serve(asked) {
    const { scope } = asked;
    try {
      return await answer(asked);
    } catch (error) {
      console.error(`the app failed at ${scope.method ?? scope.type} ${scope.path}:`, error);
      throw error;
    }
  };
}
