"""The trace of a caller over HTTP: functions see it, and what the server logs meanwhile bears its id."""

from __future__ import annotations

import json

import pytest
from runner.peers import Peer
from runner.servers import PolyfnServer
from runner.waiting import eventually
from runner.web import get

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACE = f"00-{ID}-{PARENT}-01"


@pytest.fixture(scope="module")
def server():
    running = PolyfnServer(arguments=("--log-format=json", "--access-log")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["polyfn-python", "polyfn-node", "polyfn-rust"])
def owner(server, request):
    peer = Peer(request.param)
    connection = peer.connect("owner", server.url)
    for what in ("context", "rpc"):
        connection.register(what, what, visibility="public")
    yield connection
    peer.stop()


def ask(server, owner, path: str, trace: str | None):
    headers = {"traceparent": trace} if trace else {}
    return get(f"{server.url}/{owner.workspace}/services/{owner.client_id}:{path}", headers=headers)


@pytest.mark.parametrize(("sent", "seen"), [(TRACE, TRACE), ("00-nonsense", None), (None, None)])
def test_the_context_of_a_function_names_it(server, owner, sent, seen):
    assert ask(server, owner, "context/trace_of", sent).json() == seen


def records(server, path: str) -> list[dict]:
    """The server's lines about requests to a path that are logged in a trace, when there are any."""
    lines = [json.loads(line) for line in list(server.log) if path in line and line.startswith("{")]
    assert lines
    return lines


def test_what_is_logged_meanwhile_bears_its_ids(server, owner):
    path = f"{owner.client_id}:rpc/echo"
    ask(server, owner, f"{path.partition(':')[2]}?value=1", None)
    eventually(lambda: records(server, path))
    ask(server, owner, f"{path.partition(':')[2]}?value=2", TRACE)

    def both():
        lines = records(server, path)
        assert len(lines) == 2
        first, second = lines
        assert "span" not in first
        assert second["span"] == {"name": "request", "trace_id": ID, "parent_id": PARENT}

    eventually(both)
