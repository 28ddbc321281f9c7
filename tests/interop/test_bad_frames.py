"""Frames that no client library would send.

The sender gets a clear answer or a close with a reason; everybody else is unaffected.
."""

from __future__ import annotations

import json
import time

import msgpack
import pytest
from runner import servers, tokens
from runner.sockets import RawClient, RemoteError, closing, hello, open_socket, pack
from websockets.exceptions import ConnectionClosed

SOON = 3.0  # a reject that is made at once, not by somebody's timeout
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def server():
    """A server of this module alone: its memory is watched."""
    running = servers.PolyfnServer().start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def bystander(server):
    """A client that does nothing wrong, connected all the time."""
    with RawClient(server.ws_url) as client:
        yield client


@pytest.fixture(autouse=True)
def _others_are_unaffected(server, bystander):
    yield
    assert bystander.call_manager("echo", "fine") == "fine"
    with RawClient(server.ws_url) as newcomer:
        assert newcomer.call_manager("echo", "fine") == "fine"


def fields(client: RawClient) -> dict:
    """The routing of a call to the manager."""
    routing = {"type": "method", "from": client.address, "to": client.manager}
    return routing | {"method": "services.default.echo", "session": "s1"}


def routed(client: RawClient) -> bytes:
    return msgpack.packb(fields(client))


def call_with(client: RawClient, main: dict) -> bytes:
    """A call of the manager with some fields changed; `...` leaves one out."""
    changed = {key: value for key, value in {**fields(client), **main}.items() if value is not ...}
    return pack(changed, {"args": [1], "promise": "*", "t": 1})


def nested(depth: int) -> bytes:
    """A list in a list in a list ..., without building it."""
    return b"\x91" * depth + b"\xc0"


# Bytes that claim far more than they bring.
CLAIMS = {
    "array32": b"\xdd\xff\xff\xff\xff",
    "map32": b"\xdf\xff\xff\xff\xff",
    "str32": b"\xdb\xff\xff\xff\xff",
    "bin32": b"\xc6\xff\xff\xff\xff",
    "ext32": b"\xc9\xff\xff\xff\xff\x01",
    "map16 of maps": b"\xde\xff\xff" * 1000,
    "arrays in arrays": b"\xdd\x00\x0f\xff\xff" * 60,
}

FIRST_SEGMENTS = {
    "nothing": b"",
    "a number": b"\x05",
    "an array": b"\x91\x01",
    "a string": b"\xa4type",
    "reserved byte": b"\xc1",
    "cut in a key": b"\x85\xa4ty",
    "cut in a value": b"\x81\xa4type\xa6meth",
    "noise": bytes(range(256)) * 20,
    "too deep": b"\x81\xa1a" + nested(100_000),
    "invalid utf-8": b"\x82\xa4type\xa6method\xa2to\xa3\xff\xfe\xfd",
    **{f"claims {name}": b"\x81\xa1a" + claim for name, claim in CLAIMS.items()},
}


def settle(client: RawClient) -> None:
    """After bad bytes: the client is still served, or was closed with a stated reason."""
    if (closed := served_or_closed(client)) is not None:
        assert closed.rcvd is not None, "cut without a close frame"
        assert closed.rcvd.code in (1002, 1003, 1007, 1008, 1009)
        assert closed.rcvd.reason


def served_or_closed(client: RawClient) -> ConnectionClosed | None:
    deadline = time.monotonic() + 10
    try:
        client.socket.send('{"type":"ping"}')
        while time.monotonic() < deadline:
            message = client.socket.recv(10)
            if isinstance(message, str) and json.loads(message) == {"type": "pong"}:
                return None
    except ConnectionClosed as closed:
        return closed
    pytest.fail("no pong")


@pytest.mark.parametrize("kind", FIRST_SEGMENTS)
def test_a_routing_segment_that_is_none(server, kind):
    with RawClient(server.ws_url) as client:
        client.socket.send(FIRST_SEGMENTS[kind])
        settle(client)


