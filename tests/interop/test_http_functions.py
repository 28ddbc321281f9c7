"""Functions over HTTP: which one answers, what it sees, and what its result becomes."""

from __future__ import annotations

import base64
import hashlib
import os
from urllib.parse import quote

import pytest
from runner import tokens
from runner.web import Response, get, post_json, request


@pytest.fixture
def owner(pool, server_kind, script_kind):
    return pool.connection(server_kind, script_kind, "callee")


def registered(pool, server_kind: str, script_kind: str):
    """Gives URLs of the functions services of a client; registers them when first asked for."""
    owner = pool.connection(server_kind, script_kind, "callee")

    def url(service: str, visibility: str = "public") -> str:
        name = f"{visibility}-{service}"
        if (server_kind, script_kind, name) not in pool.registered:
            owner.register(service, name, visibility=visibility)
            pool.registered.add((server_kind, script_kind, name))
        return f"{pool.server(server_kind).url}/{owner.workspace}/apps/{owner.client_id}:{name}"

    return url


@pytest.fixture
def apps(pool, server_kind, script_kind):
    """URLs on every server."""
    return registered(pool, server_kind, script_kind)


@pytest.fixture
def ours(pool, polyfn_server, script_kind):
    """URLs on our server only, for what the reference does not keep."""
    return registered(pool, "polyfn", script_kind)


# What the reference keeps too: member, status, headers that must be there, body.
COMMON_ANSWERS = {
    "full": (201, {"content-type": "text/x-made", "x-thing": "a"}, b"made"),
    "body_only": (200, {}, b"just a body"),
    "body_bytes": (200, {"content-type": "image/x-dot"}, b"\x00\xff\x01"),
    "unicode": (200, {}, "grüße 世界".encode()),
    "no_content": (204, {}, b""),
    "teapot": (418, {}, b"short and stout"),
    "with_extras": (201, {}, b"taken"),
}

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
OCTETS = "application/octet-stream"

# What our server makes of the rest: member, status, content type, body (objects are compared as JSON).
OUR_ANSWERS = {
    "body_only": (200, TEXT, b"just a body"),
    "teapot": (418, TEXT, b"short and stout"),
    "status_code": (202, TEXT, b"accepted"),
    "body_object": (201, JSON, {"a": [1, None]}),
    "body_list": (200, JSON, [1, 2]),
    "body_number": (200, JSON, 7),
    "body_typed_object": (200, "application/ld+json", {"a": 1}),
    "status_word": (200, JSON, {"status": "ok"}),
    "users": (200, JSON, {"users": ["ann", "bob"]}),
    "status_and_others": (200, JSON, {"status": 200, "users": []}),
    "body_and_others": (200, JSON, {"body": "x", "title": "y"}),
    "status_out_of_range": (200, JSON, {"status": 999}),
    "text": (200, TEXT, "grüße".encode()),
    "html": (200, "text/html; charset=utf-8", b"<!DOCTYPE html><title>t</title>"),
    "bytes": (200, OCTETS, b"\x00\xff\x01"),
    "nothing": (204, None, b""),
    "list": (200, JSON, [1, {"a": None}]),
    "number": (200, JSON, 42),
    "fraction": (200, JSON, 1.5),
    "boolean": (200, JSON, True),
}


def body_matches(answer: Response, expected) -> bool:
    return answer.body == expected if isinstance(expected, bytes) else answer.json() == expected


@pytest.mark.parametrize("member", COMMON_ANSWERS)
def test_response_objects(apps, member):
    status, headers, body = COMMON_ANSWERS[member]
    answer = get(f"{apps('answers')}/{member}")
    assert (answer.status, answer.body) == (status, body)
    for name, value in headers.items():
        assert answer.header(name) == value


@pytest.mark.parametrize("member", OUR_ANSWERS)
def test_every_value_is_an_answer(ours, member):
    status, content_type, body = OUR_ANSWERS[member]
    answer = get(f"{ours('answers')}/{member}")
    assert (answer.status, answer.header("content-type")) == (status, content_type)
    assert body_matches(answer, body), answer.body


