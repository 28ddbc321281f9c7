// Ways to a connection: options, the environment, the URL of a service, logging in.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream";
import { after, before, describe, test } from "node:test";
import native from "../lib/native.cjs";
import { PACKAGE, runProgram, serverForFile } from "./server.mjs";

const polyfn = await import(PACKAGE);
const { connectToServer, getRemoteService, InvalidError, login, logout, parseServiceUrl } = polyfn;
const server = await serverForFile();

let api;

before(async () => {
  api = await connectToServer(server.url);
});
after(async () => {
  await api?.disconnect();
});

describe("options", () => {
  const reached = async (...given) => {
    const client = await connectToServer(...given);
    await client.disconnect();
    return client.clientId;
  };

  test("are all the limits that the core has, in either way of writing them", async () => {
    const names = native.limitNames();
    assert.ok(names.length >= 11);
    const declared = readFileSync(join(dirname(PACKAGE), "options.d.ts"), "utf8");
    for (const name of names) {
      const camel = name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
      assert.ok(declared.includes(`${name}?:`) && declared.includes(`${camel}?:`), name);
      await assert.rejects(reached(server.url, { [camel]: 0 }), { code: "invalid" });
    }
  });

  test("may be a URL, and written in either way", async () => {
    assert.equal(await reached(server.url, { clientId: "one" }), "one");
    assert.equal(await reached({ server_url: server.url, client_id: "two" }), "two");
    assert.equal(await reached({ serverUrl: server.url, client_id: "three", method_timeout: 5 }), "three");
    assert.equal(
      await reached({ server: { url: server.url, WebSocketClass: class {} }, clientId: "four" }),
      "four",
    );
  });

  test("of hypha-rpc without a meaning here are taken", async () => {
    const inert = { logger: null, silent: false, kwargs_expansion: false, WebSocketClass: class {} };
    const nothing = { webrtc: false, transport: "websocket", encryption: false, webrtc_config: null };
    assert.equal(await reached({ serverUrl: server.url, clientId: "inert", ...inert, ...nothing }), "inert");
  });

  test("that do not exist are refused", async () => {
    for (const [options, message] of [
      [
        { serverUrl: server.url, workspaces: "lab" },
        /has no option `workspaces`, did you mean `workspace`\?/,
      ],
      [{ server_url: server.url, colour: "red" }, /has no option `colour`$/],
      [{ serverUrl: server.url, webrtc: true }, /does not offer `webrtc` yet/],
      [{ token: "t" }, /server_url is required/],
      [{ serverUrl: server.url, ssl: 5 }, /ssl must be/],
      [{ serverUrl: server.url, additionalHeaders: { host: "elsewhere" } }, /header `host` belongs/],
      [
        { serverUrl: server.url, additionalHeaders: { "no name": "x" } },
        /`no name` is not the name of a header/,
      ],
      [{ serverUrl: server.url, methodTimeout: -1 }, /not a time in seconds/],
      [{ serverUrl: server.url, max_call: 5 }, /did you mean `maxCalls`\?/],
      [
        { serverUrl: server.url, chunkSize: 0 },
        /long_message_chunk_size is 0, it must be 1024 bytes at least/,
      ],
      [{ serverUrl: server.url, chunkSize: -5 }, /chunkSize must be a whole number from 1 on, not -5/],
      [{ serverUrl: server.url, chunkSize: 1.5 }, /chunkSize must be a whole number from 1 on, not 1.5/],
      [{ serverUrl: server.url, pingInterval: 0 }, /ping_interval is 0/],
      [{ serverUrl: server.url, maxCalls: 0 }, /max_calls must be a whole number from 1 on, not 0/],
      [
        { serverUrl: server.url, streamWindow: 1.5 },
        /stream_window must be a whole number from 1 on, not 1.5/,
      ],
    ]) {
      await assert.rejects(connectToServer(options), { code: "invalid", message });
    }
  });

  test("of a wrong type are refused", async () => {
    for (const [options, message] of [
      [{ encryption: "yes" }, /encryption must be true or false, found a string/],
      [{ clientId: 5 }, /clientId must be a string, found a number/],
      [{ methodTimeout: "5" }, /methodTimeout must be a number of seconds, found a string/],
      [{ encryptionPrivateKey: 5 }, /must be 64 hexadecimal digits or 32 bytes, found a number/],
      [{ additionalHeaders: "x" }, /must be an object of names and values, found a string/],
      [{ max_calls: "4" }, /max_calls must be a number, found a string/],
    ]) {
      await assert.rejects(connectToServer(server.url, options), { name: "InvalidError", message });
    }
  });

  test("of calls and ids that are none are refused", async () => {
    const named = (message) => ({ name: "InvalidError", message });
    const id = named(/must be an id \(a text, not empty\), found undefined/);
    for (const call of ["getService", "unregisterService", "ping"]) await assert.rejects(api[call](), id);
    for (const types of [undefined, [5]]) {
      await assert.rejects(api.subscribe(types), named(/the type of an event must be a string/));
      await assert.rejects(api.unsubscribe(types), named(/the type of an event must be a string/));
    }
    const { withOptions } = api.echo;
    assert.throws(() => withOptions({ signal: 5 }), named(/signal must be an AbortSignal/));
    assert.throws(() => withOptions({ timeout: "5" }), named(/timeout must be a number of seconds/));
    assert.throws(() => withOptions({ timout: 3 }), named(/no option `timout`, expected signal, timeout/));
  });

  test("may set limits", async () => {
    let release;
    const released = new Promise((resolve) => {
      release = resolve;
    });
    await api.registerService({ id: "waiting", wait: () => released }, { overwrite: true });
    const token = await api.generateToken();
    // one or two of them may be the connection's own
    const client = await connectToServer(server.url, { workspace: api.workspace, token, max_calls: 4 });
    try {
      const service = await client.getService("waiting");
      const calls = Array.from({ length: 5 }, () => service.wait());
      await Promise.race(calls).catch(() => {});
      release("done");
      const ends = await Promise.allSettled(calls);
      const refused = ends.filter((end) => end.status === "rejected");
      assert.ok(refused.length >= 1 && refused.length <= 3);
      for (const { reason } of refused) assert.match(reason.message, /4 calls are under way already/);
    } finally {
      await client.disconnect();
    }
  });

  test("may add headers", async () => {
    assert.equal(
      await reached({ serverUrl: server.url, clientId: "h", additionalHeaders: { "x-lab": 1 } }),
      "h",
    );
  });
});

