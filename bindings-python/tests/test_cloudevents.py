"""Events of the official SDK: made of ours, and returned by functions of both signatures."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator
from datetime import datetime, timezone

import polyfn
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.v1.event import CloudEvent as Core
from cloudevents.v1.http import CloudEvent as Http
from cloudevents.v1.pydantic import CloudEvent as Model
from polyfn.blocking import in_thread

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
ATTRIBUTES = {"id": "7", "source": "/here", "type": "com.example.made", "specversion": "1.0", "time": TIME}
KINDS = {
    "core": lambda attributes, data: Core(attributes, data),
    "http": lambda attributes, data: Http({**attributes, "time": attributes["time"].isoformat()}, data),
    "pydantic": lambda attributes, data: Model.create(attributes, data),
}


def made(kind: str, data, **more):
    return KINDS[kind]({**ATTRIBUTES, "datacontenttype": "application/json", "subject": "ä", **more}, data)


def answering(kind: str):
    # a second argument would be the data of the request
    return lambda _: made(kind, {"n": 1})


def echoed(event):
    """The event of the SDK that is made of ours, and ours made of that."""
    attributes = {key: event[key] for key in event if key != "data"}
    return Http(attributes, event.get("data"))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Services whose functions answer with events: `event`, and `context` for the other signature."""
    async with polyfn.Server() as server, server.connect(workspace="lab") as client:
        for signature in ("event", "context"):
            functions = {kind: answering(kind) for kind in KINDS}
            functions |= {
                "bytes": lambda _: made("core", b"\x00\xff", datacontenttype="image/png"),
                "nothing": lambda _: made("core", None),
                "body": lambda _: {"status": 202, "headers": {"x-made": "yes"}, "body": made("core", [1])},
                "text": lambda _: made("core", "<a/>", datacontenttype="text/xml"),
                "echo": lambda given: echoed(
                    given["cloudevent"] if "cloudevent" in given else given["event"]
                ),
            }
            config = {"visibility": "public", "signature": signature}
            await client.register_service(
                {"id": signature, "type": "functions", "config": config, **functions}
            )
        yield f"{server.url}/lab/apps"


async def fetch(url: str, headers: dict[str, str] | None = None, data: bytes | None = None) -> HTTPMessage:
    """The answer as the SDK has messages of HTTP."""

    def get() -> HTTPMessage:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=10) as answer:
            return HTTPMessage(dict(answer.headers), answer.read())

    return await in_thread("fetch", get)


@pytest.mark.parametrize("signature", ["event", "context"])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_event_of_the_sdk_is_an_answer_that_the_sdk_reads(url, signature, kind):
    event = from_http_event(await fetch(f"{url}/{signature}/{kind}"))
    assert (event.get_id(), event.get_source(), event.get_type()) == ("7", "/here", "com.example.made")
    assert (event.get_time(), event.get_subject()) == (TIME, "ä")
    assert (event.get_datacontenttype(), event.get_data()) == ("application/json", {"n": 1})


@pytest.mark.parametrize("signature", ["event", "context"])
async def test_data_of_every_kind(url, signature):
    for name, kind, data in (
        ("bytes", "image/png", b"\x00\xff"),
        ("text", "text/xml", "<a/>"),
        ("nothing", "application/json", None),
    ):
        message = await fetch(f"{url}/{signature}/{name}")
        event = from_http_event(message)
        assert (event.get_datacontenttype(), event.get_data() or None) == (kind, data), name
    message = await fetch(f"{url}/{signature}/body")
    assert message.headers["x-made"] == "yes"
    assert from_http_event(message).get_data() == [1]


@pytest.mark.parametrize("signature", ["event", "context"])
async def test_one_of_the_sdk_can_be_made_of_ours(url, signature):
    headers = {"content-type": "application/cloudevents+json"}
    sent = {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "t",
        "extension": "x",
        "data": {"a": [1]},
    }
    event = from_http_event(await fetch(f"{url}/{signature}/echo", headers, json.dumps(sent).encode()))
    assert (event.get_id(), event.get_type(), event.get_extension("extension")) == ("1", "t", "x")
    assert event.get_data() == {"a": [1]}
