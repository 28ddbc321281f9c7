"""Apps in JavaScript that speak ASGI, by our package and by the published one."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import pytest
import websockets
from runner.apps import Apps


@pytest.fixture(scope="module")
def started():
    with Apps() as apps:
        yield apps


@pytest.fixture(params=["hypha_rpc-node", "polyfn-node"])
def app(started, polyfn_server, request):
    return started.app("plain.mjs", request.param, polyfn_server.url, "plain")


@pytest.mark.parametrize("size", [0, 1000, 200_000, 3_000_000])
def test_bodies_of_every_size_go_both_ways(app, size):
    body = os.urandom(size)
    answer = app.request("POST", "/", body=body)
    assert (answer.status, answer.header("x-host"), answer.body) == (201, urlsplit(app.url).netloc, body)


async def test_messages_of_every_size_go_both_ways(app):
    async with websockets.connect(app.url.replace("http", "ws", 1) + "/", open_timeout=20) as ws:
        for text in ("hello", "x" * 300_000, "y" * 1_000_000):
            await ws.send(text)
            assert await ws.recv() == text.upper()
        for data in (b"\x00\xff", bytes(range(256)) * 4096):
            await ws.send(data)
            assert await ws.recv() == data[::-1]
