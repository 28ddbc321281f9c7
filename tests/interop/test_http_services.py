"""Services over HTTP: reading what there is, and calling it."""

from __future__ import annotations

import http.client
import json
from urllib.parse import quote, urlsplit

import msgpack
import pytest
from runner import tokens
from runner.web import Response, get, post_json, request


@pytest.fixture
def owner(pool, server_kind, peer_kind):
    return pool.connection(server_kind, peer_kind, "callee")


def services(pool, server_kind: str, peer_kind: str):
    """Gives URLs of a client's services, registered when first asked for."""
    owner = pool.connection(server_kind, peer_kind, "callee")

    def url(visibility: str = "public", what: str = "rpc") -> str:
        name = f"{visibility}-{what}"
        if (server_kind, peer_kind, name) not in pool.registered:
            owner.register(what, name, visibility=visibility)
            pool.registered.add((server_kind, peer_kind, name))
        return f"{pool.server(server_kind).url}/{owner.workspace}/services/{owner.client_id}:{name}"

    return url


@pytest.fixture
def service(pool, server_kind, peer_kind):
    """URLs on every server."""
    return services(pool, server_kind, peer_kind)


@pytest.fixture
def ours(pool, polyfn_server, peer_kind):
    """URLs on our server only, for what the reference does not keep."""
    return services(pool, "polyfn", peer_kind)


def detail(answer: Response) -> str:
    body = answer.json()
    assert body.get("success", False) is False
    return body["detail"]


# -- reading -----------------------------------------------------------------------------------


def test_the_list_without_a_slash_is_redirected(server, owner):
    answer = get(f"{server.url}/{owner.workspace}/services")
    assert answer.status == 307
    assert answer.header("location").endswith(f"/{owner.workspace}/services/")


def test_the_list_shows_strangers_what_is_public(server, owner, service):
    for visibility in ("public", "protected", "unlisted"):
        service(visibility)
    url = f"{server.url}/{owner.workspace}/services/"
    strangers = {item["id"] for item in get(url).json()}
    members = {item["id"] for item in get(url, token=tokens.member("matrix")).json()}
    assert f"{owner.client_id}:public-rpc" in strangers
    assert f"{owner.client_id}:protected-rpc" not in strangers
    assert {f"{owner.client_id}:public-rpc", f"{owner.client_id}:protected-rpc"} <= members
    assert f"{owner.client_id}:unlisted-rpc" not in strangers | members


def test_the_information_on_a_service(service, owner):
    info = get(service()).json()
    assert info["id"] == f"{owner.workspace}/{owner.client_id}:public-rpc"
    assert info["name"] == "public-rpc"
    assert info["type"] == "generic"
    assert info["config"]["visibility"] == "public"
    assert info["config"]["workspace"] == owner.workspace
    assert info["service_schema"]["add"]["type"] == "function"
    assert info["service_schema"]["nest"]["deep"]["hello"]["type"] == "function"


def test_an_unknown_service_is_404(server, owner):
    answer = get(f"{server.url}/{owner.workspace}/services/nosvc")
    assert answer.status == 404
    assert f"Service not found: {owner.workspace}/*:nosvc@*" in detail(answer)


def test_the_answer_on_an_unknown_service_is_one_line(pool, polyfn_server):
    url = polyfn_server.url
    workspace = pool.connection("polyfn", "hypha_rpc-python", "observer").workspace
    text = detail(get(f"{url}/{workspace}/services/nosvc"))
    assert "\n" not in text
    assert "Traceback" not in text


def test_a_protected_service_shows_itself_to_its_workspace_only(service):
    url = service("protected")
    assert get(url).status in (403, 404)
    assert get(url, token=tokens.member("matrix")).status == 200


def test_information_on_the_workspace(server, owner):
    url = f"{server.url}/{owner.workspace}/info"
    assert get(url).status == 403
    info = get(url, token=tokens.member("matrix")).json()
    assert (info["id"], info["type"]) == (owner.workspace, "workspace")


# -- calling -----------------------------------------------------------------------------------


def test_a_call_by_get(service):
    answer = get(f"{service()}/greet?name=Ada&greeting=Hi")
    assert (answer.status, answer.media_type, answer.json()) == (200, "application/json", "Hi Ada")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("007", 7),
        ("-3", -3.0),
        ("1.5", 1.5),
        ("1e5", 100000.0),
        ('{"a":[1]}', {"a": [1]}),
        ("true", "true"),
        ("null", "null"),
        ("[1]", "[1]"),
        ("", ""),
        ("a b+c", "a b+c"),
        ("grüße", "grüße"),
    ],
)
def test_the_values_of_a_query(service, text, value):
    assert get(f"{service()}/echo?value={quote(text)}").json() == value