@pytest.mark.parametrize(
    ("member", "status", "header", "value"),
    [("redirect", 302, "location", "/elsewhere"), ("headers_only", 200, "x-thing", "b")],
)
def test_a_response_without_a_body(ours, member, status, header, value):
    answer = get(f"{ours('answers')}/{member}")
    assert (answer.status, answer.header(header), answer.body) == (status, value, b"")


@pytest.mark.parametrize("member", ["header_list", "header_pairs"])
def test_a_header_may_be_sent_twice(ours, member):
    answer = get(f"{ours('answers')}/{member}")
    assert answer.status == 200
    assert sorted(answer.all("set-cookie")) == ["a=1", "b=2"]


def test_a_large_body(apps):
    answer = get(f"{apps('answers')}/large")
    assert answer.status == 200
    assert answer.body == b"x" * 5_000_000


@pytest.mark.parametrize("member", ["raises", "raises_later"])
def test_an_error_is_500(apps, member):
    answer = get(f"{apps('answers')}/{member}")
    assert answer.status == 500


@pytest.mark.parametrize("member", ["raises", "raises_later"])
def test_an_error_is_a_problem_and_shows_no_traceback_to_strangers(ours, member):
    answer = get(f"{ours('answers')}/{member}")
    assert answer.status == 500
    assert answer.media_type == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 500
    assert problem["code"] == "remote"
    assert problem["incident"]
    assert "cheese" not in answer.text
    assert "Traceback" not in answer.text
    assert "answers." not in answer.text, "file names of the function's program are nobody else's business"


def test_callers_of_the_workspace_see_the_traceback(ours):
    answer = get(f"{ours('answers')}/raises", token=tokens.member("matrix"))
    assert answer.status == 500
    assert "answers." in answer.text
    assert "out of cheese <b>" in answer.json()["detail"]


# -- the router --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/", "home"),
        ("/index", "home"),
        ("/index/", "home"),
        ("/leaf", "leaf"),
        ("/leaf/", "leaf"),
        ("//leaf", "leaf"),
        ("/api/v1", "v1"),
        ("/api/v1/", "v1"),
        ("/api/v1/index", "v1"),
        ("/api/v1/users", "users"),
        ("/api/v1/users/", "users"),
    ],
)
def test_a_path_walks_the_tree(apps, path, member):
    answer = get(apps("tree") + path)
    assert (answer.status, answer.text) == (200, f"{member} None")


@pytest.mark.parametrize("path", ["/leaf/rest", "/leaf/rest/of/it/"])
def test_a_function_takes_the_rest_of_a_path_where_no_default_does(ours, path):
    assert get(ours("tree") + path).text == "leaf None"


def test_default_goes_before_the_rest_of_a_path(apps):
    assert get(apps("falls") + "/hello/rest").text == "outer /hello/rest"


@pytest.mark.parametrize("path", ["/api", "/api/"])
def test_an_index_answers_a_folder_at_the_first_level_too(ours, path):
    assert get(ours("tree") + path).text == "api None"


def test_a_service_without_a_slash_is_redirected(apps):
    url = apps("tree")
    answer = get(url)
    assert answer.status == 307
    assert answer.header("location").endswith(f"/apps/{url.rsplit('/', 1)[1]}/")


def test_the_redirect_keeps_the_query(ours):
    assert get(ours("tree") + "?a=1").header("location").endswith("/?a=1")


@pytest.mark.parametrize("path", ["/nope", "/leaf-not", "/constant", "/api/v9/users", "/name", "/config"])
def test_no_match_is_404(apps, path):
    answer = get(apps("tree") + path)
    assert answer.status == 404
    assert answer.media_type == "text/plain"
    assert path.strip("/") in answer.text


def test_no_match_is_a_json_problem_for_those_who_accept_json(ours):
    answer = get(ours("tree") + "/nope", headers={"Accept": "application/json"})
    assert answer.status == 404
    assert answer.media_type in ("application/json", "application/problem+json")
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/hello", "hello None"),
        ("/hello/", "hello None"),
        ("/anything-else", "outer /anything-else"),
        ("/anything-else/", "outer /anything-else"),
        ("/a/b/c", "outer /a/b/c"),
        ("/", "outer /"),
        ("/deep/known", "known None"),
    ],
)
def test_default_answers_what_nothing_else_matches(apps, path, text):
    assert get(apps("falls") + path).text == text


