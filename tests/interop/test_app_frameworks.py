"""Apps of frameworks, registered as they are."""

from __future__ import annotations

import gzip
import hashlib
import os

import pytest
from runner.apps import App, Apps, until, upload_form

FRAMEWORKS = ["fastapi", "starlette", "django", "quart", "flask"]


@pytest.fixture(scope="module")
def started():
    with Apps() as apps:
        yield apps


@pytest.fixture
def site(started, polyfn_server):
    return lambda name: started.app("frameworks.py", "polyfn-python", polyfn_server.url, name)


@pytest.fixture(params=FRAMEWORKS)
def app(site, request) -> App:
    return site(request.param)


def test_a_page(app):
    answer = app.get("/hello/w%C3%A9")
    assert (answer.status, answer.media_type) == (200, "application/json")
    assert answer.json() == {"hello": ["wé"]}
    assert app.get("/not-there").status == 404


def test_a_file_comes_by_a_form(app):
    data = os.urandom(300_000)
    answer = upload_form(app, "/upload/", "a.bin", data)
    assert answer.json() == {"name": "a.bin", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_links_stay_in_the_service(app):
    link = app.get("/link").text
    folder = "/inner" if app.service == "starlette" else ""
    assert link == f"{app.url}{folder}/hello/x"
    assert app.get(link.removeprefix(app.url)).json() == {"hello": ["x"]}


@pytest.mark.parametrize("name", ["fastapi", "starlette", "flask"])
def test_redirects_stay_in_the_service(site, name):
    app = site(name)
    answer = app.request("POST", "/upload")
    assert answer.status in (307, 308)
    assert answer.header("location").removeprefix(app.server_url) == f"{app.path}/upload/"


def test_links_may_be_as_the_reference_has_them(site):
    app = site("relative")
    assert app.get("/hello/x").json() == {"hello": ["x"]}
    assert app.get("/link").text == f"{app.server_url}/inner/hello/x"


@pytest.mark.parametrize("name", ["fastapi", "django", "quart", "flask"])
def test_a_stream(site, name):
    assert site(name).get("/stream").body == b"0\n1\n2\n3\n4\n"


def test_fastapi_at_work(site):
    app = site("fastapi")
    assert app.get("/hello/a?times=2").json() == {"hello": ["a", "a"]}
    assert app.get("/hello/a?times=x").status == 422
    assert app.get("/plain-hello").text == "hello from a thread"
    assert app.get("/state").text == "at the start"
    assert app.get("/openapi.json").json()["servers"] == [{"url": app.path}]
    assert f'url: "{app.path}/openapi.json"' in app.get("/docs").text.replace("'", '"')
    assert app.get("/later").json() == {"ok": True}
    until(lambda: "worked" in app.get("/life").json())
    assert app.get("/life").json()[0] == "start"


def test_an_app_that_fails(site):
    for name in ("fastapi", "flask"):
        answer = site(name).get("/fails")
        assert answer.status == 500
        assert "boom" not in answer.text


def test_middleware_works(site):
    answer = site("starlette").get("/long", headers={"Accept-Encoding": "gzip"})
    assert answer.header("content-encoding") == "gzip"
    assert gzip.decompress(answer.body) == b"x" * 10000


def test_an_app_cleans_up_at_the_end(polyfn_server):
    with Apps() as apps:
        app = apps.app("frameworks.py", "polyfn-python", polyfn_server.url, "fastapi")
        assert app.get("/life").json() == ["start"]
        program = app.program
        program.stop()
        assert program.process.returncode == 0
        assert any("the app has cleaned up" in line for line in program.log)


def test_an_app_without_a_wrapper_by_the_published_package(started, polyfn_server):
    for kind in ("hypha_rpc-python", "polyfn-python"):
        for service in ("direct", "object"):
            app = started.app("direct.py", kind, polyfn_server.url, service)
            assert app.get("/hello/x").json() == {"hello": ["x"]}, (kind, service)
            assert app.request("POST", "/body", body=bytes(500_000)).text == "500000", (kind, service)


def test_an_app_on_the_reference_server(started, hypha_server):
    for name in FRAMEWORKS:
        app = started.app("frameworks.py", "polyfn-python", hypha_server.url, name)
        assert app.get("/hello/x").json() == {"hello": ["x"]}, name
        data = os.urandom(300_000)
        assert upload_form(app, "/upload/", "a.bin", data).json()["size"] == len(data), name
