"""`polyfn dev` of the Python package at work: on another server, with other files, while calls run."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from runner import tokens
from runner.commands import Running, fetch
from runner.waiting import eventually
from runner.web import get, request

WAITS = """
import asyncio
from pathlib import Path

async def index(event):
    return "{0}"

async def waits(event):
    print("begun", flush=True)
    while not Path(event["query_string"]).exists():
        await asyncio.sleep(0.02)
    return "{0}"
"""


@pytest.fixture
def module(tmp_path: Path):
    """Saves a module; an editor writes another file and renames it, so that nobody sees a half."""

    def save(source: str, name: str = "hello.py") -> Path:
        path, draft = tmp_path / name, tmp_path / f"{name}.draft"
        draft.write_text(source)
        return draft.rename(path)

    return save


def served(program: Running, ending: str = "/hello/") -> str:
    """The URL of the line with `curl` that ends so."""
    while not (line := program.line("curl")).endswith(ending):
        pass
    return line.rpartition(" ")[2]


def test_functions_are_registered_on_another_server(running, polyfn_server, module):
    path = module("def index(event):\n    return event['user']['id']\n\ndef bad(event):\n    return 1 / 0\n")
    workspace, token = tokens.own_workspace("dev-elsewhere"), tokens.member("dev-elsewhere")
    flags = ["--server-url", polyfn_server.url + "/", "--workspace", workspace]
    program = running("python", "dev", str(path), *flags, POLYFN_TOKEN=token)
    url = f"{polyfn_server.url}/{workspace}/apps/hello/"
    assert {served(program, "/hello/"), served(program, "/bad")} == {url, f"{url}bad"}
    assert get(url, token=token).text == "dev-elsewhere"
    assert program.line("/index ok")
    assert get(f"{url}bad").status == 500
    assert "ZeroDivisionError" in program.line("error: ")
    assert program.line("/bad failed")
    module("def index(event):\n    return 'new'\n")
    assert served(program) == url
    assert get(url).text == "new"
    assert program.stop(signal.SIGTERM) == 0

    def gone() -> None:
        assert get(url).status == 404

    eventually(gone)


def test_a_server_that_refuses_is_told(running, polyfn_server, module):
    path = module("def index(event):\n    return 'hi'\n")
    program = running("python", "dev", str(path), "--server-url", polyfn_server.url, "--token", "bad")
    assert "token" in program.line("polyfn: ")
    assert program.process.wait(30) == 1


def test_other_files_are_watched(running, module, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "greeting.txt").write_text("one")
    source = (
        "from pathlib import Path\ntext = Path({0!r}).read_text()\n\ndef index(event):\n    return text\n"
    )
    path = module(source.format(str(data / "greeting.txt")))
    program = running("python", "dev", str(path), "--port", "0", "--watch", str(data))
    url = served(program)
    assert fetch(url) == "one"
    (data / "draft").write_text("two")
    (data / "draft").rename(data / "greeting.txt")
    saved = time.monotonic()
    served(program)
    print(f"loaded again within {(time.monotonic() - saved) * 1000:.0f} ms")
    assert fetch(url) == "two"


def test_what_a_module_imports_from_beside_it_is_loaded_with_it(running, module):
    module("TEXT = 'one'\n", "beside.py")
    path = module("import beside\n\ndef index(event):\n    return beside.TEXT\n")
    program = running("python", "dev", str(path), "--port", "0", "--watch", str(path.parent / "beside.py"))
    url = served(program)
    assert fetch(url) == "one"
    module("TEXT = 'two or more'\n", "beside.py")
    served(program)
    assert fetch(url) == "two or more"


def test_a_module_of_the_signature_specification(running, module):
    path = module(
        "config = {'log_level': 'debug'}\n\n"
        "def handle(context):\n"
        "    context.log.debug('asked', method=context.method)\n"
        "    return {'path': context.request.path, 'query': context.query}\n\n"
        "def init():\n    print('initialized', flush=True)\n\n"
        "def shutdown():\n    print('shut down', flush=True)\n"
    )
    program = running("python", "dev", str(path), "--port", "0")
    assert program.line("initialized")
    url = served(program)
    assert json.loads(fetch(f"{url}any/where?a=1")) == {"path": "/any/where", "query": {"a": "1"}}
    assert '{"method": "GET"}' in program.line("asked")
    program.process.send_signal(signal.SIGINT)
    assert program.line("shut down")
    assert program.process.wait(30) == 0


def test_marked_functions_alone_are_served(running, module):
    path = module(
        "import polyfn\n\n"
        "def helper(event):\n    return 'no'\n\n"
        "@polyfn.function\ndef hello(event):\n    return 'hello'\n\n"
        "@polyfn.function('api/users/POST')\n"
        "def add(event):\n    return {'status': 201, 'body': event.json()}\n"
    )
    program = running("python", "dev", str(path), "--port", "0")
    url = served(program, "/hello").removesuffix("hello")
    assert fetch(f"{url}hello") == "hello"
    made = request("POST", f"{url}api/users", headers={}, body=b'{"a": 1}')
    assert (made.status, made.json()) == (201, {"a": 1})
    assert get(f"{url}helper").status == 404
    assert get(f"{url}api/users").status == 405


def test_calls_that_run_go_on_while_the_module_is_loaded_again(running, module, tmp_path):
    path = module(WAITS.format("old"))
    program = running("python", "dev", str(path), "--port", "0")
    url = served(program)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(fetch, f"{url}waits?{tmp_path / 'go'}")
        assert program.line("begun")
        saved = time.monotonic()
        module(WAITS.format("new"))
        served(program)
        print(f"loaded again within {(time.monotonic() - saved) * 1000:.0f} ms")
        assert fetch(url) == "new"
        assert not call.done()
        (tmp_path / "go").touch()
        assert call.result(30) == "old"
    assert program.stop(signal.SIGINT) == 0


def test_a_module_that_cannot_be_loaded_leaves_the_last_one(running, module):
    path = module("def index(event):\n    return 'one'\n")
    program = running("python", "dev", str(path), "--port", "0")
    url = served(program)
    for source, said in (
        ("def index(event:\n", "SyntaxError"),
        ("raise SystemExit('no')\n", "SystemExit"),
        ("import no_such_module_at_all\n", "No module named"),
        ("number = 1\n", "has no function to serve"),
    ):
        module(source)
        assert said in program.line("error: "), source
        assert fetch(url) == "one"
    module("def index(event):\n    return 'two'\n")
    served(program)
    assert fetch(url) == "two"
