"""`polyfn dev`: one save is one load, however an editor saves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from runner.commands import Running, fetch

SOURCES = {
    "python": ("hello.py", "def index(event):\n    return {0!r}\n"),
    "node": ("hello.mjs", 'export const index = () => "{0}";\n'),
}
#: Seconds for which an editor leaves a file empty or away: less than the watcher waits then.
GAP = 0.15


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def emptied_first(path: Path, text: str) -> None:
    path.write_text("")
    time.sleep(GAP)
    path.write_text(text)


def renamed(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text)
    draft.rename(path)


def moved_away_first(path: Path, text: str) -> None:
    path.rename(path.with_name(f"{path.name}~"))
    time.sleep(GAP)
    path.write_text(text)


def with_others(path: Path, text: str) -> None:
    for number in range(3):
        path.with_name(f"other{number}{path.suffix}").write_text(text)
    path.write_text(text)
    path.with_name("data.json").write_text("{}")


def touched(path: Path, text: str) -> None:
    in_place(path, text)
    os.utime(path)


SAVES: list[Callable[[Path, str], None]] = [
    in_place,
    emptied_first,
    renamed,
    moved_away_first,
    with_others,
    touched,
]


def loads_until(program: Running, url: str, expected: str) -> int:
    """How often the module is loaded, or cannot be, until it answers this."""
    loads = 0
    for line in program.process.stdout:
        is_loaded = "hello (1 function)" in line
        loads += is_loaded or line.startswith("error:")
        if is_loaded and fetch(url) == expected:
            return loads
    raise AssertionError(f"it ended with {program.process.wait()} and never answered {expected!r}")


@pytest.mark.parametrize("kind", SOURCES)
def test_one_save_is_one_load(running, tmp_path: Path, kind: str):
    name, source = SOURCES[kind]
    path = tmp_path / name
    path.write_text(source.format("first"))
    program = running(kind, "dev", str(path), "--port", "0")
    url = program.line("curl").rpartition(" ")[2]
    assert fetch(url) == "first"
    for save in SAVES:
        # a load too many of the one before would be counted here
        save(path, source.format(save.__name__))
        assert loads_until(program, url, save.__name__) == 1, save.__name__
    path.write_text(source.format("end"))
    assert loads_until(program, url, "end") == 1
    assert program.stop(signal.SIGINT) == 0
