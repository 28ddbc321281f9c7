"""The command `polyfn` of the binary and of both packages: one and the same."""

from __future__ import annotations

import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from runner.commands import LIMIT, fetch, ran

PACKAGES = ("python", "node")
MODULES = {
    "python": ("hello.py", "def index(event):\n    return '{0}'\n\ndef bad(event):\n    return 1 / 0\n"),
    "node": ("hello.mjs", "export const index = () => '{0}';\nexport const bad = () => missing();\n"),
}


@pytest.mark.parametrize("kind", PACKAGES)
@pytest.mark.parametrize(
    "line",
    [
        "",
        "--help",
        "--version",
        "serve --help",
        "dev --help",
        "serve --bad",
        "serve --port x",
        "dev",
        "dev no.py",
    ],
)
def test_the_packages_say_what_the_binary_says(kind, line):
    assert ran(kind, *line.split()) == ran("binary", *line.split())


def test_a_file_of_another_language_is_told_where_to_go(tmp_path):
    for name, kinds in (("a.py", ("binary", "node")), ("a.mjs", ("binary", "python"))):
        (tmp_path / name).write_text("")
        for kind in kinds:
            code, _, error = ran(kind, "dev", str(tmp_path / name))
            assert (code, "install polyfn`" in error) == (2, True), error


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
@pytest.mark.parametrize("kind", ["binary", *PACKAGES])
def test_a_server_answers_and_stops(running, kind, end):
    program = running(kind, "serve", "--port", "0")
    url = program.line("ready at").rpartition(" ")[2]
    with urllib.request.urlopen(f"{url}/health", timeout=LIMIT) as answer:
        assert answer.status == 200
    assert program.stop(end) == 0


@pytest.mark.parametrize("kind", PACKAGES)
def test_modules_are_served_and_loaded_again(running, kind, tmp_path: Path):
    name, source = MODULES[kind]
    module = tmp_path / name
    module.write_text(source.format("one"))
    program = running(kind, "dev", str(module), "--port", "0")
    lines = [program.line("curl") for _ in range(2)]
    url = next(line.rpartition(" ")[2] for line in lines if line.endswith("/hello/"))
    assert fetch(url) == "one"
    assert program.line("GET /dev/apps/hello/ 200")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        fetch(f"{url}bad")
    assert program.line("error: ")
    assert f"{name}:" in program.line("  at ")
    module.write_text(source.format("three"))
    program.line("curl")
    assert fetch(url) == "three"
    module.write_text(source.format("three") + "(")
    assert "SyntaxError" in program.line("error: ")
    assert fetch(url) == "three"
    assert program.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("kind", PACKAGES)
def test_without_reload_a_module_stays_as_it_was(running, kind, tmp_path: Path):
    name, source = MODULES[kind]
    module = tmp_path / name
    module.write_text(source.format("one"))
    program = running(kind, "dev", str(module), "--port", "0", "--no-reload")
    lines = [program.line("curl") for _ in range(2)]
    url = next(line.rpartition(" ")[2] for line in lines if line.endswith("/hello/"))
    module.write_text(source.format("three"))
    time.sleep(0.5)  # nothing is to happen
    assert fetch(url) == "one"
