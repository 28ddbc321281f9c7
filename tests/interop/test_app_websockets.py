"""Websockets of web apps."""

from __future__ import annotations

import asyncio
import base64
import socket
from urllib.parse import urlsplit

import pytest
import websockets
from runner import tokens
from runner.apps import App, Apps, until
from websockets.exceptions import ConnectionClosed, InvalidStatus


@pytest.fixture(scope="module")
def started():
    with Apps() as apps:
        yield apps


@pytest.fixture(params=["hypha_rpc-python", "polyfn-python"])
def raw(started, polyfn_server, request):
    return lambda service="public-raw": started.app("raw.py", request.param, polyfn_server.url, service)


@pytest.fixture
def site(started, polyfn_server):
    return lambda name: started.app("frameworks.py", "polyfn-python", polyfn_server.url, name)


def connect(app: App, path: str, **more):
    return websockets.connect(app.url.replace("http", "ws", 1) + path, open_timeout=20, **more)


async def test_texts_and_bytes_go_both_ways(raw):
    app = raw()
    async with connect(app, "/socket") as ws:
        # the longest of them go in parts between the server and the app, in either direction
        for text in ("hello", "", "grüße 世界", "x" * 300_000, "y" * 1_000_000):
            await ws.send(text)
            assert await ws.recv() == text.upper()
        for data in (b"", b"\x00\xff", bytes(range(256)) * 4096):
            await ws.send(data)
            assert await ws.recv() == data[::-1]
        for number in range(200):
            await ws.send(f"m{number}")
        assert [await ws.recv() for _ in range(200)] == [f"M{number}" for number in range(200)]
        await (await ws.ping())


async def test_the_handshake(raw):
    async with connect(raw(), "/socket", subprotocols=["one", "two"]) as ws:
        assert ws.subprotocol == "two"
        assert ws.response.headers["x-made"] == "yes"


async def test_the_end_is_told_with_code_and_reason(raw):
    app = raw()
    async with connect(app, "/socket") as ws:
        await ws.close(4005, "bye")
    await asyncio.to_thread(until, lambda: app.seen("socket") == {"code": 4005, "reason": "bye"})
    async with connect(app, "/socket") as ws:
        ws.transport.abort()
    await asyncio.to_thread(until, lambda: app.seen("socket")["code"] == 1006)


@pytest.mark.parametrize(("path", "code", "reason"), [("/closes", 4002, "enough"), ("/fails-late", 1011, "")])
async def test_an_app_ends_it(raw, path, code, reason):
    async with connect(raw(), f"/socket{path}") as ws:
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


@pytest.mark.parametrize(
    ("path", "status"), [("/refused", 403), ("/fails", 500), ("/nothing", 500), ("/denied", 418)]
)
async def test_an_app_refuses_it(raw, path, status):
    with pytest.raises(InvalidStatus) as refused:
        await connect(raw(), f"/socket{path}")
    response = refused.value.response
    assert response.status_code == status
    if path == "/denied":
        assert (response.body, response.headers["x-why"]) == (b"short and stout", "tea")


async def test_who_may_open_it(raw):
    for visibility, stranger in (("public", 101), ("unlisted", 101), ("protected", 404)):
        app = raw(f"{visibility}-raw")
        own, foreign = app.program.token, tokens.member("somebody")
        expired = tokens.member("somebody", lifetime=-10)
        for token, status in ((None, stranger), (own, 101), (foreign, stranger), (expired, 401), ("x", 401)):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            assert await opened(app, headers) == status, (visibility, token)


async def opened(app: App, headers: dict[str, str], **more) -> int:
    try:
        async with connect(app, "/socket", additional_headers=headers, **more):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_pages_of_other_sites_cannot_use_the_cookie(raw):
    app = raw("protected-raw")
    cookie = {"Cookie": f"access_token={app.program.token}"}
    assert await opened(app, cookie) == 101
    assert await opened(app, cookie, origin=app.server_url) == 101
    assert await opened(app, cookie, origin="http://evil.example") == 403


async def test_who_does_not_read_slows_the_app(raw):
    async with connect(raw(), "/socket/flood", max_queue=1) as ws:
        for _ in range(1000):
            assert len(await ws.recv()) == 1 << 16


async def test_a_message_that_is_too_long(raw):
    async with connect(raw(), "/socket") as ws:
        sending = asyncio.ensure_future(ws.send(bytes((16 << 20) + 1)))
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        await asyncio.wait({sending})
    assert closed.value.rcvd.code == 1009


KEY = base64.b64encode(bytes(16)).decode()
PROPER = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 101),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
        ({"Sec-WebSocket-Version": "99"}, 426),
        ({"Connection": "close"}, 400),
        ({"Sec-WebSocket-Protocol": "a b"}, 400),
        ({"Sec-WebSocket-Protocol": ",".join(f"p{number}" for number in range(100))}, 400),
        ({"Sec-WebSocket-Extensions": "permessage-deflate; x=\x7f"}, 400),
        ({"Upgrade": "h2c"}, 500),
    ],
    ids=range(9),
)
def test_hostile_handshakes(raw, changes, status):
    app = raw()
    host = urlsplit(app.url)
    headers = "".join(f"{name}: {value}\r\n" for name, value in {**PROPER, **changes}.items() if value)
    with socket.create_connection((host.hostname, host.port), timeout=20) as client:
        client.sendall(f"GET {app.path}/socket HTTP/1.1\r\nHost: {host.netloc}\r\n{headers}\r\n".encode())
        assert int(client.recv(12)[9:12]) == status


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\x05hello",
        b"\xf1\x80\x00\x00\x00\x00",
        b"\x83\x80\x00\x00\x00\x00",
        b"\x89\xfe\x00\x7eabcd" + bytes(126),
        b"\x81\x82abcd\x9e\x9f",
    ],
    ids=["not masked", "reserved bits", "unknown kind", "long ping", "no utf-8"],
)
def test_hostile_frames_end_it(raw, frame):
    app = raw()
    host = urlsplit(app.url)
    headers = "".join(f"{name}: {value}\r\n" for name, value in PROPER.items())
    with socket.create_connection((host.hostname, host.port), timeout=20) as client:
        client.sendall(f"GET {app.path}/socket HTTP/1.1\r\nHost: {host.netloc}\r\n{headers}\r\n".encode())
        assert client.recv(12)[9:12] == b"101"
        client.sendall(frame)
        while client.recv(1000):
            pass
    assert app.get("/method").body == b"GET"


async def test_fastapi_starlette_and_quart(site):
    for name in ("fastapi", "quart"):
        async with connect(site(name), "/chat/blue") as ws:
            for text in ("one", "two"):
                await ws.send(text)
                assert await ws.recv() == f"blue: {text}", name
    app = site("starlette")
    async with connect(app, "/chat", subprotocols=["chat"]) as ws:
        assert await ws.recv() == f'{{"path":"{app.path}/chat"}}'
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "that was all")
    with pytest.raises(InvalidStatus):
        await connect(site("flask"), "/hello/x")


async def test_an_app_without_a_wrapper_by_the_published_package(started, polyfn_server):
    for service in ("direct", "object"):
        app = started.app("direct.py", "hypha_rpc-python", polyfn_server.url, service)
        async with connect(app, "/chat") as ws:
            await ws.send("hello")
            assert await ws.recv() == "HELLO"
