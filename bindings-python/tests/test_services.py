"""Registering, looking up and calling."""

from __future__ import annotations

import asyncio
import functools
import re

import polyfn
import pytest


class Shelf:
    """Keeps books."""

    room = 2

    def __init__(self, prefix: str = "shelf"):
        self.prefix = prefix

    def put(self, title, *, place=1):
        return f"{self.prefix} {place}: {title}"

    async def later(self, title):
        await asyncio.sleep(0)
        return f"later {title}"

    def _hidden(self):
        raise AssertionError

    @staticmethod
    def plain():
        return "static"

    @classmethod
    def kind(cls):
        return cls.__name__


def add(a, b=10):
    """Add two numbers."""
    return a + b


async def test_every_kind_of_function(offer):
    async def add_later(a, b=10):
        return a + b

    service = await offer(
        add=add,
        add_later=add_later,
        shorter=lambda a: a,
        bound=Shelf().put,
        part=functools.partial(add, 1),
        part_by_name=functools.partial(add, b=3),
        builtin=len,
        kind=int,
    )
    assert await service.add(1) == 11
    assert await service.add(1, 2) == 3
    assert await service.add(1, b=2) == 3
    assert await service.add(a=1, b=2) == 3
    assert await service.add_later(1, b=2) == 3
    assert await service.shorter("x") == "x"
    assert await service.bound("Emma", place=4) == "shelf 4: Emma"
    assert await service.part(2) == 3
    assert await service.part_by_name(2) == 5
    assert await service.builtin([1, 2]) == 2
    assert await service.kind("7") == 7


@pytest.mark.parametrize(
    ("service", "found"),
    [
        (None, "found None"),
        ("x", "of type str"),
        (5, "of type int"),
        ([1], "of type list"),
        (add, "put the function into a dict"),
        (functools.partial(add, 1), "put the function into a dict"),
        (Shelf, "the class Shelf"),
    ],
)
async def test_what_is_no_service(owner, service, found):
    for offer in (owner.register_service, owner.export, owner.get_service_schema):
        with pytest.raises(polyfn.InvalidError, match=f"must be a dict or an object, .*{found}"):
            await offer(service)
    with pytest.raises(polyfn.InvalidError, match=found):
        owner.rpc.add_service(service)


async def test_names_of_members_are_text(owner):
    for key in (5, None, ("a",)):
        with pytest.raises(polyfn.InvalidError, match=re.escape(f"found {key!r}")):
            await owner.register_service({"id": "k", key: add})
        with pytest.raises(polyfn.InvalidError, match=re.escape(f"found {key!r}")):
            await owner.get_service_schema({"id": "k", key: add})


@pytest.mark.parametrize("service", [None, 5, {"a": 1}])
async def test_what_names_no_service(owner, service):
    calls = [owner.get_service, owner.unregister_service, polyfn.get_remote_service]
    if service is not None:
        # without anything it is the manager
        calls.append(owner.rpc.get_remote_service)
    for call in calls:
        with pytest.raises(polyfn.InvalidError, match=f"found {service}"):
            await call(service)
    with pytest.raises(polyfn.InvalidError, match=f"found {service}"):
        owner.rpc.get_local_service(service)


async def test_an_export_takes_a_config(owner, caller):
    api = {"config": {"visibility": "protected", "mark": 1}, "add": add}
    info = await owner.export(api, {"visibility": "public", "name": "mine"})
    assert (info.config.visibility, info.config.mark) == ("public", 1)
    assert await (await caller.get_app(owner.client_id)).add(1) == 11
    assert (await owner.export(api)).config.visibility == "protected"
    with pytest.raises(polyfn.InvalidError, match="must be a dict, found 5"):
        await owner.export(api, 5)


async def test_a_ping_that_takes_too_long(owner):
    for pings in (owner.ping, owner.rpc.ping):
        with pytest.raises(polyfn.RpcTimeoutError, match=r"did not answer .*ping within 0 seconds"):
            await pings(owner.client_id, timeout=0)


