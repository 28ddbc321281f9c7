"""The command `polyfn` of the binary and of both packages: one and the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner.servers import ROOT, polyfn_binary

LIMIT = 30
PACKAGES = ("python", "node")
MODULES = {
    "python": ("hello.py", "def index(event):\n    return '{0}'\n\ndef bad(event):\n    return 1 / 0\n"),
    "node": ("hello.mjs", "export const index = () => '{0}';\nexport const bad = () => missing();\n"),
}


def command(kind: str) -> list[str]:
    if kind == "binary":
        return [polyfn_binary()]
    if kind == "python":
        return [os.environ.get("POLYFN_PYTHON", sys.executable), "-m", "polyfn"]
    return [shutil.which("node") or "node", str(ROOT / "bindings-node/lib/command.js")]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HYPHA_", "POLYFN_"))}
    return {**kept, "PYTHONPATH": str(ROOT / "bindings-python/python"), "PYTHONUNBUFFERED": "1"}


def ran(kind: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*command(kind), *arguments], capture_output=True, text=True, timeout=LIMIT, env=environment()
    )
    return done.returncode, done.stdout, done.stderr


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


class Running:
    """A command that runs until it is told to stop."""

    def __init__(self, kind: str, *arguments: str):
        self.process = subprocess.Popen(
            [*command(kind), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )

    def line(self, word: str) -> str:
        for line in self.process.stdout:
            if word in line:
                return line.rstrip()
        raise AssertionError(f"it ended with {self.process.wait()} and never said {word!r}")

    def stop(self, kind: signal.Signals) -> int:
        self.process.send_signal(kind)
        return self.process.wait(LIMIT)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def running() -> Iterator:
    started: list[Running] = []

    def start(kind: str, *arguments: str) -> Running:
        started.append(Running(kind, *arguments))
        return started[-1]

    yield start
    for program in started:
        program.end()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
@pytest.mark.parametrize("kind", ["binary", *PACKAGES])
def test_a_server_answers_and_stops(running, kind, end):
    program = running(kind, "serve", "--port", "0")
    url = program.line("ready at").rpartition(" ")[2]
    with urllib.request.urlopen(f"{url}/health", timeout=LIMIT) as answer:
        assert answer.status == 200
    assert program.stop(end) == 0


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:
        return answer.read().decode()


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
