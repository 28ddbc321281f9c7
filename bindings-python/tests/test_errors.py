"""Errors as exceptions."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import traceback

import polyfn
import pytest
from polyfn import _native, errors


def test_every_code_has_a_class():
    assert list(errors.CLASSES) == _native.error_codes()
    for code, kind in errors.CLASSES.items():
        assert kind.code == code
        assert issubclass(kind, polyfn.RpcError)
        assert kind.__name__ in polyfn.__all__
        assert isinstance(errors.from_code(code, "m", None, None), kind)


@pytest.mark.parametrize(
    ("kind", "built_in"),
    [
        (polyfn.NotFoundError, LookupError),
        (polyfn.PermissionDeniedError, PermissionError),
        (polyfn.RpcTimeoutError, TimeoutError),
        (polyfn.PeerGoneError, ConnectionError),
        (polyfn.InvalidError, ValueError),
    ],
)
def test_built_in_exceptions_catch_ours(kind, built_in):
    with pytest.raises(built_in, match="text"):
        raise kind("text")


async def test_what_a_function_raises(offer):
    def fail():
        raise ValueError("bad")

    async def fail_later():
        raise KeyError("missing")

    service = await offer(fail=fail, fail_later=fail_later)
    with pytest.raises(polyfn.RemoteError) as caught:
        await service.fail()
    error = caught.value
    assert str(error) == "bad"
    assert (error.code, error.remote_type) == ("remote", "ValueError")
    assert "in fail\n" in error.remote_traceback
    assert error.remote_traceback.rstrip().endswith("ValueError: bad")
    if hasattr(error, "__notes__"):
        assert "in fail\n" in "".join(traceback.format_exception(error))
    with pytest.raises(polyfn.RemoteError) as caught:
        await service.fail_later()
    assert (str(caught.value), caught.value.remote_type) == ("'missing'", "KeyError")


class ShelfError(Exception):
    pass


@pytest.mark.parametrize(
    ("raised", "as_well"),
    [
        (ValueError("bad"), ValueError),
        (TypeError("bad"), TypeError),
        (KeyError("missing"), KeyError),
        (IndexError("list index out of range"), LookupError),
        (PermissionError(13, "Permission denied", "/etc/shadow"), PermissionError),
        (FileNotFoundError(2, "No such file or directory", "x"), FileNotFoundError),
        (ConnectionResetError("by peer"), ConnectionError),
        (TimeoutError("too slow"), TimeoutError),
        (NotImplementedError(), NotImplementedError),
        (ZeroDivisionError("division by zero"), ArithmeticError),
        (AttributeError("no such attribute"), AttributeError),
        (RuntimeError("bad"), RuntimeError),
        (AssertionError("bad"), AssertionError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), UnicodeError),
        (ShelfError("no room"), polyfn.RemoteError),
        (SyntaxError("bad"), polyfn.RemoteError),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_built_in_exceptions_come_back_as_themselves(offer, raised, as_well):
    def fail():
        raise raised

    service = await offer(fail=fail, echo=lambda value: value)
    with pytest.raises(as_well) as caught:
        await service.fail()
    error = caught.value
    assert isinstance(error, polyfn.RemoteError)
    assert (error.code, str(error), error.remote_type) == ("remote", str(raised), type(raised).__name__)
    assert isinstance(await service.echo(raised), as_well)
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (type(error), str(error))


async def test_details_of_built_in_exceptions(offer):
    service = await offer(fail=lambda: {}["missing"], find=lambda: os.stat("/no/such/file"))
    with pytest.raises(KeyError) as caught:
        await service.fail()
    assert caught.value.args == ("missing",)
    with pytest.raises(OSError, match="No such file") as found:
        await service.find()
    assert found.value.errno == errno.ENOENT


async def test_what_led_to_an_error_comes_along(offer):
    def fail():
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("no such user") from error

    service = await offer(fail=fail)
    with pytest.raises(ValueError, match="no such user") as caught:
        await service.fail()
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.__cause__.args == ("missing",)
    assert caught.value.remote_traceback.count("KeyError: 'missing'") == 1


async def test_iterators_do_not_end_because_a_peer_says_so(offer):
    def fail():
        raise StopIteration(3)

    service = await offer(fail=fail)
    with pytest.raises(polyfn.RemoteError) as caught:
        await service.fail()
    assert not isinstance(caught.value, StopIteration)


async def test_errors_keep_their_class_over_two_hops(offer):
    def fail():
        raise ValueError("bad")

    service = await offer(fail=fail)
    through = await offer({"id": "through", "fail": lambda: service.fail()})
    with pytest.raises(ValueError, match="bad") as caught:
        await through.fail()
    assert caught.value.remote_type == "ValueError"
    assert "in fail\n" in caught.value.remote_traceback


@pytest.mark.parametrize(
    "kind",
    [
        polyfn.NotFoundError,
        polyfn.PermissionDeniedError,
        polyfn.InvalidError,
        polyfn.ConflictError,
        polyfn.OverloadedError,
    ],
)
async def test_a_function_may_say_the_kind(offer, kind):
    def fail():
        raise kind("as said")

    service = await offer(fail=fail)
    with pytest.raises(kind) as caught:
        await service.fail()
    assert (type(caught.value), str(caught.value)) == (kind, "as said")


async def test_timeouts_of_others_are_not_our_own(offer):
    def fail():
        raise polyfn.RpcTimeoutError("somebody else was slow")

    service = await offer(fail=fail)
    with pytest.raises(polyfn.RemoteError) as caught:
        await service.fail()
    assert caught.value.remote_type == "RpcTimeoutError"


async def test_wrong_arguments(offer):
    service = await offer(one=lambda a: a)
    with pytest.raises(polyfn.RemoteError, match="missing 1 required positional argument") as caught:
        await service.one()
    assert caught.value.remote_type == "TypeError"


async def test_exceptions_that_cannot_be_shown(offer):
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    def fail():
        raise OddError

    service = await offer(fail=fail)
    with pytest.raises(polyfn.RemoteError) as caught:
        await service.fail()
    assert caught.value.remote_type == "OddError"


async def test_a_call_without_an_answer_times_out(server_url, owner):
    async with polyfn.connect_to_server(
        server_url, workspace=owner.workspace, token=await owner.generate_token(), method_timeout=0.3
    ) as caller:
        # heartbeats keep a call alive as long as its owner lives, so ask somebody who was never there
        with pytest.raises((polyfn.RpcTimeoutError, polyfn.PeerGoneError)):
            await caller.ping("nobody-here")


async def test_no_such_service(caller):
    with pytest.raises(polyfn.RpcError, match="Service not found"):
        await caller.get_service("no-such-service")


async def test_refused_connections(server_url):
    with pytest.raises(polyfn.PermissionDeniedError):
        await polyfn.connect_to_server(server_url, token="not a token")
    with pytest.raises(ConnectionError):
        await polyfn.connect_to_server("http://127.0.0.1:9")
    with pytest.raises(polyfn.InvalidError, match="not a server url"):
        await polyfn.connect_to_server("localhost:9527")


def test_options_that_are_not_there():
    with pytest.raises(TypeError, match="did you mean 'workspace'"):
        polyfn.connect_to_server("http://localhost", workspaces="x")
    with pytest.raises(TypeError, match="needs server_url"):
        polyfn.connect_to_server(token="x")
    with pytest.raises(NotImplementedError, match="webrtc=True"):
        polyfn.connect_to_server("http://localhost", webrtc=True)


def test_every_limit_is_documented():
    text = polyfn.connect_to_server.__doc__
    assert len(_native.limit_names()) >= 11
    for name in _native.limit_names():
        assert f"`{name}`" in text


async def test_limits_of_a_connection(server_url, owner):
    released = asyncio.Event()

    async def wait():
        await released.wait()
        return "done"

    await owner.register_service({"id": "waiting", "wait": wait}, overwrite=True)
    token = await owner.generate_token()
    # one or two of them may be the connection's own
    options = {"workspace": owner.workspace, "token": token, "max_calls": 4}
    async with polyfn.connect_to_server(server_url, **options) as client:
        service = await client.get_service("waiting")

        async def call():
            return await service.wait()

        calls = [asyncio.ensure_future(call()) for _ in range(5)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        released.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    refused = [end for end in ends if end != "done"]
    assert 1 <= len(refused) <= 3
    for error in refused:
        assert isinstance(error, polyfn.OverloadedError)
        assert "4 calls are under way already" in str(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"long_message_chunk_size": 0}, "long_message_chunk_size is 0, it must be 1024 bytes at least"),
        ({"ping_interval": 0}, "ping_interval is 0"),
    ],
)
async def test_options_that_no_connection_can_live_with(server_url, options, words):
    with pytest.raises(polyfn.InvalidError, match=words):
        await polyfn.connect_to_server(server_url, **options)


@pytest.mark.parametrize("name", ["max_calls", "stream_window"])
async def test_limits_that_are_none(server_url, name):
    with pytest.raises(polyfn.InvalidError, match=f"{name} must be a whole number from 1 on, not 0"):
        await polyfn.connect_to_server(server_url, **{name: 0})
    with pytest.raises(OverflowError, match=f"^{name}: "):
        await polyfn.connect_to_server(server_url, **{name: -1})


@pytest.mark.parametrize(
    ("name", "value", "raised"),
    [
        ("client_id", 5, TypeError),
        ("token", b"secret", TypeError),
        ("method_timeout", "soon", TypeError),
        ("method_timeout", -1, ValueError),
        ("max_calls", 2**70, OverflowError),
    ],
)
async def test_values_that_an_option_cannot_have(server_url, name, value, raised):
    with pytest.raises(raised, match=f"^{name}: ") as caught:
        await polyfn.connect_to_server(server_url, **{name: value})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["connect_timeout", "method_timeout", "ping_interval", "ping_timeout", "token_refresh_interval"]
)
async def test_times_that_no_clock_can_be_added_to(server_url, name):
    async with polyfn.connect_to_server(server_url, **{name: 1.8e19}) as server:
        assert await server.echo(1) == 1
