"""Logging in through `public/hypha-login`: by the published clients, by ours, and by plain requests.

Without `from __future__ import annotations`: the published client does not understand types that are text.
"""

import asyncio
import json
import shlex
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import hypha_rpc
import jwt
import polyfn
import pytest
from polyfn import sync
from runner import tokens
from runner.documents import blocks
from runner.logins import ask
from runner.peers import ROOT, environment, node_command
from runner.servers import ROOT_TOKEN
from runner.waiting import eventually

WRITTEN = "http://localhost:9527"

ADA = tokens.member("ada")
CLIENTS = {"hypha_rpc": hypha_rpc, "polyfn": polyfn}


def report(context, token: str = "", **more) -> None:
    """What the page of a provider of one's own does when its user has logged in."""
    query = urllib.parse.urlencode({"key": context["key"], "token": token or ADA, **more})
    with urllib.request.urlopen(f"{context['report_url']}?{query}", timeout=30) as answer:
        assert json.load(answer) is None


def claims(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture(scope="module")
def service(polyfn_server):
    return f"{polyfn_server.url}/public/services/hypha-login"


@pytest.mark.parametrize("package", CLIENTS)
async def test_python_clients_log_in_and_out(polyfn_server, package):
    client, seen = CLIENTS[package], {}

    async def show(context):
        seen.update(context)
        await asyncio.to_thread(report, context, email_verified=True, name="Ada", nickname=12)

    config = {"server_url": polyfn_server.url, "login_callback": show, "login_timeout": 20}
    token = await client.login(config)
    assert token == ADA, "without wishes the token comes as it was reported"
    assert seen["login_url"] == f"{polyfn_server.url}/public/apps/hypha-login/?key={seen['key']}"
    # the published client keeps the time to itself when there is no workspace with it
    profile = await client.login(
        {**config, "profile": True, "expires_in": 60, "workspace": tokens.own_workspace("ada")}
    )
    assert seen["login_url"].endswith("&workspace=ws%2Duser%2Dada")
    told = {key: profile[key] for key in ("name", "nickname", "user_id", "expires_in", "picture")}
    assert told == {"name": "Ada", "nickname": "12", "user_id": "ada", "expires_in": 60, "picture": None}

    async def look(context):
        seen.update(context)

    out = {"server_url": polyfn_server.url, "logout_callback": look}
    await client.logout(out)
    assert seen["logout_url"].endswith("/public/apps/hypha-login/?logout=true&close=true")


def test_the_blocking_client_logs_in(polyfn_server):
    def show(context):
        threading.Thread(target=report, args=(context,)).start()

    token = sync.login({"server_url": polyfn_server.url, "login_callback": show, "login_timeout": 20})
    assert token == ADA


NODE = """
import { createRequire } from "node:module";
const [from, server_url, token] = process.argv.slice(2);
const require = createRequire(process.cwd() + "/");
const own = process.cwd() + "/bindings-node/lib/index.js";
const module = from === "polyfn" ? await import(own) : require(from);
const login = (module.hyphaWebsocketClient ?? module).login;
const login_callback = async (context) => {
  const query = new URLSearchParams({ key: context.key, token });
  await (await fetch(`${context.report_url}?${query}`)).text();
};
const options = { server_url, login_callback, login_timeout: 20, workspace: "ws-user-ada", expires_in: 70 };
console.log(JSON.stringify({ token: await login(options) }));
process.exit(0);
"""


@pytest.mark.parametrize("package", ["hypha-rpc", "polyfn"])
def test_node_clients_log_in(polyfn_server, tmp_path, package):
    program = tmp_path / "login.mjs"
    program.write_text(NODE)
    command = [*node_command(program), package, polyfn_server.url, ADA]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr
    token = json.loads(done.stdout.splitlines()[-1])["token"]
    assert claims(token)["scope"] == "ws:ws-user-ada#a wid:ws-user-ada"


async def test_a_workspace_asked_for_is_honoured(polyfn_server):
    async def show(context):
        await asyncio.to_thread(report, context, workspace="another-one", expires_in=99)

    config = {"server_url": polyfn_server.url, "login_callback": show, "workspace": "ws-user-ada"}
    token = await polyfn.login({**config, "expires_in": 50})
    found = claims(token)
    assert found["scope"] == "ws:ws-user-ada#a wid:ws-user-ada", (
        "what the program asks for stands above the page"
    )
    assert found["exp"] - found["iat"] == 50
    async with polyfn.connect_to_server({"server_url": polyfn_server.url, "token": token}) as client:
        assert client.config.workspace == "ws-user-ada"


def test_a_workspace_asked_for_by_plain_requests_is_honoured(service):
    started = ask(f"{service}/start", workspace="ws-user-ada")
    assert started["login_url"].endswith("&workspace=ws%2Duser%2Dada")
    report(started)
    found = claims(ask(f"{service}/check", key=started["key"]))
    assert found["scope"] == "ws:ws-user-ada#a wid:ws-user-ada"
    assert (found["sub"], found["exp"] - found["iat"]) == ("ada", 3600)


def test_nobody_gets_more_than_they_have(service):
    for workspace in ("ws-user-eve", "public", "*", "ws-user-ada ws:other#a"):
        key = ask(f"{service}/start", workspace=workspace)["key"]
        status, text = ask(f"{service}/report", key=key, token=ADA)
        assert (status, "Permission denied for workspace" in text) == (403, True)
    narrow = tokens.Token(user="ada-2", workspace="lab-one", permission="r").sign()
    key = ask(f"{service}/start", workspace="ws-user-ada-2")["key"]
    assert ask(f"{service}/report", key=key, token=narrow)[0] == 403, "a token for one workspace stays there"
    key = ask(f"{service}/start", workspace="lab-one", expires_in=10**8)["key"]
    ask(f"{service}/report", key=key, token=narrow)
    found = claims(ask(f"{service}/check", key=key))
    assert found["scope"] == "ws:lab-one#r wid:lab-one"
    assert found["exp"] <= claims(narrow)["exp"] + 1, "nor does it live longer"


def test_the_root_token_itself_is_never_handed_out(service):
    key = ask(f"{service}/start")["key"]
    ask(f"{service}/report", key=key, token=ROOT_TOKEN)
    token = ask(f"{service}/check", key=key)
    assert token != ROOT_TOKEN
    assert claims(token)["sub"] == "root"


def test_reports_are_checked(service):
    key = ask(f"{service}/start")["key"]
    forged = jwt.encode(claims(ADA), "another key" * 5, "HS256")
    special = tokens.Token(user="ada", workspace="ws-user-ada", words=("get_file:a:b",)).sign()
    for token, why in ((forged, "Signature"), ("x", "Error decoding"), (special, "Specialized token")):
        status, text = ask(f"{service}/report", key=key, token=token)
        assert (status, "Invalid token provided to report_login" in text, why in text) == (400, True, True)
    assert ask(f"{service}/check", key=key, timeout=0) is None, "still waiting"
    assert ask(f"{service}/report", key="no-such-key", token=ADA)[0] == 400


def test_a_key_gives_its_token_once_and_to_whoever_waits(service):
    key = ask(f"{service}/start")["key"]
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(ask, f"{service}/check", key=key, timeout=20) for _ in range(3)]
        ask(f"{service}/report", key=key, token=ADA)
        answers = [task.result() for task in waiting]
    assert answers.count(ADA) == 1, answers
    assert sum(answer[0] == 400 for answer in answers if not isinstance(answer, str)) == 2
    status, text = ask(f"{service}/check", key=key)
    assert (status, text) == (
        400,
        "RemoteException: AssertionError: Invalid key, key does not exist or expired",
    )


