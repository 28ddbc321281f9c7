"""Handlers of events by name."""

from __future__ import annotations

import asyncio
import inspect
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from . import errors
from .deadline import within

Handler = Callable[[Any], Any]


class Events:
    """Calls handlers in the order in which they were added.

    >>> events = Events()
    >>> events.once("greeting", print)
    >>> events.fire("greeting", "hello")
    hello
    >>> events.fire("greeting", "hello again")
    """

    def __init__(self) -> None:
        self._handlers: dict[str, list[tuple[Handler, bool]]] = {}
        self._tasks: set[asyncio.Future[Any]] = set()

    def on(self, event: str, handler: Handler) -> None:
        """Call `handler` with the data of each such event."""
        self._add(event, handler, False)

    def once(self, event: str, handler: Handler) -> None:
        """Call `handler` for the next such event only."""
        self._add(event, handler, True)

    def _add(self, event: Any, handler: Any, is_once: bool) -> None:
        _check_type(event)
        if not callable(handler):
            raise errors.InvalidError(
                f"the handler of {event!r} must be a function, found {reprlib.repr(handler)}"
            )
        self._handlers.setdefault(event, []).append((handler, is_once))

    def off(self, event: str | None = None, handler: Handler | None = None) -> None:
        """Take handlers back: all, all of one event, or one of them."""
        names = list(self._handlers) if event is None else [event]
        for name in names:
            kept = [entry for entry in self._handlers.get(name, []) if handler not in (None, entry[0])]
            if kept:
                self._handlers[name] = kept
            else:
                self._handlers.pop(name, None)

    async def wait_for(self, event: str, timeout: float | None) -> Any:
        """Wait for the next such event."""
        heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def handler(data: Any) -> None:
            if not heard.done():
                heard.set_result(data)

        self.once(event, handler)
        try:
            return await within(heard, timeout, f"no event {event!r} came")
        finally:
            self.off(event, handler)

    def fire(self, event: str, data: Any) -> None:
        """Call the handlers of an event; one that fails does not keep it from the others."""
        for entry in list(self._handlers.get(event, [])):
            handler, is_once = entry
            if is_once and entry in self._handlers.get(event, []):
                self._handlers[event].remove(entry)
            try:
                result = handler(data)
            except Exception as error:
                _report(event, error)
                continue
            if inspect.isawaitable(result):
                task = asyncio.ensure_future(result)
                self._tasks.add(task)
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _report("event", error)


def types_of(given: Any) -> list[str]:
    """The types of events that were given, as one or as many.

    >>> types_of("news"), types_of({"news"})
    (['news'], ['news'])
    >>> types_of(["news", None])
    Traceback (most recent call last):
    polyfn.errors.InvalidError: the type of an event must be str, found None
    """
    # bytes are many numbers, and not meant as such
    is_many = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    found: list[Any] = list(cast("Iterable[Any]", given)) if is_many else [given]
    for event in found:
        _check_type(event)
    return found


def _check_type(event: Any) -> None:
    if not isinstance(event, str):
        raise errors.InvalidError(f"the type of an event must be str, found {reprlib.repr(event)}")


def checked(message: Any, extra: Any = None) -> dict[str, Any]:
    """A message as it is sent, with its `type`.

    >>> checked({"type": "greeting"}, {"text": "hello"})
    {'type': 'greeting', 'text': 'hello'}
    >>> checked({"a": 1})
    Traceback (most recent call last):
    polyfn.errors.InvalidError: a message needs a `type` that is str, found {'a': 1}
    """
    full: dict[str, Any] = {}
    parts: tuple[Any, ...] = (message,) if extra is None else (message, extra)
    for part in parts:
        if not isinstance(part, Mapping):
            raise errors.InvalidError(f"a message must be a dict with a `type`, found {reprlib.repr(part)}")
        full.update(cast("Mapping[str, Any]", part))
    for key in cast("dict[Any, Any]", full):
        if not isinstance(key, str):
            raise errors.InvalidError(f"the keys of a message must be str, found {key!r}")
    if not isinstance(full.get("type"), str):
        raise errors.InvalidError(f"a message needs a `type` that is str, found {reprlib.repr(full)}")
    return full


def _report(event: str, error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"a handler of {event!r} failed", "exception": error}
    )
