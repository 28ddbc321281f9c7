"""Functions that take one context, as the signature specification has them."""

from __future__ import annotations

import asyncio
import json

import polyfn
import pytest
from runner.waiting import eventually
from runner.web import get, request

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
BOUNDARY = {"content-type": "multipart/form-data; boundary=x"}
PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x\r\n'
    b'Content-Disposition: form-data; name="f"; filename="f.txt"\r\n'
    b"Content-Type: text/x\r\n\r\nfile\r\n--x--\r\n"
)
FILE = {"filename": "f.txt", "content_type": "text/x", "data": {"bytes": b"file".hex()}}

# headers, body, and what the function sees of it
BODIES = {
    "json": (JSON, b'{"b": [1, null], "a": "\xc3\xbc"}', {"b": [1, None], "a": "ü"}),
    "json by its suffix": ({"content-type": "application/ld+json; charset=utf-8"}, b"[1.5]", [1.5]),
    "form": (FORM, b"a=1&b=x+y&a=2", {"a": ["1", "2"], "b": "x y"}),
    "text": ({"content-type": "text/plain"}, "grüße".encode(), "grüße"),
    "multipart": (BOUNDARY, PARTS, {"a": "1", "f": FILE}),
    "bytes": ({"content-type": "image/x"}, b"\x00\xff", {"bytes": "00ff"}),
    "no type": ({}, b"x", {"bytes": "78"}),
    "no body": (JSON, b"", None),
}


def registered(pool, server, kind: str):
    """Gives URLs of functions of a client of this kind."""
    owner = pool.connection("polyfn", kind, "callee")

    def url(service: str, path: str, **config) -> str:
        name = f"signature-{service}"
        if ("polyfn", kind, name) not in pool.registered:
            owner.register(service, name, visibility="public", signature="context", **config)
            pool.registered.add(("polyfn", kind, name))
        return f"{server.url}/{owner.workspace}/apps/{owner.client_id}:{name}/{path}"

    return url


@pytest.fixture
def url(pool, polyfn_server, script_kind):
    return registered(pool, polyfn_server, script_kind)


@pytest.fixture(params=["polyfn-python", "polyfn-node"])
def ours(pool, polyfn_server, request):
    return registered(pool, polyfn_server, request.param)


@pytest.mark.parametrize("case", BODIES)
def test_a_body_is_what_its_type_says(url, case):
    headers, body, expected = BODIES[case]
    answer = request("POST", url("signature", "asked"), headers=headers, body=body)
    assert (answer.status, answer.json()["body"]) == (200, expected)


def test_a_request_is_told(url):
    answer = request("PUT", url("signature", "asked?a=1&b=%C3%BC&a=2"), headers={"X-Thing": "y"})
    told = answer.json()
    assert (told["method"], told["path"], told["header"], told["http_version"]) == (
        "PUT",
        "/asked",
        "y",
        "1.1",
    )
    assert (told["query"]["a"], told["query"]["b"]) == (["1", "2"], "ü")


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [(JSON, b"{", "no JSON"), ({"content-type": "text/plain"}, b"\xff", "UTF-8"), (BOUNDARY, b"--x", "torn")],
    ids=["json", "text", "multipart"],
)
def test_a_body_that_is_not_what_it_says_is_refused(url, headers, body, words):
    answer = request("POST", url("signature", "asked"), headers=headers, body=body)
    assert answer.status == 400
    assert words in answer.text


@pytest.mark.parametrize(
    ("function", "status", "kind", "body"),
    [
        ("nothing", 204, None, b""),
        ("text", 200, "text/plain", b"text"),
        ("bytes", 200, "application/octet-stream", b"\x00\xff"),
        ("object", 200, "application/json", b'{"a":[1]}'),
        ("status", 201, "application/json", b'{"a":1}'),
    ],
)
def test_results_are_answers(url, function, status, kind, body):
    answer = get(url("signature", function))
    assert (answer.status, answer.media_type, answer.body) == (status, kind, body)


def test_a_request_has_an_id(url, ours):
    failed = request("GET", url("signature", "fails"), headers={"x-request-id": "req-1"})
    assert (failed.status, failed.json()["incident"]) == (500, "req-1")
    answer = request("GET", ours("own_signature", "request_id"), headers={"x-request-id": "req-2"})
    assert (answer.text, answer.header("x-request-id")) == ("req-2", "req-2")
    made = request("GET", ours("own_signature", "request_id"), headers={"x-request-id": "not well-formed"})
    assert len(made.text) == 16
    assert made.header("x-request-id") == made.text


