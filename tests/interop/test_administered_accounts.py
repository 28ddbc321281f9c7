"""What an administrator does with the accounts of others: look, change roles, disable, reset passwords."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess

import polyfn
import pytest
from runner import tokens
from runner.logins import ask
from runner.servers import ROOT_TOKEN, PolyfnServer, polyfn_binary
from runner.web import get

PASSWORD = "correct horse battery"
CHANGES = ("set_role", "disable_account", "enable_account", "reset_password")


@pytest.fixture(scope="module")
def server():
    running = PolyfnServer(arguments=("--enable-local-auth", "--database-uri", "sqlite::memory:")).start()
    yield running
    running.stop()


def admin(server, function: str, *arguments, token: str = ROOT_TOKEN):
    """Calls a function of `admin-utils`; a refusal is its status and text."""
    names = {"set_role": ("account", "role"), "list_accounts": ("limit", "offset")}
    named = dict(zip(names.get(function, ("account", "password")), arguments, strict=False))
    return ask(f"{server.url}/ws-user-root/services/admin-utils/{function}", token, **named)


def login(server, email: str, password: str = PASSWORD):
    return ask(f"{server.url}/public/services/hypha-login/login", email=email, password=password)


@pytest.fixture
def account(server, fresh_name):
    """An account of its own: its address and what a login gave."""
    email = f"{fresh_name('person')}@example.org"
    ask(f"{server.url}/public/services/hypha-login/signup", name="Ada", email=email, password=PASSWORD)
    return email, login(server, email)


def status(server, answer: dict) -> int:
    return get(f"{server.url}/assets/config.json", token=answer["token"]).status


async def ended(server, answer: dict, change) -> None:
    """Makes a change that ends a connection, its token, and what was made with it."""
    gone = asyncio.Event()
    settings = {"server_url": server.url, "token": answer["token"], "reconnect": False}
    client = await polyfn.connect_to_server(settings)
    client.on("disconnected", lambda *_: gone.set())
    child = {**answer, "token": await client.generate_token({})}
    assert status(server, child) == 200
    assert await asyncio.to_thread(change) is not None
    await asyncio.wait_for(gone.wait(), 5)
    assert [status(server, answer), status(server, child)] == [401, 401]


def test_accounts_are_listed(server, account):
    listed = {one["email"]: one for one in admin(server, "list_accounts")}
    found = listed[account[0]]
    assert found.pop("id") == account[1]["user_id"]
    assert found == {
        "email": account[0],
        "name": "Ada",
        "roles": ["user"],
        "verified": False,
        "disabled": False,
    }
    assert listed["admin@localhost"]["roles"] == ["admin", "user"]
    assert [one["email"] for one in admin(server, "list_accounts", 1, 1)] == [sorted(listed)[1]]
    assert "password" not in str(listed)


async def test_a_role_is_given_and_taken(server, account):
    email, first = account
    assert admin(server, "list_accounts", token=first["token"])[0] == 404
    await ended(server, first, lambda: admin(server, "set_role", email, "admin"))
    boss = login(server, email)
    assert admin(server, "list_accounts", token=boss["token"])[0]["email"]
    assert admin(server, "set_role", email, "admin") is False, "no news"
    assert status(server, boss) == 200
    # nobody takes the last administrator away by mistake
    for function, more in (("set_role", ["user"]), ("disable_account", [])):
        refusal = admin(server, function, email, *more, token=boss["token"])
        assert refusal[0] == 403, refusal
        assert "your own account" in refusal[1]
    await ended(server, boss, lambda: admin(server, "set_role", first["user_id"], "user"))
    assert admin(server, "list_accounts", token=login(server, email)["token"])[0] == 404
    assert admin(server, "set_role", email, "boss")[0] == 422


async def test_an_account_is_disabled(server, account):
    email, first = account
    await ended(server, first, lambda: admin(server, "disable_account", email))
    assert "disabled" in login(server, email)["error"]
    assert login(server, email, "wrong password")["error"] == "Invalid email or password"
    assert admin(server, "disable_account", email) is False
    assert admin(server, "enable_account", email) is True
    assert status(server, login(server, email)) == 200
    assert status(server, first) == 401, "what has ended stays so"


async def test_a_password_is_reset(server, account):
    email, first = account
    new = []
    await ended(server, first, lambda: new.append(admin(server, "reset_password", email)) or True)
    assert login(server, email)["error"] == "Invalid email or password"
    assert status(server, login(server, email, new[0])) == 200
    assert admin(server, "reset_password", email, "short")[0] == 422
    assert admin(server, "reset_password", email, PASSWORD) == PASSWORD
    assert status(server, login(server, email)) == 200


def test_changes_are_noted_without_secrets(server, account):
    email, answer = account
    new = admin(server, "reset_password", email)
    admin(server, "disable_account", email)
    log = ask(f"{server.url}/ws-user-root/services/admin-utils/audit_log", ROOT_TOKEN, limit=20)
    noted = [(one["what"], one["by"]) for one in log if one["target"] == answer["user_id"]]
    ends = ("end_logins", "root")
    assert noted[:4] == [ends, ("disable_account", "root"), ends, ("reset_password", "root")]
    assert new not in str(log)


def issued(server, **more) -> str:
    return tokens.Token(user="x", workspace="ws-user-root", permission="a", **more).sign()


def revoked(server) -> str:
    manager = f"{server.url}/ws-user-root/services/ws"
    token = ask(f"{manager}/generate_token", ROOT_TOKEN, config={"permission": "admin"})
    assert ask(f"{server.url}/ws-user-root/services/admin-utils/list_accounts", token)
    ask(f"{manager}/revoke_token", ROOT_TOKEN, token=token)
    return token


BAD = {
    "revoked": (revoked, 401),
    "none": (lambda server: "", 404),
    "foreign": (lambda server: tokens.member("elsewhere"), 404),
    "reader": (lambda server: tokens.Token("x", "ws-user-root", "r").sign(), 403),
    "writer": (lambda server: tokens.Token("x", "ws-user-root", "rw").sign(), 403),
    "expired": (lambda server: issued(server, lifetime=-60), 401),
    "forged": (lambda server: issued(server)[:-6] + "AAAAAA", 401),
    "of another key": (
        lambda server: tokens.Token("x", "ws-user-root", "a").sign("another secret of 32 bytes or more!"),
        401,
    ),
    "alg none": (lambda server: tokens.Token("x", "ws-user-root", "a").sign(None, "none"), 401),
}


@pytest.mark.parametrize("kind", BAD)
def test_nobody_else_changes_accounts(server, account, kind):
    make, expected = BAD[kind]
    token = make(server)
    for function in ("list_accounts", *CHANGES):
        arguments = [] if function == "list_accounts" else [account[0], "admin"]
        answer = admin(server, function, *arguments, token=token)
        assert isinstance(answer, (list, tuple)), (function, answer)
        assert answer[0] == expected, (function, answer)
    assert status(server, account[1]) == 200


def test_there_is_none_of_another_name(server):
    for name in ("nobody@example.org", "nobody"):
        status, text = admin(server, "disable_account", name)
        assert (status, f"KeyError: 'Account not found: {name}'" in text) == (404, True)


def test_the_command(server, account):
    def run(*arguments: str) -> str:
        environment = {**os.environ, "POLYFN_ROOT_TOKEN": ROOT_TOKEN, "POLYFN_SERVER_URL": server.url}
        command = [polyfn_binary(), "admin", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    email = account[0]
    assert email in run("accounts")
    assert run("role", email, "admin") == "true"
    listed = json.loads(run("accounts", "--json", "--limit", "1000"))
    assert next(one["roles"] for one in listed if one["email"] == email) == ["admin", "user"]
    assert run("disable", email) == "true"
    assert run("enable", email) == "true"
    assert status(server, login(server, email, run("reset-password", email))) == 200