@pytest.mark.parametrize(
    "main",
    [
        {"to": ...},
        {"to": 5},
        {"to": None},
        {"to": ""},
        {"to": "/"},
        {"to": "a/b/c"},
        {"to": {"a": 1}},
        {"to": "*/"},
        {"to": "x" * 100_000},
        {"type": ...},
        {"type": 5},
        {"type": "no-such-type"},
        {"type": ""},
        {"method": ...},
        {"method": 5},
        {"method": "services"},
        {"method": "."},
        {"method": "services.default.__class__.__init__"},
        {"method": "services.default." + "a." * 10_000},
        {"session": 5},
        {"session": ...},
        {"session": "x" * 100_000},
        {"from": 5},
        {"parent": "no-such-session"},
        {"unknown": {"key": [1, 2, 3]}},
        {5: 5},
        {b"bytes": 1},
    ],
    ids=lambda main: str(main)[:40],
)
def test_odd_fields_of_the_routing_segment(server, main):
    with RawClient(server.ws_url) as client:
        client.socket.send(call_with(client, main))
        settle(client)


SECOND_SEGMENTS = {
    "a number": b"\x05",
    "an array": b"\x91\x01",
    "reserved byte": b"\xc1",
    "cut": b"\x83\xa4args\x91",
    "too deep": b"\x81\xa4args\x91" + nested(100_000),
    "args is a number": msgpack.packb({"args": 5, "promise": "*", "t": 1}),
    "promise is a number": msgpack.packb({"args": [1], "promise": 5, "t": 1}),
    "promise without reject": msgpack.packb({"args": [1], "promise": {"resolve": {}}, "t": 1}),
    "t is text": msgpack.packb({"args": [1], "promise": "*", "t": "soon"}),
    "t is negative": msgpack.packb({"args": [1], "promise": "*", "t": -1}),
    "t is nothing at all": msgpack.packb({"args": [1], "promise": "*", "t": 0}),
    "t is infinite": msgpack.packb({"args": [1], "promise": "*", "t": float("inf")}),
    "t is no number": msgpack.packb({"args": [1], "promise": "*", "t": float("nan")}),
    "with_kwargs without a map": msgpack.packb({"args": [1], "with_kwargs": True, "promise": "*", "t": 1}),
    "with_kwargs and no args": msgpack.packb({"args": [], "with_kwargs": True, "promise": "*", "t": 1}),
    "a stub of nowhere": msgpack.packb(
        {"args": [{"_rtype": "method", "_rtarget": 5, "_rmethod": None}], "promise": "*", "t": 1}
    ),
    "an array of odd shape": msgpack.packb(
        {
            "args": [
                {"_rtype": "ndarray", "_rvalue": b"\x00", "_rshape": [2**40, 2**40], "_rdtype": "int64"}
            ],
            "promise": "*",
            "t": 1,
        }
    ),
    **{f"claims {name}": b"\x81\xa4args" + claim for name, claim in CLAIMS.items()},
}


@pytest.mark.parametrize("kind", SECOND_SEGMENTS)
def test_a_payload_segment_that_is_none(server, kind):
    """To the manager, which is the peer inside the server that decodes payloads."""
    with RawClient(server.ws_url) as client:
        client.socket.send(routed(client) + SECOND_SEGMENTS[kind])
        settle(client)


@pytest.mark.parametrize("kind", ["too deep", "cut", "claims array32", "reserved byte"])
def test_a_payload_that_cannot_be_read_is_rejected(server, kind):
    """The caller gave a session, so it hears at once and does not wait for its timeout."""
    with RawClient(server.ws_url) as client:
        client.socket.send(routed(client) + SECOND_SEGMENTS[kind])
        with pytest.raises(RemoteError) as caught:
            client.finish_call("s1", SOON)
    assert caught.value.text.strip()


def test_a_frame_over_sixteen_megabytes_is_closed_with_1009(server):
    with RawClient(server.ws_url) as client:
        try:
            client.socket.send(
                routed(client) + msgpack.packb({"args": [b"x" * 17 * MEGABYTE], "promise": "*", "t": 1})
            )
            _, code, _ = closing(client.socket)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
        assert code == 1009


def test_a_frame_of_fifteen_megabytes_passes(server):
    with RawClient(server.ws_url) as client:
        content = b"x" * 15 * MEGABYTE
        assert client.call_manager("echo", content) == content


def test_a_missing_method_of_the_manager(server):
    with RawClient(server.ws_url) as client, pytest.raises(RemoteError) as caught:
        client.call(client.manager, "services.default.no_such_method", limit=SOON)
    assert "Method expired or not found" in caught.value.text


def test_a_missing_service_of_the_manager(server):
    with RawClient(server.ws_url) as client, pytest.raises(RemoteError) as caught:
        client.call(client.manager, "services.nothing.at.all", limit=SOON)
    assert "not found" in caught.value.text


