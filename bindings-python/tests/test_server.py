"""The server inside the program: starting, connecting without a socket, stopping, leaving."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import urllib.error
import urllib.request
from collections import Counter

import polyfn
import polyfn.sync
import pytest
from polyfn.blocking import in_thread

HELLO = {"id": "hello", "type": "functions", "config": {"visibility": "public"}, "index": lambda event: "hi"}


async def fetch(url: str, token: str | None = None) -> tuple[int, bytes]:
    def get() -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return await in_thread("fetch", get)


async def test_functions_of_the_program_answer_over_http():
    async with polyfn.Server() as server, server.connect(workspace="lab") as client:
        await client.register_service(HELLO)
        assert await fetch(f"{server.url}/lab/apps/hello/") == (200, b"hi")


async def test_the_client_needs_no_socket():
    async with polyfn.Server() as server, server.connect() as client:
        before = sockets()
        async with server.connect(workspace=client.workspace) as other:
            await client.register_service({"id": "calc", "add": lambda a, b: a + b})
            assert await (await other.get_service("calc")).add(1, 2) == 3
            assert sockets() == before


def sockets() -> int:
    links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link).startswith("socket:") for link in links if os.path.islink(link))


async def test_everything_of_a_client_goes_without_a_socket():
    async with polyfn.Server() as server, server.connect(client_id="one") as client:

        async def numbers(count: int):
            for number in range(count):
                yield number

        await client.register_service({"id": "all", "numbers": numbers, "size": len, "call": lambda f: f(2)})
        service = await client.get_service("all")
        assert [number async for number in await service.numbers(2000)] == list(range(2000))
        assert await service.size(bytes(20_000_000)) == 20_000_000
        assert await service.call(lambda number: number + 1) == 3
        assert client.client_id == "one"
        assert sorted(await asyncio.gather(*(service.size("x" * n) for n in range(500)))) == list(range(500))


async def test_who_connects_may_do_everything_unless_it_comes_as_a_stranger():
    async with polyfn.Server() as server, server.connect() as owner, server.connect(token=None) as stranger:
        assert (owner.config.user.id, owner.workspace) == ("root", "ws-user-root")
        assert stranger.config.user.is_anonymous
        assert stranger.workspace.startswith("ws-user-anonymouz")
        with pytest.raises(polyfn.PermissionDeniedError):
            await server.connect(token=None, workspace="lab")
        token = await owner.generate_token({"workspace": "ws-user-root", "permission": "read"})
        async with server.connect(token=token) as reader:
            assert reader.workspace == "ws-user-root"
        async with polyfn.connect_to_server(server.url, token=server.root_token) as remote:
            assert remote.config.user.id == "root"


async def test_settings_are_the_flags_by_name():
    token = "k" * 40
    async with polyfn.Server(base_path="/hy", root_token=token, max_request_body=10) as server:
        assert server.root_token == token
        assert server.url.endswith("/hy")
        async with server.connect(workspace="lab") as client:
            await client.register_service({**HELLO, "size": lambda event: len(event["body"])})
            url = f"{server.url}/lab/apps/hello/size"
            assert (await fetch(url.replace("/size", "/")))[0] == 200
            request = urllib.request.Request(url, data=b"x" * 11)
            with pytest.raises(urllib.error.HTTPError, match="413"):
                await asyncio.to_thread(urllib.request.urlopen, request)


@pytest.mark.parametrize(
    ("settings", "kind", "text"),
    [
        ({"prot": 1}, polyfn.InvalidError, "there is no setting `prot`, did you mean `port`"),
        ({"port": "http"}, polyfn.InvalidError, "invalid value 'http' for '--port <PORT>'"),
        ({"root_token": "short"}, polyfn.InvalidError, "Root token must be at least 32 characters"),
        ({"access_log": "loud"}, polyfn.InvalidError, "`access_log` is on or off"),
    ],
    ids=["name", "value", "token", "switch"],
)
async def test_bad_settings_are_told(settings, kind, text):
    with pytest.raises(kind, match=text):
        await polyfn.Server(**settings).start()


async def test_a_taken_port_is_told():
    async with polyfn.Server() as server:
        with pytest.raises(polyfn.ConflictError, match=r"cannot listen at 127\.0\.0\.1"):
            await polyfn.Server(port=int(server.url.rpartition(":")[2])).start()


async def test_misuse_is_told():
    server = polyfn.Server()
    with pytest.raises(polyfn.PeerGoneError, match="has not been started"):
        _ = server.url
    async with server:
        with pytest.raises(polyfn.ConflictError, match="started already"):
            await server.start()
        with pytest.raises(TypeError, match="server_url"):
            server.connect(server_url="http://localhost:1")
        with pytest.raises(TypeError, match="workspace"):
            server.connect(workspaces="lab")
    assert await server.stop()
    with pytest.raises(polyfn.PeerGoneError, match="has stopped"):
        await server.connect()


async def test_many_come_and_go_and_leave_nothing():
    async def round_trip() -> None:
        async with polyfn.Server() as one, polyfn.Server(on_request=print) as two:
            first, second = await one.connect(workspace="lab"), await two.connect(workspace="lab")
            await first.register_service({**HELLO, "index": lambda event: "one"})
            await second.register_service({**HELLO, "index": lambda event: "two"})
            assert await fetch(f"{one.url}/lab/apps/hello/") == (200, b"one")
            assert await fetch(f"{two.url}/lab/apps/hello/") == (200, b"two")
        assert (first.connection_state, second.connection_state) == ("closed", "closed")

    await round_trip()
    before = await settled()
    for _ in range(5):
        await round_trip()
    assert is_no_more(await settled(before), before)


async def settled(wanted: tuple | None = None) -> tuple[int, Counter[str], int]:
    """What is kept when it is no more than wanted, or stays: nothing tells when a thread has ended."""
    found = kept()
    for _ in range(50):
        await asyncio.sleep(0.05)
        now = kept()
        if now == found if wanted is None else is_no_more(now, wanted):
            return now
        found = now
    return found


def is_no_more(now: tuple, wanted: tuple) -> bool:
    """It may be less: a thread of a test before may have ended meanwhile."""
    (threads, files, tasks), (most_threads, most_files, most_tasks) = now, wanted
    return threads <= most_threads and files <= most_files and tasks <= most_tasks


def kept() -> tuple[int, Counter[str], int]:
    """Threads, kinds of open files, and tasks of the loop."""
    gc.collect()
    links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    files = Counter(os.readlink(link).partition(":")[0] for link in links if os.path.islink(link))
    tasks = [task for task in asyncio.all_tasks() if not task.done()]
    return len(os.listdir("/proc/self/task")), files, len(tasks)


async def test_stopping_lets_requests_finish_and_clients_hear_of_it():
    server = await polyfn.Server().start()
    client = await server.connect(workspace="lab")
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(event):
        begun.set()
        await go.wait()
        return "done"

    await client.register_service({**HELLO, "slow": slow})
    request = asyncio.create_task(fetch(f"{server.url}/lab/apps/hello/slow"))
    await begun.wait()
    stopping = asyncio.create_task(server.stop())
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(stopping), 0.1)
    go.set()
    assert await request == (200, b"done")
    assert await stopping
    assert client.connection_state == "closed"
    with pytest.raises(polyfn.PeerGoneError):
        await client.echo(1)


async def test_what_does_not_end_in_time_is_cut():
    server = await polyfn.Server(shutdown_timeout=0.2).start()
    client = await server.connect(workspace="lab")
    begun = asyncio.Event()

    async def never(event):
        begun.set()
        await asyncio.Event().wait()

    await client.register_service({**HELLO, "never": never})
    request = asyncio.create_task(
        asyncio.to_thread(urllib.request.urlopen, f"{server.url}/lab/apps/hello/never")
    )
    await begun.wait()
    assert not await server.stop()
    with pytest.raises(OSError):
        await request


async def test_requests_are_told():
    told: asyncio.Queue[polyfn.Request] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def tell(request: polyfn.Request) -> None:
        assert threading.current_thread().name == "polyfn-requests"
        loop.call_soon_threadsafe(told.put_nowait, request)

    async with polyfn.Server(on_request=tell) as server, server.connect(workspace="lab") as client:
        await client.register_service(HELLO)
        await fetch(f"{server.url}/lab/apps/hello/?token=secret")
        request = await told.get()
        assert request[:3] == ("GET", "/lab/apps/hello/", 200)
        assert request.seconds > 0
        assert str(request).startswith("GET /lab/apps/hello/ 200 ")
        await fetch(f"{server.url}/lab/apps/none/")
        assert (await told.get()).status == 404


def test_without_await():
    with polyfn.sync.Server() as server, server.connect(workspace="lab") as client:
        client.register_service({"id": "calc", "add": lambda a, b: a + b})
        assert client.get_service("calc").add(1, 2) == 3
        assert server.url.startswith("http://127.0.0.1:")
        with polyfn.sync.connect_to_server(server.url, token=server.root_token) as remote:
            assert remote.echo("x") == "x"
    assert server.stop()


def test_a_program_that_ends_with_a_running_server(program):
    done = program(
        """
        import asyncio, polyfn

        async def main():
            server = await polyfn.Server(on_request=print).start()
            client = await server.connect()
            await client.register_service({"id": "calc", "add": lambda a, b: a + b})
            print(await (await client.get_service("calc")).add(1, 2))

        asyncio.run(main())
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_forked_child(program):
    done = program(
        """
        import asyncio, os, sys, polyfn
        from polyfn.sync import Server

        server = Server().start()
        client = server.connect()
        child = os.fork()
        if child == 0:
            async def main():
                try:
                    await server._server.stop()
                except polyfn.PeerGoneError as error:
                    assert "after fork" in str(error), error
                async with polyfn.Server() as own, own.connect() as client:
                    assert await client.echo(3) == 3

            asyncio.run(main())
            sys.exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        assert client.echo(4) == 4
        server.stop()
        print("ended")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


async def test_a_provider_of_the_same_program_says_who_comes():
    made: dict[str, dict] = {}

    def generate_token(user, expires_in):
        made[token := f"made-{len(made)}"] = {"id": user["id"], "scope": user["scope"]}
        return token

    def parse_token(token):
        return {"id": "ann"} if token == "key-of-ann" else made.get(token)

    async with polyfn.Server() as server, server.connect(workspace="public") as provider:
        await provider.register_auth_service(parse_token=parse_token, generate_token=generate_token)

        async def whoami(token: str) -> str | int:
            status, body = await fetch(f"{server.url}/assets/config.json", token)
            return json.loads(body)["user"]["id"] if status == 200 else status

        assert await whoami("key-of-ann") == "ann"
        assert await whoami("key-of-nobody") == 401
        ann = await server.connect(token="key-of-ann")
        assert ann.workspace == "ws-user-ann"
        token = await ann.generate_token({"permission": "read"})
        assert await whoami(token) == made[token]["id"]
        # what a provider has made ends with what it was made with
        await provider.revoke_token("key-of-ann")
        assert await whoami(token) == 401
        await provider.unregister_auth_service()
        await ann.disconnect()
