"""What the root user does with a running server, and that nobody else does."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess

import pytest
from runner import tokens
from runner.servers import ROOT_TOKEN, polyfn_binary
from runner.sockets import RawClient, RemoteError
from runner.web import get, post_json
from websockets.exceptions import ConnectionClosed


@pytest.fixture
def admin(polyfn_server):
    """Calls a function of `admin-utils`."""

    def call(function: str, *args, token: str | None = ROOT_TOKEN, status: int = 200, **keywords):
        url = f"{polyfn_server.url}/ws-user-root/services/admin-utils/{function}"
        answer = post_json(url, list(args) or keywords, token=token)
        assert answer.status == status, answer.text
        return answer.json()

    return call


@pytest.fixture
def command(polyfn_server):
    """Runs `polyfn admin`."""

    def run(*arguments: str, token: str = ROOT_TOKEN, code: int = 0):
        environment = {**os.environ, "POLYFN_ROOT_TOKEN": token, "POLYFN_SERVER_URL": polyfn_server.url}
        done = subprocess.run(
            [polyfn_binary(), "admin", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def join(server, user: str, **more) -> RawClient:
    workspace = tokens.own_workspace(user)
    return RawClient(server.ws_url, client_id="one", token=tokens.member(user), workspace=workspace, **more)


def is_closed(client: RawClient) -> None:
    """Waits for the end of a connection, whatever is told before."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            client.socket.recv(10)


def of_root(permission: str) -> str:
    return tokens.Token(user="helper", workspace="ws-user-root", permission=permission).sign()


FUNCTIONS = ["list_servers", "list_workspaces", "list_clients", "get_metrics", "list_blocked", "audit_log"]


@pytest.mark.parametrize("function", [*FUNCTIONS, "kickout_client", "unload_workspace", "block", "unblock"])
@pytest.mark.parametrize(
    ("token", "status"),
    [
        (lambda: None, 404),
        (lambda: tokens.member("somebody"), 404),
        (lambda: of_root("r"), 403),
        (lambda: of_root("rw"), 403),
        (lambda: tokens.Token(user="x", workspace="ws-user-root", permission="a", lifetime=-60).sign(), 401),
    ],
    ids=["no-token", "foreign", "read", "read-write", "expired"],
)
def test_only_administrators_may(admin, function, token, status):
    admin(function, token=token(), status=status)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_administrators_may(admin, function):
    for token in (ROOT_TOKEN, of_root("a")):
        assert isinstance(admin(function, token=token), (list, dict))


def test_looking(admin, polyfn_server):
    with join(polyfn_server, "seen") as client:
        listed = {one["id"]: one for one in admin("list_clients", tokens.own_workspace("seen"))}
        assert listed.keys() == {client.address}
        assert listed[client.address]["address"] == "127.0.0.1"
        assert client.workspace in {one["id"] for one in admin("list_workspaces")}
        assert admin("get_metrics")["polyfn_clients"] >= 1


def test_kicking(admin, polyfn_server):
    with join(polyfn_server, "kicked") as client:
        admin("kickout_client", client.workspace, client.client_id, 1000, "too loud")
        is_closed(client)
    admin("kickout_client", "no-where", "nobody", status=404)
    with join(polyfn_server, "kicked") as client:
        assert admin("unload_workspace", client.workspace) == 1
        is_closed(client)
    told = [(entry["what"], entry["target"], entry["by"]) for entry in admin("audit_log", 5)]
    assert ("kick", "ws-user-kicked/one", "root") in told


def blocked_and_free(server, user: str) -> None:
    token = tokens.member(user)
    url = f"{server.url}/{tokens.own_workspace(user)}/services/ws/list_services"
    assert get(url, token=token).status == 403
    with pytest.raises(PermissionError, match="blocked: abuse"):
        join(server, user)


