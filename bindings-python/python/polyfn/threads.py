"""Plain functions in threads: services with `run_in_executor`, connections with `sync_in_threads`."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import functools
import inspect
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from . import _native

#: How long a generator goes on in its thread before its items are handed over, in seconds.
TURN = 0.001


class Threads:
    """Runs plain functions in threads: at most `most` at once, or as many as the loop's own executor takes.

    >>> async def main():
    ...     threads = Threads(1)
    ...     double = threads.offload(lambda value: value * 2)
    ...     return await double(21)
    >>> asyncio.run(main())
    42
    """

    def __init__(self, most: int | None = None) -> None:
        self._executor = ThreadPoolExecutor(most, "polyfn") if most else None

    @classmethod
    def asked_for(cls, most: bool | int) -> Threads | None:
        """What the option `sync_in_threads` asks for: `True`, or how many at once.

        >>> Threads.asked_for(False) is None, Threads.asked_for(2) is None
        (True, False)
        >>> Threads.asked_for(-1)
        Traceback (most recent call last):
        ValueError: sync_in_threads must be True or a number of threads from 1 on, not -1
        """
        if isinstance(most, bool):
            return cls() if most else None
        if not isinstance(cast("Any", most), int) or most < 1:
            raise ValueError(f"sync_in_threads must be True or a number of threads from 1 on, not {most!r}")
        return cls(most)

    def close(self) -> None:
        """Let the threads end, each when its function has."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    def offload(self, value: Any) -> Any:
        """The same function, or the same functions in dicts and lists, to be run in threads.

        What is asynchronous already, and functions of peers, stay as they are.
        """
        if isinstance(value, dict):
            return {key: self.offload(item) for key, item in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self.offload(item) for item in cast("list[Any]", value)]
        if not callable(value) or isinstance(value, _native.RemoteFunction) or _is_asynchronous(value):
            return value
        function = cast("Callable[..., Any]", value)

        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            result = await self._run(function, *args, **kwargs)
            if inspect.isgenerator(result):
                return self._each(cast("Generator[Any, None, None]", result))
            return await result if inspect.isawaitable(result) else result

        return run

    def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Where nobody waits any longer, a function that has begun goes on: its result is dropped."""
        call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    def _each(self, items: Generator[Any, None, None]) -> AsyncIterator[Any]:
        return each(items, self._run)


async def each(
    items: Generator[Any, None, None], run: Callable[[Callable[[], None]], Awaitable[object]]
) -> AsyncIterator[Any]:
    """The items of a generator that `run` steps in threads, each as soon as it is made."""
    loop, more = asyncio.get_running_loop(), asyncio.Event()
    turns = Turns(items, lambda: loop.call_soon_threadsafe(more.set))
    try:
        while not turns.is_over:
            turn = asyncio.ensure_future(run(turns.take))
            turn.add_done_callback(lambda _: more.set())
            while not turn.done():
                await more.wait()
                more.clear()
                for item in turns.part():
                    yield item
            for item in turns.part():
                yield item
            await turn
    finally:
        # without threads, because the connection is closed, it ends when nobody holds it
        with contextlib.suppress(RuntimeError):
            await run(turns.close)


class Turns:
    """A generator that is stepped in threads, one after the other; `tell` is called when an item is at hand.

    >>> turns = Turns(number for number in [1, 2])
    >>> turns.take()
    >>> turns.part(), turns.is_over
    ([1, 2], True)
    """

    def __init__(self, items: Generator[Any, None, None], tell: Callable[[], object] = lambda: None) -> None:
        self._items = items
        self._tell = tell
        # filled by a thread, emptied by the loop
        self._part: collections.deque[Any] = collections.deque()
        # whoever closes it may come while a thread is still at it
        self._lock = threading.Lock()
        self.is_over = False

    def take(self) -> None:
        """One turn in a thread; each item is at hand as soon as it is made, before the next one is begun."""
        until = time.monotonic() + TURN
        with self._lock:
            for item in self._items:
                self._part.append(item)
                # the loop may be closed, and then nobody waits
                with contextlib.suppress(RuntimeError):
                    if len(self._part) == 1:
                        self._tell()
                if time.monotonic() >= until:
                    return
            self.is_over = True

    def part(self) -> list[Any]:
        """What is at hand, which is then handed out."""
        part: list[Any] = []
        while self._part:
            part.append(self._part.popleft())
        return part

    def close(self) -> None:
        with self._lock:
            self._items.close()


def _is_asynchronous(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