def test_bad_json_in_a_query_is_400(service):
    assert get(f"{service()}/echo?value=%7Bx").status == 400


def test_a_call_by_post(service):
    value = {"text": "grüße", "list": [1, 2.5, None, True]}
    assert post_json(f"{service()}/echo", {"value": value}).json() == value
    assert post_json(f"{service()}/add", {"a": 1, "b": 2}).json() == 3


def test_a_call_without_a_body(service):
    answer = request("POST", f"{service()}/greet", headers={"Content-Type": "application/json"})
    assert answer.status in (200, 400)  # Python misses its argument, JavaScript does not


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]
)
def test_parameters_of_the_content_type_do_not_matter(ours, content_type):
    body = json.dumps({"a": 1, "b": 2}).encode()
    answer = request("POST", f"{ours()}/add", headers={"Content-Type": content_type}, body=body)
    assert (answer.status, answer.json()) == (200, 3)


def test_an_array_is_positional_arguments(ours):
    assert post_json(f"{ours()}/add", [1, 2]).json() == 3


def test_a_form_is_arguments_by_name(ours):
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    assert request("POST", f"{ours()}/add", headers=form, body=b"a=1&b=2").json() == 3
    assert request("POST", f"{ours()}/echo", headers=form, body=b"value=x+y&value=2").json() == ["x y", 2]


def test_a_form_with_files_is_arguments_by_name(ours):
    part = "--b\r\nContent-Disposition: form-data; name="
    body = f'{part}"content"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n\x00\x01\r\n--b--\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert request("POST", f"{ours()}/size", headers=form, body=body.encode()).json() == 2
    body = f'{part}"value"\r\nContent-Type: application/json\r\n\r\n{{"a": [1]}}\r\n--b--\r\n'
    assert request("POST", f"{ours()}/echo", headers=form, body=body.encode()).json() == {"a": [1]}


def test_other_content_types_are_refused(ours):
    answer = request("POST", f"{ours()}/add", headers={"Content-Type": "text/csv"}, body=b"a=1&b=2")
    assert answer.status == 415
    assert answer.json()["code"] == "invalid"


@pytest.mark.parametrize("content_type", ["application/json", "application/msgpack"])
def test_a_malformed_body_is_400(service, content_type):
    answer = request("POST", f"{service()}/add", headers={"Content-Type": content_type}, body=b'\xc1{"a":')
    assert answer.status == 400
    assert detail(answer)


def test_msgpack_both_ways(service):
    body = msgpack.packb({"value": {"bytes": b"\x00\xff", "number": 1}})
    answer = request("POST", f"{service()}/echo", headers={"Content-Type": "application/msgpack"}, body=body)
    assert (answer.status, answer.media_type) == (200, "application/msgpack")
    assert msgpack.unpackb(answer.body) == {"bytes": b"\x00\xff", "number": 1}


def test_bytes_are_marked_in_json(ours):
    made = get(f"{ours()}/make?size=3")
    assert made.json() == {"_rtype": "bytes", "_rvalue": "AAEC"}
    for value in (made.json(), {"nested": [made.json()]}):
        assert post_json(f"{ours()}/echo", {"value": value}).json() == value
    assert post_json(f"{ours()}/size", {"content": made.json()}).json() == 3


def test_marked_values_that_cannot_be_read_are_400(ours):
    answer = post_json(f"{ours()}/echo", {"value": [{"_rtype": "bytes", "_rvalue": "?"}]})
    assert answer.status == 400
    assert ".value[0]" in detail(answer)


def test_an_array_keeps_its_shape_in_json(ours):
    array = {"_rtype": "ndarray", "_rvalue": "AACAPwAAAEA=", "_rshape": [2, 1], "_rdtype": "float32"}
    assert post_json(f"{ours()}/echo", {"value": array}).json() == array


@pytest.mark.parametrize(
    ("accept", "packed"),
    [("application/msgpack", True), ("application/json", False), ("application/msgpack;q=0.1, */*", False)],
)
def test_the_form_of_a_result_is_the_one_that_is_accepted(ours, accept, packed):
    answer = get(f"{ours()}/add?a=1&b=2", headers={"Accept": accept})
    assert answer.media_type == ("application/msgpack" if packed else "application/json")
    assert answer.body == (b"\x03" if packed else b"3")


def test_a_dotted_name_is_a_nested_function(service):
    assert get(f"{service()}/nest.deep.hello?name=Ada").json() == "hello Ada"


