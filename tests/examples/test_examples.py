"""The examples print what stands beside them, in every language."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runner.documents import ROOT
from runner.peers import environment

EXAMPLES = ROOT / "examples"


def tasks(program: str) -> list[str]:
    """The tasks that are shown by a program of this name."""
    return sorted(path.parent.name for path in EXAMPLES.glob(f"*/{program}"))


TASKS = tasks("main.rs")


@pytest.fixture(scope="session")
def rust_examples() -> Path:
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/examples"
    if missing := [task for task in TASKS if not (folder / task).exists()]:
        pytest.fail(f"{missing} are not built: run cargo build -p polyfn-core --features net --examples")
    return folder


def run(command: list[str], url: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(POLYFN_SERVER_URL=url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def expected(task: str) -> str:
    return (EXAMPLES / task / "expected.txt").read_text(encoding="utf-8")


def test_there_are_tasks():
    assert len(TASKS) >= 5
    assert set(TASKS) < set(tasks("main.py")) == set(tasks("main.mjs")) == set(tasks("expected.txt"))


@pytest.mark.parametrize("task", tasks("main.py"))
def test_in_python(polyfn_server, task):
    assert run([sys.executable, str(EXAMPLES / task / "main.py")], polyfn_server.url) == expected(task)


@pytest.mark.parametrize("task", tasks("main.mjs"))
def test_in_node(polyfn_server, task):
    assert run(["node", str(EXAMPLES / task / "main.mjs")], polyfn_server.url) == expected(task)


@pytest.mark.parametrize("task", TASKS)
def test_in_rust(polyfn_server, rust_examples, task):
    assert run([str(rust_examples / task)], polyfn_server.url) == expected(task)
