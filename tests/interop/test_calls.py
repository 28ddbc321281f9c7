"""Every client calls every client, on our server and on the reference."""

from __future__ import annotations

import hashlib

import pytest
from runner.peers import PeerError, callback, data, fill

FIVE_MEGABYTES = 5_000_000


def digest(size: int) -> str:
    pattern = bytes(range(256))
    return hashlib.sha256((pattern * (size // 256 + 1))[:size]).hexdigest()


@pytest.fixture
def service(pool, server_kind, callee_kind, caller_kind):
    return pool.service(server_kind, callee_kind, caller_kind, "rpc")


def test_positional_arguments(service):
    assert service.call("add", 1, 41) == 42


def test_no_result_is_lost_among_many_calls(service):
    answers = [service.start("add", number, 1000) for number in range(50)]
    assert [service.connection.peer.finish(answer) for answer in answers] == [
        number + 1000 for number in range(50)
    ]


def test_keyword_arguments(service):
    assert service.call("greet", name="Ada", greeting="Good day") == "Good day Ada"


def test_default_arguments(service):
    assert service.call("greet", name="Ada") == "Hello Ada"


def test_positional_and_keyword_arguments(service):
    assert service.call("greet", "Ada", greeting="Good day") == "Good day Ada"


def test_plain_values_come_back_as_they_went(service):
    value = {
        "text": "grüße 世界 🎈",
        "list": [1, 2.5, None, True],
        "nested": {"empty": {}, "none": None},
        "big": 2**53 - 1,
    }
    assert service.call("echo", value) == value


def test_coroutines_answer_too(service):
    assert service.call("echo_later", [1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize("function", ["double", "double_later"])
def test_a_callback_is_called_back(service, function):
    assert service.call("repeat", callback(function), 3) == [0, 2, 4]


def test_an_error_in_a_callback_reaches_the_caller(service):
    with pytest.raises(PeerError) as caught:
        service.call("repeat", callback("raise"), 1)
    assert "callback refused" in caught.value.text


@pytest.mark.parametrize("function", ["fail", "fail_later"])
def test_an_error_carries_its_message(service, function):
    with pytest.raises(PeerError) as caught:
        service.call(function, "out of cheese")
    assert "out of cheese" in caught.value.message


def test_an_error_in_our_clients_has_a_code_and_the_remote_traceback(
    pool, server_kind, callee_kind, polyfn_kind
):
    service = pool.service(server_kind, callee_kind, polyfn_kind, "rpc")
    with pytest.raises(PeerError) as caught:
        service.call("fail", "out of cheese")
    assert caught.value.code == "remote"
    if callee_kind.endswith("python"):
        assert "ValueError" in caught.value.text
    assert "fail" in caught.value.trace, "the trace names the function that failed"


def test_a_missing_method_is_an_error(service):
    with pytest.raises(PeerError):
        service.call("no_such_method")


def test_nested_functions(service):
    assert service.call("nest.deep.hello", "Ada") == "hello Ada"


def test_bound_methods(service):
    assert service.call("shelve", "Dune") == "shelf: Dune"


def test_constants_of_a_service(service):
    assert service.value("answer") == 42


def test_a_function_as_result_can_be_called(service):
    assert service.call("multiplier", 2) == {"$then": 42}


def test_bytes_both_ways(service):
    assert service.call("echo", data(b"\x00\xff\x80text")) == data(b"\x00\xff\x80text")
    assert service.call("echo", {"inside": data(b"")}) == {"inside": data(b"")}


def test_a_large_argument(service):
    assert service.call("size", fill(FIVE_MEGABYTES)) == FIVE_MEGABYTES


def test_a_large_result(service):
    assert service.call("make", FIVE_MEGABYTES) == {
        "$length": FIVE_MEGABYTES,
        "$sha256": digest(FIVE_MEGABYTES),
    }


def test_the_context_names_the_caller(pool, server_kind, callee_kind, caller_kind):
    service = pool.service(server_kind, callee_kind, caller_kind, "context")
    caller = service.connection
    answer = service.call("whoami", "x")
    assert answer == {
        "tag": "x",
        "ws": caller.workspace,
        "from": f"{caller.workspace}/{caller.client_id}",
        "user": "matrix",
    }
