"""What a type checker must accept, infer and refuse; only pyright reads this."""

# an expected error that does not come is an error
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from typing import Any

import polyfn
from polyfn import Client, ObjectProxy, RpcError, connect_to_server, get_remote_service, sync
from polyfn.schema import schema_function
from typing_extensions import assert_type


async def connecting() -> None:
    assert_type(await connect_to_server("http://localhost:9527"), Client)
    assert_type(await connect_to_server({"server_url": "http://localhost:9527"}, token="t"), Client)
    async with connect_to_server(server_url="http://localhost:9527") as server:
        assert_type(server, Client)
        assert_type(server.config, ObjectProxy)
        assert_type(server.client_id, str)
        assert_type(await server.register_service({"id": "calc"}, overwrite=True), ObjectProxy)
        assert_type(await server.list_services(), list[Any])
        assert_type(server.emit({"type": "news", "to": "*"}), asyncio.Future[None])
        service = await server.get_service("calc")
        await service.add(1, b=2)
        # the manager's own methods are known at run time only
        await server.generate_token({"expires_in": 60})
        connect_to_server(7)  # pyright: ignore[reportArgumentType]
        server.workspace = "other"  # pyright: ignore[reportAttributeAccessIssue]
        await server.unregister_service(7)  # pyright: ignore[reportArgumentType]


def catching(error: RpcError) -> str:
    assert_type(error.code, str)
    assert_type(error.remote_traceback, str | None)
    if isinstance(error, polyfn.RpcTimeoutError):
        built_in: TimeoutError = error
        return str(built_in)
    return error.code


def functions(function: polyfn.RemoteFunction) -> None:
    assert_type(function(1, a=2), asyncio.Future[Any])
    assert_type(function.__name__, str)
    print(function.other)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]


async def remote_services() -> None:
    service = await get_remote_service("https://lab.example/my-lab/services/calc", token="t")
    await service.add(1, 2)
    async with get_remote_service("https://lab.example/my-lab/services/calc") as calc:
        await calc.add(1, 2)
    get_remote_service()  # pyright: ignore[reportCallIssue]


def blocking() -> None:
    with sync.connect_to_server("http://localhost:9527", sync_max_workers=4) as server:
        assert_type(server, sync.Client)
        assert_type(server.config, ObjectProxy)
        assert_type(server.register_service({"id": "calc"}, overwrite=True), ObjectProxy)
        assert_type(server.list_services(), list[Any])
        assert_type(server.wait_for("news", timeout=1), Any)
        server.get_service("calc").add(1, b=2)
        server.generate_token({"expires_in": 60})
        server.unregister_service(7)  # pyright: ignore[reportArgumentType]
    with sync.get_remote_service("https://lab.example/my-lab/services/calc") as calc:
        calc.add(1, 2)


@schema_function
def bare(a: int) -> int:
    return a


@schema_function(name="other", schema_type="native")
def with_options(a: int) -> int:
    return a


def schemas() -> None:
    print(bare.__schema__, bare(1), with_options(2))
    schema_function(7)  # pyright: ignore[reportArgumentType, reportCallIssue]
