"""The core inside the interpreter; use it through `polyfn`."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, final

from .codecs import Codecs

__all__ = [
    "Client",
    "CurrentTask",
    "EmbeddedServer",
    "Member",
    "RemoteFunction",
    "RemoteStream",
    "Watch",
    "after_fork",
    "at_exit",
    "connect",
    "current_deadline",
    "current_trace",
    "dev_failed",
    "dev_routes",
    "error_codes",
    "form_names",
    "limit_names",
    "parse_form",
    "problem",
    "run_command",
    "version",
]

version: str

@final
class Client:
    """A connection that has joined a workspace."""

    def call(
        self,
        target: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
        answer_key: str | bytes | None = None,
    ) -> asyncio.Future[Any]: ...
    def register_service(
        self, service: dict[str, Any], overwrite: bool, notify: bool = True
    ) -> asyncio.Future[Any]: ...
    def remove_service(self, service_id: str) -> None: ...
    def unregister_service(self, service_id: str) -> asyncio.Future[Any]: ...
    def subscribe(self, types: list[str]) -> asyncio.Future[Any]: ...
    def unsubscribe(self, types: list[str]) -> asyncio.Future[Any]: ...
    def emit(self, message: dict[str, Any]) -> None: ...
    def use_codecs(self, codecs: Codecs) -> None: ...
    def close(self) -> None: ...
    @property
    def connection_info(self) -> Any: ...
    @property
    def address(self) -> str: ...
    @property
    def public_key(self) -> str | None: ...
    def statistics(self) -> dict[str, int]: ...

@final
class RemoteFunction:
    """A function of a peer."""

    def __call__(self, *args: Any, **kwargs: Any) -> asyncio.Future[Any]: ...
    def with_options(self, *, timeout: float | None = None, trace: str | None = None) -> RemoteFunction:
        """The same function, whose calls may take `timeout` seconds in all.

        Past it the call fails with `RpcTimeoutError`, and the function is cancelled where it runs. `trace` is
        a W3C `traceparent` that goes with the calls.
        """
    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    @property
    def __schema__(self) -> Any: ...
    @property
    def is_async(self) -> bool: ...

@final
class RemoteStream:
    """A generator of a peer: `async for` goes over its items.

    It is closed at the peer when `async with` or `aclose()` ends it, and at the latest when nobody holds it.
    """

    def __aiter__(self) -> RemoteStream: ...
    def __anext__(self) -> Awaitable[Any]: ...
    def aclose(self) -> Awaitable[None]: ...
    def __aenter__(self) -> Awaitable[RemoteStream]: ...
    def __aexit__(self, *error: object) -> Awaitable[None]: ...

@final
class Member:
    """A function of a service, with what is said of it."""

    def __new__(
        cls, function: Callable[..., Any], schema: dict[str, Any], is_checked: bool = False
    ) -> Member: ...

@final
class CurrentTask:
    """Stands in for the current task while a function runs that may not need one."""

    def cancel(self, msg: Any | None = None) -> bool: ...
    def uncancel(self) -> int: ...
    def cancelling(self) -> int: ...
    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def get_loop(self) -> asyncio.AbstractEventLoop: ...
    def get_coro(self) -> Any: ...
    def get_name(self) -> str: ...
    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: contextvars.Context | None = None
    ) -> None: ...
    def remove_done_callback(self, callback: Callable[[Any], object]) -> int: ...

@final
class EmbeddedServer:
    """A server on a thread of its own; its methods block."""

    @staticmethod
    def start(settings: dict[str, Any], observes: bool = False) -> EmbeddedServer: ...
    def stop(self) -> bool: ...
    def abort(self) -> None: ...
    def requests(self, timeout: float) -> list[tuple[str, str, int, float, str]] | None: ...
    @property
    def url(self) -> str: ...
    @property
    def root_token(self) -> str: ...

@final
class Watch:
    """Looks after the files of modules."""

    def __new__(cls, modules: list[str], others: list[str]) -> Watch: ...
    def changed(self) -> list[Path]: ...

def connect(
    options: dict[str, Any], on_event: Callable[[str, Any], object], hooks: object | None = None
) -> asyncio.Future[Client]: ...
def current_deadline() -> float | None:
    """How many seconds are left until the caller of the function that runs here gives up.

    None where it named no end, and outside of functions.
    """

def current_trace() -> str | None:
    """The trace that the call served here belongs to, a W3C `traceparent`; None where there is none."""

def dev_routes(url: str, workspace: str, service: str, functions: list[str]) -> str: ...
def dev_failed(error: str, file: str | None = None, line: int = 0, source: str = "") -> str: ...
def run_command(arguments: list[str]) -> tuple[str, Any]:
    """Run the command `polyfn`; gives `("exit", code)`, or what is left for Python to do."""

def error_codes() -> list[str]: ...
def form_names() -> list[str]: ...
def limit_names() -> list[str]: ...
def after_fork() -> None: ...
def at_exit() -> None: ...
def problem(status: int, detail: str) -> str:
    """The body of an answer with an error: a JSON problem."""

def parse_form(content_type: str, body: bytes) -> list[tuple[str, str | tuple[str, str, bytes]]]:
    """The fields of a form: names, and texts or file name, content type and content."""
