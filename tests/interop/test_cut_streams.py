"""Streams whose items are sent ahead, when the connection of one end breaks and its client comes back."""

from __future__ import annotations

import itertools

import pytest
from runner import tokens
from runner.proxy import Proxy
from runner.waiting import eventually

# Each language once as the owner, and once as the reader.
PAIRS = [("python", "node"), ("node", "rust"), ("rust", "python")]
NUMBERS = itertools.count(1)


class Pair:
    """An owner and a reader, of which one goes through a proxy, and a service of the owner's."""

    def __init__(self, pool, url: str, owner_kind: str, reader_kind: str, cut: str):
        self.proxy = Proxy(url)
        self.connections = []
        urls = {"owner": url, "reader": url, cut: self.proxy.url}
        user = f"cut-{next(NUMBERS)}"
        config = {"workspace": tokens.own_workspace(user), "token": tokens.member(user)}
        for role, kind in (("owner", owner_kind), ("reader", reader_kind)):
            name = f"{user}-{role}"
            peer = pool.peer("polyfn", kind)
            self.connections.append(peer.connect(name, urls[role], client_id=name, **config))
        self.owner, self.reader = self.connections
        self.owner.register("rpc", "rpc")
        # asks beside the stream, on a connection that is never cut
        self.watch = pool.peer("polyfn", "polyfn-python").connect(f"{user}-watch", url, **config)
        self.connections.append(self.watch)
        self.service = self.reader.get(f"{self.owner.client_id}:rpc")
        self.watched = self.watch.get(f"{self.owner.client_id}:rpc")

    def close(self) -> None:
        for connection in self.connections:
            connection.disconnect()
        self.proxy.__exit__()


@pytest.fixture(params=["owner", "reader"])
def cut(request):
    return request.param


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(pool, polyfn_server, cut, request):
    owner, reader = (f"polyfn-{language}" for language in request.param)
    pair = Pair(pool, polyfn_server.url, owner, reader, cut)
    yield pair
    pair.close()


def test_the_stream_ends_at_both_ends_and_the_next_one_works(pair):
    answer = pair.service.start("ticks")
    assert pair.watched.call("stream_is_open", limit=20) is True
    assert pair.proxy.cut() >= 1
    told = pair.reader.peer.finish(answer, limit=20)
    assert told["$code"] == "peer_gone", told["$error"]
    assert told["$items"] == list(range(len(told["$items"]))), "nothing is skipped"

    def its_generator_is_closed() -> None:
        assert pair.watched.call("open_streams", limit=12) == 0

    eventually(its_generator_is_closed)
    assert eventually(lambda: pair.service.call("count_up", 3, limit=12)) == {"$items": [0, 1, 2]}
