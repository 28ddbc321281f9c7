"""Messages outside of calls."""

from __future__ import annotations

import asyncio

import polyfn
import pytest
from runner.proxy import Proxy


async def test_to_one_client(owner, caller):
    heard: asyncio.Queue = asyncio.Queue()
    caller.on("greeting", heard.put_nowait)
    await owner.emit({"type": "greeting", "to": caller.client_id, "text": "hello"})
    message = await asyncio.wait_for(heard.get(), 5)
    assert message.text == "hello"
    assert message["from"] == f"{owner.workspace}/{owner.client_id}"


async def test_to_everyone_who_subscribed(owner, caller):
    heard: asyncio.Queue = asyncio.Queue()
    caller.on("news", heard.put_nowait)
    await caller.subscribe("news")
    owner.emit({"type": "news", "to": "*"}, {"number": 1})
    assert (await asyncio.wait_for(heard.get(), 5)).number == 1


async def test_once_off_and_order(owner):
    heard = []
    owner.once("e", lambda message: heard.append("once"))
    owner.on("e", lambda message: heard.append("first"))
    second = lambda message: heard.append("second")  # noqa: E731
    owner.on("e", second)
    owner.emit({"type": "e"})
    owner.emit({"type": "e"})
    owner.off("e", second)
    owner.emit({"type": "e"})
    owner.off()
    owner.emit({"type": "e"})
    assert heard == ["once", "first", "second", "first", "second", "first"]


async def test_async_handlers_and_failures(owner):
    heard = asyncio.Event()
    reported = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: reported.append(context["exception"])
    )

    async def handler(message):
        await asyncio.sleep(0)
        heard.set()

    def fails(message):
        raise ValueError("bad handler")

    owner.on("e", fails)
    owner.on("e", handler)
    owner.emit({"type": "e"})
    await asyncio.wait_for(heard.wait(), 5)
    assert [str(error) for error in reported] == ["bad handler"]


async def test_a_peer_cannot_fire_what_this_side_tells(owner, caller):
    heard = []
    caller.on("services_registered", heard.append)
    caller.on("marker", heard.append)
    owner.emit({"type": "services_registered", "to": caller.client_id})
    owner.emit({"type": "marker", "to": caller.client_id})
    deadline = asyncio.get_running_loop().time() + 5
    while not heard:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)
    assert [message.type for message in heard] == ["marker"]


@pytest.mark.parametrize(
    "message", [{"to": "*"}, {"type": "method", "to": "*"}, {"type": "x", "to": "*", "f": print}]
)
async def test_messages_that_make_no_sense(owner, message):
    with pytest.raises((TypeError, ValueError)):
        owner.emit(message)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ({"a": 1}, "found {'a': 1}"),
        ({"type": 5}, "found {'type': 5}"),
        ({"type": "x", 5: 6}, "found 5"),
        ({"type": "x", "to": "*", 5: 6}, "found 5"),
        (None, "found None"),
    ],
)
async def test_what_is_no_message(owner, message, found):
    with pytest.raises(polyfn.InvalidError, match=found):
        owner.emit(message)
    with pytest.raises(polyfn.InvalidError, match="found 5"):
        owner.emit({"type": "x"}, 5)


@pytest.mark.parametrize("given", [5, None, b"news", ["news", 5]])
async def test_what_is_no_type_of_events(owner, given):
    for asks in (owner.subscribe, owner.unsubscribe):
        with pytest.raises(polyfn.InvalidError, match="the type of an event must be str, found "):
            await asks(given)


async def test_what_is_no_handler(owner):
    for adds in (owner.on, owner.once):
        with pytest.raises(polyfn.InvalidError, match="the handler of 'z' must be a function, found 5"):
            adds("z", 5)
        with pytest.raises(polyfn.InvalidError, match="the type of an event must be str, found 5"):
            adds(5, print)
    with pytest.raises(polyfn.InvalidError, match="found None"):
        await owner.wait_for(None)
    assert owner._events._handlers == {}


async def test_wait_for(owner, caller):
    waiting = asyncio.ensure_future(caller.wait_for("greeting", timeout=5))
    await asyncio.sleep(0)
    await owner.emit({"type": "greeting", "to": caller.client_id, "text": "hello"})
    assert (await waiting).text == "hello"
    for waits in (caller.wait_for, caller.rpc.wait_for):
        with pytest.raises(polyfn.RpcTimeoutError, match=r"no event 'nothing' came within 0\.001 seconds"):
            await waits("nothing", timeout=0.001)
    assert caller._events._handlers == {}, "nothing is left behind"


async def test_the_connection_tells_how_it_stands(server_url, owner):
    """Through a proxy that breaks the connection: what is told, in which order, and what waits meanwhile."""
    told = []
    with Proxy(server_url) as proxy:
        server = await polyfn.connect_to_server(proxy.url)
        assert server.connection_state == "connected"
        await server.register_service({"id": "kept", "config": {"visibility": "public"}, "f": lambda: 1})
        names = ["disconnected", "manager_refreshed", "services_registered", "reconnected", "connected"]
        for name in names:
            server.on(name, lambda data, name=name: told.append((name, data, server.connection_state)))
        away = asyncio.ensure_future(server.wait_for("disconnected", timeout=5))
        back = asyncio.ensure_future(server.wait_for("connected", timeout=20))
        await asyncio.sleep(0)
        proxy.cut()
        await away
        assert server.connection_state == "disconnected"
        assert await server.echo("sent while away") == "sent while away"
        await back
        assert [name for name, _, _ in told] == names
        assert [state for _, _, state in told] == ["disconnected", *["connected"] * 4]
        registered = told[2][1]
        assert (registered.total, registered.registered, registered.failed) == (2, 2, [])
        assert told[4][1].workspace == server.workspace
        await server.disconnect()
        assert server.connection_state == "closed"
        assert told[-1][0] == "disconnected"


@pytest.mark.parametrize("to", [5, "", ["q"], b"q", {"id": "q"}])
async def test_an_address_that_is_none(owner, to):
    with pytest.raises(polyfn.InvalidError, match="`to` of an event must be the address of a client"):
        owner.emit({"type": "e", "to": to})


async def test_an_event_is_no_way_for_long_things(owner, caller):
    heard: asyncio.Queue = asyncio.Queue()
    caller.on("news", heard.put_nowait)
    with pytest.raises(polyfn.TooLargeError, match=r"an event of \d+ bytes, 263168 are allowed"):
        owner.emit({"type": "news", "to": caller.client_id, "content": b"x" * 300_000})
    await owner.emit({"type": "news", "to": caller.client_id, "content": b"x" * 260_000})
    assert len((await asyncio.wait_for(heard.get(), 5)).content) == 260_000
