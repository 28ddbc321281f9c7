"""What becomes of the app, and of what the server keeps for it, when whoever asked has left."""

from __future__ import annotations

import re
import socket
import time
from urllib.parse import urlsplit

import pytest
from runner.apps import App, Apps, until
from runner.servers import PolyfnServer
from runner.waiting import eventually
from runner.web import get

#: `polyfn_session_...` and the like: nothing may stay there of requests that are over.
TABLES = ("http_calls", "client_calls", "app_websockets", "session_calls", "session_runs", "session_chunks")
GRACE = 0.5  # seconds
PATIENCE = 3


@pytest.fixture(scope="module")
def brief():
    """A server with little patience, and less for apps without a caller."""
    limits = (f"--app-disconnect-grace={GRACE}", f"--http-call-timeout={PATIENCE}")
    server = PolyfnServer(arguments=limits).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def started():
    with Apps() as apps:
        yield apps


@pytest.fixture(params=["hypha_rpc-python", "polyfn-python"])
def raw(started, brief, request) -> App:
    return started.app("raw.py", request.param, brief.url, "public-raw")


def kept(server: PolyfnServer) -> dict[str, int]:
    """What the server holds for requests under way, by table; those that are empty are left out."""
    metrics = get(f"{server.url}/metrics").text
    found = dict(re.findall(r"^polyfn_(\w+) (\d+)$", metrics, re.MULTILINE))
    # functions and what was made ready stay with services as well, but not with a request
    return {name: int(found[name]) for name in TABLES if int(found[name])}


def until_kept(server: PolyfnServer, expected: dict[str, int]) -> None:
    def attempt() -> None:
        assert kept(server) == expected

    eventually(attempt)


def asked(app: App, head: str, body: bytes = b"") -> socket.socket:
    host = urlsplit(app.url)
    client = socket.create_connection((host.hostname, host.port))
    method, path, *more = head.split("\r\n")[0].split(" ") + head.split("\r\n")[1:]
    lines = [f"{method} {app.path}{path} HTTP/1.1", f"Host: {host.netloc}", *more, "", ""]
    client.sendall("\r\n".join(lines).encode())
    client.settimeout(0.5)
    sent = 0
    while sent < len(body):
        try:
            sent += client.send(body[sent : sent + (1 << 16)])
        except TimeoutError:
            break
    return client


def test_who_sends_to_nobody_is_told_by_an_error(raw):
    with asked(raw, "GET /drip") as client:
        assert client.recv(100)
    until(lambda: raw.seen("drip")["error"] is not None)
    name, is_os_error = raw.seen("drip")["error"]
    if raw.kind == "polyfn-python":
        assert (name, is_os_error) == ("PeerGoneError", True)
    # what was on its way when the caller left, and no more
    assert raw.seen("drip")["sent"] < 100


def test_an_app_without_a_caller_is_cancelled_in_the_end(raw, brief):
    until_kept(brief, {})
    begun = time.monotonic()
    with asked(raw, "GET /lingers"):
        until(lambda: raw.seen("lingers") == "begun")
        assert kept(brief)
    until_kept(brief, {})
    assert time.monotonic() - begun >= GRACE
    if raw.kind == "polyfn-python":
        until(lambda: raw.seen("lingers") == "cancelled")


def test_nothing_is_kept_of_an_upload_that_nobody_reads(raw, brief):
    """Nobody reads, so nobody sees that the sender has gone: what the app gets is the time for calls."""
    size = 50 << 20
    until_kept(brief, {})
    memory = brief.resident_bytes()
    uploads = [asked(raw, f"POST /lingers\r\nContent-Length: {size}", bytes(size)) for _ in range(3)]
    until(lambda: kept(brief))
    grown = brief.resident_bytes() - memory
    for upload in uploads:
        # gone without a goodbye: the connection is reset
        upload.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        upload.close()
    until_kept(brief, {})
    print(f"three uploads of 50 MB that nobody reads: the server grew by {grown >> 20} MB")
    assert grown < 40 << 20


@pytest.mark.parametrize("kind", ["hypha_rpc-python", "polyfn-python"])
def test_nothing_is_kept_when_the_owner_of_the_app_is_killed(brief, kind):
    size = 50 << 20
    with Apps() as apps:
        app = apps.app("raw.py", kind, brief.url, "public-raw")
        until_kept(brief, {})
        with asked(app, f"POST /lingers\r\nContent-Length: {size}", bytes(size)) as upload:
            until(lambda: app.seen("lingers") == "begun")
            app.program.process.kill()
            upload.settimeout(20)
            assert upload.recv(12).startswith(b"HTTP/1.1 5")
        until_kept(brief, {})