@pytest.mark.parametrize("kind", ["user", "workspace"])
def test_blocking(admin, polyfn_server, kind):
    user = f"blocked-{kind}"
    workspace = tokens.own_workspace(user)
    name = user if kind == "user" else workspace
    url = f"{polyfn_server.url}/{workspace}/services/ws/list_services"
    with join(polyfn_server, user) as client:
        # a token that the user has made is no way round
        made = client.call_manager("generate_token", {})
        assert get(url, token=made).status == 200
        assert admin("block", kind, name, 600, "abuse") == 1
        is_closed(client)
    blocked_and_free(polyfn_server, user)
    assert get(url, token=made).status == 403
    assert [one["name"] for one in admin("list_blocked") if one["kind"] == kind] == [name]
    assert admin("unblock", kind, name) is True
    assert admin("unblock", kind, name) is False
    with join(polyfn_server, user):
        assert get(url, token=made).status == 200
    told = [(entry["what"], entry["target"]) for entry in admin("audit_log", 20)]
    assert told.index((f"unblock {kind}", name)) < told.index((f"block {kind}", name))


@pytest.mark.parametrize(
    "what",
    [
        ["planet", "x"],
        ["user", "root"],
        ["user", ""],
        ["workspace", "ws-user-root"],
        ["address", "localhost"],
        ["user", "x", "long"],
    ],
)
def test_what_cannot_be_blocked(admin, what):
    admin("block", *what, status=422)


def test_an_address_is_blocked_for_others(admin, polyfn_server):
    """Not our own: this test could not take it back."""
    assert admin("block_ip", "10.1.2.3") == 0
    assert {"kind": "address", "name": "10.1.2.3"}.items() <= admin("list_blocked")[0].items()
    assert admin("unblock_ip", "::ffff:10.1.2.3") is True


def test_rights_that_change_are_noted(admin, polyfn_server):
    with join(polyfn_server, "noted") as client:
        client.call_manager("generate_token", {"permission": "read", "expires_in": 60})
        with pytest.raises(RemoteError):
            client.call_manager("generate_token", {"workspace": "somewhere-else"})
    noted = [entry for entry in admin("audit_log", 50) if entry["by"] == "noted"]
    assert [(entry["what"], entry["target"]) for entry in noted] == [("generate_token", "ws-user-noted")]
    assert "ws:ws-user-noted#r" in noted[0]["details"]


def test_the_command(command, polyfn_server):
    with join(polyfn_server, "typed") as client:
        listed = command("clients", client.workspace)
        assert listed.split()[:3] == ["id", "user", "address"]
        assert client.address in listed
        assert json.loads(command("clients", client.workspace, "--json"))[0]["id"] == client.address
        assert command("block", "user", "typed", "--reason", "abuse").strip() == "1"
        is_closed(client)
    assert "typed" in command("blocked")
    assert command("unblock", "user", "typed").strip() == "true"
    assert "unblock user" in command("audit", "--limit", "5")
    assert "polyfn_clients " in command("metrics")
    assert "workspace/client" in command("kick", "nobody", code=1)
    assert "polyfn: " in command("clients", token=tokens.member("somebody"), code=1)


def doctor(*arguments: str) -> tuple[int, dict[str, str]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("POLYFN", "HYPHA"))}
    done = subprocess.run(
        [polyfn_binary(), "doctor", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return done.returncode, {what: f"{verdict} {text}" for verdict, what, text in lines}


def test_the_doctor(tmp_path, polyfn_server):
    database = f"--database-uri=sqlite://{tmp_path}/new.db"
    code, found = doctor("--port=0", database, "--jwt-secret=short")
    assert code == 0, found
    assert found["port"].startswith("ok ")
    assert "will be made" in found["database"]
    assert found["secret"].startswith("warn ")
    assert not list(tmp_path.iterdir())

    code, found = doctor(f"--port={polyfn_server.port}", database)
    assert code == 0, found
    assert "a server answers" in found["port"]
    assert found["version"].startswith("ok ")
    assert found["clock"] == "ok as that of the server"

    (tmp_path / "text.db").write_text("this is no database, and far too long to be an empty one")
    code, found = doctor("--port=0", f"--database-uri=sqlite://{tmp_path}/text.db")
    assert code == 1
    assert found["database"].startswith("FAIL ")
