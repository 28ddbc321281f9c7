"""Behaviour, told once as data, run by every client against every client on every server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from runner.peers import PeerError, Service

CASES = yaml.safe_load((Path(__file__).parent / "calls.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def service(pool, server_kind, callee_kind, caller_kind) -> Service:
    return pool.service(server_kind, callee_kind, caller_kind, "rpc")


def answers(service: Service, case: dict) -> list:
    if "value" in case:
        return [service.value(case["value"])]
    arguments = case.get("args", []), case.get("kwargs", {})
    waiting = [
        service.start(case["call"], *arguments[0], **arguments[1]) for _ in range(case.get("times", 1))
    ]
    return [service.connection.peer.finish(answer) for answer in waiting]


def test_the_suite_is_not_empty():
    assert len(CASES) >= 20
    assert all(("result" in case) != ("error" in case) for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=[case["name"].replace(" ", "-") for case in CASES])
def test_calls(service, case):
    if "error" in case:
        with pytest.raises(PeerError) as caught:
            answers(service, case)
        assert case["error"] in caught.value.text
        return
    assert answers(service, case) == [case["result"]] * case.get("times", 1)
