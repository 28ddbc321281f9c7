// What TypeScript must accept, refuse and infer. tsc checks this file; nothing runs it.
import { Hono } from "hono";
import * as zod from "zod";
import {
  type AppInfo,
  type AppSocket,
  type Client,
  type Context,
  connectToServer,
  currentSignal,
  currentTrace,
  type ErrorCode,
  type FetchHandler,
  type FunctionEvent,
  type FunctionResponse,
  getRemoteService,
  hyphaWebsocketClient,
  login,
  logout,
  NdArray,
  NotFoundError,
  type RemoteFile,
  type RemoteFunction,
  type RemoteStream,
  RpcError,
  type ServiceInfo,
  schemaFunction,
  schemaMethod,
  upgradeWebSocket,
  z,
} from "../js/index.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual>(_: Actual, ..._same: Same<Actual, Expected> extends true ? [] : [never]) => undefined;
}

export async function connecting(): Promise<void> {
  expectType<Client>()(await connectToServer({ server_url: "http://localhost:9527" }));
  await connectToServer({ serverUrl: "http://localhost:9527", methodTimeout: 3, token: null });
  await connectToServer({ server_url: "http://localhost:9527", clientId: "mixed", method_timeout: 3 });
  await connectToServer();
  await connectToServer("http://localhost:9527", { token: "t" });
  await connectToServer({ server_url: "http://localhost:9527", logger: null, transport: "http", ssl: false });
  // @ts-expect-error: a server is needed
  await connectToServer({ token: "t" });
  // @ts-expect-error: no such option
  await connectToServer({ server_url: "http://localhost:9527", colour: "red" });
  // @ts-expect-error: seconds are a number
  await connectToServer({ server_url: "http://localhost:9527", method_timeout: "3" });
}

export async function using(api: Client): Promise<void> {
  expectType<string>()(api.workspace);
  expectType<string>()(api.clientId);
  expectType<string>()(api.client_id);
  expectType<string>()(api.config.workspace);
  expectType<ServiceInfo>()(await api.registerService({ id: "s", add: (a: number, b: number) => a + b }));
  expectType<ServiceInfo>()(await api.register_service({ id: "s" }, { overwrite: true }));
  expectType<ServiceInfo[]>()(await api.listServices());
  expectType<ServiceInfo[]>()(await api.list_services({ type: "functions" }));
  expectType<number>()(await api.echo(5 as number));
  expectType<string>()(await api.generateToken({ permission: "read" }));
  expectType<string>()(await api.generate_token());
  expectType<void>()(await api.unregister_service("s"));
  const service = await api.getService("s");
  await service.add(1, 2);
  await (await api.get_service("s")).nested.deep.hello("you", { greeting: "hi", _rkwargs: true });
  await api.manager.get_env("key");
  await api.registerService({ id: "s" }, true);
  await api.register_service({ id: "s" }, { notify: false, checkType: true });
  await api.getService("s", { mode: "random", caseConversion: "camel+snake" });
  // @ts-expect-error: no such case
  await api.getService("s", { caseConversion: "kebab" });
  expectType<ServiceInfo[]>()(await api.list_apps());
  expectType<"connecting" | "connected" | "disconnected" | "closed">()(api.connectionState);
  expectType<string>()(await api.rpc.ping("client", 1));
  expectType<string>()(api.rpc.get_client_info().id);
  await api.rpc.register_service({ id: "s" });
  await api.wait_for("news", 3);
  await api.subscribe(["news"]);
  api.on("connected", (info) => info).off("connected");
  api.emit({ type: "news", to: "*", data: 1 });
  await api.disconnect();
  // @ts-expect-error: no such method
  await api.registerServise({ id: "s" });
  // @ts-expect-error: a service is an object
  await api.registerService("s");
  // @ts-expect-error: no such permission
  await api.generateToken({ permission: "everything" });
  // @ts-expect-error: an event has a type
  api.emit({ to: "*" });
}

export async function disposing(): Promise<void> {
  const api: AsyncDisposable = await connectToServer({ server_url: "http://localhost:9527" });
  await api[Symbol.asyncDispose]();
}

export function failing(error: unknown): string | undefined {
  if (error instanceof NotFoundError) expectType<ErrorCode>()(error.code);
  // @ts-expect-error: no such code
  if (error instanceof RpcError && error.code === "teapot") return undefined;
  return error instanceof RpcError ? error.remoteTraceback : undefined;
}

