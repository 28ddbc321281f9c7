"""A server under test as a process: ours, or the pinned reference."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import weakref
from pathlib import Path
from typing import ClassVar

from runner.log import Log
from runner.tokens import SECRET

ROOT = Path(__file__).resolve().parents[2]
ROOT_TOKEN = "Vq7mZr2kXw9pLd4sNf8hJc6tBy3gEu5oRi1aTn0vQxKzMwPe"
READY = re.compile(r"^polyfn \S+ ready at (http://\S+)$")
START_LIMIT = 60.0
running: weakref.WeakSet[Server] = weakref.WeakSet()


def target_folder() -> Path:
    """Where cargo puts debug builds."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    return target if target.exists() else ROOT / "target/debug"


def polyfn_binary() -> str:
    """The server's binary: POLYFN_BIN, else cargo's debug build."""
    binary = Path(os.environ.get("POLYFN_BIN", target_folder() / "polyfn"))
    if not binary.exists():
        raise FileNotFoundError(f"no server at {binary}: run cargo xtask build, or set POLYFN_BIN")
    return str(binary)


def hypha_python() -> str:
    """The interpreter of the environment that holds the reference server."""
    python = os.environ.get("HYPHA_PYTHON", str(ROOT / ".venv-hypha/bin/python"))
    if not Path(python).exists():
        raise FileNotFoundError(f"no reference server at {python}: run cargo xtask test, or set HYPHA_PYTHON")
    return python


#: Sockets that hold ports for this process.
RESERVED: list[socket.socket] = []


def free_port() -> int:
    """A port for a server that must be told one, or comes back under the same; nobody else is given it."""
    place = socket.socket()
    # beside it a server may listen; the system gives the port to nobody who asks for any
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    if sys.platform == "linux":
        RESERVED.append(place)
    else:
        # there a server could not listen beside it
        place.close()
    return port


class Server:
    """One server process. `url` is set when it is ready."""

    name = ""

    def __init__(
        self, port: int = 0, arguments: tuple[str, ...] = (), environment: dict[str, str] | None = None
    ):
        self.port = port
        self.arguments = arguments
        self.environment = environment or {}
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.log = Log(2000)

    def command(self) -> list[str]:
        raise NotImplementedError

    def await_ready(self, deadline: float) -> str:
        raise NotImplementedError

    def start(self) -> Server:
        environment = {
            **{
                key: value for key, value in os.environ.items() if not key.startswith(("HYPHA_WS", "POLYFN_"))
            },
            "HYPHA_JWT_SECRET": SECRET,
            **self.environment,
        }
        self.process = subprocess.Popen(
            self.command(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd="/",
        )
        self.log.follow(self.process.stderr)
        try:
            self.url = self.await_ready(time.monotonic() + START_LIMIT)
        except Exception:
            self.stop()
            raise
        self.port = int(self.url.rsplit(":", 1)[1])
        running.add(self)
        return self

    def stop(self) -> int:
        """Asks the process to end and returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.finish()
        code = self.process.returncode
        self.process = None
        running.discard(self)
        return code

    def resident_bytes(self) -> int:
        """Memory that the process holds at this moment."""
        assert self.process is not None
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the kernel did not say how much memory the server holds")

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"


class PolyfnServer(Server):
    name = "polyfn"

    def command(self) -> list[str]:
        flags = ["--host", "127.0.0.1", "--port", str(self.port), "--root-token", ROOT_TOKEN]
        if not any(argument.startswith(("--database-uri", "--data-dir")) for argument in self.arguments):
            flags.append("--database-uri=sqlite::memory:")
        return [polyfn_binary(), "serve", *flags, *self.arguments]

    def await_ready(self, deadline: float) -> str:
        assert self.process is not None
        line = self.process.stdout.readline().rstrip()
        if match := READY.match(line):
            self.log.follow(self.process.stdout)
            return match.group(1)
        self.process.wait(5)
        raise RuntimeError(f"the server said {line!r} instead of its ready line; log: {list(self.log)[-20:]}")


class HyphaServer(Server):
    """The reference, with its limits raised so that fast tests do not meet them."""

    name = "hypha"
    LIMITS: ClassVar = {
        "HYPHA_WS_MSG_RATE_LIMIT": "1000000",
        "HYPHA_WS_MSG_BURST_LIMIT": "1000000",
        "HYPHA_HTTP_RATE_LIMIT": "1000000",
        "HYPHA_HTTP_BURST_LIMIT": "1000000",
    }

    def __init__(self, **options):
        super().__init__(**options)
        self.environment = {**self.LIMITS, **self.environment}
        self.port = self.port or free_port()

    def command(self) -> list[str]:
        flags = [
            f"--port={self.port}",
            "--host=127.0.0.1",
            f"--root-token={ROOT_TOKEN}",
            "--server-id=of-the-tests",
        ]
        return [hypha_python(), "-m", "hypha.server", *flags, *self.arguments]

    def await_ready(self, deadline: float) -> str:
        assert self.process is not None
        self.log.follow(self.process.stdout)
        url = f"http://127.0.0.1:{self.port}"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{url}/health/readiness", timeout=2):
                    return url
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)  # the reference tells nobody when it is ready
        raise RuntimeError(f"the reference server did not become ready; log: {list(self.log)[-20:]}")


KINDS: dict[str, type[Server]] = {"polyfn": PolyfnServer, "hypha": HyphaServer}
