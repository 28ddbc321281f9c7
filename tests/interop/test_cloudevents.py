"""CloudEvents over HTTP, to functions of every kind of client and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from runner.web import request

CASES = yaml.safe_load((Path(__file__).parent / "cloudevents.yaml").read_text(encoding="utf-8"))
ANSWERED = [name for name, case in CASES.items() if "answer" in case]


@pytest.fixture
def url(pool, polyfn_server, script_kind):
    """Gives the URL of a function of a service."""
    owner = pool.connection("polyfn", script_kind, "callee")

    def of(service: str, function: str) -> str:
        key, name = ("polyfn", script_kind, f"cloudevents-{service}"), f"cloudevents-{service}"
        if key not in pool.registered:
            config = {"visibility": "public", **({"signature": "context"} if service == "signature" else {})}
            owner.register(service, name, **config)
            pool.registered.add(key)
        return f"{polyfn_server.url}/{owner.workspace}/apps/{owner.client_id}:{name}/{function}"

    return of


def send(url: str, name: str):
    case = CASES[name]
    return request("POST", url, headers=case["headers"], body=case["body"].encode())


@pytest.mark.parametrize("service", ["event", "signature"])
@pytest.mark.parametrize("name", CASES)
def test_an_event_is_found(url, service, name):
    case, answer = CASES[name], send(url(service, "event"), name)
    if "refused" in case:
        assert answer.status == 400, answer.body
        assert f"`{case['refused']}` of the CloudEvent" in answer.text
    else:
        assert (answer.status, answer.json()) == (200, {"event": case["event"]})


@pytest.mark.parametrize("name", ANSWERED)
def test_an_event_is_an_answer(url, name):
    expected, answer = dict(CASES[name]["answer"]), send(url("signature", "sent_back"), name)
    assert (answer.status, answer.body.decode("latin-1")) == (200, expected.pop("body"))
    for header, value in expected.items():
        assert answer.header(header) == value, header


@pytest.mark.parametrize("name", ANSWERED)
def test_an_event_may_be_sent_in_the_json_format(url, name):
    answer = send(url("signature", "structured"), name)
    event = CASES[name]["event"]
    expected = {key: value for key, value in event.items() if key != "data"}
    data = event.get("data")
    if isinstance(data, dict) and "bytes" in data:
        expected["data_base64"] = "AP8="
    elif data is not None:
        expected["data"] = data
    assert (answer.status, answer.media_type) == (200, "application/cloudevents+json")
    assert answer.json() == expected
