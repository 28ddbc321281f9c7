"""Services and the server describe themselves in OpenAPI 3.1, and show a page to be tried on."""

from __future__ import annotations

import json

import msgpack
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from runner import tokens
from runner.web import get, post_json, request


def offered(pool, kind: str, what: str, visibility: str = "public"):
    owner = pool.connection("polyfn", kind, "callee")
    name = f"{visibility}-{what}-described"
    if ("polyfn", kind, name) not in pool.registered:
        owner.register(what, name, visibility=visibility)
        pool.registered.add(("polyfn", kind, name))
    return owner.workspace, f"{owner.client_id}:{name}"


@pytest.fixture
def described(pool, polyfn_server, peer_kind):
    """The URL of a service with what is below it."""

    def url(what: str, visibility: str = "public") -> str:
        workspace, service = offered(pool, peer_kind, what, visibility)
        return f"{polyfn_server.url}/{workspace}/services/{service}"

    return url


def valid(document: dict) -> dict:
    OpenAPIV31SpecValidator(document).validate()
    return document


def test_a_service_is_described(described, polyfn_server):
    base = described("rpc")
    document = valid(get(f"{base}/openapi.json").json())
    assert document["servers"] == [{"url": polyfn_server.url}]
    path = base.removeprefix(polyfn_server.url)
    assert {f"{path}/add", f"{path}/nest.deep.hello"} <= document["paths"].keys()
    assert f"{path}/answer" not in document["paths"]
    operation = document["paths"][f"{path}/greet"]["post"]
    assert "requestBody" in operation
    assert "200" in operation["responses"]


def test_what_is_described_can_be_called(described, polyfn_server):
    document = get(f"{described('rpc')}/openapi.json").json()
    path = next(path for path in document["paths"] if path.endswith("/add"))
    url = document["servers"][0]["url"] + path
    assert post_json(url, {"a": 1, "b": 2}).json() == 3


def test_each_form_of_a_body_that_is_described_can_be_sent(described, polyfn_server):
    document = valid(get(f"{described('rpc')}/openapi.json").json())
    path = next(path for path in document["paths"] if path.endswith("/add"))
    operation = document["paths"][path]["post"]
    head = '--b\r\nContent-Disposition: form-data; name="{}"\r\nContent-Type: application/json\r\n\r\n{}\r\n'
    bodies = {
        "application/json": b'{"a": 1, "b": 2}',
        "application/msgpack": msgpack.packb({"a": 1, "b": 2}),
        "application/x-www-form-urlencoded": b"a=1&b=2",
        "multipart/form-data": f"{head.format('a', 1)}{head.format('b', 2)}--b--\r\n".encode(),
    }
    assert operation["requestBody"]["content"].keys() <= bodies.keys()
    assert operation["requestBody"]["content"].keys() >= bodies.keys() - {"application/x-www-form-urlencoded"}
    results = operation["responses"]["200"]["content"].keys()
    for kind, body in bodies.items():
        for accept, read in (("application/json", json.loads), ("application/msgpack", msgpack.unpackb)):
            assert accept in results
            sent = {"content-type": f"{kind}; boundary=b", "accept": accept}
            answer = request("POST", polyfn_server.url + path, sent, body)
            assert (answer.status, answer.media_type, read(answer.body)) == (200, accept, 3), (
                kind,
                answer.text,
            )


def test_a_service_of_functions_is_described(pool, polyfn_server, script_kind):
    workspace, service = offered(pool, script_kind, "methods")
    base = f"{polyfn_server.url}/{workspace}"
    document = valid(get(f"{base}/services/{service}/openapi.json").json())
    paths = {path.split(service + "/")[1]: item for path, item in document["paths"].items()}
    assert sorted(paths["thing"]) == ["get", "post"]
    assert sorted(paths[""]) == ["get"]
    assert get(polyfn_server.url + next(iter(document["paths"]))).status == 200


def test_the_page_of_a_service(described):
    page = get(f"{described('rpc')}/docs")
    assert (page.status, page.media_type) == (200, "text/html")
    assert 'data-url="openapi.json"' in page.text
    assert "default-src 'self'" in page.header("content-security-policy")


@pytest.mark.parametrize("file", ["openapi.json", "docs"])
@pytest.mark.parametrize(("token", "status"), [(None, 404), ("foreign", 404), ("member", 200), ("bad", 401)])
def test_who_may_not_call_is_told_nothing(described, file, token, status):
    tokens_of = {"foreign": lambda: tokens.member("elsewhere"), "member": lambda: tokens.member("matrix")}
    token = token and tokens_of.get(token, lambda: "x.y.z")()
    answer = get(f"{described('rpc', 'protected')}/{file}", token=token)
    assert answer.status == status
    assert status == 200 or "paths" not in answer.text


def test_a_description_is_read_only(described):
    assert request("POST", f"{described('rpc')}/openapi.json").status == 404


def test_the_server_is_described(polyfn_server):
    document = valid(get(f"{polyfn_server.url}/openapi.json").json())
    assert document["info"]["title"] == "polyfn"
    assert "/{workspace}/services/{service}/{function}" in document["paths"]
    for path, item in document["paths"].items():
        if "{" not in path and "get" in item and path not in ("/ws", "/rpc", "/overview/events"):
            assert get(polyfn_server.url + path).status == 200, path


def test_the_viewer_comes_from_the_server(polyfn_server):
    assert 'data-url="/openapi.json"' in get(f"{polyfn_server.url}/api-docs").text
    for file, kind in [("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")]:
        found = get(f"{polyfn_server.url}/assets/swagger-ui/{file}")
        assert (found.status, found.media_type) == (200, kind)
    assert get(f"{polyfn_server.url}/assets/swagger-ui/none.js").status == 404
    assert get(f"{polyfn_server.url}/assets/swagger-ui/..%2f..%2fCargo.toml").status == 404
