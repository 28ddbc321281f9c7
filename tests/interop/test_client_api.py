"""The Python client's API against both servers, and beside the published client.

Without `from __future__ import annotations`: the published client does not understand types that are text.
"""

import asyncio
import threading
from collections.abc import AsyncIterator

import hypha_rpc
import polyfn
import pytest
from hypha_rpc.utils.schema import schema_function as their_schema_function
from polyfn import schema, sync
from runner import tokens
from runner.proxy import Proxy

USER = "api"


def settings(server, **more):
    """A place in the workspace that all clients of these tests share."""
    return {
        "server_url": server.url,
        "workspace": tokens.own_workspace(USER),
        "token": tokens.member(USER),
        "method_timeout": 20,
        **more,
    }


@pytest.fixture
async def ours(server) -> AsyncIterator[polyfn.Client]:
    async with polyfn.connect_to_server(settings(server)) as client:
        yield client


@pytest.fixture
async def theirs(server):
    client = await hypha_rpc.connect_to_server(settings(server))
    yield client
    await client.disconnect()


def add(a: int, b: int = 2) -> int:
    """Add two numbers.

    Args:
        a: the first
    """
    return a + b


PARAMETERS = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "description": "the first"},
        "b": {"type": "integer", "default": 2},
    },
    "required": ["a"],
}


async def test_schemas_are_seen_by_the_published_client(ours, theirs, fresh_name):
    info = await ours.register_service({"id": fresh_name(), "add": add, "untyped": lambda x: x})
    service = await theirs.get_service(info.id)
    assert service.add.__schema__["parameters"] == PARAMETERS
    assert service.add.__schema__["description"] == "Add two numbers."
    listed = await theirs.get_service_info(info.id)
    assert listed["service_schema"]["add"]["function"]["parameters"] == PARAMETERS
    assert await service.add(1) == 3


async def test_schemas_of_the_published_client_are_seen(ours, theirs, fresh_name):
    declared = their_schema_function(add)
    info = await theirs.register_service({"id": fresh_name(), "add": declared, "plain": add})
    service = await ours.get_service(info["id"])
    assert service.add.__schema__["parameters"]["properties"]["a"]["type"] == "integer"
    assert (
        await ours.get_service_info(info["id"])
    ).service_schema.plain.function.parameters.properties.a == {
        "type": "integer",
        "description": "the first",
    }


async def test_a_declared_schema_keeps_bad_arguments_out(ours, theirs, fresh_name):
    ran = []

    @schema.schema_function
    def careful(a: int):
        ran.append(a)
        return a

    info = await ours.register_service({"id": fresh_name(), "careful": careful})
    service = await theirs.get_service(info.id)
    with pytest.raises(Exception, match="not of type"):
        await service.careful("seven")
    assert await service.careful(7) == 7
    assert ran == [7]


async def test_remote_services_by_url(ours, server, fresh_name):
    name = fresh_name()
    service = {"id": name, "config": {"visibility": "public"}, "add_up": add}
    await ours.register_service(service)
    url = f"{server.url}/{ours.workspace}/services/{ours.client_id}:{name}"
    async with polyfn.get_remote_service(url) as found:
        assert await found.add_up(1) == 3
    async with polyfn.get_remote_service(url, case_conversion="camel") as found:
        assert await found.addUp(1) == 3
    async with polyfn.get_remote_service(url, case_conversion="camel+snake") as found:
        assert await found.addUp(1) == await found.add_up(1)
    blocking = await asyncio.to_thread(sync.get_remote_service, url)
    assert await asyncio.to_thread(blocking.add_up, 1) == 3
    await asyncio.to_thread(blocking.__exit__, None, None, None)


async def test_apps(ours, theirs):
    await ours.export({"move": lambda: "moved"})
    their_view = await theirs.get_app(ours.client_id)
    assert await their_view.move() == "moved"
    assert await (await ours.get_app(ours.client_id)).move() == "moved"
    assert f"{ours.workspace}/{ours.client_id}:default" in [app.id for app in await ours.list_apps()]