def test_the_value_of_a_constant(service):
    assert get(f"{service()}/answer").json() == 42


@pytest.mark.parametrize("path", ["nofn", "nest.nofn"])
def test_a_missing_member_is_404(service, path):
    answer = get(f"{service()}/{path}")
    assert answer.status == 404
    assert detail(answer)


def test_a_member_of_a_function_is_404(ours):
    assert get(f"{ours()}/nest.deep.hello.more").status == 404


def test_slashes_do_not_nest(service):
    assert get(f"{service()}/nest/deep/hello?name=Ada").status == 404


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("KeyError", 404),
        ("PermissionError", 403),
        ("ValueError", 400),
        ("TypeError", 400),
        ("AssertionError", 400),
        ("RuntimeError", 500),
    ],
)
def test_the_status_of_an_error(service, kind, status):
    answer = post_json(f"{service()}/fail_as", {"kind": kind, "message": "out of cheese"})
    assert answer.status == status
    assert detail(answer)


@pytest.mark.parametrize("message", ["thing not found", "Permission denied", "it is a KeyError: x"])
def test_the_words_of_an_error_do_not_decide(ours, message):
    answer = post_json(f"{ours()}/fail_as", {"kind": "RuntimeError", "message": message})
    assert answer.status == 500
    assert message in detail(answer)


def test_the_answer_to_an_error_names_it_and_shows_no_trace(ours):
    answer = post_json(f"{ours()}/fail_as", {"kind": "RuntimeError", "message": "out of cheese"})
    text = detail(answer)
    assert "RuntimeError: out of cheese" in text
    assert "\n" not in text


def test_unknown_arguments_are_400(service, peer_kind):
    answer = post_json(f"{service()}/add", {"a": 1, "b": 2, "c": 3})
    if peer_kind in ("hypha_rpc-node", "polyfn-rust"):
        assert answer.json() == 3  # these take the names that they know and say nothing about the rest
    else:
        assert answer.status == 400


def test_arguments_may_be_called_workspace(ours):
    answer = post_json(f"{ours()}/wants", {"workspace": "w", "service_id": "s"})
    assert (answer.status, answer.json()) == (200, ["w", "s"])


def test_a_large_call(ours):
    text = "x" * 5_000_000
    assert post_json(f"{ours()}/echo", {"value": text}).json() == text


@pytest.mark.parametrize("token", [None, "foreign"])
def test_a_protected_service_refuses_strangers(service, token, server_kind):
    answer = get(f"{service('protected')}/add?a=1&b=2", token=token and tokens.member("stranger"))
    # to us it is none of their business whether it is there
    expected = (404, "not found") if server_kind == "polyfn" else (403, "ermission denied")
    assert (answer.status, expected[1] in detail(answer)) == (expected[0], True)


def test_a_protected_service_answers_its_workspace(service):
    assert get(f"{service('protected')}/add?a=1&b=2", token=tokens.member("matrix")).json() == 3


@pytest.mark.parametrize("kind", ["expired", "forged", "garbage"])
def test_a_bad_token_is_401(service, kind):
    token = {
        "expired": lambda: tokens.member("matrix", lifetime=-60),
        "forged": lambda: tokens.Token("matrix", workspace="ws-user-matrix").sign(
            "another-secret-of-more-than-32-bytes"
        ),
        "garbage": lambda: "not-a-token",
    }[kind]()
    answer = get(f"{service()}/add?a=1&b=2", token=token)
    assert answer.status == 401
    assert answer.json()["detail"]


def test_the_context_cannot_be_given_from_outside(service, owner):
    forged = {"tag": "x", "context": {"ws": "other", "from": "other/me", "user": {"id": "root"}}}
    answer = post_json(service("public", "context") + "/whoami", forged, token=tokens.member("matrix"))
    assert answer.status in (200, 400)
    if answer.status == 200:
        assert (answer.json()["user"], answer.json()["ws"]) == ("matrix", owner.workspace)


def test_an_anonymous_caller_has_no_name(service):
    answer = post_json(service("public", "context") + "/whoami", {"tag": "x"})
    assert answer.json()["user"].startswith("anonymouz-")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_are_405(service, method):
    answer = request(method, f"{service()}/add")
    assert answer.status == 405
    assert "POST" in answer.header("allow")


def test_a_space_before_the_colon_of_a_header_is_refused(server, owner, service):
    service()
    parts = urlsplit(f"{service()}/add?a=1&b=2")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.connect()
    connection.sock.sendall(
        f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer x\r\n\r\n".encode()
    )
    assert connection.sock.recv(4096).split(b" ")[1] == b"400"
    connection.close()
