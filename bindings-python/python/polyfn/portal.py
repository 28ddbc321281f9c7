"""The event loop behind blocking programs: one thread of the process runs it, all others wait for it."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextvars
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from . import errors
from .workers import Workers

T = TypeVar("T")

#: Seconds that the end of the interpreter waits for connections to say goodbye.
_FAREWELL = 3.0


class Portal:
    """The way into the event loop of the process for threads that block."""

    _shared: Portal | None = None
    _lock = threading.Lock()

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="polyfn-sync", daemon=True)
        self._thread.start()

    @classmethod
    def shared(cls) -> Portal:
        """The portal of this process, made when it is needed first."""
        with cls._lock:
            if cls._shared is None:
                cls._shared = cls()
                atexit.register(cls._shared.close)
            return cls._shared

    @classmethod
    def forget(cls) -> None:
        """For the child of a fork: the thread of the parent is not there."""
        cls._lock = threading.Lock()
        cls._shared = None

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    @property
    def is_here(self) -> bool:
        """Whether this is the thread of the loop, which must not wait for itself."""
        return threading.get_ident() == self._thread.ident

    def call(self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Call a function in the loop and wait for what it awaits; Ctrl-C gives up."""
        self._check()
        worker = Worker.current()
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        call = _Call(self.loop, outcome, worker)
        context = contextvars.copy_context()
        try:
            # inside, as Ctrl-C may come at any time once the call has begun
            self.loop.call_soon_threadsafe(call.start, function, args, kwargs, context=context)
            return outcome.result()
        except BaseException:
            if not outcome.done():
                self.loop.call_soon_threadsafe(call.cancel)
            raise

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function in the loop without waiting; nothing happens once the loop is closed."""
        if self._process == os.getpid() and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(function, *args)

    def _check(self) -> None:
        if self._process != os.getpid():
            raise errors.PeerGoneError(
                "this process was forked from the one that connected: connect again after fork"
            )
        if self.loop.is_closed():
            raise errors.PeerGoneError("the interpreter is about to end, nothing can be called any longer")
        if self.is_here:
            raise RuntimeError(
                "a blocking call in the event loop would wait for ever: what is `async` has to await"
            )

    def close(self) -> None:
        """Let connections say goodbye, and end the thread."""
        if self._process != os.getpid() or self.loop.is_closed():
            return
        ending = asyncio.run_coroutine_threadsafe(self._farewell(), self.loop)
        concurrent.futures.wait([ending], _FAREWELL)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_FAREWELL)
        if not self._thread.is_alive():
            self.loop.close()

    async def _farewell(self) -> None:
        for farewell in list(_FAREWELLS):
            await farewell()
        own = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_asyncgens()


#: What open connections do at the end of the interpreter.
_FAREWELLS: set[Callable[[], Coroutine[Any, Any, None]]] = set()
at_end = _FAREWELLS.add
not_at_end = _FAREWELLS.discard

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Portal.forget)


class _Call:
    """One call from a thread into the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, outcome: concurrent.futures.Future[Any], worker: Worker | None
    ) -> None:
        self._loop = loop
        self._outcome = outcome
        self._worker = worker
        self._inner: asyncio.Future[Any] | None = None

    def start(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self._worker is not None:
            # While its function waits, others may run: they may be what it waits for.
            self._worker.step_back()
        try:
            self._inner = asyncio.ensure_future(function(*args, **kwargs))
        except BaseException as error:
            self._inner = self._loop.create_future()
            self._inner.set_exception(error)
        self._inner.add_done_callback(self._ended)

    def cancel(self) -> None:
        if self._inner is not None:
            self._inner.cancel()

    def _ended(self, inner: asyncio.Future[Any]) -> None:
        if self._worker is None:
            self._tell(inner)
        else:
            again = self._loop.create_task(self._worker.step_in())
            again.add_done_callback(lambda _: self._tell(inner))

    def _tell(self, inner: asyncio.Future[Any]) -> None:
        if not self._outcome.set_running_or_notify_cancel():
            return
        if inner.cancelled():
            self._outcome.set_exception(errors.CallCancelledError("the call was cancelled"))
        elif (error := inner.exception()) is not None:
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(inner.result())


class Worker:
    """Runs functions of a blocking program in threads, so many at a time."""

    _here = threading.local()

    def __init__(self, portal: Portal, most: int) -> None:
        if most < 1:
            raise ValueError(f"sync_max_workers must be at least 1, not {most}")
        self._portal = portal
        self._places = asyncio.Semaphore(most)
        self._threads = Workers("polyfn-worker")

    @classmethod
    def current(cls) -> Worker | None:
        """The one whose function runs in this thread."""
        return cast("Worker | None", getattr(cls._here, "worker", None))

    def step_back(self) -> None:
        """Leave one's place to others while waiting."""
        self._places.release()

    async def step_in(self) -> None:
        """Take a place again."""
        await self._places.acquire()

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function in a thread; one that is `async` runs in the loop."""
        if inspect.iscoroutinefunction(function):
            return await function(*args, **kwargs)
        await self._places.acquire()
        ended: asyncio.Future[Any] = self._portal.loop.create_future()
        context = contextvars.copy_context()
        self._threads.submit(lambda: self._in_thread(ended, context, function, args, kwargs))
        # A thread cannot be broken off: its place is free when it ends, also when nobody waits any longer.
        result = await ended
        return await result if inspect.isawaitable(result) else result

    def _in_thread(
        self,
        ended: asyncio.Future[Any],
        context: contextvars.Context,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._here.worker = self
        try:
            result = context.run(function, *args, **kwargs)
        except BaseException as error:
            self._portal.post(self._end, ended, None, _raisable(error))
        else:
            self._portal.post(self._end, ended, result, None)
        finally:
            self._here.worker = None

    def _end(self, ended: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._places.release()
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)


def _raisable(error: BaseException) -> BaseException:
    """What a future can hold, and what does not end the loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    stand_in = RuntimeError(f"the function raised {type(error).__name__}")
    stand_in.__cause__ = error
    return stand_in
