"""Every type, from every language to every language, as argument and as result, as docs/types.md shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from runner import tokens
from runner.peers import KINDS, PeerError

from suites import types_table

ROWS = types_table.rows()


def expected(row: dict, sender: str, receiver: str) -> str | None:
    """What arrives, or None where this row says nothing about the two."""
    (sender_language, sender_package), (receiver_language, receiver_package) = KINDS[sender], KINDS[receiver]
    if sender_language not in row["sent"]:
        return None
    is_ours = sender_package == receiver_package == "polyfn"
    if receiver_package != "polyfn":
        return types_table.old_arrival(row, sender_language, receiver) if sender_package == "polyfn" else None
    if not is_ours and sender_language not in row.get("old", []):
        return None
    return types_table.arrival(row, sender_language, receiver_language)


def told(pool, sender: str, receiver: str, is_argument: bool) -> dict[str, tuple[str, str]]:
    """Sends all values at once; what was expected and what came, by value."""
    wanted = {row["value"]: line for row in ROWS if (line := expected(row, sender, receiver)) is not None}
    if is_argument:
        service = pool.service("polyfn", receiver, sender, "rpc")
        waiting = {name: service.start("describe", {"$make": name}) for name in wanted}
    else:
        service = pool.service("polyfn", sender, receiver, "rpc")
        waiting = {name: service.start_told("produce", name) for name in wanted}
    peer = service.connection.peer
    return {name: (wanted[name], outcome(peer, queue)) for name, queue in waiting.items()}


def outcome(peer, queue) -> str:
    try:
        return peer.finish(queue)
    except Exception as error:
        return f"failed: {error}"


@pytest.mark.parametrize("place", ["argument", "result"])
def test_what_arrives(pool, callee_kind, caller_kind, place):
    sender, receiver = (caller_kind, callee_kind) if place == "argument" else (callee_kind, caller_kind)
    if "polyfn" not in (KINDS[sender][1], KINDS[receiver][1]):
        return  # what old clients say to each other is theirs
    found = told(pool, sender, receiver, place == "argument")
    assert {name: came for name, (_, came) in found.items()} == {
        name: want for name, (want, _) in found.items()
    }


def test_keys_that_are_no_texts_are_nothing_to_hypha_rpc(pool, polyfn_server, fresh_name):
    """Its Python reads no such map and drops the message; its JavaScript throws what nobody catches."""
    pool.service("polyfn", "hypha_rpc-python", "polyfn-python", "rpc")
    caller = pool.peer("polyfn", "polyfn-python").connect(
        fresh_name(),
        polyfn_server.url,
        workspace=tokens.own_workspace("matrix"),
        token=tokens.member("matrix"),
        method_timeout=1,
    )
    service = caller.get("hypha_rpc-python-callee:rpc")
    with pytest.raises(PeerError) as caught:
        service.call("describe", {"$make": "map with other keys"})
    assert caught.value.code == "timeout"
    caller.disconnect()


def test_the_page_shows_this_data():
    page = Path(__file__).parents[2] / "docs/types.md"
    assert page.read_text(encoding="utf-8") == types_table.page(), (
        "run `python -m suites.types_table` in tests/"
    )
