"""The protocol by hand: one websocket, text and msgpack frames, no client library in between."""

from __future__ import annotations

import json
import secrets
import time
from io import BytesIO

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

WAIT = 10.0


def pack(main: dict, extra: dict | None = None) -> bytes:
    """A frame: the routing segment and, where there is one, the payload segment."""
    return msgpack.packb(main) + (msgpack.packb(extra) if extra is not None else b"")


def unpack(frame: bytes) -> tuple[dict, dict | None]:
    unpacker = msgpack.Unpacker(BytesIO(frame), max_buffer_size=0)
    segments = list(unpacker)
    return segments[0], segments[1] if len(segments) > 1 else None


def open_socket(url: str) -> ClientConnection:
    limits = {"max_size": None, "open_timeout": WAIT, "close_timeout": WAIT, "ping_interval": None}
    return connect(url, compression=None, legacy=True, **limits)


def hello(**fields) -> str:
    """The first message of a client."""
    return json.dumps(fields)


class RemoteError(Exception):
    """A call was rejected; `value` is the error map."""

    def __init__(self, value):
        super().__init__(value.get("_rvalue") if isinstance(value, dict) else value)
        self.value = value

    @property
    def text(self) -> str:
        """All that the other side said."""
        return (
            f"{self.value.get('_rvalue')}\n{self.value.get('_rtrace') or ''}"
            if isinstance(self.value, dict)
            else str(self.value)
        )


class RawClient:
    """An authenticated connection which says only what it is told to."""

    def __init__(self, url: str, **auth):
        auth.setdefault("client_id", secrets.token_hex(6))
        self.url = url
        self.socket = open_socket(url)
        self.socket.send(hello(**auth))
        self.info = json.loads(self.socket.recv(WAIT))
        if self.info.get("type") != "connection_info":
            self.socket.close()
            raise PermissionError(self.info.get("message"))
        self.workspace = self.info["workspace"]
        self.client_id = self.info["client_id"]
        self.address = f"{self.workspace}/{self.client_id}"
        self.manager = f"*/{self.info['manager_id']}"

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def closed(self, limit: float = WAIT) -> tuple[int, str]:
        """Waits until the server ends the connection: its code and its reason."""
        deadline = time.monotonic() + limit
        try:
            while (left := deadline - time.monotonic()) > 0:
                self.socket.recv(left)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        raise TimeoutError("the connection is still open")

    def register_builtin(self) -> None:
        """Makes the client known in its workspace, as every client library does."""
        self.call_manager(
            "register_service", self.service_info("built-in", kind="built-in", visibility="public")
        )

    def service_info(
        self, service: str, kind: str = "generic", visibility: str = "protected", **config
    ) -> dict:
        return {
            "config": {
                "workspace": self.workspace,
                "visibility": visibility,
                "require_context": False,
                **config,
            },
            "id": f"{self.address}:{service}",
            "name": service,
            "description": None,
            "type": kind,
            "docs": None,
            "app_id": "*",
            "service_schema": {},
        }

    def send(self, main: dict, extra: dict | None = None) -> None:
        self.socket.send(pack(main, extra))

    def start_call(
        self, to: str, method: str, *args, main: dict | None = None, extra: dict | None = None
    ) -> str:
        """Sends a request and returns its session."""
        session = secrets.token_hex(11)
        routing = {
            "type": "method",
            "from": self.address,
            "to": to,
            "method": method,
            "session": session,
            **(main or {}),
        }
        payload = {"args": list(args), "promise": "*", "t": 15.0, **(extra or {})}
        self.send(routing, payload)
        return session

    def receive(self, limit: float = WAIT) -> tuple[dict, dict | None]:
        """The next binary frame."""
        deadline = time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0:
            frame = self.socket.recv(left)
            if isinstance(frame, bytes):
                return unpack(frame)
        raise TimeoutError("no frame came")

    def finish_call(self, session: str, limit: float = WAIT):
        """Waits for the answer to a session; heartbeats and other traffic are passed over."""
        deadline = time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0:
            main, extra = self.receive(left)
            args = (extra or {}).get("args") or [None]
            if main.get("method") == f"{session}.resolve":
                return args[0]
            if main.get("method") == f"{session}.reject":
                raise RemoteError(args[0])
        raise TimeoutError(f"session {session} was not answered in {limit} s")

    def call(self, to: str, method: str, *args, limit: float = WAIT, **segments):
        return self.finish_call(self.start_call(to, method, *args, **segments), limit)

    def call_manager(self, method: str, *args, **segments):
        return self.call(self.manager, f"services.default.{method}", *args, **segments)

    def answer(self, request: dict, value, end: str = "resolve") -> None:
        """Ends a request that this client received: resolves it, or rejects it."""
        self.send(
            {
                "type": "method",
                "from": self.address,
                "to": request["from"],
                "method": f"{request['session']}.{end}",
                "parent": request["session"],
            },
            {"args": [value]},
        )

    def quiet(self, limit: float = 0.5) -> list[tuple[dict, dict | None]]:
        """Every frame that comes within `limit` seconds."""
        frames = []
        deadline = time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0:
            try:
                frames.append(self.receive(left))
            except TimeoutError:
                break
        return frames


def closing(socket: ClientConnection, limit: float = WAIT) -> tuple[list[str], int | None, str]:
    """Reads until the server closes: its text frames, and the close code and reason."""
    texts: list[str] = []
    deadline = time.monotonic() + limit
    try:
        while (left := deadline - time.monotonic()) > 0:
            message = socket.recv(left)
            if isinstance(message, str):
                texts.append(message)
    except ConnectionClosed as closed:
        received = closed.rcvd
        return texts, received.code if received else None, received.reason if received else ""
    raise TimeoutError(f"the server did not close in {limit} s; it said {texts}")
