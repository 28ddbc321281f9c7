"""`polyfn serve-app`: apps of a module, served by the command until it is stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from runner import tokens
from runner.commands import environment, ran
from runner.proxy import Proxy
from runner.waiting import eventually
from runner.web import get

APPS = """
import contextlib
from fastapi import FastAPI, Request
from flask import Flask

@contextlib.asynccontextmanager
async def lifespan(app):
    yield
    print("cleaned up", flush=True)

class Site:
    app = FastAPI(lifespan=lifespan)

@Site.app.get("/where")
def where(request: Request):
    return {"url": str(request.url_for("where")), "root": request.scope["root_path"]}

flask = Flask(__name__)

@flask.get("/hello")
def hello():
    return "hello from flask"

def neither(one):
    pass

def with_key(scope, **_):
    return (b"x-key", b"right") in scope["headers"]

def hidden(*args):
    return flask(*args)

number = 5
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    """A file with apps; the folder above it is that of `--app-dir`."""
    path = tmp_path / "apps_of_mine.py"
    path.write_text(APPS)
    return str(path)


def url_of(program) -> str:
    return program.line("Access your app at: ").rpartition(" ")[2]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_an_app_is_served_until_it_is_stopped(running, polyfn_server, module, end):
    program = running(
        "python", "serve-app", f"{module}:Site.app", "--id", "site", "--server-url", polyfn_server.url + "/"
    )
    url = url_of(program)
    workspace = urlsplit(url).path.split("/")[1]
    assert url == f"{polyfn_server.url}/{workspace}/apps/site/"
    answer = get(f"{url}where").json()
    assert answer == {"url": f"{url}where", "root": f"/{workspace}/apps/site"}
    program.process.send_signal(end)
    assert program.line("cleaned up")
    assert program.process.wait(30) == 0
    assert "Traceback" not in program.process.stdout.read()
    assert get(f"{url}where").status == 404


def test_all_that_can_be_said(running, polyfn_server, module):
    folder = str(Path(module).parent)
    workspace = tokens.own_workspace("app-owner")
    flags = ["--id", "plain", "--name", "My app", "--workspace", workspace, "--disable-ssl", "--threads", "2"]
    more = ["--visibility", "protected", "--relative", "--app-dir", folder, "--server-url", polyfn_server.url]
    more += ["--check-context", "apps_of_mine:with_key"]
    token = tokens.member("app-owner")
    program = running("python", "serve-app", "apps_of_mine:flask", *flags, *more, POLYFN_TOKEN=token)
    url = url_of(program)
    assert url == f"{polyfn_server.url}/{workspace}/apps/plain/"
    assert get(f"{url}hello").status == 404
    refused = get(f"{url}hello", token=token)
    assert (refused.status, refused.json()["detail"]) == (403, "this request is not let through")
    assert get(f"{url}hello", token=token, headers={"X-Key": "right"}).text == "hello from flask"
    info = get(f"{polyfn_server.url}/{workspace}/services/plain", token=token).json()
    assert "check_context" not in info["service_schema"]
    assert (info["name"], info["config"]["visibility"], info["type"]) == ("My app", "protected", "asgi")


def test_a_kind_that_cannot_be_told_is_said(running, polyfn_server, module):
    given = [f"{module}:hidden", "--id", "said", "--server-url", polyfn_server.url]
    code, _, error = ran("python", "serve-app", *given)
    assert (code, "give --type" in error) == (2, True), error
    program = running("python", "serve-app", *given, "--type", "wsgi")
    assert get(f"{url_of(program)}hello").text == "hello from flask"


def test_a_connection_that_breaks_is_made_again(running, polyfn_server, module):
    with Proxy(polyfn_server.url) as proxy:
        program = running(
            "python", "serve-app", f"{module}:flask", "--id", "steady", "--server-url", proxy.url
        )
        path = urlsplit(url_of(program)).path
        proxy.cut()
        assert program.line("the connection is lost, trying again")
        assert program.line("connected again")

        def served() -> None:
            assert get(f"{polyfn_server.url}{path}hello").text == "hello from flask"

        eventually(served)
        assert program.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("apps_of_mine", "names no app, expected module:app"),
        ("apps_of_mine:nothing", "apps_of_mine has no 'nothing'"),
        ("apps_of_mine:number", "cannot be called, it is of type int"),
        ("apps_of_mine:neither", "takes neither (scope, receive, send) nor (environ, start_response)"),
        ("no_such_module:app", "there is no module no_such_module"),
        ("no-such.py:app", "there is no file"),
        ("apps_of_mine:flask", "apps_of_mine has no 'check'"),
    ],
)
def test_what_is_no_app(module, app, said):
    folder = str(Path(module).parent)
    line = ["serve-app", app, "--id", "x", "--server-url", "http://127.0.0.1:1", "--app-dir", folder]
    line += ["--check-context", "apps_of_mine:check"]
    code, out, error = ran("python", *line)
    assert (code, out, said in error, "Traceback" in error) == (2, "", True, False), error


def test_lines_that_cannot_be_used(module):
    assert ran("python", "serve-app", "--help")[0] == 0
    for flags, said in (
        ([], "required: MODULE:APP, --id, --server-url"),
        (["a:b", "--id", "x", "--server-url", "u", "--token", "t", "--login"], "not allowed with"),
        (["a:b", "--id", "x", "--server-url", "u", "--nonsense"], "--nonsense"),
        (["a:b", "--id", "x", "--server-url", "u", "--threads", "0"], "not at least 1"),
    ):
        code, _, error = ran("python", "serve-app", *flags)
        assert (code, said in error) == (2, True), error
    code, _, error = ran(
        "python", "serve-app", f"{module}:flask", "--id", "x", "--server-url", "http://127.0.0.1:1"
    )
    assert (code, error.startswith("polyfn: ")) == (1, True), error
    for kind in ("binary", "node"):
        code, _, error = ran(kind, "serve-app", "a:b")
        assert (code, "python3 -m polyfn serve-app" in error) == (2, True), error
    assert "type `fetch`" in error


def test_a_browser_is_asked_for_the_token(running, polyfn_server, module):
    program = running(
        "python", "serve-app", f"{module}:flask", "--id", "x", "--server-url", polyfn_server.url, "--login"
    )
    page = program.line("login at http").rpartition(" ")[2]
    assert page.startswith(f"{polyfn_server.url}/public/apps/hypha-login/")
    # who does not want to log in may leave
    assert program.stop(signal.SIGINT) == 0


def test_it_is_where_the_reference_has_it(module):
    done = subprocess.run(
        [sys.executable, "-m", "polyfn.utils.serve", "--help"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert (done.returncode, "--disable-ssl" in done.stdout) == (0, True)
