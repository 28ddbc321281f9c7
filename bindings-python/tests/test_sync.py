"""The blocking API: everything of the other one, from scripts, threads and notebooks."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polyfn
import pytest
from polyfn import sync


@pytest.fixture
def owner(server_url):
    with sync.connect_to_server(server_url, method_timeout=10) as server:
        yield server


@pytest.fixture
def caller(server_url, owner):
    token = owner.generate_token()
    settings = {"workspace": owner.workspace, "token": token, "method_timeout": 10}
    with sync.connect_to_server({"server_url": server_url, **settings}) as server:
        yield server


@pytest.fixture
def offer(owner, caller):
    def offered(**functions):
        info = owner.register_service({"id": "offered", **functions}, overwrite=True)
        return caller.get_service(info.id)

    return offered


def settled(check) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_calls(offer, caller):
    async def later(a, b=1):
        await asyncio.sleep(0)
        return a + b

    service = offer(add=lambda a, b=1: a + b, later=later, deep={"er": [len]})
    assert service.add(1) == 2
    assert service.add(1, b=2) == 3
    assert service.later(1, 2) == 3
    assert service.deep.er[0]("abc") == 3
    assert caller.echo({"a": [1, None, b"x"]}) == {"a": [1, None, b"x"]}
    assert caller["echo"](2) == 2
    assert caller.config.workspace == caller.workspace
    assert caller.connection_state == "connected"


def test_errors(offer, caller):
    def fails(kind):
        raise ValueError(f"bad {kind}")

    service = offer(fails=fails)
    with pytest.raises(ValueError, match="bad fish") as caught:
        service.fails("fish")
    assert isinstance(caught.value, polyfn.RpcError)
    with pytest.raises(polyfn.RpcError, match="Service not found"):
        caller.get_service("nothing")
    with pytest.raises(TypeError, match="cannot send"):
        caller.echo(object())
    with pytest.raises(AttributeError, match="nonsense"):
        _ = caller.nonsense
    with pytest.raises(KeyError):
        _ = caller["nonsense"]
    with pytest.raises(polyfn.PeerGoneError):
        sync.connect_to_server("http://127.0.0.1:1")
    with pytest.raises(TypeError, match="did you mean"):
        sync.connect_to_server("http://127.0.0.1:1", tokn=1)
    with pytest.raises(ValueError, match="sync_max_workers"):
        sync.connect_to_server("http://127.0.0.1:1", sync_max_workers=0)


def test_functions_run_in_threads(offer):
    where = []

    def call_me(value):
        where.append(threading.current_thread())
        return value + 1

    def twice(function, value):
        where.append(threading.current_thread())
        return function(function(value))

    service = offer(twice=twice)
    assert service.twice(call_me, 1) == 3
    assert len(where) == 3
    assert threading.main_thread() not in where
    assert not any(thread.name == "polyfn-sync" for thread in where)


def test_coroutine_functions_of_the_program_run_in_the_loop(offer):
    async def twice(function, value):
        return await function(await function(value))

    service = offer(twice=twice)
    assert service.twice(lambda value: value * 3, 1) == 9


def test_functions_in_results_and_what_comes_back(offer, caller):
    def multiplier(factor):
        return {"by": lambda number: number * factor}

    service = offer(multiplier=multiplier, same=lambda f: f)
    triple = service.multiplier(3)
    assert triple.by(14) == 42
    again = service.same(service.multiplier)
    assert isinstance(again, sync.Function)
    assert again(2).by(2) == 4
    assert service.multiplier.__name__ == "multiplier"
    assert service.multiplier.__schema__["parameters"]["required"] == ["factor"]
    assert "multiplier" in repr(service.multiplier)
    assert service.multiplier == service.multiplier


def test_functions_that_call_each_other_do_not_wait_for_ever(offer):
    """Deeper than there are workers: who waits makes room."""

    def down(function, depth):
        return depth if depth == 0 else function(function, depth - 1)

    service = offer(down=down)
    assert service.down(service.down, 10) == 0
    assert service.down(lambda _, depth: service.down(service.down, depth), 7) == 0


def test_so_many_at_a_time(server_url):
    running, most, lock = 0, 0, threading.Lock()
    release = threading.Event()
    three = threading.Barrier(3, timeout=10)

    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        three.wait()
        release.wait(10)
        with lock:
            running -= 1

    with sync.connect_to_server(server_url, sync_max_workers=3) as server:
        server.register_service({"id": "work", "work": work})
        service = server.get_service("work")
        with ThreadPoolExecutor(9) as callers:
            calls = [callers.submit(service.work) for _ in range(9)]
            settled(lambda: running == 3)
            release.set()
            for call in calls:
                call.result(10)
    assert most == 3


def test_time_and_trace_of_a_call(offer):
    release = threading.Event()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def about(function):
        return polyfn.current_deadline(), polyfn.current_trace(), function() if function else None

    service = offer(about=about, wait=lambda: release.wait(10))
    limited = service.about.with_options(timeout=5, trace=trace)
    assert isinstance(limited, sync.Function)
    left, heard, inner = limited(lambda: service.about(None))
    assert 0 < left <= 5
    assert heard == trace
    # the wire carries whole milliseconds
    assert 0 < inner[0] <= left + 0.001, "what is called meanwhile inherits the end"
    with pytest.raises(polyfn.RpcTimeoutError):
        service.wait.with_options(timeout=0.05)()
    release.set()


def test_another_thread_goes_on(offer):
    count = 0
    go_on = threading.Event()

    def counting():
        nonlocal count
        while count < 1000:
            count += 1
        go_on.set()

    service = offer(wait=lambda: go_on.wait(10))
    thread = threading.Thread(target=counting)
    thread.start()
    assert service.wait() is True
    thread.join()


def test_from_many_threads(offer):
    service = offer(add=lambda a, b: a + b)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda n: service.add(n, 1), range(200))) == list(range(1, 201))


async def test_where_a_loop_runs_already(server_url):
    """As in a notebook."""
    with sync.connect_to_server(server_url) as server:
        server.register_service({"id": "calc", "add": lambda a, b: a + b})
        assert server.get_service("calc").add(1, 2) == 3


def test_streams(offer, owner):
    ended = threading.Event()
    threads = set()

    def count(upto):
        try:
            for number in range(upto):
                threads.add(threading.current_thread().name)
                yield number
        finally:
            ended.set()

    async def count_later(upto):
        for number in range(upto):
            await asyncio.sleep(0)
            yield number

    def add_up(numbers):
        return sum(numbers)

    def fails():
        yield 1
        raise ValueError("in the middle")

    service = offer(count=count, count_later=count_later, add_up=add_up, fails=fails)
    assert list(service.count(1000)) == list(range(1000))
    assert list(service.count_later(10)) == list(range(10))
    assert ended.wait(5)
    assert threads == {"polyfn-worker"}
    assert service.add_up(number for number in range(100)) == 4950
    assert service.add_up(iter([1, 2])) == 3
    assert service.add_up(service.count(5)) == 10

    ended.clear()
    for number in service.count(10**9):
        if number == 10:
            break
    assert ended.wait(5), "whoever stops early ends the producer"
    stream = service.count(10**9)
    assert next(stream) == 0
    ended.clear()
    stream.close()
    assert ended.wait(5)

    failing = service.fails()
    assert next(failing) == 1
    with pytest.raises(ValueError, match="in the middle"):
        next(failing)
    functions = owner.statistics()["functions"]
    settled(lambda: owner.statistics()["functions"] == functions)


def test_events(owner, caller):
    heard, threads = [], []
    arrived = threading.Event()

    def handler(message):
        heard.append(message.text)
        threads.append(threading.current_thread())
        assert caller.echo(1) == 1, "a handler may call"
        arrived.set()

    caller.on("greeting", handler)
    owner.emit({"type": "greeting", "to": caller.client_id, "text": "hello"})
    assert arrived.wait(5)
    caller.off("greeting", handler)
    waiting = ThreadPoolExecutor(1)
    message = waiting.submit(caller.wait_for, "greeting", 5)
    settled(lambda: caller._inner._events._handlers)
    owner.emit({"type": "greeting", "to": caller.client_id, "text": "again"})
    assert message.result(5).text == "again"
    assert heard == ["hello"]
    assert threads[0] is not threading.main_thread()
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        caller.wait_for("nothing", timeout=0.001)


def test_the_rest_of_the_api(owner, caller):
    owner.export({"move": lambda: "moved"})
    assert caller.get_app(owner.client_id).move() == "moved"
    owner.register_probes({"live": lambda: True})
    assert caller.get_service("probes").live() is True
    assert any(service.id.endswith(":probes") for service in caller.list_services())
    assert caller.rpc.ping(owner.client_id) == "pong"
    assert caller.rpc.get_remote_service(f"{owner.client_id}:probes").live() is True
    assert "echo" in dir(caller)
    assert "workspace" in dir(caller)
    owner.unregister_service("probes")
    assert caller.statistics()["calls"] == 0


def test_remote_services(owner):
    service = {"id": "calc", "config": {"visibility": "public"}, "add": lambda a, b: a + b}
    owner.register_service(service)
    url = f"{owner.config.public_base_url}/{owner.workspace}/services/calc"
    with sync.get_remote_service(url, sync_max_workers=1) as calc:
        assert calc.add(1, 2) == 3
        assert calc["add"](1, 2) == 3
    with pytest.raises(polyfn.PeerGoneError):
        calc.add(1, 2)
    with pytest.raises(polyfn.RpcError, match="Service not found"):
        sync.get_remote_service(url + "ulator")


def test_login(owner):
    threads = []
    api = {
        "start": lambda: {"login_url": "http://login", "key": "k"},
        "check": lambda key, timeout, profile: "the token",
        "logout": lambda config: {"logout_url": "http://logout"},
    }
    info = owner.register_service({"id": "in", "config": {"visibility": "public"}, **api})
    settings = {"server_url": owner.config.public_base_url, "login_service_id": info.id}

    def show(context):
        threads.append((context.login_url, threading.current_thread().name))

    assert sync.login({**settings, "login_callback": show}) == "the token"
    assert threads == [("http://login", "polyfn-worker")]
    assert polyfn.logout_sync(settings, logout_callback=lambda _: None).logout_url == "http://logout"


def test_codecs(owner):
    class Point:
        def __init__(self, x):
            self.x = x

    codec = {"name": "p", "type": Point, "encoder": lambda p: {"x": p.x}, "decoder": lambda f: Point(f["x"])}
    owner.register_codec(codec)
    assert owner.echo(Point(3)).x == 3


def test_mixing(server_url):
    async def later():
        return "later"

    with sync.connect_to_server(server_url, mix_async=True) as server:
        server.register_service({"id": "mixed", "later": later, "now": lambda: "now"})
        service = server.get_service("mixed")
        assert service.now() == "now"
        assert isinstance(service.later, polyfn.RemoteFunction)

        async def main():
            return await service.later()

        assert asyncio.run(main()) == "later"


def test_a_blocking_call_in_the_loop_is_refused(offer, caller):
    async def careless():
        return caller.echo(1)

    with pytest.raises(RuntimeError, match="wait for ever"):
        offer(careless=careless).careless()


def test_what_must_not_get_out_of_a_function(offer):
    def stops():
        raise StopIteration

    def leaves():
        raise SystemExit(3)

    service = offer(stops=stops, leaves=leaves)
    for function, name in ((service.stops, "StopIteration"), (service.leaves, "SystemExit")):
        with pytest.raises(RuntimeError, match=f"raised {name}"):
            function()
    assert service.stops.__name__ == "stops"


@pytest.mark.parametrize("name", [name for name in vars(polyfn.Client) if not name.startswith("_")])
def test_type_checkers_are_told_of_everything(name):
    """The two lists of methods must not part."""
    asynchronous = getattr(polyfn.Client, name)
    if name in ("open", "on_end"):
        return
    declared = declarations()[name]
    if isinstance(asynchronous, property):
        assert declared == "property"
        return
    names = list(inspect.signature(asynchronous).parameters)
    assert declared == names


def declarations():
    tree = ast.parse(inspect.getsource(sync))
    server = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Client")
    block = next(node for node in server.body if isinstance(node, ast.If))
    found = {}
    for node in block.body:
        args = node.args
        names = [arg.arg for arg in args.args] + ([args.kwarg.arg] if args.kwarg else [])
        found[node.name] = "property" if node.decorator_list else names
    return found


def complaints(done):
    """What a program said on stderr, but for asyncio's notes that the machine was busy."""
    return [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]


