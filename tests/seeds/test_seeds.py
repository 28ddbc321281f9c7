"""The examples that this project promises to run, each started as the program it is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from runner.peers import KINDS
from runner.programs import Program
from runner.waiting import eventually
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


def test_the_user_api_is_closed_to_strangers(app, server_kind):
    """It names no visibility, so it is protected: ours does not tell strangers that it is there."""
    status = app("001_user_api", "user-api").get("/users/list").status
    assert status == (404 if server_kind == "polyfn" else 403)


@pytest.mark.parametrize(
    ("path", "value"), [("/health", {"status": "ok"}), ("/version", {"version": "1.0.0"})]
)
def test_the_simple_api(ours, path, value):
    answer = ours("001_user_api", "simple-api").member("GET", path)
    assert (answer.status, answer.media_type, answer.json()) == (200, "application/json", value)


@pytest.mark.parametrize("kind", ["hypha_rpc-python", "polyfn-python"])
def test_fastapi_as_it_is(started, polyfn_server, kind):
    """They name no visibility, so they are protected."""
    files = App(started("001_asgi", kind, polyfn_server.url), polyfn_server.url, "file-service")
    form = b'--e\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabc\r\n--e--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=e"}
    answer = request("POST", f"{files.url}/upload/", headers=headers, body=form, token=files.token)
    assert (answer.status, answer.json()) == (200, {"filename": "a.txt"})
    assert request("POST", f"{files.url}/upload/", headers=headers, body=form).status == 404
    panel = App(started("001_asgi", kind, polyfn_server.url), polyfn_server.url, "admin-panel")
    assert panel.member("GET", "/dashboard").json() == {"dashboard": "of the admin"}


@pytest.mark.parametrize("exported", ["function", "handle"])
def test_the_signature(ours, exported):
    module = ours("003_signature", f"exported-as-{exported}")
    nothing = {"query": {}, "body": None, "header_1": None, "method": "GET", "event": None}
    assert module.get("/").json() == nothing
    asked = module.get("/?param1=value&param2=value", headers={"HEADER_1": "value"}).json()
    assert asked == {**nothing, "query": {"param1": "value", "param2": "value"}, "header_1": "value"}
    sent = request("POST", module.url + "/", {"Content-Type": "application/json"}, b'{"a": [1]}').json()
    assert sent == {**nothing, "body": {"a": [1]}, "method": "POST"}


EVENT = {
    "specversion": "1.0",
    "type": "com.github.pull_request.opened",
    "source": "https://github.com/cloudevents/spec/pull",
    "subject": "123",
    "id": "A234-1234-1234",
}


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_the_signature_and_events(ours, mode):
    module = ours("003_signature", "exported-as-function")
    if mode == "binary":
        headers, body = {f"ce-{name}": value for name, value in EVENT.items()}, b""
    else:
        headers, body = {"Content-Type": "application/cloudevents+json"}, json.dumps(EVENT).encode()
    assert request("POST", module.url + "/", headers, body).json()["event"] == EVENT


def test_the_signature_has_a_logger(ours, started, polyfn_server, script_kind):
    is_ours = script_kind.startswith("polyfn")
    answer = ours("003_signature", "logs").get("/", headers={"x-request-id": f"seed-003-{script_kind}"})
    assert answer.json() == {"ours": is_ours}
    if not is_ours:
        return
    program = started("003_signature", script_kind, polyfn_server.url)

    def logged() -> None:
        # a server logs warnings and above unless it is told otherwise
        for log, levels in ((program.log, ("info", "warn", "error")), (polyfn_server.log, ("warn", "error"))):
            lines = [line for line in list(log) if f"seed-003-{script_kind}" in line]
            for level in levels:
                assert any(f"said by {level}" in line for line in lines), (level, lines)

    eventually(logged)


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


@pytest.fixture
def workers(started, polyfn_server, script_kind):
    """The URL of the services beside which three workers of an application are."""
    program = started("004_services", script_kind, polyfn_server.url)
    return f"{polyfn_server.url}/{program.workspace}/services"


def kubernetes_probe(url: str) -> int:
    """What the pod of the example runs; its exit code."""
    command = ["/bin/sh", "-c", f"curl -sf '{url}' || exit 1"]
    return subprocess.run(command, capture_output=True, timeout=30).returncode


def test_probes(workers):
    # two programs have a `readiness`, but one only a `liveness`: who is meant must be said
    assert get(f"{workers}/probes/readiness").status in (400, 409)
    assert "worker-1:probes" in get(f"{workers}/probes/readiness").text
    assert get(f"{workers}/worker-1:probes/readiness").json() == {"status": "ok"}
    assert get(f"{workers}/probes/liveness?_mode=first").json() == {"status": "ok"}
    for url, code in [
        ("worker-1:probes/readiness", 0),
        ("probes/readiness?_mode=random", 0),
        ("probes/readiness", 1),
        ("worker-1:probes/liveness", 1),
        ("worker-2:probes/readiness", 1),
    ]:
        assert kubernetes_probe(f"{workers}/{url}") == code, url


def test_instances_of_an_application(workers, script_kind):
    """Their ids are not what is asked for, and old clients do not tell the server of the application."""
    url = f"{workers}/worker-service@my-distributed-app"
    assert {get(f"{url}/get_status").json()["number"] for _ in range(30)} == {1, 2, 3}
    argument = "taskData" if "node" in script_kind else "task_data"
    assert get(f"{url}/process_task?{argument}=important").json() == "Task completed: important"
    assert get(f"{workers}/compute@my-distributed-app/get_status?_mode=first").json()["number"] == 1
    assert get(f"{workers}/worker-service-instance-2@my-distributed-app/get_status").json()["number"] == 2
    for other in ["worker-service@another-app", "other@my-distributed-app"]:
        assert get(f"{workers}/{other}/get_status").status == 404, other
    assert get(f"{url}/get_status?_mode=exact").status in (400, 409)


@pytest.mark.parametrize(
    ("mode", "numbers"),
    [
        ("first", {1}),
        ("last", {3}),
        ("random", {1, 2, 3}),
        ("native:random", {1, 2, 3}),
        ("least_loaded", {1, 2, 3}),
        ("select:min:get_load", {1}),
        ("select:max:get_load", {2}),
        ("select:first_success:get_load", {1, 2}),
    ],
)
def test_selection_modes(workers, mode, numbers):
    url = f"{workers}/worker-service@my-distributed-app/get_status?_mode={mode}"
    seen = {get(url).json()["number"] for _ in range(30 if len(numbers) == 3 else 3)}
    assert seen <= numbers
    assert len(numbers) < 3 or seen == numbers


@pytest.mark.parametrize("mode", ["bogus", "select:min", "select:best:get_load"])
def test_modes_that_make_no_sense(workers, mode):
    answer = get(f"{workers}/worker-service@my-distributed-app/get_status?_mode={mode}")
    assert answer.status == 400
    assert mode.removeprefix("select:").removesuffix(":get_load") in answer.text