def test_what_faas_js_runtime_gives_is_there_too(ours):
    body = json.dumps({"x": 1}).encode()
    second = request("POST", ours("own_signature", "second"), headers=JSON, body=body)
    assert second.json() == {"data": {"x": 1}}
    names = ours("own_signature", "aliases?name=Ann&method=no&query=no&constructor=no&log=no&__proto__=no")
    told = request("POST", names, headers=JSON, body=body).json()
    assert (told["method"], told["query"]["name"], told["name"], told["body"]) == (
        "POST",
        "Ann",
        "Ann",
        {"x": 1},
    )


def test_the_second_argument_is_the_event_if_there_is_one(ours):
    event = {"ce-specversion": "1.0", "ce-type": "t", "ce-id": "1", "ce-source": "/s", **JSON}
    told = request("POST", ours("own_signature", "second"), headers=event, body=b"1").json()["data"]
    assert (told["type"], told["data"]) == ("t", 1)
    made = get(ours("own_signature", "made"))
    assert (made.header("ce-id"), made.header("ce-specversion"), made.body) == ("7", "1.0", b'{"n":1}')
    assert made.header("ce-time") is not None


def test_http_errors_answer_with_their_status(ours):
    answer = get(ours("own_signature", "refuses"))
    assert (answer.status, answer.header("x-why"), answer.json()["detail"]) == (
        404,
        "because",
        "no /refuses here",
    )


def test_a_module_answers_everything(url):
    for path in ("", "a/b", "init", "shutdown"):
        answer = get(url("module", path))
        assert (answer.status, answer.json()["path"]) == (200, f"/{path}")
    assert get(url("module", "other")).text == "other"
    health = get(url("module", "health/liveness"))
    assert (health.status, health.text) == (503, "ill")
    # what the module does not say of itself the server does
    health = get(url("module", "health/readiness"))
    assert (health.status, health.text) == (200, "OK")


def test_a_module_is_started(ours):
    assert get(ours("module", "")).json()["calls"] == ["init"]


def test_records_end_in_the_log_of_the_server(polyfn_server, ours):
    number = f"log-{id(ours)}"
    answer = request("GET", ours("own_signature", "logs"), headers={"x-request-id": number})
    assert answer.text == "logged"

    def lines():
        found = [line for line in polyfn_server.log if number in line]
        assert found
        return found

    (line,) = eventually(lines)
    assert "not sent" not in line
    assert all(part in line for part in ("WARN", "polyfn::functions", "sold 2", "Emma")), line


class Seen:
    """A module in this process, and what was called of it."""

    def __init__(self):
        self.calls = []

    def service(self, **more) -> dict:
        async def shutdown():
            self.calls.append("shutdown")

        return {
            "id": "seen",
            "type": "functions",
            "config": {"visibility": "public", "signature": "context"},
            "handle": lambda context: "here",
            "init": lambda: self.calls.append("init"),
            "shutdown": shutdown,
            **more,
        }


async def test_the_ends_of_a_module(polyfn_server):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        first, second = Seen(), Seen()
        await server.register_service(first.service())
        assert first.calls == ["init"]
        await server.register_service(second.service(), overwrite=True)
        assert (first.calls, second.calls) == (["init", "shutdown"], ["init"])
        await server.unregister_service("seen")
        assert second.calls == ["init", "shutdown"]
        third = Seen()
        await server.register_service(third.service())
    assert third.calls == ["init", "shutdown"]


async def test_a_module_that_cannot_start_is_not_registered(polyfn_server):
    def init():
        raise RuntimeError("no room")

    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        with pytest.raises(RuntimeError, match="no room"):
            await server.register_service(Seen().service(init=init))
        assert [one.id for one in await server.list_services() if "seen" in one.id] == []


async def test_the_origins_of_a_module_may_read_it(polyfn_server):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await server.register_service(Seen().service(cors=lambda: ["https://a.example"]))
        url = f"{polyfn_server.url}/{server.config.workspace}/apps/seen/"
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
            answer = await asyncio.to_thread(request, "GET", url, {"origin": origin})
            assert answer.header("access-control-allow-origin") == allowed
