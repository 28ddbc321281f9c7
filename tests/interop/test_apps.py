"""Web apps of clients over HTTP: what they are told, and what becomes of what they send."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from runner import tokens
from runner.apps import App, Apps, until
from runner.web import Response, get

PYTHON_KINDS = ["hypha_rpc-python", "polyfn-python"]


@pytest.fixture(scope="module")
def started():
    with Apps() as apps:
        yield apps


@pytest.fixture(params=PYTHON_KINDS)
def raw(started, polyfn_server, request):
    """The app without a framework, as a wrapper function, on our server."""
    return lambda service="public-raw": started.app("raw.py", request.param, polyfn_server.url, service)


@pytest.fixture(params=PYTHON_KINDS)
def everywhere(started, server, request):
    """The same on every server."""
    return lambda service="public-raw": started.app("raw.py", request.param, server.url, service)


def test_the_scope_has_the_types_of_the_standard(raw):
    app = raw()
    path = "/scope/%C3%A9%20/x/?a=1&b=%20x"
    scope = app.get(path, headers={"X-Twice": "1"}).json()
    user = scope["extensions"]["polyfn"]["user"]
    assert user["is_anonymous"] is True
    host = urlsplit(app.url)
    expected = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "root_path": "",
        "path": "/scope/é /x/",
        "raw_path": {"bytes": "/scope/%C3%A9%20/x/"},
        "query_string": {"bytes": "a=1&b=%20x"},
        "server": [host.hostname, host.port],
        "workspace": app.program.workspace,
        "service_id": "public-raw",
        "state": {},
    }
    assert {key: scope[key] for key in expected} == expected
    headers = {name["bytes"]: value["bytes"] for name, value in scope["headers"]}
    assert (headers["x-twice"], headers["host"]) == ("1", host.netloc)
    assert scope["client"][0] == "127.0.0.1"


def test_an_app_may_know_where_it_stands(raw):
    app = raw("rooted")
    scope = app.get("/scope/%C3%A9/").json()
    assert scope["root_path"] == app.path
    assert scope["path"] == f"{app.path}/scope/é/"
    assert scope["raw_path"] == {"bytes": f"{app.path}/scope/%C3%A9/"}


def test_answers_on_every_server(everywhere):
    app = everywhere()
    made = app.get("/headers")
    assert (made.status, made.body, made.header("x-made")) == (201, b"made", "yes")
    assert app.get("/nothing-here").status == 404
    assert app.get("/ticks").body == b"0\n1\n2\n3\n4\n"
    assert app.request("PATCH", "/method").body == b"PATCH"
    assert app.request("OPTIONS", "/method").body == b"OPTIONS"


def test_the_headers_are_those_of_the_app(raw):
    made = raw().get("/headers", headers={"Origin": "http://elsewhere.example"})
    assert made.all("set-cookie") == ["a=1", "b=2"]
    assert made.header("access-control-allow-origin") is None
    assert made.header("connection") is None


def test_head_is_for_the_app(raw):
    for method, body in (("HEAD", b""), ("GET", b"x" * 10)):
        answer = raw().request(method, "/head")
        assert (answer.status, answer.header("content-length"), answer.body) == (200, "10", body)


@pytest.mark.parametrize("size", [0, 1, 1000, 200_000, 5_000_000])
def test_the_whole_body_comes(raw, size):
    body = os.urandom(size)
    seen = raw().request("POST", "/body", body=body).json()
    assert (seen["size"], seen["sha256"]) == (size, hashlib.sha256(body).hexdigest())
    assert seen["largest"] <= 192 << 10
    assert raw().request("POST", "/echo", body=body).body == body


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_a_part_may_be_large(raw, size):
    """Above 256 KB it goes in pieces between the app and the server."""
    assert raw().get(f"/large?{size}").body == bytes(2 * size)


def test_a_body_in_chunks(raw):
    host = urlsplit(raw().url)
    with socket.create_connection((host.hostname, host.port)) as client:
        head = f"POST {raw().path}/echo HTTP/1.1\r\nHost: {host.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + b"3\r\nabc\r\n")
        answer = http.client.HTTPResponse(client)
        answer.begin()
        # what was sent comes back before the rest is sent
        assert answer.read(3) == b"abc"
        client.sendall(b"2\r\nde\r\n0\r\n\r\n")
        assert answer.read() == b"de"


def memory(process) -> int:
    """Bytes that a process has had in memory at most."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) << 10


def upload(app: App, megabytes: int) -> Response:
    host = urlsplit(app.url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=120)
    part = bytes(range(256)) * 4096
    headers = {"Content-Length": str(megabytes << 20)}
    connection.request("POST", f"{app.path}/body", body=(part for _ in range(megabytes)), headers=headers)
    answer = connection.getresponse()
    return Response(answer.status, answer.getheaders(), answer.read())


def test_a_large_upload_needs_little_memory(raw, polyfn_server):
    app = raw()
    upload(app, 4)
    before = memory(polyfn_server.process), memory(app.program.process)
    answer = upload(app, 128)
    after = memory(polyfn_server.process), memory(app.program.process)
    grown = [(now - then) >> 20 for then, now in zip(before, after, strict=True)]
    print(f"128 MB: the server grew by {grown[0]} MB, the app by {grown[1]} MB")
    assert answer.json()["size"] == 128 << 20
    assert max(grown) < 40


