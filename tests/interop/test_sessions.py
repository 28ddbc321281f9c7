"""The end of a login, and of all that is open by a token that was taken back.

Without `from __future__ import annotations`: the published client does not understand types that are text.
"""

import asyncio
import json
import socket
import time
import urllib.error
import urllib.request

import hypha_rpc
import polyfn
import pytest
import websockets
from runner import tokens
from runner.forms import Visitor
from runner.logins import ask
from runner.servers import ROOT_TOKEN, PolyfnServer

PASSWORD = "correct horse battery"
# what is open must have ended so many seconds after `revoke_token` has answered, on a busy machine, too
SOON = 5.0


@pytest.fixture(scope="module")
def server():
    running = PolyfnServer(arguments=("--enable-local-auth",)).start()
    yield running
    running.stop()


@pytest.fixture
def service(server):
    return f"{server.url}/public/services/hypha-login"


@pytest.fixture
def ada(service, fresh_name):
    """A new account: its address."""
    email = f"{fresh_name('ada')}@example.org"
    assert ask(f"{service}/signup", name="Ada", email=email, password=PASSWORD)["success"]
    return email


def login(service, email: str, password: str = PASSWORD) -> str:
    return ask(f"{service}/login", email=email, password=password)["token"]


def whoami(server, token: str) -> str:
    request = urllib.request.Request(f"{server.url}/assets/config.json")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["user"]["email"]
    except urllib.error.HTTPError as error:
        return f"{error.code} {json.load(error)['detail']}"


REVOKED = "401 Token has been revoked"


def signed_in(server, email: str) -> Visitor:
    browser = Visitor()
    browser.open(f"{server.url}/login")
    return browser.submit("sign-in", email=email, password=PASSWORD)


def approved(server, service, browser: Visitor) -> str:
    """A token that a program got because the user of the browser approved it."""
    started = ask(f"{service}/start")
    browser.open(started["login_url"])
    browser.submit("approve")
    return ask(f"{service}/check", key=started["key"], timeout=0)


def test_a_new_password_ends_all_other_logins(server, service, ada):
    browser, other = signed_in(server, ada), signed_in(server, ada)
    program, by_request = approved(server, service, other), login(service, ada)
    before = browser.cookie("access_token").value
    browser.open(f"{server.url}/public/apps/hypha-login/profile")
    browser.submit("password", current_password=PASSWORD, new_password="another password")
    assert "logged out" in browser.text
    ended = [before, other.cookie("access_token").value, program, by_request]
    assert [whoami(server, token) for token in ended] == [REVOKED] * 4
    assert whoami(server, browser.cookie("access_token").value) == ada, "this browser stays logged in"
    assert whoami(server, login(service, ada, "another password")) == ada


def test_a_new_password_by_a_request_gives_a_new_token(server, service, ada):
    token, other = login(service, ada), login(service, ada)
    changed = ask(
        f"{service}/update_profile", token, current_password=PASSWORD, new_password="another password"
    )
    assert changed["success"]
    assert whoami(server, changed["token"]) == ada
    assert [whoami(server, old) for old in (token, other)] == [REVOKED] * 2
    renamed = ask(f"{service}/update_profile", changed["token"], name="Countess")
    assert "token" not in renamed
    assert whoami(server, changed["token"]) == ada, "a new name ends nothing"


@pytest.mark.parametrize("package", ["polyfn", "hypha_rpc"])
async def test_connections_of_the_user_end_too(server, service, ada, package):
    connect = {"polyfn": polyfn, "hypha_rpc": hypha_rpc}[package].connect_to_server
    token = await asyncio.to_thread(login, service, ada)
    open_one = await polyfn.connect_to_server({"server_url": server.url, "token": token, "reconnect": False})
    gone = asyncio.Event()
    open_one.on("disconnected", lambda *_: gone.set())
    own = await connect({"server_url": server.url, "token": await asyncio.to_thread(login, service, ada)})
    hypha_login = await own.get_service("public/hypha-login")
    changed = await hypha_login.update_profile(current_password=PASSWORD, new_password="another password")
    assert changed["success"], "whoever changes it hears of it"
    await asyncio.wait_for(gone.wait(), SOON)
    await own.disconnect()


