"""Connecting, closing, forking, leaving, and what is let go when."""

from __future__ import annotations

import asyncio
import gc
import re
import time
import weakref

import polyfn
import pytest


async def settled(check, limit: float = 5.0) -> None:
    """Waits until `check` holds: for what another side does in its own time."""
    deadline = asyncio.get_running_loop().time() + limit
    while not check():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)


async def test_await_and_async_with(server_url):
    server = await polyfn.connect_to_server({"server_url": server_url})
    async with server:
        assert await server.echo(1) == 1
    with pytest.raises(polyfn.PeerGoneError, match="connect again"):
        await server.echo(1)
    await server.disconnect()
    async with polyfn.connect_to_server(server_url=server_url, client_id="by-name") as server:
        assert server.client_id == "by-name"


async def test_the_environment(server_url, monkeypatch):
    monkeypatch.setenv("HYPHA_SERVER_URL", server_url)
    monkeypatch.setenv("POLYFN_CLIENT_ID", "from-the-environment")
    async with polyfn.connect_to_server() as server:
        assert server.client_id == "from-the-environment"


async def test_what_is_empty_is_not_given(server_url):
    options = {"workspace": "", "client_id": "", "token": "", "reconnection_token": ""}
    async with await polyfn.connect_to_server({"server_url": server_url, **options}) as client:
        assert client.workspace
        assert client.client_id


async def test_serve_ends_with_the_connection(server_url):
    server = await polyfn.connect_to_server(server_url)
    serving = asyncio.ensure_future(server.serve())
    await asyncio.sleep(0)
    assert not serving.done()
    await server.disconnect()
    await asyncio.wait_for(serving, 5)


async def test_calls_under_way_end_with_the_connection(server_url):
    server = await polyfn.connect_to_server(server_url)
    await server.register_service({"id": "own", "wait": lambda: asyncio.get_running_loop().create_future()})
    calls = [(await server.get_service("own")).wait() for _ in range(3)]
    await server.disconnect()
    for end in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(end, polyfn.PeerGoneError)


async def test_a_connection_that_ends_while_arguments_are_written(server_url):
    class Late:
        pass

    def encode(_: Late) -> dict:
        server._native_client.close()
        deadline = time.monotonic() + 5
        while server.statistics()["calls"]:  # this thread is not told that another one has ended them
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return {}

    server = await polyfn.connect_to_server(server_url)
    server.register_codec({"name": "late", "type": Late, "encoder": encode})
    await server.register_service({"id": "own", "wait": lambda: asyncio.get_running_loop().create_future()})
    under_way = (await server.get_service("own")).wait()
    with pytest.raises(polyfn.PeerGoneError, match="connect again"):
        await asyncio.wait_for(server.echo(Late()), 5)
    with pytest.raises(polyfn.PeerGoneError):
        await under_way


async def test_a_connection_that_nobody_waits_for(server_url):
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(polyfn.connect_to_server(server_url).__aenter__())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before


async def test_a_service_lives_without_the_connection_object(server_url):
    """Programs often keep only the loop running."""

    async def start():
        server = await polyfn.connect_to_server(server_url)
        await server.register_service(
            {"id": "kept", "config": {"visibility": "public"}, "answer": lambda: 42}
        )
        return f"{server.workspace}/{server.client_id}:kept"

    name = await start()
    gc.collect()
    async with polyfn.connect_to_server(server_url) as caller:
        service = await caller.get_service(name)
        assert await service.answer() == 42


async def test_a_cancelled_call_is_forgotten(offer, caller):
    release = asyncio.Event()
    started = asyncio.Event()

    async def wait(function):
        started.set()
        await release.wait()

    class Callback:
        def __call__(self):
            return None

    service = await offer(wait=wait)
    function = Callback()
    gone = weakref.ref(function)
    call = asyncio.ensure_future(asyncio.wait_for(service.wait(function), 60))
    del function
    await started.wait()
    assert caller.statistics()["calls"] == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await settled(lambda: caller.statistics()["calls"] == 0)
    await settled(lambda: caller.statistics()["functions"] == 0)
    del call
    gc.collect()
    assert gone() is None
    assert caller.statistics()["futures"] == 0
    release.set()
    assert await caller.echo(1) == 1


async def test_functions_are_let_go_after_the_call(offer, owner, caller):
    service = await offer(call=lambda function: None)
    for _ in range(50):
        await service.call(lambda: None)
    await settled(lambda: caller.statistics()["functions"] == 0)
    functions = owner.statistics()["functions"]
    await owner.unregister_service("offered")
    await settled(lambda: owner.statistics()["functions"] == functions - 1)


