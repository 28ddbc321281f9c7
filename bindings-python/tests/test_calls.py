"""Calls that are given up: by their caller, by a deadline; and what calls made meanwhile inherit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import polyfn
import pytest

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Slow:
    """A function that waits for ever, and what becomes of it."""

    def __init__(self) -> None:
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()
        self.left: list[float | None] = []

    async def wait(self) -> None:
        self.left.append(polyfn.current_deadline())
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def ended(self) -> None:
        await asyncio.wait_for(self.cancelled.wait(), 10)

    async def outlasts(self, call: Callable[[float], Awaitable[object]]) -> float:
        """Has a caller give up by time, and gives how much it had: enough for the function to begin, however
        long that takes."""
        patience = 0.05
        while True:
            with pytest.raises(asyncio.TimeoutError):
                await call(patience)
            if self.begun.is_set():
                await self.ended()
                return patience
            patience *= 2


@pytest.fixture
def slow():
    return Slow()


async def test_a_cancelled_task_cancels_the_function(offer, owner, slow, at_rest):
    service = await offer(wait=slow.wait)
    waiting = asyncio.ensure_future(service.wait())
    await slow.begun.wait()
    waiting.cancel()
    await slow.ended()
    await at_rest(owner)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_timeout_of_asyncio_cancels_the_function(offer, owner, slow, at_rest):
    service = await offer(wait=slow.wait)
    await slow.outlasts(lambda patience: asyncio.wait_for(service.wait(), patience))
    await at_rest(owner)


async def test_a_function_may_take_its_time_to_end(offer, owner, slow, at_rest):
    async def wait():
        try:
            await slow.wait()
        finally:
            await asyncio.sleep(0)
            return "nobody wants it"  # noqa: B012

    service = await offer(wait=wait)
    waiting = asyncio.ensure_future(service.wait())
    await slow.begun.wait()
    waiting.cancel()
    await slow.ended()
    await at_rest(owner)


async def test_a_function_in_a_thread_goes_on_and_its_result_is_dropped(offer, owner, at_rest):
    begun, go_on = threading.Event(), threading.Event()

    def block():
        begun.set()
        assert go_on.wait(10)

    service = await offer({"id": "threads", "config": {"run_in_executor": True}, "block": block})
    waiting = asyncio.ensure_future(service.block())
    assert await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    await at_rest(owner)
    go_on.set()


async def test_a_timeout_of_a_call(offer, owner, slow, at_rest):
    service = await offer(wait=slow.wait, quick=lambda: polyfn.current_deadline())
    assert service.wait.with_options(timeout=0.1).__name__ == service.wait.__name__
    patience = await slow.outlasts(lambda patience: service.wait.with_options(timeout=patience)())
    assert all(0 < left <= patience for left in slow.left)
    await at_rest(owner)
    assert 0 < await service.quick.with_options(timeout=5)() <= 5
    assert await service.quick() is None
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="not a number of seconds"):
            service.wait.with_options(timeout=wrong)


async def test_deadlines_are_inherited(offer, owner, slow, at_rest):
    inner = await offer({"id": "inner", "wait": slow.wait})

    async def outer():
        # longer than the caller waits, which counts
        await inner.wait.with_options(timeout=60)()

    service = await offer({"id": "outer", "outer": outer})
    patience = await slow.outlasts(lambda patience: service.outer.with_options(timeout=patience)())
    assert all(0 < left <= patience for left in slow.left)
    await at_rest(owner)


async def test_deadlines_reach_threads_and_generators(offer):
    def plain():
        yield polyfn.current_deadline()

    async def later():
        yield polyfn.current_deadline()

    functions = {"plain": plain, "later": later, "call": lambda: polyfn.current_deadline()}
    for config in ({}, {"run_in_executor": True}):
        service = await offer({"id": "s", "config": config, **functions})
        assert 0 < await service.call.with_options(timeout=9)() <= 9
        for make in (service.plain, service.later):
            async with await make.with_options(timeout=9)() as stream:
                assert 0 < await anext(stream) <= 9
    assert polyfn.current_deadline() is None


async def test_traces_are_inherited(offer):
    inner = await offer({"id": "inner", "trace": lambda: polyfn.current_trace()})

    async def outer():
        await asyncio.sleep(0)
        return [polyfn.current_trace(), await inner.trace()]

    service = await offer({"id": "outer", "outer": outer})
    assert await service.outer.with_options(trace=TRACE)() == [TRACE, TRACE]
    assert await service.outer() == [None, None]
    assert polyfn.current_trace() is None


async def test_a_function_that_cancels_itself(offer):
    async def give_up():
        raise asyncio.CancelledError("no more")

    service = await offer(give_up=give_up)
    with pytest.raises(polyfn.CallCancelledError):
        await service.give_up()
