"""Functions that need a current task: asyncio and anyio must work inside of them, from the first step on."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys

import polyfn
import pytest

anyio = pytest.importorskip("anyio")
SINCE_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="timeout and TaskGroup came with 3.11")


async def wait_a_little():
    await asyncio.sleep(0.001)


async def no_wait():
    pass


@pytest.fixture(params=[wait_a_little, no_wait])
def pause(request):
    """A coroutine function that suspends, and one that does not."""
    return request.param


@SINCE_3_11
async def test_timeout_that_is_not_reached(offer, pause):
    async def function():
        async with asyncio.timeout(5):
            await pause()
        return "in time"

    assert await (await offer(function=function)).function() == "in time"


@SINCE_3_11
async def test_timeout_that_passes(offer):
    async def function():
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            await asyncio.sleep(0)
            return "too late"

    assert await (await offer(function=function)).function() == "too late"


@SINCE_3_11
async def test_timeout_of_zero(offer):
    async def function():
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            return asyncio.current_task().cancelling()

    assert await (await offer(function=function)).function() == 0


@SINCE_3_11
async def test_task_group(offer, pause):
    async def double(number):
        await pause()
        return number * 2

    async def function(count):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(double(number)) for number in range(count)]
        return [task.result() for task in tasks]

    assert await (await offer(function=function)).function(3) == [0, 2, 4]


@SINCE_3_11
async def test_task_group_with_a_failure(offer):
    async def fail():
        raise ValueError("bad")

    async def function():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(60)
        except BaseExceptionGroup as errors:  # noqa: F821
            await asyncio.sleep(0)
            return [type(error).__name__ for error in errors.exceptions]

    assert await (await offer(function=function)).function() == ["ValueError"]


async def test_wait_for_and_gather(offer, pause):
    async def function():
        await asyncio.wait_for(pause(), 5)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 0.01)
        return await asyncio.gather(asyncio.sleep(0, "a"), asyncio.sleep(0, "b"))

    assert await (await offer(function=function)).function() == ["a", "b"]


async def test_anyio_scope(offer, pause):
    async def function():
        with anyio.fail_after(5):
            await pause()
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(60)
        await anyio.sleep(0)
        return scope.cancelled_caught

    assert await (await offer(function=function)).function() is True


async def test_anyio_group(offer, pause):
    async def function():
        done = []

        async def work(number):
            await pause()
            done.append(number)

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(work, number)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 60)
                scope.cancel()
        return sorted(done)

    assert await (await offer(function=function)).function() == [0, 1, 2]


async def test_the_current_task_stays_the_same(offer):
    async def function():
        first = asyncio.current_task()
        assert hash(first) == hash(asyncio.current_task())
        assert not first.done()
        await asyncio.sleep(0)
        second = asyncio.current_task()
        await asyncio.sleep(0.001)
        third = asyncio.current_task()
        assert first.get_loop() is asyncio.get_running_loop()
        assert first.get_coro() is not None
        assert isinstance(first.get_name(), str)
        return first is second is third

    assert await (await offer(function=function)).function() is True


async def test_no_task_is_left_behind(offer):
    current = asyncio.current_task()

    def plain():
        return asyncio.current_task() is None

    service = await offer(plain=plain)
    assert await service.plain() is True
    assert asyncio.current_task() is current


async def test_a_function_cancels_itself(offer):
    async def before_it_waits():
        asyncio.current_task().cancel()
        await asyncio.sleep(60)

    async def after_it_waited():
        await asyncio.sleep(0)
        asyncio.current_task().cancel()
        await asyncio.sleep(60)

    async def and_goes_on():
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "went on"

    service = await offer(a=before_it_waits, b=after_it_waited, c=and_goes_on)
    for function in (service.a, service.b):
        with pytest.raises(polyfn.CallCancelledError):
            await asyncio.wait_for(function(), 5)
    assert await asyncio.wait_for(service.c(), 5) == "went on"


async def test_cancelled_from_outside(offer):
    started = asyncio.Event()
    tasks = []

    async def function():
        tasks.append(asyncio.current_task())
        started.set()
        await asyncio.sleep(60)

    service = await offer(function=function)
    call = service.function()
    await started.wait()
    assert tasks[0].cancel()
    with pytest.raises(polyfn.CallCancelledError):
        await asyncio.wait_for(call, 5)
    assert tasks[0].cancelled()


async def test_callbacks_of_the_current_task(offer, pause):
    ended = asyncio.Event()

    async def function():
        asyncio.current_task().add_done_callback(lambda task: ended.set())
        await pause()

    await (await offer(function=function)).function()
    await asyncio.wait_for(ended.wait(), 5)


VARIABLE = contextvars.ContextVar("variable", default="unset")


async def test_each_call_has_a_context_of_its_own(offer):
    def plain(value):
        before = VARIABLE.get()
        VARIABLE.set(value)
        return before

    async def suspends(value):
        before = VARIABLE.get()
        VARIABLE.set(value)
        await asyncio.sleep(0)
        return [before, VARIABLE.get()]

    service = await offer(plain=plain, suspends=suspends)
    assert await asyncio.gather(*(service.plain(number) for number in range(3))) == ["unset"] * 3
    pairs = await asyncio.gather(*(service.suspends(number) for number in range(3)))
    assert pairs == [["unset", number] for number in range(3)]
    assert VARIABLE.get() == "unset"


async def test_tasks_live_while_they_wait(offer, owner):
    """Asyncio holds tasks weakly, and what this one waits for is known to nobody else."""
    started = asyncio.Event()

    async def function():
        waits = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, waits.set_result, 1)
        started.set()
        return await waits

    service = await offer(function=function)
    call = service.function()
    await started.wait()
    gc.collect()
    assert await asyncio.wait_for(call, 5) == 1
    assert owner.statistics()["tasks"] == 0


async def test_many_at_once(offer):
    async def function(number):
        await asyncio.sleep(0.001 * (number % 3))
        return number

    service = await offer(function=function)
    assert await asyncio.gather(*(service.function(number) for number in range(300))) == list(range(300))


async def test_generators_of_coroutines(offer):
    """A function that calls back to its caller suspends in the middle of a call."""

    async def total(function):
        result = 0
        for number in range(5):
            result += await function(number)
        return result

    service = await offer(total=total)
    assert await service.total(lambda number: number) == 10


async def test_long_functions_are_kept_alive_by_heartbeats(server_url, offer, owner):
    async def slow():
        await asyncio.sleep(0.6)
        return "done"

    await offer(slow=slow)
    async with polyfn.connect_to_server(
        server_url, workspace=owner.workspace, token=await owner.generate_token(), method_timeout=0.4
    ) as impatient:
        service = await impatient.get_service("offered")
        assert await service.slow() == "done"
