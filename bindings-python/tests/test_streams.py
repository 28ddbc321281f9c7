"""Generators, as results and as arguments."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys

import numpy as np
import polyfn
import pytest


class Watched:
    """Counts what happens to a generator."""

    def __init__(self) -> None:
        self.made = 0
        self.waiting = asyncio.Event()
        self.closed = asyncio.Event()
        self.seen: list[str] = []

    def plain(self, count):
        try:
            for number in range(count):
                self.made += 1
                yield number
        finally:
            self.closed.set()

    async def later(self, count, pause=False):
        try:
            for number in range(count):
                self.made += 1
                yield number
                if pause:
                    await asyncio.sleep(0)
        finally:
            self.closed.set()

    async def waits(self, count):
        try:
            for number in range(count):
                yield number
            self.waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            self.seen.append("cleaned up")
            self.closed.set()


@pytest.fixture
def watched():
    return Watched()


@pytest.mark.parametrize("kind", ["plain", "later", "iterator", "async_iterator", "async_iterable"])
@pytest.mark.parametrize("count", [0, 1, 5, 3_000])
async def test_results(offer, owner, caller, watched, kind, count, at_rest):
    class Iterator:
        def __init__(self):
            self.items = watched.later(count)

        def __aiter__(self):
            return self

        def __anext__(self):
            return self.items.__anext__()

    class Iterable:
        def __aiter__(self):
            return watched.later(count)

    made = {
        "plain": lambda: watched.plain(count),
        "later": lambda: watched.later(count),
        "iterator": lambda: iter(range(count)),
        "async_iterator": Iterator,
        "async_iterable": Iterable,
    }
    service = await offer(make=made[kind])
    stream = await service.make()
    assert isinstance(stream, polyfn.RemoteStream)
    assert [item async for item in stream] == list(range(count))
    assert [item async for item in stream] == []
    await at_rest(owner, caller)


async def test_a_generator_does_nothing_before_it_is_read(offer, watched):
    service = await offer(make=lambda: watched.plain(3))
    stream = await service.make()
    assert watched.made == 0
    assert await anext(stream) == 0
    assert watched.made >= 1
    await stream.aclose()


async def test_arguments(offer, owner, caller, watched, at_rest):
    async def total(*streams, more):
        return sum([item for stream in (*streams, more["stream"]) async for item in stream])

    service = await offer(total=total)
    answer = await service.total(watched.plain(10), watched.later(10, pause=True), more={"stream": iter([5])})
    assert answer == 95
    await at_rest(owner, caller)


async def test_items_of_all_kinds(offer):
    items = [None, [1, {"a": 2}], np.arange(3), lambda value: value + 1, ValueError("bad"), iter([1, 2]), ()]
    service = await offer(make=lambda: (item for item in items))
    nothing, plain, array, function, error, inner, empty = [item async for item in await service.make()]
    assert (nothing, plain, empty) == (None, [1, {"a": 2}], [])
    assert np.array_equal(array, items[2])
    assert await function(41) == 42
    assert isinstance(error, ValueError)
    assert [item async for item in inner] == [1, 2]


@pytest.mark.parametrize("kind", ["plain", "later"])
@pytest.mark.parametrize("how", ["aclose", "async with", "aclosing", "collected", "never read"])
async def test_early_exit_closes_the_generator(offer, owner, caller, watched, kind, how, at_rest):
    service = await offer(make=lambda: getattr(watched, kind)(1_000_000))
    stream = await service.make()
    if how == "never read":
        del stream
        await at_rest(owner, caller)
        assert watched.made == 0
        return
    if how == "async with":
        async with stream:
            async for item in stream:
                if item == 3:
                    break
    elif how == "aclosing":
        async with contextlib.aclosing(stream):
            assert await anext(stream) == 0
    else:
        async for item in stream:
            if item == 3:
                break
        if how == "aclose":
            await stream.aclose()
            await stream.aclose()
    if how == "collected":
        del stream
        gc.collect()
    else:
        assert [item async for item in stream] == []
    await asyncio.wait_for(watched.closed.wait(), 10)
    assert watched.made < 1_000_000
    await at_rest(owner, caller)


async def test_a_generator_that_waits_is_cancelled(offer, owner, caller, watched, at_rest):
    service = await offer(make=lambda: watched.waits(2))
    stream = await service.make()
    assert [await anext(stream), await anext(stream)] == [0, 1]
    waiting = asyncio.ensure_future(anext(stream))
    await watched.waiting.wait()
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting
    await asyncio.wait_for(watched.closed.wait(), 10)
    assert watched.seen == ["cancelled", "cleaned up"]
    await at_rest(owner, caller)


async def test_what_is_at_hand_comes_before_the_generator_waits(offer):
    go_on = asyncio.Event()

    async def make():
        yield 1
        yield 2
        await go_on.wait()
        yield 3

    service = await offer(make=make)
    stream = await service.make()
    assert [await anext(stream), await anext(stream)] == [1, 2]
    go_on.set()
    assert await anext(stream) == 3


@pytest.mark.parametrize("kind", ["plain", "later"])
@pytest.mark.parametrize("before", [0, 1, 100])
async def test_errors_in_mid_stream(offer, owner, caller, kind, before, at_rest):
    def plain():
        yield from range(before)
        raise ValueError("in the middle")

    async def later():
        for item in plain():
            yield item

    service = await offer(make=plain if kind == "plain" else later)
    stream = await service.make()
    assert [await anext(stream) for _ in range(before)] == list(range(before))
    with pytest.raises(ValueError, match="in the middle") as caught:
        await anext(stream)
    assert isinstance(caught.value, polyfn.RemoteError)
    assert "in plain\n" in caught.value.remote_traceback
    assert [item async for item in stream] == []
    await at_rest(owner, caller)


@pytest.mark.parametrize("kind", ["plain", "later"])
async def test_items_that_cannot_be_sent(offer, owner, caller, kind, at_rest, monkeypatch):
    closed = asyncio.Event()
    strays = []
    monkeypatch.setattr(sys, "unraisablehook", strays.append)

    def plain():
        try:
            yield 1
            yield {"lock": object()}
        finally:
            closed.set()

    async def later():
        with contextlib.closing(plain()) as items:
            for item in items:
                yield item

    service = await offer(make=plain if kind == "plain" else later)
    stream = await service.make()
    assert await anext(stream) == 1
    with pytest.raises(polyfn.RpcError, match=r"at item\.lock: cannot send an object of type object"):
        await anext(stream)
    await asyncio.wait_for(closed.wait(), 10)
    await at_rest(owner, caller)
    assert strays == []


async def test_a_consumer_that_is_cancelled_can_go_on(offer):
    gate = asyncio.Event()

    async def make():
        yield 1
        await gate.wait()
        yield 2

    service = await offer(make=make)
    stream = await service.make()
    assert await anext(stream) == 1
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(stream), 0.01)
    gate.set()
    assert await anext(stream) == 2
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_one_reader_at_a_time(offer, watched):
    service = await offer(make=lambda: watched.waits(0))
    stream = await service.make()
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task waits"):
        await anext(stream)
    first.cancel()
    await stream.aclose()


async def test_the_loop_runs_while_items_are_made(offer):
    turns = 0
    is_over = False

    async def count():
        nonlocal turns
        while not is_over:
            turns += 1
            await asyncio.sleep(0)

    def plain():
        yield from range(2_000)

    async def later():
        for item in range(2_000):
            yield item

    counting = asyncio.ensure_future(count())
    service = await offer(plain=plain, later=later)
    for make in (service.plain, service.later):
        before = turns
        assert len([item async for item in await make()]) == 2_000
        assert turns - before > 2
    is_over = True
    await counting


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11")
async def test_generators_keep_their_context_and_task(offer):
    number = contextvars.ContextVar("number", default=0)
    tasks = set()

    def plain():
        for _ in range(3):
            number.set(number.get() + 1)
            yield number.get()

    async def later():
        async with asyncio.timeout(10):
            for _ in range(3):
                number.set(number.get() + 1)
                tasks.add(asyncio.current_task())
                yield number.get()
                await asyncio.sleep(0)

    service = await offer(plain=plain, later=later)
    for make in (service.plain, service.later):
        assert [item async for item in await make()] == [1, 2, 3]
    assert number.get() == 0
    assert len(tasks) == 1


async def test_many_at_once_beside_calls(offer, owner, caller, watched, at_rest):
    service = await offer(make=lambda count: watched.later(count, pause=True), echo=lambda value: value)

    async def read(count):
        return [item async for item in await service.make(count)]

    streams = [read(count) for count in range(50)]
    answers = await asyncio.gather(*streams, *(service.echo(number) for number in range(50)))
    assert answers == [list(range(count)) for count in range(50)] + list(range(50))
    await at_rest(owner, caller)


async def test_streams_end_with_the_connection(server_url, owner, watched, at_rest):
    await owner.register_service({"id": "streams", "make": lambda: watched.waits(1)})
    token = await owner.generate_token()
    caller = await polyfn.connect_to_server(server_url, workspace=owner.workspace, token=token)
    stream = await (await caller.get_service("streams")).make()
    assert await anext(stream) == 0
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    await caller.disconnect()
    with pytest.raises(polyfn.PeerGoneError):
        await waiting
    await asyncio.wait_for(watched.closed.wait(), 10)
    await at_rest(owner)


async def test_streams_end_with_their_owner(server_url, caller, owner, watched, at_rest):
    token = await owner.generate_token()
    other = await polyfn.connect_to_server(server_url, workspace=owner.workspace, token=token)
    await other.register_service({"id": "streams", "make": lambda: watched.waits(1)})
    stream = await (await caller.get_service("streams")).make()
    assert await anext(stream) == 0
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    await other.disconnect()
    with pytest.raises(polyfn.PeerGoneError):
        await waiting
    await asyncio.wait_for(watched.closed.wait(), 10)
    await at_rest(caller)


async def test_a_stream_is_sent_on(offer, owner, caller, at_rest):
    service = await offer(make=lambda: iter(range(5)))
    inner = await service.make()
    assert isinstance(inner, polyfn.RemoteStream)

    async def read(stream):
        return [item async for item in stream]

    through = await offer({"id": "through", "read": read})
    assert await through.read(inner) == list(range(5))
    await at_rest(owner, caller)


@pytest.mark.parametrize("end", ["return", "raise SystemExit(3)", "os._exit(0)"])
def test_the_program_ends_with_streams_under_way(program, end):
    ran = program(f"""
        import asyncio, os, sys
        import polyfn

        def make():
            while True:
                yield 1

        async def main():
            server = await polyfn.connect_to_server(os.environ["SERVER_URL"])
            await server.register_service({{"id": "s", "make": make}})
            service = await server.get_service("s")
            async for item in await service.make():
                print(item)
                {end}

        asyncio.run(main())
    """)
    assert (ran.stdout, ran.stderr) == ("1\n", "") or end == "os._exit(0)"
    assert ran.returncode == (3 if "3" in end else 0)


def test_two_loops(program):
    ran = program("""
        import asyncio, os, threading
        import polyfn

        async def make():
            for number in range(1000):
                yield number
                await asyncio.sleep(0)

        async def read(service):
            return [item async for item in await service.make()]

        async def main():
            async with polyfn.connect_to_server(os.environ["SERVER_URL"]) as server:
                await server.register_service({"id": "s", "make": make})
                service = await server.get_service("s")
                here = read(service)
                there = asyncio.to_thread(asyncio.run, read(service))
                assert await asyncio.gather(here, there) == [list(range(1000))] * 2
                stream = await service.make()
                await anext(stream)

                async def wrong():
                    try:
                        while True:
                            await anext(stream)
                    except RuntimeError as error:
                        print(error)

                await asyncio.to_thread(asyncio.run, wrong())

        asyncio.run(main())
    """)
    assert (ran.stdout, ran.stderr) == ("a stream is read on one event loop only\n", "")


async def test_a_stream_in_nobodys_hands_does_not_replace_what_passes(offer, owner, caller, at_rest):
    async def one_and_no_more():
        yield 1
        await asyncio.Event().wait()

    service = await offer(make=one_and_no_more)

    async def read():
        # the loop alone holds the stream
        async for _ in await service.make():
            pass

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(read(), 0.2)
    task = asyncio.ensure_future(read())
    await asyncio.wait([task], timeout=0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await at_rest(owner, caller)