describe("the environment", () => {
  const program = `
    const { connectToServer } = await import(process.argv[1]);
    process.chdir(process.argv[2]);
    const api = await connectToServer();
    console.log(JSON.stringify([api.clientId, api.workspace]));
    await api.disconnect();
  `;
  const variables = (values) =>
    Object.entries(values).map(([name, value]) => `process.env.${name} = ${JSON.stringify(value)};`);
  const run = async (folder, values) => {
    const source = [...variables(values), program].join("\n");
    const { output, errors, code } = await runProgram(source, [PACKAGE, folder]);
    return code === 0 ? JSON.parse(output) : errors;
  };
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "polyfn-env-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  test("says where to connect when no option does", async () => {
    const token = await api.generateToken();
    const values = { HYPHA_SERVER_URL: server.url, HYPHA_TOKEN: token, HYPHA_CLIENT_ID: "by-environment" };
    const expected = ["by-environment", api.workspace];
    assert.deepEqual(await run(folder, { ...values, HYPHA_WORKSPACE: api.workspace }), expected);
    const ours = { POLYFN_CLIENT_ID: "by-ours", ...values };
    assert.deepEqual(await run(folder, ours), ["by-ours", api.workspace]);
  });

  test("may be a file .env in this folder or above", async () => {
    const inner = join(folder, "a", "b");
    mkdirSync(inner, { recursive: true });
    writeFileSync(
      join(folder, ".env"),
      `# settings\nHYPHA_SERVER_URL=${server.url}\nHYPHA_CLIENT_ID="by-file"\n`,
    );
    assert.equal((await run(inner, {}))[0], "by-file");
    assert.equal((await run(inner, { HYPHA_CLIENT_ID: "by-variable" }))[0], "by-variable");
    const elsewhere = { HYPHA_SERVER_URL: server.url };
    assert.notEqual(
      (await run(inner, elsewhere))[0],
      "by-file",
      "a server that is named leaves the file unread",
    );
  });

  test("that says nothing is no server", async () => {
    assert.match(await run(tmpdir(), {}), /server_url is required.*HYPHA_SERVER_URL/);
  });
});

