"""Two clients of ours that are both on plain HTTP: streams, events, and calls that are given up."""

from __future__ import annotations

import itertools

import pytest
from runner import tokens
from runner.peers import fill

PAIRS = [("python", "node"), ("node", "python")]
NUMBERS = itertools.count(1)


class Pair:
    def __init__(self, pool, server_kind: str, owner: str, caller: str):
        user = f"http-pair-{next(NUMBERS)}"
        config = {"workspace": tokens.own_workspace(user), "token": tokens.member(user), "transport": "http"}
        url = pool.server(server_kind).url
        self.owner, self.caller = (
            pool.peer(server_kind, f"polyfn-{language}").connect(
                f"{user}-{role}", url, client_id=f"{user}-{role}", **config
            )
            for role, language in (("owner", owner), ("caller", caller))
        )
        self.owner.register("rpc", "rpc")
        self.service = self.caller.get(f"{self.owner.client_id}:rpc")

    def close(self) -> None:
        self.caller.disconnect()
        self.owner.disconnect()


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(pool, server_kind, request):
    pair = Pair(pool, server_kind, *request.param)
    yield pair
    pair.close()


def test_generators_are_read(pair):
    assert pair.service.call("count_up", 200)["$items"] == list(range(200))
    told = pair.service.call("fail_after", 3)
    assert told["$items"] == [0, 1, 2]
    assert "out of items" in told["$error"]
    assert len(pair.service.call("large_items", 2, 400_000)["$items"]) == 2
    assert pair.service.call("sum_stream", {"$stream": list(range(100))}) == 4950


def test_a_generator_that_is_left_early_is_closed(pair):
    left = pair.service.connection.peer.finish(pair.service.start("count_up", 10**9, take=3))
    assert left == {"$items": [0, 1, 2]}
    assert pair.service.call("open_streams") == 0


def test_callbacks_and_long_messages_pass(pair):
    assert pair.service.call("apply_filled", {"$callback": "length"}, 700_000) == 700_000
    assert pair.service.call("size", fill(700_000)) == 700_000


def test_events_are_heard(pair):
    pair.owner.listen("tide")
    pair.caller.emit({"type": "tide", "to": "*", "data": {"height": 3}})
    heard = pair.owner.hear("tide", limit=20)
    assert heard["data"] == {"height": 3}
    address = f"{pair.owner.workspace}/{pair.owner.client_id}"
    pair.caller.emit({"type": "tide", "to": address, "data": {"height": 4}})
    assert pair.owner.hear("tide", limit=20)["data"] == {"height": 4}


def test_events_of_the_server_are_heard(pair):
    pair.caller.listen("service_added")
    pair.owner.register("context", "later")
    heard = pair.caller.hear("service_added", limit=20)
    assert heard["data"]["id"].endswith(":later")


def test_a_call_that_is_given_up_breaks_its_function_off(pair, server_kind):
    if server_kind == "hypha":
        pytest.skip("a server that knows no extensions passes no cancel on")
    assert pair.service.give_up("hang", until="hang_begun") is True
    assert pair.service.call("hang_cancelled", limit=20) is True