async def test_nested_members_and_values(offer):
    service = await offer(
        {
            "id": "nested",
            "name": "Nested",
            "description": "has folders",
            "answer": 42,
            "deep": {"er": {"add": add, "value": [1, {"a": None}]}, "shelf": Shelf("s")},
            "list": [add, {"add": add}],
        }
    )
    assert (service.name, service.description, service.answer) == ("Nested", "has folders", 42)
    assert await service.deep.er.add(1, 1) == 2
    assert service.deep.er.value == [1, {"a": None}]
    assert await service.deep.shelf.put("Emma") == "s 1: Emma"
    assert await service.list[0](1, 1) == 2
    assert await service.list[1].add(1, 1) == 2


async def test_an_instance_of_a_class(offer):
    service = await offer(Shelf("own"))
    assert service.id.endswith(":default")
    assert (service.room, service.description) == (2, "Keeps books.")
    assert "_hidden" not in service
    assert await service.put("Emma") == "own 1: Emma"
    assert await service.later("Emma") == "later Emma"
    assert await service.plain() == "static"
    assert await service.kind() == "Shelf"


async def test_what_is_known_of_a_function(offer):
    def described(a: int) -> int:
        """Say something."""
        return a

    described.__schema__ = {
        "name": "described",
        "description": "Say something.",
        "parameters": {"type": "object"},
    }
    service = await offer(add=add, described=described)
    assert (service.add.__name__, service.add.__doc__) == ("add", "Add two numbers.")
    assert service.add.__schema__["parameters"]["properties"] == {"a": {}, "b": {"default": 10}}
    assert service.described.__schema__["parameters"] == {"type": "object"}
    assert "services.offered.add" in repr(service.add)
    assert callable(service.add)


async def test_the_call_is_a_future_at_once(offer):
    service = await offer(add=add)
    future = service.add(1, 2)
    assert isinstance(future, asyncio.Future)
    assert await future == 3
    assert await asyncio.gather(*(service.add(number, 0) for number in range(500))) == list(range(500))


async def test_functions_as_arguments(offer):
    async def repeat(function, count):
        return [await function(number, step=2) for number in range(count)]

    async def twice_later(number, step):
        await asyncio.sleep(0)
        return number * step

    service = await offer(repeat=repeat)
    assert await service.repeat(lambda number, step: number * step, 3) == [0, 2, 4]
    assert await service.repeat(twice_later, 3) == [0, 2, 4]


async def test_a_function_that_goes_round(offer):
    def give_back(function):
        return function

    service = await offer(give_back=give_back)
    again = await service.give_back(lambda: "called")
    assert isinstance(again, polyfn.RemoteFunction)


async def test_functions_in_results(offer):
    service = await offer(multiplier=lambda factor: {"by": lambda number: number * factor})
    triple = await service.multiplier(3)
    assert await triple.by(14) == 42


async def test_the_context(offer, caller):
    def who(tag, context):
        return [tag, context["from"], context.user.id, context.ws]

    async def nested(context=None):
        return context["from"]

    service = await offer(
        {"id": "who", "config": {"require_context": True}, "who": who, "deep": {"nested": nested}}
    )
    me = f"{caller.workspace}/{caller.client_id}"
    tag, sender, user, workspace = await service.who("t")
    assert (tag, sender, workspace) == ("t", me, caller.workspace)
    assert user == caller.config.user.id
    assert (await service.who(tag="t"))[0] == "t"
    assert await service.deep.nested() == me


async def test_the_context_cannot_be_given_by_the_caller(offer):
    service = await offer(
        {"id": "who", "config": {"require_context": True}, "who": lambda context: context.ws}
    )
    assert await service.who(context={"ws": "forged"}) != "forged"


async def test_names_that_are_taken(owner):
    await owner.register_service({"id": "taken", "add": add})
    with pytest.raises(polyfn.ConflictError, match="already exists: taken"):
        await owner.register_service({"id": "taken", "add": add})
    await owner.register_service({"id": "taken", "add": lambda a, b: 0}, overwrite=True)
    await owner.register_service({"id": "taken", "add": lambda a, b: 1}, {"overwrite": True})
    await owner.register_service({"id": "taken", "add": lambda a, b: 2}, True)
    assert await (await owner.get_service("taken")).add(5, 5) == 2


