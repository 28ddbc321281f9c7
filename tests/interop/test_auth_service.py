"""A login provider of one's own: a service of the root user that is asked about tokens and logins.

Without `from __future__ import annotations`: the published client does not understand types that are text.
"""

import asyncio
import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request

import hypha_rpc
import polyfn
import pytest
from runner import tokens
from runner.documents import blocks, run_inside
from runner.logins import ask
from runner.peers import ROOT, environment, node_command
from runner.servers import ROOT_TOKEN, PolyfnServer
from runner.waiting import eventually

CONNECT = {"hypha_rpc": hypha_rpc.connect_to_server, "polyfn": polyfn.connect_to_server}
USERS = {"key-of-ann": "ann", "key.of.bob": "bob"}


@pytest.fixture(scope="module")
def server():
    server = PolyfnServer(arguments=("--auth-service-timeout=1", "--auth-service-cache=60")).start()
    yield server
    server.stop()


def settings(server, **more) -> dict:
    return {"server_url": server.url, "token": ROOT_TOKEN, "workspace": "public", **more}


class Provider:
    """What a provider of one's own does; it counts how often it is asked."""

    def __init__(self):
        self.asked: list[str] = []
        self.free = asyncio.Event()
        self.free.set()

    async def parse_token(self, token: str):
        self.asked.append(token)
        await self.free.wait()
        if token == "key-of-nobody":
            raise ValueError("this key was taken back")
        user = USERS.get(token)
        return user and {
            "id": user,
            "email": f"{user}@example.org",
            "scope": {"workspaces": {"lab-one": "r"}},
        }

    async def get_token(self, scope):
        headers = {bytes(name).decode(): bytes(value).decode() for name, value in scope["headers"]}
        return headers.get("x-api-key")

    async def generate_token(self, user, expires_in):
        return f"made.for.{user['current_workspace']}.{int(expires_in)}"

    async def start(self, workspace=None, expires_in=None):
        return {"login_url": "https://login.example.org/?key=5", "key": "5", "report_url": "", "extra": True}

    async def check(self, key, timeout=0, profile=False):
        return "key-of-ann"

    async def index(self, event):
        return {
            "status": 200,
            "headers": {"Content-Type": "text/html"},
            "body": f"<h1>{event['method']}</h1>",
        }

    def functions(self) -> dict:
        names = ("parse_token", "get_token", "generate_token", "start", "check", "index")
        return {name: getattr(self, name) for name in names}


@contextlib.asynccontextmanager
async def provider(server, package: str = "polyfn", **more):
    """A provider in charge, by one of the Python clients."""
    kept = Provider()
    api = await CONNECT[package](settings(server, **more))
    try:
        if package == "polyfn":
            await api.register_auth_service(**kept.functions())
        else:
            await api.register_service({"id": "my-auth", **kept.functions()})
            await api.register_auth_service("my-auth")
        kept.api = api
        yield kept
        await api.unregister_auth_service()
    finally:
        await api.disconnect()