async def test_functions_are_let_go_when_the_call_fails(offer, caller):
    service = await offer(call=lambda function: None)
    with pytest.raises(TypeError):
        await service.call([lambda: None, object()])
    assert caller.statistics()["functions"] == 0


async def test_everything_comes_down_to_zero(offer, owner, caller):
    async def later(value, function):
        await asyncio.sleep(0)
        return await function(value)

    service = await offer(later=later)
    values = await asyncio.gather(*(service.later(number, lambda value: value + 1) for number in range(200)))
    assert values == list(range(1, 201))
    await settled(lambda: not any(caller.statistics().values()))
    await settled(lambda: not any(value for name, value in owner.statistics().items() if name != "functions"))


def test_a_forked_child(program):
    done = program(
        """
        import asyncio, os, sys
        import polyfn

        async def main():
            url = os.environ["SERVER_URL"]
            async with polyfn.connect_to_server(url) as server:
                await server.register_service({"id": "s", "echo": lambda value: value})
                service = await server.get_service("s")
                pending = service.echo(0)
                child = os.fork()
                if child == 0:
                    code = 1
                    try:
                        asyncio.set_event_loop(None)
                        asyncio.events._set_running_loop(None)
                        async def in_child():
                            emit = lambda: server.emit({"type": "x", "to": "*"})
                            for call in (lambda: service.echo(1), emit):
                                try:
                                    await call()
                                except polyfn.PeerGoneError as error:
                                    assert "connect again after fork" in str(error), error
                                else:
                                    raise AssertionError("no error")
                            async with polyfn.connect_to_server(url) as other:
                                assert await other.echo(5) == 5
                        asyncio.new_event_loop().run_until_complete(in_child())
                        code = 0
                    except BaseException:
                        import traceback
                        traceback.print_exc()
                    finally:
                        del server
                        sys.stderr.flush()
                        os._exit(code)
                status = await asyncio.to_thread(os.waitpid, child, 0)
                assert os.waitstatus_to_exitcode(status[1]) == 0, status
                assert await pending == 0
                assert [await service.echo(n) for n in range(20)] == list(range(20))

        asyncio.run(main())
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_child_that_ends_as_programs_do(program):
    done = program(
        """
        import asyncio, os, sys, warnings
        warnings.simplefilter("ignore")
        import polyfn

        loop = asyncio.new_event_loop()
        async def start():
            server = await polyfn.connect_to_server(os.environ["SERVER_URL"])
            await server.register_service({"id": "s", "echo": lambda value: value})
            return server, await server.get_service("s")
        server, service = loop.run_until_complete(start())
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 3
            async def still():
                assert await service.echo(1) == 1
                await server.disconnect()
            loop.run_until_complete(still())
            loop.close()
        else:
            sys.exit(3)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "end",
    [
        "return",
        "raise SystemExit(0)",
        "asyncio.get_running_loop().stop(); await asyncio.sleep(60)",
        "await server.disconnect()",
        "import threading; threading.Thread(target=lambda: None).start(); return",
    ],
)
def test_leaving_with_calls_under_way(program, end):
    source = """
        import asyncio, os
        import polyfn

        async def main():
            server = await polyfn.connect_to_server(os.environ["SERVER_URL"])
            async def slow():
                await asyncio.sleep(60)
            await server.register_service({"id": "s", "slow": slow, "fast": lambda: 1})
            service = await server.get_service("s")
            calls = [service.slow() for _ in range(50)]
            calls += [service.fast() for _ in range(50)]
            await calls[-1]
            END

        try:
            asyncio.run(main())
        except RuntimeError as error:
            assert "Event loop stopped before" in str(error)
        """
    done = program(source.replace("END", end))
    # asyncio's debug mode tells what took long, which a busy machine makes of anything.
    said = [
        line
        for line in done.stderr.splitlines()
        if not re.fullmatch(r"Executing .* took [\d.]+ seconds", line)
    ]
    assert (done.returncode, said) == (0, [])


def test_leaving_without_closing_anything(program):
    done = program(
        """
        import asyncio, os, warnings
        warnings.simplefilter("ignore", ResourceWarning)
        import polyfn
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(polyfn.connect_to_server(os.environ["SERVER_URL"]).__aenter__())
        loop.run_until_complete(server.register_service({"id": "s", "echo": lambda value: value}))
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_interrupted_from_the_keyboard(program):
    done = program(
        """
        import asyncio, os, signal, threading
        import polyfn

        async def main():
            async with polyfn.connect_to_server(os.environ["SERVER_URL"]) as server:
                asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
                await server.serve()

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            pass
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
