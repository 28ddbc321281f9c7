"""Functions for HTTP in Python: one for each kind of answer, and a tree for the router."""

from __future__ import annotations

import asyncio
import hashlib
import json

PAGE = "<!DOCTYPE html><title>t</title>"


def event_as_json(event):
    """The event as the function saw it; bytes as hex."""
    seen = {key: value for key, value in event.items() if key != "body"}
    body = event["body"]
    seen["body"] = None if body is None else bytes(body).hex()
    return {
        "status": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(seen, default=str),
    }


def digest(event):
    body = bytes(event["body"] or b"")
    return {"status": 200, "body": f"{len(body)} {hashlib.sha256(body).hexdigest()}"}


def raising(event):
    raise ValueError("out of cheese <b>")


async def raising_later(event):
    raise ValueError("out of cheese <b>")


def answering(value):
    def function(event):
        return value() if callable(value) else value

    return function


ANSWERS = {
    "full": {"status": 201, "headers": {"Content-Type": "text/x-made", "X-Thing": "a"}, "body": "made"},
    "body_only": {"body": "just a body"},
    "body_bytes": {"status": 200, "headers": {"Content-Type": "image/x-dot"}, "body": b"\x00\xff\x01"},
    "unicode": {"status": 200, "body": "grüße 世界"},
    "no_content": {"status": 204},
    "redirect": {"status": 302, "headers": {"Location": "/elsewhere"}},
    "teapot": {"status": 418, "body": "short and stout"},
    "status_code": {"statusCode": 202, "body": "accepted"},
    "headers_only": {"headers": {"X-Thing": "b"}},
    "header_list": {"status": 200, "headers": {"Set-Cookie": ["a=1", "b=2"]}, "body": ""},
    "header_pairs": {"status": 200, "headers": [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]], "body": ""},
    "with_extras": {"status": 201, "body": "taken", "note": "ignored"},
    "body_object": {"status": 201, "body": {"a": [1, None]}},
    "body_list": {"status": 200, "body": [1, 2]},
    "body_number": {"status": 200, "body": 7},
    "body_typed_object": {
        "status": 200,
        "headers": {"Content-Type": "application/ld+json"},
        "body": {"a": 1},
    },
    "status_word": {"status": "ok"},
    "users": {"users": ["ann", "bob"]},
    "status_and_others": {"status": 200, "users": []},
    "body_and_others": {"body": "x", "title": "y"},
    "status_out_of_range": {"status": 999},
    "text": "grüße",
    "html": PAGE,
    "bytes": b"\x00\xff\x01",
    "nothing": None,
    "list": [1, {"a": None}],
    "number": 42,
    "fraction": 1.5,
    "boolean": True,
    "large": lambda: {"status": 200, "body": b"x" * 5_000_000},
}


async def given(*items):
    for item in items:
        yield item


def given_at_once(*items):
    yield from items


def failing(*items):
    yield from items
    raise ValueError("out of cheese <b>")


class Endless:
    """A generator without an end, and how many of them were closed."""

    def __init__(self):
        self.closed = 0

    async def items(self):
        try:
            number = 0
            while True:
                yield {"number": number}
                number += 1
        finally:
            self.closed += 1


class Stays:
    """A function without an end; says how often it was begun and given up."""

    def __init__(self):
        self.begun = self.given_up = 0

    async def stay(self):
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up += 1


class Gate:
    """A generator that waits for a call of another function in the middle."""

    def __init__(self):
        self.waiting = []

    async def items(self):
        yield {"number": 0}
        opened = asyncio.Event()
        self.waiting.append(opened)
        await opened.wait()
        yield {"number": 1}

    async def open(self):
        opened = bool(self.waiting)
        while self.waiting:
            self.waiting.pop().set()
        return {"body": str(opened)}


def streams() -> dict:
    """Answers that come bit by bit."""
    endless, gate, stays = Endless(), Gate(), Stays()
    events = {"status": 201, "headers": {"content-type": "text/event-stream"}}
    return {
        "texts": lambda event: given("grüße ", "welt"),
        "bytes": lambda event: given_at_once(b"\x00\xff", b"\x01"),
        "objects": lambda event: given({"a": 1}, [None]),
        "events": lambda event: {**events, "body": given({"a": 1}, "data: text\n\n")},
        "nothing": lambda event: given(),
        "fails": lambda event: failing(),
        "breaks": lambda event: failing("some"),
        "refuses": lambda event: refusing_stream(),
        "refuses_late": lambda event: refusing_stream("some"),
        "waits": lambda event: gate.items(),
        "goes_on": lambda event: gate.open(),
        "endless": lambda event: endless.items(),
        "closed": lambda event: {"body": str(endless.closed)},
        "stays": lambda event: stays.stay(),
        "stayed": lambda event: {"counts": [stays.begun, stays.given_up]},
        "nested": lambda event: {"rows": [given({"a": 1})]},
        "functions": lambda event: {"more": lambda: 1},
    }


