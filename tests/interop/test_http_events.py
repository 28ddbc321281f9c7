"""What functions of our packages can do with an event, and how they answer with an error, on every server."""

from __future__ import annotations

import json

import pytest
from runner import tokens
from runner.web import get, request

FORM = "application/x-www-form-urlencoded"
MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n2\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: text/x-f\r\n\r\n'
    b"in it\r\n--x--\r\n"
)


@pytest.fixture
def web(pool, server_kind, polyfn_kind):
    """The functions of one of our packages, at one of the servers."""
    if polyfn_kind == "polyfn-rust":
        pytest.skip("Rust has the event as a map")
    owner = pool.connection(server_kind, polyfn_kind, "callee")
    if (server_kind, polyfn_kind, "web") not in pool.registered:
        owner.register("web", "web", visibility="public")
        pool.registered.add((server_kind, polyfn_kind, "web"))
    return f"{pool.server(server_kind).url}/{owner.workspace}/apps/{owner.client_id}:web"


def post(url: str, body: bytes, kind: str = "application/json"):
    return request("POST", url, headers={"Content-Type": kind}, body=body)


def on_our_server(server_kind):
    if server_kind != "polyfn":
        pytest.skip("the reference keeps it otherwise")


def test_the_body_as_text_and_as_json(web, server_kind):
    on_our_server(server_kind)
    assert post(f"{web}/text", "grüße".encode()).text == "grüße"
    assert get(f"{web}/text").text == ""
    for member in ("json", "parsed"):
        answer = post(f"{web}/{member}", b'{"a": "\xc3\xbc"}')
        assert answer.json() == ({"read": {"a": "ü"}} if member == "json" else {"a": "ü"})


@pytest.mark.parametrize(("member", "body"), [("json", b"{"), ("json", b""), ("form", b"a=1")])
def test_a_body_of_another_form_is_400(web, member, body):
    answer = post(f"{web}/{member}", body)
    assert (answer.status, answer.media_type) == (400, "application/problem+json")
    assert answer.json()["detail"].startswith("the body is no")


def test_forms(web, server_kind):
    on_our_server(server_kind)
    assert post(f"{web}/form", b"a=1+2&b=%C3%BC&b=", FORM).json() == {"a": "1 2", "b": ["ü", ""]}
    fields = post(f"{web}/form", MULTIPART, "multipart/form-data; boundary=x").json()
    assert fields == {"a": ["1", "2"], "f": ["f.txt", "text/x-f", "in it"]}


@pytest.mark.parametrize("member", ["refuses", "refuses_later"])
def test_an_http_error_is_that_status_for_every_caller(web, member):
    answer = get(f"{web}/{member}")
    assert (answer.status, answer.media_type) == (404, "application/problem+json")
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": f"no /{member} here",
    }
    assert answer.header("x-why") == "because"


def test_the_context_stands_in_the_event(web, server_kind):
    on_our_server(server_kind)
    seen = get(f"{web}/context", token=tokens.member("matrix")).json()
    assert (seen["ws"], seen["user"]) == (tokens.own_workspace("matrix"), "matrix")
    strangers = {get(f"{web}/context").json()["user"] for _ in range(2)}
    assert len(strangers) == 2, "each is somebody else"
    assert all(name.startswith("anonymouz-http-") for name in strangers)
