"""Behaviour, told once as data, run by every client against every client on every server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from runner.peers import KINDS, PeerError, Service

HERE = Path(__file__).parent
SUITES = ["calls", "callables", "errors", "interfaces", "long", "streams"]


def load(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))


CASES = [pytest.param(case, id=case["name"].replace(" ", "-")) for name in SUITES for case in load(name)]


@pytest.fixture
def service(pool, server_kind, callee_kind, caller_kind) -> Service:
    return pool.service(server_kind, callee_kind, caller_kind, "rpc")


def answers(service: Service, case: dict[str, Any]) -> list[Any]:
    if "value" in case:
        return [service.value(case["value"])]
    arguments = unfold(case.get("args", [])), case.get("kwargs", {})
    waiting = [
        service.start(case["call"], *arguments[0], take=case.get("take"), **arguments[1])
        for _ in range(case.get("times", 1))
    ]
    return [service.connection.peer.finish(answer) for answer in waiting]


def unfold(value: Any) -> Any:
    """Short forms of what would fill pages: `$range`, `$repeat`, `$text`."""
    if isinstance(value, list):
        return [unfold(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$range" in value:
        return list(range(value["$range"]))
    if "$repeat" in value:
        return [value["$repeat"][1]] * value["$repeat"][0]
    if "$text" in value:
        return "x" * value["$text"]
    return {key: unfold(item) for key, item in value.items()}


def check(service: Service, case: dict[str, Any]) -> None:
    if "items" in case:
        wanted = {"$items": unfold(case["items"])}
        found = answers(service, case)[0]
        if "error" in case:
            assert case["error"] in found.pop("$error")
            found.pop("$code")
        assert found == wanted
    elif "error" in case:
        with pytest.raises(PeerError) as caught:
            answers(service, case)
        assert unfold(case["error"]) in caught.value.text
    else:
        assert answers(service, case) == [unfold(case["result"])] * case.get("times", 1)


def test_the_suites_are_not_empty():
    assert len(CASES) >= 60
    names = [case.id for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES)
def test_calls(service, callee_kind, case):
    if KINDS[callee_kind][0] in case.get("not_for", []):
        pytest.skip("this language has no such thing")
    check(service, case)
    if "then" in case:
        check(service, case["then"])