def test_who_logs_out_takes_the_token_of_the_browser_back(server, service, ada):
    browser, other = signed_in(server, ada), signed_in(server, ada)
    program, kept = approved(server, service, browser), approved(server, service, other)
    token = browser.cookie("access_token").value
    browser.open(f"{server.url}/login")
    assert "Programs that you have approved here are logged out as well" in browser.text
    browser.submit("sign-out")
    assert [whoami(server, old) for old in (token, program)] == [REVOKED] * 2
    assert [whoami(server, still) for still in (other.cookie("access_token").value, kept)] == [ada] * 2
    other.open(f"{server.url}/login")
    other.submit("sign-out-everywhere")
    assert whoami(server, kept) == REVOKED
    assert whoami(server, login(service, ada)) == ada


def test_who_logs_out_does_not_take_back_a_token_that_was_typed_in(server):
    browser, token = Visitor(), tokens.member("typist")
    browser.open(f"{server.url}/login")
    browser.submit("token", token=token)
    browser.submit("sign-out")
    assert browser.cookie("access_token") is None
    request = urllib.request.Request(
        f"{server.url}/assets/config.json", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["user"]["id"] == "typist"


async def test_a_login_that_has_ended_stays_so_after_a_restart(tmp_path):
    place = ("--enable-local-auth", f"--database-uri=sqlite:///{tmp_path}/polyfn.db")
    first = PolyfnServer(arguments=place).start()
    service = f"{first.url}/public/services/hypha-login"
    ask(f"{service}/signup", name="Ada", email="ada@example.org", password=PASSWORD)
    old = login(service, "ada@example.org")
    new = ask(f"{service}/update_profile", old, current_password=PASSWORD, new_password="another password")
    first.stop()
    second = PolyfnServer(arguments=place).start()
    try:
        assert whoami(second, old) == REVOKED
        assert whoami(second, new["token"]) == "ada@example.org"
        fresh = login(f"{second.url}/public/services/hypha-login", "ada@example.org", "another password")
        assert whoami(second, fresh) == "ada@example.org"
    finally:
        second.stop()


# -- what is open ------------------------------------------------------------------------------


class Streams:
    """Functions, a service and an app that go on for ever, in a workspace with a token for visitors."""

    def __init__(self, server, api):
        self.server, self.api = server, api
        self.workspace = api.config.workspace

    async def offer(self) -> None:
        async def ticks():
            while True:
                yield "tick\n"
                await asyncio.sleep(0.05)

        async def stream(event):
            return {"status": 200, "body": ticks()}

        async def app(scope, receive, send):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.send", "text": "tick"})
                await receive()
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
                await asyncio.sleep(0.05)

        await self.api.register_service({"id": "tree", "type": "functions", "stream": stream})
        await self.api.register_service({"id": "plain", "ticks": ticks})
        await self.api.register_service({"id": "web", "type": "asgi", "serve": app})


ROUTES = ("apps/tree/stream", "services/plain/ticks", "apps/web/x", "overview/events")


def opened(server, path: str, token: str) -> socket.socket:
    """A request whose answer has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = (f"GET {path} HTTP/1.1", "Host: x", "Connection: close")
    lines = (*head, f"Authorization: Bearer {token}", "", "")
    connection.sendall("\r\n".join(lines).encode())
    seen = b""
    while b"tick" not in seen and b"data: " not in seen:
        part = connection.recv(65536)
        assert part, seen
        seen += part
    assert b" 200 OK" in seen, seen
    return connection


def seconds_until_the_end(connection: socket.socket, begun: float) -> float:
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - begun


async def test_what_is_open_ends_with_its_token(server):
    async with polyfn.connect_to_server(
        {"server_url": server.url, "token": tokens.member("streamer")}
    ) as api:
        streams = Streams(server, api)
        await streams.offer()
        place = f"/{streams.workspace}/"
        visitor, other = [await api.generate_token({"permission": "read_write"}) for _ in range(2)]
        child_of = await polyfn.connect_to_server({"server_url": server.url, "token": visitor})
        by_request = await polyfn.connect_to_server(
            {"server_url": server.url, "token": visitor, "transport": "http", "reconnect": False}
        )
        gone = asyncio.Event()
        by_request.on("disconnected", lambda *_: gone.set())
        connections = [await asyncio.to_thread(opened, server, place + route, visitor) for route in ROUTES]
        stays = await asyncio.to_thread(opened, server, place + ROUTES[0], other)
        url = f"{server.url}{place}apps/web/ws".replace("http", "ws", 1)
        headers = {"Authorization": f"Bearer {visitor}"}
        async with websockets.connect(url, additional_headers=headers) as web:
            assert await web.recv() == "tick"
            await api.revoke_token(visitor)
            begun = time.monotonic()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(web.recv(), SOON)
            assert closed.value.rcvd.code == 1008
            assert closed.value.rcvd.reason == "Authentication error: Token has been revoked"
        ends = [asyncio.to_thread(seconds_until_the_end, connection, begun) for connection in connections]
        took = await asyncio.wait_for(asyncio.gather(*ends), 30)
        assert max(took) < SOON, dict(zip(ROUTES, took, strict=True))
        await asyncio.wait_for(gone.wait(), SOON)
        assert b"tick" in await asyncio.to_thread(stays.recv, 65536), "that of somebody else goes on"
        stays.close()
        await child_of.disconnect()
        await by_request.disconnect()


async def test_a_child_ends_with_its_parent_while_it_streams(server):
    async with polyfn.connect_to_server({"server_url": server.url, "token": tokens.member("parent")}) as api:
        streams = Streams(server, api)
        await streams.offer()
        first = await api.generate_token({"permission": "admin"})
        async with polyfn.connect_to_server({"server_url": server.url, "token": first}) as maker:
            child = await maker.generate_token({"permission": "read"})
        connection = await asyncio.to_thread(opened, server, f"/{streams.workspace}/apps/tree/stream", child)
        await api.revoke_token(first)
        took = await asyncio.to_thread(seconds_until_the_end, connection, time.monotonic())
        assert took < SOON


# -- the audit log -----------------------------------------------------------------------------


async def entries(server, **more) -> list:
    root = {"server_url": server.url, "token": ROOT_TOKEN}
    async with polyfn.connect_to_server(root) as api:
        admin = await api.get_service("ws-user-root/admin-utils")
        return await admin.audit_log(**more)


async def test_logins_and_changes_are_in_the_audit_log(server, service, ada):
    token = await asyncio.to_thread(login, service, ada)
    for _ in range(7):
        await asyncio.to_thread(ask, f"{service}/login", email=f"x{ada}", password="wrong one")
    await asyncio.to_thread(
        ask, f"{service}/update_profile", token, current_password=PASSWORD, new_password="another password"
    )
    log = await entries(server)
    told = [(entry["what"], entry["target"]) for entry in reversed(log)]
    user = next(entry["by"] for entry in log if (entry["what"], entry["target"]) == ("sign_up", ada))
    own = [(what, target) for what, target in told if target in (ada, user, f"x{ada}")]
    assert own == [
        ("sign_up", ada),
        ("login", user),
        ("login_locked", f"x{ada}"),
        ("password", ada),
        ("end_logins", user),
    ]
    entry = next(entry for entry in log if entry["what"] == "login")
    assert entry["details"] == "by password from 127.0.0.1"
    assert PASSWORD not in json.dumps(log)
    assert "wrong one" not in json.dumps(log)


async def test_the_audit_log_keeps_so_many_entries():
    server = PolyfnServer(arguments=("--max-audit-entries=10",)).start()
    try:
        root = {"server_url": server.url, "token": ROOT_TOKEN}
        async with polyfn.connect_to_server(root) as api:
            for number in range(30):
                await api.generate_token({"workspace": f"lab-{number}"})
        log = await entries(server)
        assert [entry["target"] for entry in log] == [f"lab-{number}" for number in range(29, 19, -1)]
    finally:
        server.stop()
