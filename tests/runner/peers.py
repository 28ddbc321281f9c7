"""Client programs as processes: requests as JSON lines to them, answers as JSON lines from them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue

from runner.log import Log
from runner.servers import target_folder

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = ROOT / "tests/adapters"
PYTHON_SOURCE = ROOT / "bindings-python/python"
LIMIT = 90.0

# The kinds of client: language and package.
KINDS = {
    "hypha_rpc-python": ("python", "hypha_rpc"),
    "hypha_rpc-node": ("node", "hypha-rpc"),
    "polyfn-python": ("python", "polyfn"),
    "polyfn-node": ("node", "polyfn"),
    "polyfn-rust": ("rust", "polyfn"),
}

# Those that serve functions over HTTP in these tests.
SCRIPT_KINDS = {kind: what for kind, what in KINDS.items() if what[0] != "rust"}


def environment(**more: str) -> dict[str, str]:
    """What programs inherit, with our Python package found in its source tree."""
    paths = [str(PYTHON_SOURCE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path), **more}


def python_command(program: Path) -> list[str]:
    return [sys.executable, "-u", str(program)]


def node_command(program: Path) -> list[str]:
    """Node 20 hides the WebSocket class which hypha-rpc needs; newer ones have it and refuse no flag."""
    return [os.environ.get("NODE", "node"), "--no-warnings", "--experimental-websocket", str(program)]


def rust_command() -> list[str]:
    """The program that cargo builds beside the server."""
    program = target_folder() / "examples/peer"
    if not program.exists():
        raise FileNotFoundError(f"no client program at {program}: run cargo xtask build")
    return [str(program)]


def peer_command(kind: str) -> list[str]:
    language, package = KINDS[kind]
    if language == "rust":
        return rust_command()
    if language == "python":
        return [*python_command(ADAPTERS / "peer.py"), package]
    return [*node_command(ADAPTERS / "peer.mjs"), package]


class PeerError(Exception):
    """An operation failed inside the program: what the caller there saw."""

    def __init__(self, fields: dict):
        super().__init__(fields.get("message"))
        self.name = fields.get("name")
        self.code = fields.get("code")
        self.trace = fields.get("trace") or ""
        self.message = fields.get("message") or ""

    @property
    def text(self) -> str:
        return f"{self.message}\n{self.trace}"


class Peer:
    """One client program. Several connections may live in it, each under a name."""

    def __init__(self, kind: str):
        self.kind = kind
        self.process = subprocess.Popen(
            peer_command(kind),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ADAPTERS,
            env=environment(),
        )
        self.log = Log(400)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Queue] = {}
        self._lock = threading.Lock()
        self.log.run(self._read)
        self.log.follow(self.process.stderr)

    def _read(self) -> None:
        for line in self.process.stdout:
            if not line.startswith('{"answer"'):
                self.log.append(line)  # a library's own print
                continue
            message = json.loads(line)
            with self._lock:
                queue = self._waiting.pop(message["answer"], None)
            if queue:
                queue.put(message)
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for queue in waiting.values():
            queue.put({"error": {"name": "Exit", "message": f"{self.kind} ended: {list(self.log)[-15:]}"}})

    def start(self, op: str, **fields) -> Queue:
        """Sends a request; its answer will come through the queue."""
        number = next(self._numbers)
        queue: Queue = Queue()
        with self._lock:
            self._waiting[number] = queue
            self.process.stdin.write(json.dumps({"number": number, "op": op, **fields}) + "\n")
            self.process.stdin.flush()
        return queue

    def finish(self, queue: Queue, limit: float = LIMIT):
        try:
            message = queue.get(timeout=limit)
        except Empty:
            raise TimeoutError(
                f"{self.kind} gave no answer in {limit} s; its log: {list(self.log)[-15:]}"
            ) from None
        if "error" in message:
            raise PeerError(message["error"])
        return message.get("value")

    def do(self, op: str, limit: float = LIMIT, **fields):
        return self.finish(self.start(op, **fields), limit)

    def connect(self, name: str, url: str, **config) -> Connection:
        info = self.do("connect", name=name, config={"server_url": url, **config})
        return Connection(self, name, info)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.finish()


class Connection:
    """A client of the server, inside a program."""

    def __init__(self, peer: Peer, name: str, info: dict):
        self.peer, self.name = peer, name
        self.workspace: str = info["workspace"]
        self.client_id: str = info["client_id"]
        self.user: dict = info.get("user") or {}

    def register(self, what: str, service: str, **config) -> None:
        """Registers one of the services which the program has: `rpc`, `context`, or one of answers.py."""
        self.peer.do("register", name=self.name, what=what, service=service, config=config)

    def get(self, service: str, key: str | None = None) -> Service:
        handle = self.peer.do("get", name=self.name, service=service, **({"key": key} if key else {}))
        return Service(self, handle)

    @property
    def public_key(self) -> str:
        return self.peer.do("public_key", name=self.name)

    def manager(self, method: str, *args, **kwargs):
        return self.peer.do("manager", name=self.name, method=method, args=args, kwargs=kwargs)

    def listen(self, kind: str) -> None:
        """Subscribes to events of a type; `hear` gives them."""
        self.peer.do("listen", name=self.name, kind=kind)

    def hear(self, kind: str, limit: float = LIMIT) -> dict:
        """The next event of a type that `listen` was asked for."""
        return self.peer.do("hear", limit, name=self.name, kind=kind)

    def emit(self, message: dict) -> None:
        self.peer.do("emit", name=self.name, message=message)

    def disconnect(self) -> None:
        self.peer.do("disconnect", name=self.name)


class Service:
    """A remote service as the program holds it."""

    def __init__(self, connection: Connection, handle: str):
        self.connection, self.handle = connection, handle

    def start(self, method: str, *args, take: int | None = None, **kwargs) -> Queue:
        """Begins a call; of a stream in its result so many items are taken, all without `take`."""
        call = {"method": method, "args": args, "kwargs": kwargs, "take": take}
        return self.connection.peer.start("call", handle=self.handle, **call)

    def start_told(self, method: str, *args) -> Queue:
        """The same; the answer is what the caller got, told in one line."""
        return self.connection.peer.start("told", handle=self.handle, method=method, args=args)

    def call(self, method: str, *args, limit: float = LIMIT, **kwargs):
        return self.connection.peer.finish(self.start(method, *args, **kwargs), limit)

    def give_up(self, method: str, until: str):
        """Begins a call without arguments, and gives it up when the function `until` has answered."""
        return self.connection.peer.do("give_up", handle=self.handle, method=method, until=until)

    def value(self, path: str):
        """A constant inside the service."""
        return self.connection.peer.do("value", handle=self.handle, path=path)


def fill(size: int) -> dict:
    """An argument: `size` bytes of a known pattern, made inside the program."""
    return {"$fill": size}


def data(content: bytes) -> dict:
    return {"$bytes": content.hex()}


def callback(name: str) -> dict:
    """An argument: one of the program's functions, `double`, `record` or `raise`."""
    return {"$callback": name}