def test_the_nearest_default_answers(ours):
    assert get(ours("falls") + "/deep/x/y").text.split()[0] == "inner"


@pytest.mark.parametrize(("method", "status", "text"), [("GET", 200, "get None"), ("POST", 200, "post None")])
def test_a_folder_of_methods(ours, method, status, text):
    answer = request(method, ours("methods") + "/thing")
    assert (answer.status, answer.text) == (status, text)


@pytest.mark.parametrize(("path", "allowed"), [("/thing", {"GET", "POST"}), ("/", {"GET"})])
def test_a_method_which_the_folder_lacks_is_405(ours, path, allowed):
    answer = request("DELETE", ours("methods") + path)
    assert answer.status == 405
    allow = {name.strip() for name in answer.header("allow").split(",")}
    assert allowed <= allow
    assert "DELETE" not in allow


@pytest.mark.parametrize("where", ["service", "client"])
def test_an_unknown_service_is_404(server, owner, where):
    service = "no-such-service" if where == "service" else "nobody:tree"
    answer = get(f"{server.url}/{owner.workspace}/apps/{service}/")
    assert answer.status == 404
    assert answer.media_type == "text/plain"
    assert "Service not found" in answer.text
    assert "Traceback" not in answer.text


def test_an_unknown_workspace_is_404(server):
    assert get(f"{server.url}/no-such-workspace/apps/x/").status == 404


# -- the event ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_the_function(apps, method):
    body = b"payload" if method in ("POST", "PUT", "PATCH") else None
    event = request(method, apps("answers") + "/show", body=body).json()
    assert event["method"] == method
    assert event["body"] == (body.hex() if body else None)


def test_head_runs_the_function_and_drops_the_body(apps):
    answer = request("HEAD", apps("answers") + "/full")
    assert (answer.status, answer.body) == (201, b"")


def test_the_event_is_an_http_scope(apps, server, owner):
    headers = {"X-Multi": "2", "Cookie": "k=v", "Content-Type": "text/x-own"}
    url = apps("answers") + "/show/?a=1&b=x%20y&b=z"
    event = request("POST", url, headers=headers, body=b"\x00\xff").json()
    expected = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": "/show/",
        "raw_path": "/show/",
        "root_path": "",
        "query_string": "a=1&b=x%20y&b=z",
        "body": "00ff",
        "workspace": owner.workspace,
    }
    assert {key: event[key] for key in expected} == expected
    assert {"x-multi": "2", "cookie": "k=v", "content-type": "text/x-own"}.items() <= event["headers"].items()
    assert event["asgi"]["version"] == "3.0"
    assert event["client"][0] == "127.0.0.1"
    assert event["server"] == ["127.0.0.1", server.port]
    assert event["user"]["is_anonymous"] is True
    assert "function_path" not in event


def test_a_token_names_the_user_in_the_event(apps):
    event = get(apps("answers") + "/show", token=tokens.member("visitor")).json()
    assert event["user"]["id"] == "visitor"


@pytest.mark.parametrize(
    "query", ["flag", "a=b=c", "a==", "&&", "%zz", "%ff=%fe", "=", "a=1;b=2", "_mode=first"]
)
def test_any_query_string_passes(ours, query):
    answer = get(f"{ours('answers')}/show?{query}")
    assert answer.status == 200
    assert answer.json()["query_string"] == query


@pytest.mark.parametrize("path", ["grüße", "世界", "🎈", "a b", "50%", "a+b", "semi;colon", "star*"])
def test_any_path_reaches_default(ours, path):
    answer = get(f"{ours('falls')}/{quote(path)}")
    assert answer.status == 200
    assert answer.body.decode() == f"outer /{path}"


def test_the_raw_path_stays_as_it_was_sent(ours):
    event = get(f"{ours('tree')}/api/v2/%75sers?x=%C3%BC").json()
    assert (event["path"], event["raw_path"]) == ("/api/v2/users", "/api/v2/%75sers")
    assert event["query_string"] == "x=%C3%BC"


@pytest.mark.parametrize("path", ["%ff", "%", "%zz", "%00", "..%2f..%2fetc", "%e0%80%80"])
def test_a_malformed_path_is_no_server_error(ours, path):
    assert get(f"{ours('tree')}/{path}").status in (400, 404)