def test_ctrl_c_breaks_off_a_wait(program):
    done = program("""
        import os, signal, threading, time
        from polyfn.sync import connect_to_server

        started, ended = threading.Event(), threading.Event()

        async def wait():
            import asyncio
            started.set()
            await asyncio.sleep(30)

        server = connect_to_server(os.environ["SERVER_URL"])
        server.register_service({"id": "slow", "wait": wait})
        service = server.get_service("slow")

        def interrupt():
            started.wait(10)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        began = time.monotonic()
        try:
            service.wait()
        except KeyboardInterrupt:
            print("interrupted", server.echo("and goes on"))
            deadline = time.monotonic() + 5
            while server.statistics()["calls"] and time.monotonic() < deadline:
                time.sleep(0.01)
            print("calls", server.statistics()["calls"])
    """)
    assert (done.stdout, complaints(done), done.returncode) == ("interrupted and goes on\ncalls 0\n", [], 0)


def test_the_end_of_the_interpreter(program):
    done = program("""
        import os, threading, time
        from polyfn import PeerGoneError
        from polyfn.sync import connect_to_server

        server = connect_to_server(os.environ["SERVER_URL"])
        server.register_service({"id": "calc", "add": lambda a, b: a + b, "block": lambda: time.sleep(60)})
        service = server.get_service("calc")
        print(service.add(1, 2))

        def waits():
            try:
                service.block()
            except PeerGoneError:
                pass

        threading.Thread(target=waits, daemon=True).start()

        def after_main():
            threading.main_thread().join()
            print("after main", service.add(3, 4))

        threading.Thread(target=after_main).start()
    """)
    assert (done.stdout, complaints(done), done.returncode) == ("3\nafter main 7\n", [], 0)


