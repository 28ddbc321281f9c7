"""Services of an application over HTTP: `svc@app`, with a client, with `*`, with a mode."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from runner import tokens
from runner.apps import Apps
from runner.sockets import RawClient
from runner.web import get, post_json

#: The service, the application by which it is found, and one by which it is not.
SERVICES = [("ours", "shop", "mall"), ("theirs", "mall", "other")]


@pytest.fixture(scope="module")
def started():
    with Apps() as apps:
        yield apps


@pytest.fixture
def program(started, polyfn_server, script_kind):
    """A program of each client library."""
    name = "named.py" if script_kind.endswith("python") else "named.mjs"
    return started.app(name, script_kind, polyfn_server.url, "").program


def forms(service: str, app: str) -> list[str]:
    """The ids by which a service is found."""
    short = [service, f"{service}@{app}", f"{service}%40{app}", f"{service}@*"]
    return [*short, *(f"worker:{form}" for form in short)]


@pytest.mark.parametrize(("name", "app", "other"), SERVICES)
def test_a_service_is_found_by_its_application(polyfn_server, program, name, app, other):
    base = f"{polyfn_server.url}/{program.workspace}"
    for token in (None, program.token):
        for mode in ("", "?_mode=first", "?_mode=random", "?_mode=least_loaded", "?_mode=exact"):
            for form in forms(f"{name}-http", app):
                answer = get(f"{base}/apps/{form}/{mode}", token=token)
                assert (answer.status, answer.text) == (200, name), (form, mode)
            for form in forms(f"{name}-rpc", app):
                called = post_json(f"{base}/services/{form}/add{mode}", [1, 2], token=token)
                assert (called.status, called.json()) == (200, 3), (form, mode)
                assert get(f"{base}/services/{form}", token=token).json()["name"] == f"{name}-rpc"
        for form in (f"{name}-http@{other}", f"worker:{name}-http@{other}", f"other:{name}-http@{app}"):
            assert get(f"{base}/apps/{form}/", token=token).status == 404, form


def test_an_owner_that_could_not_tell_its_application_is_asked_again(polyfn_server):
    workspace, token = tokens.own_workspace("told-late"), tokens.member("told-late")
    url = f"{polyfn_server.url}/{workspace}/services/calc@late"
    with (
        RawClient(polyfn_server.ws_url, workspace=workspace, token=token) as owner,
        ThreadPoolExecutor() as threads,
    ):
        owner.register_builtin()
        owner.call_manager("register_service", owner.service_info("calc", visibility="public"))
        for end, told, status in (("reject", "busy", 404), ("resolve", {"app_id": "late"}, 200)):
            asking = threads.submit(get, url, token=token)
            request, _ = owner.receive()
            assert request["method"] == "services.built-in.get_service"
            owner.answer(request, told, end)
            assert asking.result(20).status == status, end
        # it has told, and is asked no more
        assert get(url, token=token).status == 200
        assert owner.quiet(0.1) == []