async def refusing_stream(*items):
    import polyfn

    for item in items:
        yield item
    raise polyfn.HTTPError(409, "not now: later")


def refusing(event):
    import polyfn

    raise polyfn.HTTPError(404, f"no {event.path} here", headers={"x-why": "because"})


async def refusing_later(event):
    refusing(event)


def form(event):
    fields = event.form()
    shown = lambda it: it if isinstance(it, str) else [it.filename, it.content_type, it.data.decode()]  # noqa: E731
    return {
        name: [shown(it) for it in value] if isinstance(value, list) else shown(value)
        for name, value in fields.items()
    }


def web() -> dict:
    """What events can do that our packages make."""
    return {
        "text": lambda event: event.text(),
        "json": lambda event: {"read": event.json()},
        "parsed": lambda event: json.loads(event.body),
        "form": form,
        "context": lambda event: {
            "ws": event.context.ws,
            "user": event.context.user.id,
            "to": event.context.to,
        },
        "refuses": refusing,
        "refuses_later": refusing_later,
    }


def shown(value):
    """A value as JSON has it; bytes as hex."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in dict.items(value)}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return {"bytes": bytes(value).hex()} if isinstance(value, bytes | memoryview) else value


def asked(context):
    request = {key: value for key, value in context["request"].items() if key != "headers"}
    return shown({**request, "header": context["request"]["headers"].get("x-thing")})


def saying(context):
    """Logs what the request says, at each level."""
    for level in ("trace", "debug", "info", "warn", "error", "fatal"):
        getattr(context.log, level)({"level of": level}, context.request.body["message"])
    return "said"


def logging(context):
    context.log.debug("not sent")
    context.log.warn({"book": "Emma"}, "sold %d", 2)
    return "logged"


def aliases(context):
    names = ("method", "query", "body", "name", "httpVersion")
    return shown({name: getattr(context, name, None) for name in names})


def signature() -> dict:
    """Functions that take one context, which peers of every kind may offer."""
    return {
        "asked": asked,
        "event": lambda context: {"event": shown(context.get("event"))},
        "sent_back": lambda context: context["event"],
        "structured": lambda context: {
            "headers": {"content-type": "application/cloudevents+json"},
            "body": context["event"],
        },
        "nothing": lambda context: None,
        "text": lambda context: "text",
        "bytes": lambda context: b"\x00\xff",
        "object": lambda context: {"a": [1]},
        "status": lambda context: {"statusCode": 201, "headers": {"x-a": "b"}, "body": {"a": 1}},
        "fails": raising,
    }


def own_signature() -> dict:
    """What our packages add to a context."""

    def made(context):
        return context.cloud_event_response({"n": 1}).id("7").type("t").source("/s").response()

    return {
        "second": lambda context, data: {"data": shown(data)},
        "aliases": aliases,
        "logs": logging,
        "says": saying,
        "made": made,
        "refuses": lambda context: refusing(context.request),
        "request_id": lambda context: context.id,
    }


def module() -> dict:
    """What a module of the signature specification exports."""
    calls: list[str] = []
    return {
        "handle": lambda context: {"calls": calls, "path": context["request"]["path"]},
        "init": lambda: calls.append("init"),
        "shutdown": lambda: calls.append("shutdown"),
        "liveness": lambda context: {"statusCode": 503, "body": "ill"},
        "other": lambda context: "other",
    }


def services() -> dict[str, dict]:
    """Service name to members."""
    show = event_as_json
    named = lambda name: lambda event: {"status": 200, "body": f"{name} {event.get('function_path')}"}  # noqa: E731
    return {
        "answers": {name: answering(value) for name, value in ANSWERS.items()}
        | {"show": show, "digest": digest, "raises": raising, "raises_later": raising_later},
        "tree": {
            "index": named("home"),
            "leaf": named("leaf"),
            "constant": 5,
            "api": {
                "index": named("api"),
                "v1": {"index": named("v1"), "users": named("users")},
                "v2": {"users": show},
            },
        },
        "falls": {
            "hello": named("hello"),
            "default": named("outer"),
            "deep": {"default": named("inner"), "known": named("known")},
        },
        "streams": streams(),
        "web": web(),
        "echo": {"default": lambda event: f"{event['method']} {event['path']} {len(event['body'] or b'')}"},
        "signature": signature(),
        "own_signature": own_signature(),
        "module": module(),
        "event": {"event": lambda event: {"event": shown(event.get("cloudevent"))}},
        "methods": {
            "thing": {"GET": named("get"), "POST": named("post")},
            "GET": named("root get"),
        },
    }
