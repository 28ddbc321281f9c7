"""Programs that register services and keep serving: started, asked, stopped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from runner.log import Log
from runner.peers import KINDS, environment, node_command, python_command


class Program:
    """A program which prints one JSON line when it is ready, and ends when its stdin does."""

    def __init__(self, path: Path, kind: str, server_url: str):
        language, package = KINDS[kind]
        command = python_command(path) if language == "python" else node_command(path)
        self.log = Log(200)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=path.parent,
            env=environment(PACKAGE=package, SERVER_URL=server_url),
        )
        self.log.follow(self.process.stderr)
        self.info = self._await_ready()
        self.workspace: str = self.info["workspace"]
        self.token: str = self.info["token"]

    def _await_ready(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("{"):
                self.log.run(self._swallow)
                return json.loads(line)
        self.process.wait()
        raise RuntimeError(
            f"the program ended with {self.process.returncode}; its log: {list(self.log)[-15:]}"
        )

    def _swallow(self) -> None:
        for _ in self.process.stdout:
            pass

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.finish()