def test_fork(program):
    done = program("""
        import os
        from polyfn import PeerGoneError
        from polyfn.sync import connect_to_server

        server = connect_to_server(os.environ["SERVER_URL"])
        child = os.fork()
        if child == 0:
            try:
                server.echo(1)
            except PeerGoneError as error:
                print("child:", error, flush=True)
            with connect_to_server(os.environ["SERVER_URL"]) as own:
                print("child:", own.echo("its own"), flush=True)
            raise SystemExit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("parent:", server.echo("still there"))
    """)
    lines = done.stdout.splitlines()
    assert (complaints(done), done.returncode) == ([], 0)
    assert lines[0].endswith("connect again after fork")
    assert lines[1:] == ["child: its own", "parent: still there"]


def test_the_prompt(server_url):
    """What a person types, line by line, without a loop or a block around it."""
    typed = f"""
from polyfn.sync import connect_to_server
server = connect_to_server("{server_url}")
_ = server.register_service({{"id": "calc", "add": lambda a, b: a + b}})
print("sum", server.get_service("calc").add(1, 2))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(polyfn.__file__).resolve().parents[1])}
    done = subprocess.run(
        [sys.executable, "-i", "-q"], input=typed, capture_output=True, text=True, timeout=30, env=environment
    )
    assert "sum 3" in done.stdout
    assert done.returncode == 0