@pytest.mark.parametrize("argument", [{"no_such_keyword": 1}, {}])
def test_wrong_arguments_to_the_manager(server, argument):
    with RawClient(server.ws_url) as client, pytest.raises(RemoteError) as caught:
        client.call_manager("echo", argument, extra={"with_kwargs": True})
    assert "argument" in caught.value.text


@pytest.mark.parametrize("target", ["nobody", "{workspace}/nobody", "no-such-workspace/nobody", "a/b/c"])
def test_an_unknown_target_is_rejected_at_once(server, target):
    with RawClient(server.ws_url) as client:
        to = target.format(workspace=client.workspace)
        began = time.monotonic()
        with pytest.raises(RemoteError) as caught:
            client.call(to, "services.x.y", limit=SOON)
        assert time.monotonic() - began < SOON
    assert caught.value.text.strip()


def test_a_target_that_has_just_left_is_rejected(server):
    token = tokens.member("leavers")
    with RawClient(server.ws_url, token=token) as client:
        with RawClient(server.ws_url, token=token) as leaver:
            leaver.register_builtin()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if leaver.address not in [item["id"] for item in client.call_manager("list_clients")]:
                break
        with pytest.raises(RemoteError) as caught:
            client.call(leaver.address, "services.x.y", limit=SOON)
    assert caught.value.text.strip() == f"Target peer {leaver.address} is not connected"


def test_an_unknown_manager_id_is_the_manager(server):
    """Clients keep the id of a server that was started anew."""
    with RawClient(server.ws_url) as client:
        session = client.start_call("*/manager-of-yesterday", "services.default.echo", "hello")
        main, extra = client.receive()
        while main["method"].endswith(".heartbeat"):
            main, extra = client.receive()
        assert main["method"] == f"{session}.resolve"
        assert main["from"] == "*/manager-of-yesterday"
        assert extra["args"] == ["hello"]


# -- memory ------------------------------------------------------------------------------------


def big_first_message(server) -> None:
    connection = open_socket(server.ws_url)
    try:
        connection.send(hello(client_id="x" * 12 * MEGABYTE))
        closing(connection)
    except ConnectionClosed:
        pass


def oversized_frame(server) -> None:
    with RawClient(server.ws_url) as client:
        try:
            client.socket.send(b"\x81\xa1a\xc6\x01\x00\x00\x00" + b"x" * 16 * MEGABYTE + b"x" * MEGABYTE)
            closing(client.socket)
        except ConnectionClosed:
            pass


def claims(server) -> None:
    with RawClient(server.ws_url) as client:
        for claim in CLAIMS.values():
            client.socket.send(routed(client) + b"\x81\xa4args" + claim)
        settle(client)


def unknown_sessions(server) -> None:
    """Answers to calls that nobody made, parents that never were, half-sent long messages."""
    with RawClient(server.ws_url) as client:
        for number in range(500):
            client.send(
                {
                    "type": "method",
                    "from": client.address,
                    "to": client.manager,
                    "method": f"s{number}.resolve",
                },
                {"args": ["x" * 1000]},
            )
            client.send(
                {
                    "type": "method",
                    "from": client.address,
                    "to": client.manager,
                    "method": "services.built-in.message_cache.create",
                    "session": f"c{number}",
                },
                {"args": [f"key-{number}"], "promise": "*", "t": 1},
            )
            client.send(
                {
                    "type": "method",
                    "from": client.address,
                    "to": client.manager,
                    "method": "services.built-in.message_cache.set",
                    "session": f"d{number}",
                },
                {"args": [f"key-{number}", 0, b"x" * 10_000], "promise": "*", "t": 1},
            )
        settle(client)


def refused_tokens(server) -> None:
    for _ in range(20):
        connection = open_socket(server.ws_url)
        connection.send(hello(client_id="x", token="x" * 100_000))
        closing(connection)


ATTACKS = [big_first_message, oversized_frame, claims, unknown_sessions, refused_tokens]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_memory_does_not_grow(server, bystander, attack):
    for _ in range(4):
        attack(server)
    assert bystander.call_manager("echo", "settled") == "settled"
    before = server.resident_bytes()
    for _ in range(8):
        attack(server)
    assert bystander.call_manager("echo", "settled") == "settled"
    grown = server.resident_bytes() - before
    assert grown < 6 * MEGABYTE, f"the server holds {grown / MEGABYTE:.1f} MB more"
