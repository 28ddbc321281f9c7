"""Every row of the tables in docs/functions.md has an example here, and the server does what the row says."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable

import polyfn
import polyfn.sync
import pytest
from runner import tokens
from runner.documents import ROOT
from runner.web import Response, request

EXAMPLES: dict[tuple[str, str], Callable] = {}
ORIGIN = "https://pages.example"


def row(section: str, *names: str):
    """Marks the example of one row, or of several that belong together."""

    def mark(example: Callable) -> Callable:
        EXAMPLES.update({(section, name): example for name in names})
        return example

    return mark


def rows() -> list[tuple[str, str]]:
    """The rows of all tables, by the heading above and the first cell."""
    found, section, lines = [], "", (ROOT / "docs/functions.md").read_text(encoding="utf-8").splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("##"):
            section = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith("| ---") and not following.startswith("| ---"):
            found.append((section, re.split(r"(?<!\\)\|", line)[1].strip()))
    return found


OPENED = threading.Event()


def waits(event):
    OPENED.wait(20)
    return "late"


def refuses(event):
    raise polyfn.HTTPError(418, "a teapot")


def fails(event):
    raise ValueError("a secret")


def items(event):
    yield {"n": 1}
    yield {"n": 2}


SHOP = {
    "index": lambda event: "home",
    "a": {"b": {"c": lambda event: "c", "index": lambda event: "b"}, "default": lambda event: "near"},
    "things": {"GET": lambda event: "got", "POST": lambda event: "posted"},
    "answer": lambda event: {"statusCode": 201, "headers": [["x-a", "1"], ["x-a", "2"]], "body": {"n": 1}},
    "html": lambda event: "<!doctype html><p>hello",
    "bytes": lambda event: b"0123456789",
    "nothing": lambda event: None,
    "value": lambda event: [1, True, {"status": "ok"}],
    "items": items,
    "nested": lambda event: {"rows": items(event)},
    "refuses": refuses,
    "fails": fails,
    "known": lambda event: {"headers": {"etag": '"1"', "content-type": "text/plain"}, "body": "x"},
    "long": lambda event: "long " * 1000,
    "waits": waits,
    "default": lambda event: event["function_path"],
}
CORS = {
    "origins": [ORIGIN],
    "methods": ["GET", "PUT"],
    "headers": ["x-mine"],
    "expose": ["x-a"],
    "credentials": True,
    "max_age": 5,
}
TOLD = {
    "event": lambda event: {key: shown(event[key]) for key in event},
    "context": lambda event, context: {key: shown(context[key]) for key in context},
}
SERVICES = {
    "shop": (SHOP, {}),
    "told": (TOLD, {"require_context": ["context"]}),
    "walk": ({"users": {"delete": lambda event: event["path"]}}, {}),
    "small": (SHOP, {"max_request_body": 10, "http_call_timeout": 0.3, "run_in_executor": True}),
    "narrow": (SHOP, {"max_http_calls": 1, "run_in_executor": True}),
    "cors": (SHOP, {"cors": CORS}),
    "closed": (SHOP, {"cors": False}),
    **{
        f"for-{name}": (SHOP, {"visibility": name}) for name in ("public", "unlisted", "protected", "private")
    },
}


def shown(value):
    return {"bytes": value.decode()} if isinstance(value, bytes) else value


class Shop:
    """Asks the services of this page."""

    def __init__(self, url: str, workspace: str, token: str):
        self.base, self.workspace, self.token = f"{url}/{workspace}/apps", workspace, token

    def ask(self, path: str, method: str = "GET", service: str = "shop", **more) -> Response:
        return request(method, f"{self.base}/{service}{path}", **more)

    def texts(self, *paths: str, **more) -> list[str]:
        return [self.ask(path, **more).text for path in paths]


@pytest.fixture(scope="module")
def shop(polyfn_server):
    OPENED.clear()
    with polyfn.sync.connect_to_server(polyfn_server.url) as server:
        for name, (functions, config) in SERVICES.items():
            about = {"id": name, "type": "functions", "config": {"visibility": "public", **config}}
            server.register_service({**about, **functions})
        yield Shop(polyfn_server.url, server.workspace, server.generate_token())
        OPENED.set()


@row("Routing", "path")
def path(shop):
    assert shop.texts("/a/b/c", "/a/b/c/", "//a//b/c", "/%61/b/c") == ["c"] * 4


@row("Routing", "`index`")
def index(shop):
    assert shop.texts("/", "/index", "/a/b/", "/a/b") == ["home", "home", "b", "b"]


@row("Routing", "`default`")
def default(shop):
    assert shop.texts("/no/such/", "/a/x") == ["/no/such", "near"]


@row("Routing", "method maps")
def method_maps(shop):
    assert [shop.ask("/things", method).text for method in ("GET", "POST")] == ["got", "posted"]
    refused = shop.ask("/things", "DELETE")
    assert (refused.status, refused.header("allow")) == (405, "GET, HEAD, POST")


@row("Routing", "rest of a path")
def rest_of_a_path(shop):
    assert shop.ask("/users/delete/42", service="walk").text == "/users/delete/42"


@row("Routing", "devious paths")
def devious_paths(shop):
    assert [shop.ask(path).status for path in ("/a/../b", "/%2e%2e/a", "/a%5c..%5cb", "/a%00")] == [400] * 4


@row("Routing", "no match")
def no_match(shop):
    text = shop.ask("/nothing", service="walk")
    told = shop.ask("/nothing", service="walk", headers={"Accept": "application/json"})
    assert (text.status, text.media_type, told.status) == (404, "text/plain", 404)
    assert told.media_type == "application/problem+json"


@row(
    "Event",
    "`type`",
    "`asgi`",
    "`http_version`, `scheme`, `method`, `root_path`",
    "`server`, `client`",
    "`path`",
    "`raw_path`",
    "`query_string`",
    "`headers`",
    "`headers_list`",
    "`body`",
    "`workspace`, `service_id`",
    "`user`",
    "`context`",
    "`state`",
)
def the_event(shop):
    event = shop.ask("/event/%C3%A9?a=1&flag", "POST", "told", headers={"X-One": "1"}, body=b"abc").json()
    expected = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": "/event/é",
        "raw_path": "/event/%C3%A9",
        "query_string": "a=1&flag",
        "body": {"bytes": "abc"},
        "workspace": shop.workspace,
        "service_id": "told",
        "state": {},
    }
    assert {key: event.get(key) for key in expected} == expected
    assert event["headers"]["x-one"] == "1"
    assert "headers_list" not in event
    assert [len(event[key]) for key in ("server", "client")] == [2, 2]
    assert event["user"]["is_anonymous"] is True
    assert event["context"]["ws"] == shop.workspace
    assert shop.ask("/event", service="told").json()["body"] is None


@row("Event", "`function_path`")
def function_path(shop):
    assert shop.ask("/no/such/").text == "/no/such"
    assert "function_path" not in shop.ask("/event", service="told").json()


@row("Context", "`user`", "`ws`", "`from`, `to`", "`method`, `session`, `type`, `connection_type`")
def the_context(shop):
    context = shop.ask("/context", service="told", token=shop.token).json()
    assert context["user"].keys() >= {"id", "roles", "is_anonymous", "scope", "email", "expires_at"}
    assert context["ws"] == shop.workspace
    assert all(context[key].startswith(f"{shop.workspace}/") for key in ("from", "to"))
    assert context["method"].endswith("told.context")
    assert context.keys() >= {"session", "type", "connection_type"}


@row("Context", "`trace`")
def the_trace(shop):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    told = shop.ask("/context", service="told", token=shop.token, headers={"traceparent": trace})
    assert told.json()["trace"] == trace
    assert "trace" not in shop.ask("/context", service="told", token=shop.token).json()


@row("Response", "an object with only the keys")
def an_answer(shop):
    answer = shop.ask("/answer")
    assert (answer.status, answer.json(), answer.all("x-a")) == (201, {"n": 1}, ["1", "2"])


@row("Response", "text", "bytes", "`None` / `undefined`", "any other object, list, number, truth value")
def values(shop):
    kinds = {
        "/": (200, "text/plain; charset=utf-8"),
        "/html": (200, "text/html; charset=utf-8"),
        "/bytes": (200, "application/octet-stream"),
        "/nothing": (204, None),
        "/value": (200, "application/json"),
    }
    for path, expected in kinds.items():
        answer = shop.ask(path)
        assert (answer.status, answer.header("content-type")) == expected, path
    assert shop.ask("/value").json() == [1, True, {"status": "ok"}]


@row("Response", "a generator, async generator or `ReadableStream`, as the value or as `body`")
def streamed(shop):
    answer = shop.ask("/items")
    assert (answer.media_type, answer.text) == ("application/x-ndjson", '{"n":1}\n{"n":2}\n')


@row("Response", "a generator or a function *inside* of an object or a list")
def inside(shop):
    assert shop.ask("/nested").status == 500
    told = shop.ask("/nested", token=shop.token).json()["detail"]
    assert ".rows: a generator has no form in JSON: give it alone or as the `body`" in told


@row("Response", "a raised `HTTPError(status, detail)`", "any other raised error")
def errors(shop):
    told = shop.ask("/refuses")
    assert (told.status, told.media_type) == (418, "application/problem+json")
    assert told.json()["detail"] == "a teapot"
    stranger, member = shop.ask("/fails"), shop.ask("/fails", token=shop.token)
    assert (stranger.status, "a secret" in stranger.text) == (500, False)
    assert (member.status, "a secret" in member.json()["traceback"]) == (500, True)


@row("Parts, known answers, compression", "`HEAD`")
def head(shop):
    answer = shop.ask("/bytes", "HEAD")
    assert (answer.status, answer.body, answer.header("content-length")) == (200, b"", "10")


@row("Parts, known answers, compression", "ranges")
def ranges(shop):
    part = shop.ask("/bytes", headers={"Range": "bytes=2-4"})
    assert (part.status, part.body, part.header("content-range")) == (206, b"234", "bytes 2-4/10")
    assert shop.ask("/bytes", headers={"Range": "bytes=20-"}).status == 416
    assert shop.ask("/bytes").header("accept-ranges") == "bytes"


@row("Parts, known answers, compression", "known answers")
def known_answers(shop):
    assert shop.ask("/known", headers={"If-None-Match": '"1"'}).status == 304
    assert shop.ask("/known", headers={"If-None-Match": '"2"'}).status == 200


@row("Parts, known answers, compression", "compression")
def compression(shop):
    answer = shop.ask("/long", headers={"Accept-Encoding": "gzip"})
    assert answer.header("content-encoding") == "gzip"
    assert gzip.decompress(answer.body) == b"long " * 1000
    assert shop.ask("/", headers={"Accept-Encoding": "gzip"}).header("content-encoding") is None


@row("Settings", "`max_request_body`", "`http_call_timeout`")
def limits(shop):
    assert shop.ask("/", "POST", "small", body=b"x" * 11).status == 413
    assert shop.ask("/waits", service="small").status == 504


@row("Settings", "`max_http_calls`")
def calls_under_way(shop):
    def wait():
        # The question below may have been there first.
        while shop.ask("/waits", "GET", "narrow").status == 429:
            pass

    first = threading.Thread(target=wait)
    first.start()
    while (answer := shop.ask("/", service="narrow")).status == 200:
        pass
    OPENED.set()
    first.join()
    OPENED.clear()
    assert (answer.status, answer.header("retry-after")) == (429, "1")


@row("Settings", "`cors`", "`origins`", "`credentials`", "`expose`")
def cors(shop):
    allowed = shop.ask("/", service="cors", headers={"Origin": ORIGIN})
    assert allowed.header("access-control-allow-origin") == ORIGIN
    assert allowed.header("access-control-allow-credentials") == "true"
    assert allowed.header("access-control-expose-headers") == "x-a"
    for service, origin in (("cors", "https://elsewhere.example"), ("closed", ORIGIN)):
        answer = shop.ask("/", service=service, headers={"Origin": origin})
        assert answer.header("access-control-allow-origin") is None, service


@row("Settings", "`methods`, `headers`", "`max_age`")
def preflight(shop):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    answer = shop.ask("/", "OPTIONS", "cors", headers=headers)
    assert answer.status == 204
    assert answer.header("access-control-allow-methods").replace(" ", "") == "GET,PUT"
    assert answer.header("access-control-allow-headers") == "x-mine"
    assert answer.header("access-control-max-age") == "5"


@row("Who may call", "`public`", "`unlisted`", "`protected` (default)", "`private`")
def who_may_call(shop):
    for name, stranger in (("public", 200), ("unlisted", 200), ("protected", 404), ("private", 404)):
        seen = [
            shop.ask("/", service=f"for-{name}", token=token).status
            for token in (None, tokens.member("somebody"), shop.token)
        ]
        assert seen == [stranger, stranger, 200], name


def example_of(section: str, name: str) -> Callable | None:
    """The example of a row; a long first cell is known by its beginning."""
    found = (
        EXAMPLES[key]
        for key in EXAMPLES
        if key[0] == section and len(key[1]) > 20 and name.startswith(key[1])
    )
    return EXAMPLES.get((section, name)) or next(found, None)


def test_every_row_has_an_example():
    assert [where for where in rows() if example_of(*where) is None] == []
    assert len(rows()) > 40


@pytest.mark.parametrize("name", sorted({example.__name__ for example in EXAMPLES.values()}))
def test_the_server_does_what_the_rows_say(shop, name):
    next(example for example in EXAMPLES.values() if example.__name__ == name)(shop)