export function functions(): Record<string, (event: FunctionEvent, context: Context) => FunctionResponse> {
  return {
    hello: (event, context) => ({ status: 200, body: `${event.method} ${event.path} ${context.user.id}` }),
    body: (event) => ({ body: event.body?.toString("utf8"), headers: { "x-a": ["1", "2"] } }),
    pairs: () => ({ headers: [["set-cookie", "a=1"]] }),
    // @ts-expect-error: a status is a number
    wrong: () => ({ status: "200" }),
  };
}

export async function remote(call: RemoteFunction): Promise<void> {
  expectType<string>()(call.__name__);
  expectType<string | null>()(call.__doc__);
  await call(1, "two");
  // @ts-expect-error: a name is only told
  call.__name__ = "other";
}

export async function values(api: Client, file: RemoteFile): Promise<void> {
  expectType<number[]>()(new NdArray(new Float32Array(4), [2, 2]).shape);
  // @ts-expect-error: lists have no type of elements
  new NdArray([1, 2], [2]);
  expectType<Uint8Array>()(await file.bytes());
  class Point {
    constructor(
      readonly x: number,
      readonly y: number,
    ) {}
  }
  const decoder = ({ x, y }: Point): Point => new Point(x, y);
  api.registerCodec({ name: "point", type: Point, encoder: ({ x, y }) => ({ x, y }), decoder });
  api.register_codec({ name: "form", decoder: (form) => form });
  // @ts-expect-error: a codec has a name
  api.registerCodec({ decoder });
}

export async function streams(stream: RemoteStream<number>): Promise<void> {
  for await (const item of stream) {
    expectType<number>()(item);
  }
  expectType<ReadableStream<number>>()(stream.toReadableStream());
  await stream.return();
  await stream[Symbol.asyncDispose]();
}

export async function reaching(url: string): Promise<void> {
  await using service = await getRemoteService(url, { clientId: "me", caseConversion: "camel" });
  await service.add(1, 2);
  expectType<string>()(
    await login({ serverUrl: "http://localhost:9527", loginCallback: (context) => context.key }),
  );
  const profile = await login({ server_url: "http://localhost:9527", profile: true });
  expectType<string | undefined>()(profile.email);
  expectType<string>()((await logout({ serverUrl: "http://localhost:9527" })).logout_url);
  expectType<Client>()(await hyphaWebsocketClient.connectToServer({ server_url: "http://localhost:9527" }));
}

export function describing(): void {
  const add = (a: number, b: number) => a + b;
  const parameters = { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } };
  expectType<typeof add>()(schemaFunction(add, { name: "add", parameters }));
  schemaFunction(add, {
    parameters: z.object({ a: z.number().describe("the first"), b: z.optional(z.number()) }),
  });
  schemaFunction(add, { parameters: zod.object({ a: zod.number(), b: zod.number() }) });
  // @ts-expect-error: a schema has parameters
  schemaFunction(add, { name: "add" });
  class Calculator {
    @schemaMethod({ parameters })
    add(a: number, b: number) {
      return add(a, b);
    }
  }
  new Calculator().add(1, 2);
}

export async function givingUp(call: RemoteFunction): Promise<void> {
  expectType<RemoteFunction>()(call.withOptions({ signal: AbortSignal.timeout(5), timeout: 3 }));
  expectType<AbortSignal | undefined>()(currentSignal());
  expectType<string | undefined>()(currentTrace());
  // @ts-expect-error: seconds are a number
  call.withOptions({ timeout: "3" });
  // @ts-expect-error: no such option
  call.withOptions({ patience: 3 });
}

export function webApps(): FetchHandler[] {
  const app = new Hono<{ Bindings: AppInfo }>();
  app.get("/", (c) => c.text(`${c.env.rootPath} ${c.env.user?.id}`));
  const chat: FetchHandler = (request, info, context) => {
    expectType<string>()(info.rootPath);
    context.waitUntil(Promise.resolve());
    const { socket, response } = upgradeWebSocket(request, { protocol: "chat" });
    expectType<AppSocket>()(socket);
    expectType<Response>()(response);
    socket.onclose = ({ code }) => expectType<number>()(code);
    return response;
  };
  // @ts-expect-error: a text is no answer
  const wrong: FetchHandler = () => "hello";
  return [app.fetch, chat, wrong];
}