async def test_events_between_the_clients(ours, theirs, fresh_name):
    kind = fresh_name("event")
    heard: asyncio.Queue = asyncio.Queue()
    theirs.on(kind, heard.put_nowait)
    waiting = asyncio.ensure_future(ours.wait_for(kind, timeout=10))
    await asyncio.sleep(0)
    await theirs.emit({"type": kind, "to": ours.client_id, "n": 1})
    assert (await waiting).n == 1
    await ours.emit({"type": kind, "to": theirs.rpc._client_id, "n": 2})
    assert (await asyncio.wait_for(heard.get(), 10))["n"] == 2


async def test_subscriptions_outlive_the_connection(server, ours, fresh_name):
    kind = fresh_name("event")
    with Proxy(server.url) as proxy:
        client = await polyfn.connect_to_server(settings(server, server_url=proxy.url))
        await client.subscribe(kind)
        back = asyncio.ensure_future(client.wait_for("connected", timeout=30))
        again = asyncio.ensure_future(client.wait_for("services_registered", timeout=30))
        await asyncio.sleep(0)
        proxy.cut()
        await back
        assert (await again).failed == []
        assert client.connection_state == "connected"
        heard = asyncio.ensure_future(client.wait_for(kind, timeout=20))
        while not heard.done():
            # the subscription is on its way to the server, which tells nobody when it has it
            await ours.emit({"type": kind, "to": "*", "n": 1})
            await asyncio.wait([heard], timeout=0.1)
        assert (await heard).n == 1
        await client.disconnect()


async def test_login_by_a_service_of_any_workspace(ours, server, fresh_name):
    shown = []
    api = {
        "start": lambda: {"login_url": "http://login", "key": "k"},
        "check": lambda key, timeout, profile: {"token": "t", "email": "e"} if profile else "t",
        "logout": lambda config: {"logout_url": "http://logout"},
    }
    info = await ours.register_service({"id": fresh_name(), "config": {"visibility": "public"}, **api})
    login = {"server_url": server.url, "login_service_id": info.id, "login_callback": shown.append}
    assert await polyfn.login(login) == "t"
    assert (await polyfn.login(login, profile=True)).email == "e"
    assert [context.login_url for context in shown] == ["http://login"] * 2
    logout = {**login, "logout_callback": shown.append}
    del logout["login_callback"]
    assert (await polyfn.logout(logout)).logout_url == "http://logout"


async def test_blocking_beside_the_published_client(theirs, server, fresh_name):
    name = fresh_name()

    def work():
        with sync.connect_to_server(settings(server)) as client:
            client.register_service({"id": name, "twice": lambda function, n: function(function(n))})
            done.wait(20)
            return client.connection_state

    done = threading.Event()
    working = asyncio.ensure_future(asyncio.to_thread(work))
    while not any(service["id"].endswith(f":{name}") for service in await theirs.list_services()):
        assert not working.done(), working.result()
        await asyncio.sleep(0.05)
    service = await theirs.get_service(name)
    assert await service.twice(lambda n: n + 1, 1) == 3
    done.set()
    assert await working == "connected"


async def test_types_of_services(ours, fresh_name):
    kind = {
        "id": fresh_name("type"),
        "name": "adding",
        "definition": {"add": {"type": "function", "function": {"name": "add", "parameters": PARAMETERS}}},
    }
    await ours.register_service_type(kind)
    service = {"id": fresh_name(), "type": kind["id"], "add": lambda a, b=2: a + b}
    info = await ours.register_service(service, check_type=True)
    assert info.service_schema.add.function.parameters == PARAMETERS
    with pytest.raises(TypeError, match="needs 'add'"):
        await ours.register_service({"id": fresh_name(), "type": kind["id"]}, check_type=True)
