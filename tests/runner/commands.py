"""The command `polyfn` of the binary and of both packages: started, read, ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.request

from runner.servers import ROOT, polyfn_binary

LIMIT = 30


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


class Running:
    """A command that runs until it is told to stop; `more` goes into its environment."""

    def __init__(self, kind: str, *arguments: str, **more: str):
        self.process = subprocess.Popen(
            [*command(kind), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(), **more},
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


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:
        return answer.read().decode()