describe("the URL of a service", () => {
  test("is taken apart", () => {
    const parts = (url) => Object.values(parseServiceUrl(url));
    assert.deepEqual(parts("https://lab.example/my-lab/services/calc"), [
      "https://lab.example",
      "my-lab",
      "*",
      "calc",
      "*",
    ]);
    assert.deepEqual(parts("http://localhost:1/base/my-lab/services/robot:calc@app/"), [
      "http://localhost:1/base",
      "my-lab",
      "robot",
      "calc",
      "app",
    ]);
    for (const bad of [
      "https://lab.example/calc",
      "lab/services/x",
      "https://h/w/services/a:b:c",
      "",
      undefined,
    ]) {
      assert.throws(() => parseServiceUrl(bad), InvalidError);
    }
  });

  test("is all that it takes to call it", async () => {
    const config = { visibility: "public" };
    const service = { id: "calc", config, add_up: (a, b) => a + b };
    const { id } = await api.registerService(service);
    const url = `${server.url}/${api.workspace}/services/calc`;
    const calc = await getRemoteService(url);
    assert.equal(await calc.add_up(1, 2), 3);
    await calc[Symbol.asyncDispose]();
    await assert.rejects(calc.add_up(1, 2), { code: "peer_gone" });
    const exact = await getRemoteService(`${server.url}/${api.workspace}/services/${id.split("/")[1]}`, {
      server_url: `${server.url}/`,
      clientId: "guest",
      caseConversion: "camel",
    });
    assert.equal(await exact.addUp(3, 4), 7);
    await exact[Symbol.asyncDispose]();
    const elsewhere = { serverUrl: "http://elsewhere" };
    await assert.rejects(getRemoteService(url, elsewhere), {
      code: "invalid",
      message: /is not that of the service/,
    });
    await assert.rejects(getRemoteService(`${url}-none`), { code: "not_found" });
  });

  test("goes by HTTP alone, where that is asked", async () => {
    let said = "";
    const proxy = createServer((socket) => {
      socket.on("data", (data) => {
        said += data.toString("latin1");
      });
      pipeline(socket, connect(server.port, "127.0.0.1"), socket, () => undefined);
    }).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const url = `http://127.0.0.1:${proxy.address().port}`;
    try {
      const client = await polyfn.connectToServerHTTP(url, { clientId: "by-http" });
      assert.equal(client.clientId, "by-http");
      const config = { visibility: "public" };
      await client.registerService({ id: "calc", config, add: (a, b) => a + b });
      const calc = await polyfn.getRemoteServiceHTTP(`${url}/${client.workspace}/services/by-http:calc`);
      assert.equal(await calc.add(1, 2), 3);
      await calc[Symbol.asyncDispose]();
      await client.disconnect();
      assert.match(said, /\/rpc/);
      assert.doesNotMatch(said, /upgrade: websocket/i);
    } finally {
      proxy.close();
    }
  });

  test("does not keep the process once nothing is called", async () => {
    const source = `
      const { getRemoteService } = await import(process.argv[1]);
      const calc = await getRemoteService(process.argv[2]);
      console.log(await calc.add_up(20, 3));
    `;
    await api.registerService(
      { id: "calc", config: { visibility: "public" }, add_up: (a, b) => a + b },
      true,
    );
    const { code, output } = await runProgram(source, [
      PACKAGE,
      `${server.url}/${api.workspace}/services/calc`,
    ]);
    assert.deepEqual([code, output], [0, "23"]);
  });
});

describe("logging in", () => {
  const asked = [];
  const found = { token: "the-token", email: "ann@lab.example" };
  let loginServiceId;
  before(async () => {
    const { id } = await api.registerService({
      id: "a-login",
      type: "functions",
      config: { visibility: "public" },
      start: (workspace, expires_in) => {
        asked.push(["start", workspace, expires_in]);
        return { key: "k", login_url: "https://lab.example/login?key=k" };
      },
      check: (key, timeout, profile) => {
        asked.push(["check", key, timeout, profile]);
        return profile ? found : found.token;
      },
    });
    loginServiceId = id;
  });

  test("shows where to go and gives the token", async () => {
    const shown = [];
    const options = {
      serverUrl: server.url,
      loginServiceId,
      loginCallback: ({ login_url }) => shown.push(login_url),
    };
    assert.equal(await login(options), "the-token");
    assert.deepEqual(shown, ["https://lab.example/login?key=k"]);
    const more = {
      server_url: server.url,
      login_service_id: loginServiceId,
      login_callback: () => undefined,
    };
    const settings = { workspace: "lab", expires_in: 60, login_timeout: 5, profile: true };
    assert.deepEqual(await login({ ...more, ...settings }), found);
    await login({ ...more, expiresIn: 70 });
    const started = asked
      .filter(([kind]) => kind === "start")
      .map(([, ...rest]) => rest.map((value) => value ?? null));
    assert.deepEqual(started, [
      [null, null],
      ["lab", 60],
      [null, 70],
    ]);
    const checked = asked.filter(([kind]) => kind === "check");
    assert.deepEqual(checked, [
      ["check", "k", 60, false],
      ["check", "k", 5, true],
      ["check", "k", 60, false],
    ]);
  });

  for (const loginTimeout of [0, -1, Number.NaN, "5"])
    test(`does not wait for nobody: ${loginTimeout}`, async () => {
      const message = /login_timeout must be a number of seconds above 0/;
      await assert.rejects(login({ serverUrl: server.url, loginServiceId, loginTimeout }), { message });
    });

  test("takes the URL alone", async () => {
    await assert.rejects(login("nowhere"), { code: "invalid", message: /nowhere/ });
    await assert.rejects(logout("nowhere"), { code: "invalid", message: /nowhere/ });
  });

  test("out is what the service says, if it can", async () => {
    const options = { serverUrl: server.url, loginServiceId };
    await assert.rejects(logout(options), { code: "not_found", message: /has no logout/ });
    const { id } = await api.registerService({
      id: "b-login",
      config: { visibility: "public" },
      logout: () => ({ logout_url: "https://lab.example/logout" }),
    });
    const shown = [];
    const logoutCallback = ({ logout_url }) => shown.push(logout_url);
    const left = await logout({ ...options, loginServiceId: id, logoutCallback });
    assert.deepEqual(
      [left.logout_url, ...shown],
      ["https://lab.example/logout", "https://lab.example/logout"],
    );
  });

  test("fails as connecting does", async () => {
    await assert.rejects(login({ serverUrl: "http://127.0.0.1:1" }), { code: "peer_gone" });
    await assert.rejects(login({ serverUrl: server.url, loginServiceId: "no-such" }), { code: "not_found" });
    await assert.rejects(login({}), { code: "invalid" });
  });
});
