"""WSGI apps (PEP 3333) behind the calls of ASGI: each request in a thread, its body and answer as streams."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar, cast

from .exchange import Message, Receive, Scope, Send

T = TypeVar("T")
ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
App = Callable[[dict[str, Any], Callable[..., Callable[[bytes], None]]], Iterable[bytes]]


class Wsgi:
    """An ASGI app that calls a WSGI app, so many requests at a time."""

    def __init__(self, app: App, threads: int) -> None:
        if threads < 1:
            raise ValueError(f"`config.threads` must be at least 1, not {threads}")
        self._app = app
        self._threads = ThreadPoolExecutor(threads, "polyfn-wsgi")

    def close(self) -> None:
        """Let the threads end, each when its request has."""
        self._threads.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": "this app has no websockets"})
            return
        if scope["type"] != "http":
            raise ValueError(f"a WSGI app knows nothing of {scope['type']!r}")
        loop = asyncio.get_running_loop()
        request = _Request(loop, scope, receive, send)
        await loop.run_in_executor(self._threads, request.run, self._app)


class _Request:
    """One request in its thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scope: Scope, receive: Receive, send: Send) -> None:
        self._loop = loop
        self._scope = scope
        self._receive = receive
        self._send = send
        self._start: Message | None = None
        self._has_begun = False
        self._left: int | None = None
        self._is_complete = False

    def run(self, app: App) -> None:
        body = io.BufferedReader(_Body(self._next), 1 << 16)
        parts = app(environ(self._scope, body), self._start_response)
        try:
            for part in parts:
                if part:
                    self._write(part)
            self._finish()
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _wait(self, awaited: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result()

    def _next(self) -> Message:
        async def receive() -> Message:
            return await self._receive()

        return self._wait(receive())

    def _tell(self, *messages: Message) -> None:
        async def send() -> None:
            for message in messages:
                await self._send(message)

        self._wait(send())

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None and self._has_begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._start is not None and exc_info is None:
            raise AssertionError("start_response was called already")
        pairs = [(name.encode("latin-1").lower(), value.encode("latin-1")) for name, value in headers]
        self._start = {"type": "http.response.start", "status": int(status[:3]), "headers": pairs}
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        self._left = lengths[0] if lengths else None
        return self._write

    def _write(self, part: bytes) -> None:
        if self._left is not None:
            # what is behind the announced length belongs to nobody
            part = part[: self._left]
            self._left -= len(part)
        if not self._is_complete:
            self._is_complete = self._left == 0
            more = not self._is_complete
            self._tell(*self._head(), {"type": "http.response.body", "body": part, "more_body": more})

    def _finish(self) -> None:
        if not self._is_complete:
            self._tell(*self._head(), {"type": "http.response.body", "body": b""})

    def _head(self) -> list[Message]:
        if self._has_begun:
            return []
        if self._start is None:
            raise AssertionError("the app gave a body without having called start_response")
        self._has_begun = True
        return [self._start]


class _Body(io.RawIOBase):
    """The body of a request, read as it comes."""

    def __init__(self, receive: Callable[[], Message]) -> None:
        self._receive = receive
        self._rest = b""
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest and not self._is_over:
            message = self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the client left before its request was complete")
            self._rest = message.get("body", b"")
            self._is_over = not message.get("more_body", False)
        size = min(len(self._rest), len(buffer))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def environ(scope: Scope, body: Any) -> dict[str, Any]:
    """The request in the words of WSGI.

    >>> scope = {"method": "GET", "path": "/a/web/x", "root_path": "/a/web", "http_version": "1.1",
    ...          "query_string": b"x=1", "scheme": "http", "headers": [(b"x-one", b"1")]}
    >>> made = environ(scope, None)
    >>> made["SCRIPT_NAME"], made["PATH_INFO"], made["QUERY_STRING"], made["HTTP_X_ONE"]
    ('/a/web', '/x', 'x=1', '1')
    """
    root = cast("str", scope.get("root_path", ""))
    server = scope.get("server") or ("localhost", 80)
    made: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _wire(root),
        "PATH_INFO": _wire(scope["path"].removeprefix(root)),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        # what comes in chunks has an end as well
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "asgi.scope": scope,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if b"_" in name:
            # it would pass for another one
            continue
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1")
        made[key] = f"{made[key]}{';' if key == 'HTTP_COOKIE' else ','} {text}" if key in made else text
    return made


def _wire(path: str) -> str:
    """A text as WSGI has it: its bytes as characters of latin-1."""
    return path.encode().decode("latin-1")
