"""The examples that this project promises to run, each started as the program it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from runner.peers import KINDS
from runner.programs import Program
from runner.web import Response, get, request

HERE = Path(__file__).resolve().parent


def start(seed: str, kind: str, server_url: str) -> Program:
    suffix = "py" if KINDS[kind][0] == "python" else "mjs"
    return Program(HERE / f"{seed}.{suffix}", kind, server_url)


@pytest.fixture(scope="module")
def started():
    """Programs by seed, kind and server; each is started once."""
    programs: dict[tuple[str, str, str], Program] = {}

    def program(seed: str, kind: str, server_url: str) -> Program:
        key = (seed, kind, server_url)
        if key not in programs:
            programs[key] = start(*key)
        return programs[key]

    yield program
    for running in programs.values():
        running.stop()


class App:
    """One functions service of a seed."""

    def __init__(self, program: Program, server_url: str, service: str):
        self.url = f"{server_url}/{program.workspace}/apps/{service}"
        self.token = program.token

    def get(self, path: str, **more) -> Response:
        return get(self.url + path, **more)

    def member(self, method: str, path: str, body: bytes | None = None) -> Response:
        """As somebody who holds a token of the workspace."""
        return request(method, self.url + path, body=body, token=self.token)


@pytest.fixture
def app(started, server, script_kind):
    """On every server."""
    return lambda seed, service: App(started(seed, script_kind, server.url), server.url, service)


@pytest.fixture
def ours(started, polyfn_server, script_kind):
    """On our server, for what the reference does not keep."""
    return lambda seed, service: App(
        started(seed, script_kind, polyfn_server.url), polyfn_server.url, service
    )


@pytest.mark.parametrize("seed", ["000_functions", "001_functions", "002_context"])
@pytest.mark.parametrize("path", ["/hello-world/", "/hello-world"])
def test_hello_world(app, seed, path):
    answer = app(seed, "hello-functions").get(path)
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.json() == {"message": "Hello World"}


@pytest.mark.parametrize("seed", ["000_functions", "001_functions", "002_context"])
@pytest.mark.parametrize("path", ["/", "/index", "/index/"])
def test_home_page(app, seed, path):
    answer = app(seed, "hello-functions").get(path)
    assert (answer.status, answer.text) == (200, "Home page")


@pytest.mark.parametrize("seed", ["000_functions", "001_functions", "002_context"])
def test_home_page_without_its_slash(app, seed):
    answer = app(seed, "hello-functions").get("")
    assert answer.status == 307
    assert answer.header("location").endswith("/apps/hello-functions/")


def test_a_path_of_no_function(app):
    assert app("000_functions", "hello-functions").get("/nothing-here").status == 404


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/api/v1/users", {"users": ["alice", "bob"]}),
        ("/api/v1/posts", {"posts": []}),
        ("/api/v2/users", {"users": [], "version": "v2"}),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_nested_functions(app, path, value, slash):
    answer = app("001_functions", "nested-functions").get(path + slash)
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.json() == value


@pytest.mark.parametrize("path", ["/hello", "/hello/"])
def test_the_specific_function_goes_before_the_fallback(app, path):
    answer = app("001_functions", "fallback-functions").get(path)
    assert (answer.status, answer.text) == (200, "Hello from specific function")


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/anything-else/", "/anything-else"),
        ("/anything-else", "/anything-else"),
        ("/a/b", "/a/b"),
        ("/", "/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_fallback(app, method, path, seen):
    url = app("001_functions", "fallback-functions").url + path
    assert request(method, url).json() == {"message": "Default handler", "path": seen, "method": method}


def test_the_user_api(ours):
    """In one test, since the steps follow each other."""
    users = ours("001_user_api", "user-api")
    listed = users.member("GET", "/users/list")
    assert (listed.status, listed.media_type) == (200, "application/json")
    assert listed.json() == {"users": ["ann"]}

    created = users.member("POST", "/users/create", b'{"id": "42", "name": "bob \xc3\xbc"}')
    assert (created.status, created.json()) == (200, {"created": "42"})
    assert users.member("GET", "/users/list/").json() == {"users": ["ann", "bob ü"]}

    deleted = users.member("DELETE", "/users/delete/42")
    assert (deleted.status, deleted.json()) == (200, {"deleted": "42"})
    assert users.member("GET", "/users/list").json() == {"users": ["ann"]}


def test_the_user_api_is_closed_to_strangers(app):
    """It names no visibility, so it is protected."""
    assert app("001_user_api", "user-api").get("/users/list").status == 403


@pytest.mark.parametrize(
    ("path", "value"), [("/health", {"status": "ok"}), ("/version", {"version": "1.0.0"})]
)
def test_the_simple_api(ours, path, value):
    answer = ours("001_user_api", "simple-api").member("GET", path)
    assert (answer.status, answer.media_type, answer.json()) == (200, "application/json", value)


def test_the_context_is_the_second_argument(app, started, server, script_kind):
    who = app("002_context", "who-functions")
    workspace = started("002_context", script_kind, server.url).workspace
    anonymous = who.get("/who").json()
    assert (anonymous["method"], anonymous["ws"]) == ("GET", workspace)
    assert anonymous["to"].startswith(f"{workspace}/")
    assert anonymous["user"].startswith("anonymouz-")
    member = who.member("POST", "/who").json()
    assert member["user"] not in (anonymous["user"], "")


def test_the_data_store_shares_json(app):
    answer = app("001_data_store", "data-store").get("/get?id=numbers")
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.json() == {"values": [1, 2, 3]}
    assert answer.all("content-length") == [str(len(answer.body))]


def test_the_data_store_shares_files(app):
    answer = app("001_data_store", "data-store").get("/get?id=dot")
    assert (answer.status, answer.body) == (200, bytes(range(256)))
    assert answer.header("content-disposition") == 'inline; filename="dot.bin"'


@pytest.mark.parametrize("query", ["", "?id=", "?id=unknown"])
def test_the_data_store_does_not_have_everything(app, query):
    answer = app("001_data_store", "data-store").get(f"/get{query}")
    assert (answer.status, answer.text) == (404, "no such item")
