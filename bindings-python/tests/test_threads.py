"""Plain functions of services that run in threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import polyfn
import pytest


@pytest.fixture
def offer_threads(offer):
    """Offers functions that run in threads."""

    async def offered(**functions):
        return await offer({"id": "threads", "config": {"run_in_executor": True}, **functions})

    return offered


async def test_the_loop_runs_on_while_a_function_blocks(offer_threads):
    entered, go_on = threading.Event(), threading.Event()

    def block():
        entered.set()
        assert go_on.wait(10)
        return threading.current_thread() is threading.main_thread()

    service = await offer_threads(block=block, unblock=go_on.set, deep={"block": [block]})
    for blocks in (service.block, service.deep.block[0]):
        entered.clear()
        go_on.clear()
        blocked = asyncio.ensure_future(blocks())
        assert await asyncio.to_thread(entered.wait, 10)
        assert not blocked.done()
        await service.unblock()
        assert await blocked is False


async def test_what_is_asynchronous_stays_on_the_loop(offer_threads):
    loop = asyncio.get_running_loop()

    async def later():
        return asyncio.get_running_loop() is loop

    class Awaited:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "awaited"

    service = await offer_threads(later=later, made=Awaited)
    assert await service.later() is True
    assert await service.made() == "awaited"


async def test_errors_and_context(offer_threads):
    number = contextvars.ContextVar("number", default=0)

    def fail():
        number.set(1)
        raise ValueError("in a thread")

    service = await offer_threads(fail=fail)
    with pytest.raises(ValueError, match="in a thread"):
        await service.fail()
    assert number.get() == 0


async def test_generators_are_stepped_in_threads(offer_threads):
    closed = threading.Event()

    def make(count):
        try:
            for number in range(count):
                assert threading.current_thread() is not threading.main_thread()
                yield number
            raise ValueError("at the end")
        finally:
            closed.set()

    service = await offer_threads(make=make)
    stream = await service.make(500)
    assert [await anext(stream) for _ in range(500)] == list(range(500))
    with pytest.raises(ValueError, match="at the end"):
        await anext(stream)
    closed.clear()
    async with await service.make(10**9) as stream:
        assert await anext(stream) == 0
    assert await asyncio.to_thread(closed.wait, 10)


async def test_a_generator_is_closed_while_its_thread_is_at_it(offer_threads):
    entered, go_on, closed = (threading.Event() for _ in range(3))

    def make():
        try:
            yield 1
            entered.set()
            assert go_on.wait(10)
            yield 2
        finally:
            closed.set()

    service = await offer_threads(make=make)
    stream = await service.make()
    assert await anext(stream) == 1
    waiting = asyncio.ensure_future(anext(stream))
    assert await asyncio.to_thread(entered.wait, 10)
    await stream.aclose()
    go_on.set()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert await asyncio.to_thread(closed.wait, 10)


async def test_as_many_as_asked_for_run_at_once():
    threads = polyfn.threads.Threads(2)
    running, most = 0, 0
    lock, full = threading.Lock(), threading.Event()

    def count():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                full.set()
        assert full.wait(10)
        with lock:
            running -= 1

    await asyncio.gather(*(threads.offload(count)() for _ in range(20)))
    assert most == 2
    threads.close()
