"""What functions log: on their owner's console and in the server's log, under the request's id."""

from __future__ import annotations

import json

import pytest
from runner.peers import Peer
from runner.servers import PolyfnServer
from runner.waiting import eventually
from runner.web import request

LEVELS = {
    "trace": "TRACE",
    "debug": "DEBUG",
    "info": "INFO",
    "warn": "WARN",
    "error": "ERROR",
    "fatal": "ERROR",
}
LINE_MAX = 4096


@pytest.fixture(scope="module")
def server():
    """It writes what functions log as JSON, and nothing else."""
    flags = ("--loglevel=error,polyfn::functions=trace", "--log-format=json")
    running = PolyfnServer(arguments=flags).start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["polyfn-python", "polyfn-node"])
def owner(server, request):
    peer = Peer(request.param)
    connection = peer.connect("owner", server.url)
    for level in ("trace", "warn"):
        connection.register("own_signature", level, visibility="public", signature="context", log_level=level)
    yield connection
    peer.stop()


def say(server, owner, service: str, number: str, message: str) -> None:
    answer = request(
        "POST",
        f"{server.url}/{owner.workspace}/apps/{service}/says",
        headers={"x-request-id": number, "content-type": "application/json"},
        body=json.dumps({"message": message}).encode(),
    )
    assert (answer.status, answer.text, answer.header("x-request-id")) == (200, "said", number)


def records(server, number: str, count: int) -> list[dict]:
    """The lines of the server's log about a request, when so many are there."""
    found: list[dict] = []

    def all_there() -> None:
        found[:] = [json.loads(line) for line in list(server.log) if number in line]
        assert len(found) == count, found

    eventually(all_there)
    return found


def says_itself(owner, number: str, count: int, text: str = "") -> None:
    """Waits until so many lines of the owner's own log are about a request and have a text."""

    def all_there() -> None:
        found = [line for line in owner.peer.log if number in line and text in line]
        assert len(found) == count, found

    eventually(all_there)


def test_every_level_ends_in_both_logs(server, owner):
    number = f"every-{owner.peer.kind}"
    say(server, owner, "trace", number, "100% sold\nFAKE line")
    told = {record["fields"]["level of"]: record for record in map(unpacked, records(server, number, 6))}
    assert told.keys() == LEVELS.keys()
    for level, record in told.items():
        assert (record["level"], record["severity"]) == (LEVELS[level], level)
        assert record["request"] == number
        assert (record["service"], record["workspace"]) == ("trace", owner.workspace)
        assert record["message"] == "100% sold\nFAKE line"
    # there it is the owner's own text, line breaks and all
    says_itself(owner, number, len(LEVELS), "100% sold")


def unpacked(record: dict) -> dict:
    """Texts of clients are written with quotes, so that none can pretend to be a line of the server's own."""
    fields = json.loads(record.pop("fields"))
    plain = {key: json.loads(value) if str(value).startswith('"') else value for key, value in record.items()}
    return {**plain, "fields": fields}


def test_what_is_below_the_level_of_the_service_is_dropped(server, owner):
    number = f"below-{owner.peer.kind}"
    say(server, owner, "warn", number, "sold")
    levels = [record["level"] for record in records(server, number, 3)]
    assert sorted(levels) == ["ERROR", "ERROR", "WARN"]
    says_itself(owner, number, 3)


def test_a_line_has_an_end(server, owner):
    number = f"long-{owner.peer.kind}"
    say(server, owner, "warn", number, "x" * 10_000)
    for record in records(server, number, 3):
        assert record["message"].count("x") == LINE_MAX