async def test_unregister(owner, caller):
    info = await owner.register_service({"id": "short-lived", "add": add})
    service = await caller.get_service("short-lived")
    await owner.unregister_service(info)
    with pytest.raises(polyfn.RpcError, match="Service not found"):
        await caller.get_service("short-lived")
    with pytest.raises(polyfn.RpcError, match="Method expired or not found"):
        await service.add(1, 2)
    with pytest.raises(polyfn.NotFoundError):
        await owner.unregister_service("short-lived")


@pytest.mark.parametrize(
    "service",
    [{"add": add}, {"id": "a.b", "add": add}, {"id": 7}, {"id": "x", "config": {"visibility": "secret"}}],
)
async def test_services_that_make_no_sense(owner, service):
    with pytest.raises(polyfn.InvalidError):
        await owner.register_service(service)
    await owner.echo("what was released has arrived before this")
    assert owner.statistics()["functions"] == 0


async def test_a_service_that_contains_itself(owner):
    folder: dict = {}
    folder["again"] = folder
    with pytest.raises(ValueError, match="may not contain itself"):
        await owner.register_service({"id": "round", "folder": folder})


async def test_plain_functions_in_threads(offer):
    import threading

    def where():
        return threading.current_thread() is threading.main_thread()

    service = await offer(
        {"id": "threads", "config": {"run_in_executor": True}, "where": where, "deep": {"w": where}}
    )
    assert await service.where() is False
    assert await service.deep.w() is False


@pytest.mark.parametrize("most", [True, 2])
async def test_a_connection_with_its_plain_functions_in_threads(server_url, most):
    import threading

    def is_here():
        return threading.current_thread() is threading.main_thread()

    async def is_here_as_well():
        return is_here()

    functions = {"plain": is_here, "deep": {"plain": is_here}, "later": is_here_as_well}
    async with polyfn.connect_to_server(server_url, sync_in_threads=most) as server:
        for id_, config, plain in (
            ("silent", {}, False),
            ("own", {"run_in_executor": False}, True),
            ("asked", {"run_in_executor": True}, False),
        ):
            await server.register_service({"id": id_, "config": config, **functions})
            service = await server.get_service(id_)
            assert (await service.plain(), await service.deep.plain()) == (plain, plain)
            assert await service.later() is True
        server.rpc.add_service({"id": "quiet", **functions})
        assert await (await server.rpc.get_remote_service("quiet")).plain() is False


async def test_threads_are_as_many_as_were_asked_for(server_url):
    """Two that wait for each other need two threads; a third call waits until one of them is free."""
    import threading

    both = threading.Barrier(2)
    async with polyfn.connect_to_server(server_url, sync_in_threads=2) as server:
        await server.register_service({"id": "pairs", "meet": lambda: both.wait(10)})
        service = await server.get_service("pairs")
        assert sorted(await asyncio.gather(*(service.meet() for _ in range(4)))) == [0, 0, 1, 1]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "yes"])
async def test_a_number_of_threads_that_is_none(server_url, wrong):
    with pytest.raises(ValueError, match="sync_in_threads must be True or a number"):
        await polyfn.connect_to_server(server_url, sync_in_threads=wrong)
    with pytest.raises(TypeError, match="always run in threads"):
        polyfn.sync.connect_to_server(server_url, sync_in_threads=2)


async def test_the_methods_of_the_manager(owner):
    assert await owner.echo({"a": 1}) == {"a": 1}
    assert await owner["echo"](2) == 2
    services = await owner.list_services()
    assert any(service["id"].endswith(":built-in") for service in services)
    assert isinstance(await owner.generate_token(), str)
    assert "generate_token" in dir(owner)
    assert owner.config.workspace == owner.workspace
    assert owner.config.client_id == owner.client_id
    with pytest.raises(AttributeError, match="nonsense"):
        _ = owner.nonsense
    assert await owner.ping(owner.client_id) == "pong"


async def test_probes(owner, caller):
    await owner.register_probes({"readiness": lambda: {"status": "ok"}})
    probes = await caller.get_service("probes")
    assert await probes.readiness() == {"status": "ok"}


async def test_awaitables_that_are_no_coroutines(offer):
    class Waits:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "waited"

    def future():
        made = asyncio.get_running_loop().create_future()
        made.set_result("from a future")
        return made

    service = await offer(waits=Waits, future=future)
    assert await service.waits() == "waited"
    assert await service.future() == "from a future"