def test_waiting_ends_with_a_timeout(service):
    key = ask(f"{service}/start")["key"]
    assert ask(f"{service}/check", key=key, timeout=-1) is None
    status, text = ask(f"{service}/check", key=key, timeout=0.2)
    assert (status, text) == (504, "RemoteException: TimeoutError: Login timeout, waited for 0.2 seconds")


def test_a_token_can_be_made_by_who_has_one(service):
    made = ask(f"{service}/generate", ADA, workspace="ws-user-ada")
    assert claims(made)["scope"] == "ws:ws-user-ada#a wid:ws-user-ada"
    assert ask(f"{service}/generate")[0] == 403


def test_a_narrowed_token_makes_no_other(service):
    manager = service.replace("hypha-login", "ws")
    narrow = ask(f"{manager}/generate_token", ADA, config={"methods": ["add"], "workspace": "ws-user-ada"})
    assert isinstance(narrow, str), narrow
    assert ask(f"{service}/generate", narrow)[0] == 403
    key = ask(f"{service}/start", workspace="ws-user-ada")["key"]
    assert ask(f"{service}/report", key=key, token=narrow)[0] == 403


def test_a_guest_has_a_workspace_of_its_own(polyfn_server, service):
    first, second = (claims(ask(f"{service}/guest", expires_in=seconds)) for seconds in (60, 10**6))
    assert first["https://amun.ai/roles"] == ["anonymous"]
    assert first["sub"] != second["sub"]
    assert first["scope"].startswith(f"ws:ws-user-{first['sub']}#a")
    assert (first["exp"] - first["iat"], second["exp"] - second["iat"]) == (60, 3600)
    token = ask(f"{service}/guest")
    manager = service.replace("hypha-login", "ws")
    assert ask(f"{manager}/echo", token, data="mine") == "mine"
    assert ask(f"{manager}/echo", data="mine")[0] == 403, "without it nothing can be written"
    assert ask(f"{service}/generate", token)[0] == 403


