"""The hand-over between the tokio thread and event loops."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref

import polyfn
import pytest


async def test_other_threads_make_progress(offer):
    """Waiting for calls does not hold the GIL."""
    service = await offer(echo=lambda value: value)
    counted = 0
    stop = threading.Event()

    def count():
        nonlocal counted
        while not stop.is_set():
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        progress = []
        for number in range(50):
            assert await service.echo(number) == number
            progress.append(counted)
    finally:
        stop.set()
        thread.join()
    assert progress[0] < progress[-1]


async def test_calls_are_started_in_order(offer):
    seen = []
    service = await offer(note=seen.append)
    await asyncio.gather(*(service.note(number) for number in range(1000)))
    assert seen == list(range(1000))


async def test_one_bad_item_does_not_lose_the_rest(offer, monkeypatch):
    """A future that somebody else has spoiled makes the drain fail for this one only."""
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    service = await offer(echo=lambda value: value)
    futures = [service.echo(number) for number in range(10)]
    futures[4].set_result("not by the pump")
    assert await asyncio.gather(*futures) == [0, 1, 2, 3, "not by the pump", 5, 6, 7, 8, 9]
    assert reported == []


async def test_a_message_that_cannot_be_read_fails_its_own_call_only(offer):
    """numpy refuses this type of element: the error belongs to the one who asked."""
    service = await offer(
        odd=lambda: {"_rtype": "ndarray", "_rvalue": b"abc", "_rshape": [1], "_rdtype": "nonsense"},
        echo=lambda value: value,
    )
    bad, good = await asyncio.gather(service.odd(), service.echo(1), return_exceptions=True)
    assert isinstance(bad, polyfn.InvalidError)
    assert good == 1


async def test_an_exit_in_a_function_leaves_the_others(program):
    """SystemExit ends the loop as it does in any callback; nothing is lost or printed twice."""
    done = program(
        """
        import asyncio, os, sys
        from polyfn import connect_to_server

        async def main():
            server = await connect_to_server(os.environ["SERVER_URL"])
            def leave():
                sys.exit(7)
            await server.register_service({"id": "s", "leave": leave})
            service = await server.get_service("s")
            await service.leave()

        asyncio.run(main())
        """
    )
    assert (done.returncode, done.stderr) == (7, "")


async def test_many_messages_do_not_starve_the_loop(offer):
    """Turns of other callbacks come in between the batches."""
    service = await offer(echo=lambda value: value)
    ticks = 0
    calls = [service.echo(number) for number in range(5000)]

    async def tick():
        nonlocal ticks
        while not calls[-1].done():
            ticks += 1
            await asyncio.sleep(0)

    await asyncio.gather(tick(), *calls)
    assert ticks > 5000 / 256 / 2


async def test_a_full_inbox_slows_the_sender_and_loses_nothing(offer, owner, caller):
    """While this loop is busy, more arrives than the inbox takes; the calls come behind all that."""
    service = await offer(echo=lambda value: value)
    heard = []
    owner.on("number", lambda event: heard.append(event["data"]))
    for number in range(9_000):
        caller.emit({"type": "number", "to": owner.client_id, "data": number})
    calls = [service.echo(number) for number in range(100)]
    assert await asyncio.gather(*calls) == list(range(100))
    assert heard == list(range(9_000))


async def test_large_messages_over_a_congested_connection(server_url, owner):
    """Calls wait until there is room to send, in order."""
    seen = []
    await owner.register_service(
        {"id": "sizes", "size": lambda number, data: seen.append(number) or len(data)}
    )
    async with polyfn.connect_to_server(
        server_url, workspace=owner.workspace, token=await owner.generate_token(), send_buffer=100_000
    ) as caller:
        service = await caller.get_service("sizes")
        calls = [service.size(number, b"x" * 60_000) for number in range(40)]
        cancelled = service.size(-1, b"x")
        cancelled.cancel()
        assert await asyncio.gather(*calls) == [60_000] * 40
        assert seen == list(range(40))
        assert caller.statistics()["futures"] == 0


def test_two_loops_in_two_threads(server_url):
    """One connection, called from two loops: each answer comes to the loop that asked."""

    async def use(server, name, results):
        loop = asyncio.get_running_loop()
        service = await server.get_service("shared")
        for number in range(200):
            future = service.echo([name, number])
            assert future.get_loop() is loop
            assert await future == [name, number]
        results.append(name)

    async def main():
        results = []
        failures = []

        def other(server):
            try:
                asyncio.run(use(server, "other", results))
            except BaseException as error:
                failures.append(error)

        async with polyfn.connect_to_server(server_url) as server:
            await server.register_service({"id": "shared", "echo": lambda value: value})
            thread = threading.Thread(target=other, args=(server,))
            thread.start()
            await use(server, "main", results)
            await asyncio.to_thread(thread.join)
            assert not failures
            assert sorted(results) == ["main", "other"]

    asyncio.run(main())


def test_two_connections_on_two_loops(server_url):
    async def main(results):
        async with polyfn.connect_to_server(server_url) as server:
            await server.register_service({"id": "own", "echo": lambda value: value})
            service = await server.get_service("own")
            results.extend([await service.echo(number) for number in range(100)])

    results: list[list[int]] = [[], []]
    threads = [threading.Thread(target=lambda r=r: asyncio.run(main(r))) for r in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(range(100))] * 2


class BareLoop(asyncio.SelectorEventLoop):
    """A loop as on Windows: it cannot watch file descriptors of others."""

    def add_reader(self, fd, callback, *args):
        raise NotImplementedError

    def remove_reader(self, fd):
        raise NotImplementedError


def run_on(loop, coroutine):
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_a_loop_that_cannot_watch_descriptors(server_url):
    async def main():
        async with polyfn.connect_to_server(server_url) as server:
            await server.register_service({"id": "own", "echo": lambda value: value})
            service = await server.get_service("own")
            return await asyncio.gather(*(service.echo(number) for number in range(200)))

    assert run_on(BareLoop(), main()) == list(range(200))


def test_uvloop(server_url):
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with polyfn.connect_to_server(server_url) as server:

            async def later(value):
                await asyncio.sleep(0)
                return value

            await server.register_service({"id": "own", "later": later})
            service = await server.get_service("own")
            return await asyncio.gather(*(service.later(number) for number in range(200)))

    assert run_on(uvloop.new_event_loop(), main()) == list(range(200))


def test_a_closed_loop(server_url):
    """Closed with calls under way: the connection ends, later calls say so, another loop works."""
    kept = {}

    async def leave_open():
        server = await polyfn.connect_to_server(server_url)
        await server.register_service(
            {"id": "own", "wait": lambda: asyncio.get_running_loop().create_future()}
        )
        kept["service"] = await server.get_service("own")
        kept["futures"] = [kept["service"].wait() for _ in range(100)]
        kept["server"] = server

    run_on(asyncio.new_event_loop(), leave_open())
    assert not any(future.done() for future in kept["futures"])

    async def call_until_it_fails():
        while True:
            kept["service"].wait().cancel()
            await asyncio.sleep(0.01)

    async def again():
        with pytest.raises(polyfn.PeerGoneError, match="connect again"):
            await asyncio.wait_for(call_until_it_fails(), 5)
        async with polyfn.connect_to_server(server_url) as server:
            assert await server.echo(1) == 1

    run_on(asyncio.new_event_loop(), again())


def test_loops_that_are_gone_leave_nothing(server_url):
    """Neither the loop nor what its calls hold is kept by the pump."""

    class Marked:
        def __call__(self):
            return None

    marks = []

    async def main():
        server = await polyfn.connect_to_server(server_url)
        function = Marked()
        marks.append(weakref.ref(function))
        await server.register_service({"id": "own", "function": function})
        return weakref.ref(asyncio.get_running_loop())

    loop = run_on(asyncio.new_event_loop(), main())
    gc.collect()
    assert loop() is None
    assert marks[0]() is None


async def test_calls_without_a_loop(offer):
    service = await offer(echo=lambda value: value)

    def outside():
        with pytest.raises(RuntimeError, match="no event loop runs"):
            service.echo(1)

    await asyncio.to_thread(outside)


def test_heartbeats_go_on_while_python_computes(server_url):
    """The tokio thread needs neither the loop nor the GIL to tell the caller that its function still runs."""

    def compute(seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return "done"

    async def call(address, token, answers):
        async with polyfn.connect_to_server(
            server_url, workspace=address[0], token=token, method_timeout=0.4
        ) as caller:
            service = await caller.get_service(f"{address[0]}/{address[1]}:busy")
            answers.append(await service.compute(1.2))

    async def main():
        answers = []
        async with polyfn.connect_to_server(server_url) as owner:
            await owner.register_service({"id": "busy", "compute": compute})
            arguments = ((owner.workspace, owner.client_id), await owner.generate_token(), answers)
            thread = threading.Thread(target=lambda: asyncio.run(call(*arguments)))
            thread.start()
            await asyncio.to_thread(thread.join)
        assert answers == ["done"]

    asyncio.run(main())