def whoami(server, **headers) -> str:
    """The user that the server takes a request for, or the status and text of its refusal."""
    request = urllib.request.Request(f"{server.url}/assets/config.json", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["user"]["id"]
    except urllib.error.HTTPError as error:
        return f"{error.code} {json.load(error)['detail']}"


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("package", CONNECT)
async def test_a_provider_says_who_comes(server, package):
    async with provider(server, package) as kept:
        # a token with dots is nobody's but the provider's, though it looks like one of ours
        for token, user in USERS.items():
            assert await asyncio.to_thread(whoami, server, **bearer(token)) == user
            assert await asyncio.to_thread(whoami, server, **bearer(token)) == user
            async with polyfn.connect_to_server({"server_url": server.url, "token": token}) as client:
                assert client.config.workspace == f"ws-user-{user}"
                assert client.config.user["email"] == f"{user}@example.org"
                assert client.config.user["scope"]["workspaces"] == {"lab-one": "r", f"ws-user-{user}": "a"}
                told = await client.parse_token(token)
                assert told["id"] == user
        assert sorted(kept.asked) == sorted(USERS), "each is asked about once"
        # what is the server's own is shown to nobody
        own = tokens.member("carl")
        assert await asyncio.to_thread(whoami, server, **bearer(own)) == "carl"
        assert await asyncio.to_thread(whoami, server, **bearer(ROOT_TOKEN)) == "root"
        expired = tokens.member("carl", lifetime=-5)
        assert "401 The token has expired" in await asyncio.to_thread(whoami, server, **bearer(expired))
        assert sorted(kept.asked) == sorted(USERS)
    assert (
        await asyncio.to_thread(whoami, server, **bearer("key-of-ann")) == "401 Error decoding token headers."
    )


async def test_what_the_provider_refuses_is_refused(server):
    async with provider(server):
        said = await asyncio.to_thread(whoami, server, **bearer("key-of-nobody"))
        assert said.startswith("401 ")
        assert "this key was taken back" in said
        assert "File" not in said
        said = await asyncio.to_thread(whoami, server, **bearer("unknown"))
        assert said == "401 the login service does not know this token"
        with pytest.raises(Exception, match="does not know this token"):
            await polyfn.connect_to_server({"server_url": server.url, "token": "unknown", "reconnect": False})


async def test_the_provider_finds_tokens_in_requests(server):
    async with provider(server) as kept:
        assert await asyncio.to_thread(whoami, server, **{"X-API-Key": "key-of-ann"}) == "ann"
        # usual places come first; a header that nobody can read is shown to the provider before it is refused
        own = bearer(tokens.member("carl"))
        assert await asyncio.to_thread(whoami, server, **own, **{"X-API-Key": "key-of-ann"}) == "carl"
        digest = {"Authorization": "Digest abc"}
        assert await asyncio.to_thread(whoami, server, **digest, **{"X-API-Key": "key.of.bob"}) == "bob"
        assert (await asyncio.to_thread(whoami, server, **digest)).startswith("401 ")
        assert (await asyncio.to_thread(whoami, server)).startswith("anonymouz-")
        assert kept.asked.count("key-of-ann") == 1


async def test_the_provider_makes_tokens(server):
    async with provider(server) as kept:
        made = await kept.api.generate_token({"workspace": "lab-one", "expires_in": 50})
        assert made == "made.for.lab-one.50"
        # a provider knows nothing of narrowed tokens, so these stay the server's own
        made = await kept.api.generate_token({"workspace": "lab-one", "services": ["shop"]})
        assert (await kept.api.parse_token(made))["scope"]["workspaces"] == {"lab-one": "rw"}


async def test_people_log_in_as_the_provider_says(server):
    service = f"{server.url}/public/services/hypha-login"
    async with provider(server):
        seen = {}

        async def show(context):
            seen.update(context)

        for client in (polyfn, hypha_rpc):
            seen.clear()
            login = {"server_url": server.url, "login_callback": show, "login_timeout": 5}
            assert await client.login(login) == "key-of-ann"
            assert seen["login_url"] == "https://login.example.org/?key=5"
        assert (await asyncio.to_thread(ask, f"{service}/start"))["extra"] is True
        # what the provider does not offer stays the server's own
        assert "logout_url" in await asyncio.to_thread(ask, f"{service}/logout")
        page = f"{server.url}/public/apps/hypha-login/"
        with await asyncio.to_thread(urllib.request.urlopen, page, timeout=30) as answer:
            assert (answer.headers["content-type"], answer.read()) == ("text/html", b"<h1>GET</h1>")
    assert "user_code" in await asyncio.to_thread(ask, f"{service}/start"), "the server's own again"
    with await asyncio.to_thread(urllib.request.urlopen, page, timeout=30) as answer:
        assert b"Log in" in answer.read()


async def test_nothing_hangs_with_a_provider_that_does(server):
    async with provider(server) as kept:
        kept.free.clear()
        begun = time.monotonic()
        said = await asyncio.gather(
            *(asyncio.to_thread(whoami, server, **bearer("key-of-ann")) for _ in range(5))
        )
        text = "503 the login service has not answered within 1 s: try again later"
        assert set(said) == {text}
        assert time.monotonic() - begun < 10
        async with polyfn.connect_to_server({"server_url": server.url}) as other:
            assert other.config.user["is_anonymous"], "nobody else waits"
        # the connection is told to come back
        with pytest.raises(Exception, match="has not answered"):
            await polyfn.connect_to_server(
                {"server_url": server.url, "token": "key.of.bob", "reconnect": False}
            )
        kept.free.set()

        def is_ann() -> None:
            assert whoami(server, **bearer("key-of-ann")) == "ann"

        await asyncio.to_thread(eventually, is_ann)


async def test_a_provider_that_is_gone_is_no_refusal(server):
    first = await polyfn.connect_to_server(settings(server, client_id="the-provider"))
    await first.register_auth_service(**Provider().functions())
    await first.disconnect()
    said = await asyncio.to_thread(whoami, server, **bearer("key-of-ann"))
    assert said == "503 the login service is not connected: try again later"
    assert await asyncio.to_thread(whoami, server, **bearer(ROOT_TOKEN)) == "root"
    # what is public goes on, and people can log in
    assert (await asyncio.to_thread(whoami, server, **{"X-API-Key": "key-of-ann"})).startswith("anonymouz-")
    assert "user_code" in await asyncio.to_thread(ask, f"{server.url}/public/services/hypha-login/start")
    # its client has come back: its service is enough
    again = await polyfn.connect_to_server(settings(server, client_id="the-provider"))
    service = {"id": "auth-service", "type": "auth-service", **Provider().functions()}
    await again.register_service(service)
    assert await asyncio.to_thread(whoami, server, **bearer("key-of-ann")) == "ann"
    await again.unregister_auth_service()
    await again.disconnect()


async def test_a_token_of_the_provider_is_revoked(server):
    async with provider(server) as kept:
        client = await polyfn.connect_to_server(
            {"server_url": server.url, "token": "key.of.bob", "reconnect": False}
        )
        gone = asyncio.Event()
        client.on("disconnected", lambda *_: gone.set())
        await kept.api.revoke_token("key.of.bob")
        await asyncio.wait_for(gone.wait(), 5)
        assert await asyncio.to_thread(whoami, server, **bearer("key.of.bob")) == "401 Token has been revoked"
        # a token with the same beginning is another one
        assert await asyncio.to_thread(whoami, server, **bearer("key-of-ann")) == "ann"


async def test_only_the_root_user_registers_one(server):
    async def parse(token):
        return {"id": "root", "roles": ["admin"]}

    mallory = {"server_url": server.url, "token": tokens.member("mallory")}
    async with polyfn.connect_to_server(mallory) as client:
        with pytest.raises(Exception, match="only the root user may register an auth service"):
            await client.register_auth_service(parse_token=parse)
        with pytest.raises(Exception, match="only the root user"):
            await client.unregister_auth_service()
        assert (await asyncio.to_thread(whoami, server, **bearer("anything"))).startswith(
            "401 Error decoding"
        )
    async with polyfn.connect_to_server(settings(server, workspace="lab-one")) as client:
        with pytest.raises(Exception, match="must be in the workspace `public` or `ws-user-root`"):
            await client.register_auth_service(parse_token=parse)
    client = await hypha_rpc.connect_to_server(settings(server))
    with pytest.raises(Exception, match="register them as a service"):
        await client.register_auth_service(parse_token=parse)
    await client.register_service({"id": "empty", "number": 5})
    with pytest.raises(Exception, match="the service has no functions"):
        await client.register_auth_service("empty")
    await client.disconnect()


async def test_it_is_in_the_audit_log(server):
    async with provider(server), polyfn.connect_to_server(settings(server, workspace="ws-user-root")) as root:
        admin = await root.get_service("admin-utils")
        log = await admin.audit_log()
    entry = next(entry for entry in log if entry["what"] == "register_auth_service")
    assert entry["by"] == "root"
    assert entry["target"].endswith(":auth-service")
    assert entry["details"] == "check, generate_token, get_token, index, parse_token, start"


NODE = """
import { createRequire } from "node:module";
const [from, server_url, token] = process.argv.slice(2);
const require = createRequire(process.cwd() + "/");
const own = process.cwd() + "/bindings-node/lib/index.js";
const module = from === "polyfn" ? await import(own) : require(from);
const connect = (module.hyphaWebsocketClient ?? module).connectToServer;
const api = await connect({ server_url, token, workspace: "public" });
const text = (bytes) => new TextDecoder().decode(bytes);
const functions = {
  parse_token: async (token) => (token === "key-of-ann" ? { id: "ann" } : null),
  get_token: async (scope) => {
    const found = scope.headers.find(([name]) => text(name) === "x-api-key");
    return found ? text(found[1]) : null;
  },
};
if (from === "polyfn") await api.registerAuthService(functions);
else {
  await api.registerService({ id: "my-auth", ...functions });
  await api.registerAuthService("my-auth");
}
console.log("ready");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
"""


@pytest.mark.parametrize("package", ["hypha-rpc", "polyfn"])
def test_a_provider_in_node(server, tmp_path, package):
    program = tmp_path / "provider.mjs"
    program.write_text(NODE)
    command = [*node_command(program), package, server.url, ROOT_TOKEN]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment(), **pipes) as running:
        lines = iter(running.stdout.readline, "")
        assert any(line.strip() == "ready" for line in lines)
        assert whoami(server, **bearer("key-of-ann")) == "ann"
        assert whoami(server, **{"X-API-Key": "key-of-ann"}) == "ann"
        running.stdin.close()


async def test_the_example_of_the_documentation_runs(server):
    source = next(code for code in blocks("docs/identity.md", "python") if "register_auth_service" in code)
    async with polyfn.connect_to_server(settings(server)) as root:
        await run_inside(source, {"server": root})
        assert await asyncio.to_thread(whoami, server, **bearer("a-long-random-key")) == "ann"
        await root.unregister_auth_service()