def test_a_stream_leaves_as_it_is_made(raw):
    host = urlsplit(raw().url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=30)
    connection.request("GET", f"{raw().path}/ticks")
    answer = connection.getresponse()
    assert answer.read(2) == b"0\n"
    assert not answer.isclosed()
    assert answer.read() == b"1\n2\n3\n4\n"


def leave(app: App, path: str, read: int = 0) -> None:
    """Asks, reads a little, and leaves."""
    host = urlsplit(app.url)
    with socket.create_connection((host.hostname, host.port)) as client:
        client.sendall(f"GET {app.path}{path} HTTP/1.1\r\nHost: {host.netloc}\r\n\r\n".encode())
        if read:
            assert client.recv(read)
        else:
            until(lambda: app.seen(path[1:]) is not None)


def test_who_does_not_read_slows_the_app(raw):
    app = raw()
    host = urlsplit(app.url)
    with socket.create_connection((host.hostname, host.port)) as client:
        client.sendall(f"GET {app.path}/flood HTTP/1.1\r\nHost: {host.netloc}\r\n\r\n".encode())
        assert client.recv(1000)
        sent = [0]

        def stands() -> bool:
            sent.append(app.seen("flood")["sent"])
            return len(set(sent[-5:])) == 1

        until(stands)
        assert sent[-1] < 1000, "far more was taken than sockets hold"
        assert app.seen("flood")["over"] is False
    until(lambda: app.seen("flood")["over"])
    assert app.seen("flood")["error"] is not None


def test_an_app_hears_that_the_client_has_left(raw):
    app = raw()
    leave(app, "/wait")
    until(lambda: app.seen("wait") == ["http.request", "http.disconnect"])


def test_an_app_that_reads_no_body_has_its_client_leave_all_the_same(raw):
    app = raw()
    host = urlsplit(app.url)

    def calls() -> int:
        metrics = get(f"{app.server_url}/metrics").text
        return int(re.search(r"^polyfn_http_calls (\d+)$", metrics, re.MULTILINE)[1])

    # the whole body, and a part of it
    for size in (200_000, 300_000):
        until(lambda: calls() == 0)
        with socket.create_connection((host.hostname, host.port)) as client:
            head = f"POST {app.path}/deaf HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Length: {size}\r\n\r\n"
            client.sendall(head.encode() + bytes(200_000))
            until(lambda: app.seen("deaf") == "begun")
            assert calls() == 1
        # the server has noticed before the app asks
        until(lambda: calls() == 0)
        assert app.get("/hear").status == 200
        until(lambda: app.seen("deaf") == "http.disconnect")


def test_who_waits_to_be_told_to_send_may_be_refused_before(raw):
    app = raw()
    host = urlsplit(app.url)
    with socket.create_connection((host.hostname, host.port)) as client:
        head = f"POST {app.path}/method HTTP/1.1\r\nHost: {host.netloc}\r\nConnection: close\r\n"
        client.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 300000\r\n\r\n".encode())
        assert client.recv(20).startswith(b"HTTP/1.1 200")


def test_an_app_hears_that_its_answer_is_complete(raw):
    app = raw()
    assert app.get("/after").body == b"done"
    until(lambda: app.seen("after") == "http.disconnect")


def test_what_an_app_does_behind_its_answer_keeps_nobody_waiting(raw):
    app = raw()
    assert app.get("/slow-end").body == b"early"
    until(lambda: app.seen("slow_end") == "over")


def test_an_app_that_fails_is_a_problem(raw):
    app = raw()
    for path, detail in (("/fails", "boom"), ("/says-nothing", "without having sent a complete answer")):
        stranger, member = app.get(path), app.get(path, token=app.program.token)
        assert (stranger.status, stranger.media_type) == (500, "application/problem+json"), path
        assert detail not in stranger.text
        assert "raw.py" not in stranger.text
        assert stranger.json()["incident"]
        assert (member.status, detail in member.text) == (500, True), path
    with pytest.raises(http.client.IncompleteRead):
        app.get("/fails-late")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("status", "`status` must be an integer from 200 to 599"),
        ("header", "holds a line break"),
        ("body-first", "`http.response.start` must be sent before the body"),
        ("text", "send takes one message"),
        ("other", "is no message of an HTTP response"),
    ],
)
def test_what_an_app_may_not_send(raw, what, expected):
    answer = raw().get(f"/wrong/{what}")
    assert answer.status == 200
    assert expected in answer.text


def test_who_may_ask(raw):
    for visibility, stranger in (("public", 200), ("unlisted", 200), ("protected", 404)):
        app = raw(f"{visibility}-raw")
        own = app.program.token
        foreign = tokens.member("somebody")
        expired = tokens.member("somebody", lifetime=-10)
        for token, status in ((None, stranger), (own, 200), (foreign, stranger), (expired, 401), ("x", 401)):
            assert app.get("/method", token=token).status == status, (visibility, token)


def test_an_app_is_told_who_asks(raw):
    app = raw("context")
    assert app.get("/").json()["user"].startswith("anonymouz-http-")
    assert app.get("/").json()["ws"] == app.program.workspace


def test_services_that_are_no_apps(raw, started, polyfn_server):
    missing = started.app("raw.py", "hypha_rpc-python", polyfn_server.url, "empty").get("/")
    assert (missing.status, "no function `serve`" in missing.text) == (404, True)
    assert raw("no-such-app").get("/").status == 404
    assert "Invalid service type" in raw("generic").get("/").text


def test_the_folder_of_an_app(raw):
    app = raw()
    answer = app.get("?a=1")
    assert (answer.status, answer.header("location")) == (307, f"{app.path}/?a=1")