def test_a_body_of_twenty_megabytes(ours):
    body = os.urandom(20_000_000)
    answer = request("POST", f"{ours('answers')}/digest", body=body)
    assert answer.text == f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def test_a_body_in_chunks(ours):
    answer = request("POST", f"{ours('answers')}/digest", body=iter([b"one", b"two", b"three"]))
    assert answer.text == f"11 {hashlib.sha256(b'onetwothree').hexdigest()}"


# -- who may call ------------------------------------------------------------------------------


@pytest.mark.parametrize("visibility", ["public", "unlisted"])
@pytest.mark.parametrize("token", [None, "own", "foreign"])
def test_open_services_answer_everybody(apps, visibility, token):
    bearer = token and tokens.member("matrix" if token == "own" else "stranger")
    assert get(f"{apps('tree', visibility)}/leaf", token=bearer).status == 200


def test_a_protected_service_answers_its_own_workspace(apps):
    assert get(f"{apps('tree', 'protected')}/leaf", token=tokens.member("matrix")).status == 200


@pytest.mark.parametrize("token", [None, "foreign"])
def test_a_protected_service_refuses_others(apps, token, server_kind):
    answer = get(f"{apps('tree', 'protected')}/leaf", token=token and tokens.member("stranger"))
    # to us it is none of their business whether it is there
    expected = (404, "not found") if server_kind == "polyfn" else (403, "ermission denied")
    assert (answer.status, expected[1] in answer.text) == (expected[0], True)


def test_a_reader_may_call_a_protected_service(apps, owner):
    reader = tokens.Token("reader", workspace=owner.workspace, permission="r").sign()
    assert get(f"{apps('tree', 'protected')}/leaf", token=reader).status == 200


BAD_TOKENS = {
    "expired": lambda: tokens.member("matrix", lifetime=-60),
    "forged": lambda: tokens.Token("matrix", workspace="ws-user-matrix").sign(
        "another-secret-of-more-than-32-bytes"
    ),
    "unsigned": lambda: tokens.Token("matrix", workspace="ws-user-matrix").sign(None, algorithm="none"),
    "garbage": lambda: "not-a-token",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
@pytest.mark.parametrize("visibility", ["public", "protected"])
def test_a_bad_token_is_401(ours, visibility, kind):
    answer = get(f"{ours('tree', visibility)}/leaf", token=BAD_TOKENS[kind]())
    assert answer.status == 401


def test_a_token_may_come_in_other_ways(apps):
    token = tokens.member("matrix")
    url = f"{apps('tree', 'protected')}/leaf"
    basic = base64.b64encode(f"user:{token}".encode()).decode()
    for headers in (
        {"Authorization": token},
        {"Authorization": f"Basic {basic}"},
        {"Cookie": f"other=1; access_token={token}"},
    ):
        assert get(url, headers=headers).status == 200, headers
    assert get(f"{url}?token={token}").status in (403, 404)


def test_context_is_the_second_argument_over_http(pool, server_kind, script_kind, server, owner):
    service = pool.service(server_kind, script_kind, "hypha_rpc-python", "context")
    assert service
    url = f"{server.url}/{owner.workspace}/services/{owner.client_id}:context/whoami"
    answer = post_json(url, {"tag": "x"}, token=tokens.member("matrix"))
    assert answer.status == 200
    assert answer.json()["user"] == "matrix"
    assert answer.json()["ws"] == owner.workspace


def test_browsers_of_other_origins_may_read(apps):
    answer = get(f"{apps('tree')}/leaf", headers={"Origin": "http://elsewhere.example"})
    assert answer.header("access-control-allow-origin") == "http://elsewhere.example"


def test_pages_of_other_origins_do_not_act_with_the_cookies_of_the_user(ours):
    answer = get(f"{ours('tree')}/leaf", headers={"Origin": "http://elsewhere.example"})
    assert answer.header("access-control-allow-credentials") is None


def test_a_preflight_is_answered_without_the_function(ours):
    headers = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    answer = request("OPTIONS", f"{ours('tree')}/leaf", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert "POST" in answer.header("access-control-allow-methods")