async def test_the_login_service_of_an_operator_takes_the_place_of_ours(polyfn_server, service):
    root = {"server_url": polyfn_server.url, "token": ROOT_TOKEN, "workspace": "public"}
    page = f"{polyfn_server.url}/public/apps/hypha-login/"
    async with polyfn.connect_to_server(root) as operator:
        functions = {
            "index": lambda event: "our own page",
            "start": lambda **_: {"login_url": page, "key": "k", "report_url": ""},
            "check": lambda key, timeout=0, profile=False: f"a token for {key}",
        }
        own = {"id": "hypha-login", "type": "functions", "config": {"visibility": "public"}, **functions}
        await operator.register_service(own)
        for _ in range(5):
            assert await polyfn.login(
                {"server_url": polyfn_server.url, "login_callback": lambda _: None}
            ) == ("a token for k")
        assert await asyncio.to_thread(ask, f"{service}/check", key="k") == "a token for k"
        assert b"our own page" in await asyncio.to_thread(read, page)
    assert await asyncio.to_thread(eventually, lambda: ask_start(service))
    assert b"Log in" in await asyncio.to_thread(read, page)


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def ask_start(service: str) -> bool:
    started = ask(f"{service}/start")
    assert isinstance(started, dict), started
    return len(started["key"]) == 22


async def test_the_examples_of_the_document_run(polyfn_server):
    async def show(context):
        await asyncio.to_thread(report, context)

    code = blocks("docs/identity.md", "python")[0].replace(WRITTEN, polyfn_server.url)
    names = {"show": show}
    lines = "".join(f"    {line}\n" for line in [*code.splitlines(), "return token"])
    exec(f"async def run():\n{lines}", names)
    assert await names["run"]() == ADA
    command = shlex.split(blocks("docs/identity.md", "bash")[0].replace(WRITTEN, polyfn_server.url))
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout)["report_url"] == f"{polyfn_server.url}/public/services/hypha-login/report"
