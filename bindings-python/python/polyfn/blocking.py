"""Waiting in the event loop for something that blocks, in a thread that ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(name: str, function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own and wait for it.

    Unlike `asyncio.to_thread` it leaves no worker behind. Cancelling ends the waiting, not the function.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # pyright: ignore[reportArgumentType]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        # a loop that is closed by now has nobody left who waits
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, result, error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    result = await done
    thread.join()
    return result
