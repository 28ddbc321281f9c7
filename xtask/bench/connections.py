"""How each client offers and reaches the functions that are measured: one code for hypha_rpc and polyfn."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import webapp

Echo = Callable[[Any], Awaitable[Any]]
SUBJECT = "bench.echo"


def say(facts: dict[str, Any]) -> None:
    """One line for the benchmark; whatever else a library prints is passed over."""
    print("BENCH " + json.dumps(facts), flush=True)


async def hello(event: dict[str, Any]) -> dict[str, Any]:
    return {"status": 200, "headers": {"content-type": "text/plain"}, "body": "hello"}


def body(event: dict[str, Any]) -> dict[str, Any]:
    """The body, sent back."""
    headers = {"content-type": "application/octet-stream"}
    return {"status": 200, "headers": headers, "body": bytes(event["body"])}


async def first(event: dict[str, Any]) -> Any:
    """A stream whose end comes long after its begin."""
    yield "first\n"
    await asyncio.sleep(webapp.PAUSE)
    yield "last\n"


async def items(event: dict[str, Any]) -> Any:
    """A stream of as many lines as are asked for."""
    for number in range(int(event["query_string"].removeprefix("n="))):
        yield f"{number}\n"


def echo(value: Any) -> Any:
    return value


def count(number: int) -> Any:
    """A stream of small items."""
    return iter_numbers(number)


async def iter_numbers(number: int) -> Any:
    for item in range(number):
        yield item


async def repeat(function: Any, times: int) -> int:
    """Calls a function of the caller, one call after the other."""
    for number in range(times):
        await function(number)
    return times


def size(content: Any) -> int:
    return len(content)


async def connect(client: str, url: str, **more: str) -> Any:
    package = importlib.import_module(client)
    return await package.connect_to_server({"server_url": url, **more})


async def offer(client: str, url: str) -> tuple[Any, dict[str, str]]:
    """Registers what is measured; the connection, and where others find it."""
    if client == "nats":
        return await offer_on_nats(url), {"service": SUBJECT}
    server = await connect(client, url)
    return server, await register(server, client)


async def register(server: Any, client: str) -> dict[str, str]:
    """Registers what is measured with a server; where others find it."""
    public = {"visibility": "public"}
    functions = {"echo": echo, "count": count, "repeat": repeat, "size": size}
    info = await server.register_service({"id": "bench", "config": public, **functions})
    http = {"hello": hello, "body": body, "first": first, "items": items}
    of_functions = {"id": "bench-http", "type": "functions", "config": public}
    await server.register_service({**of_functions, **http})
    serve = webapp.app if client == "polyfn" else serve_app
    await server.register_service({"id": "bench-app", "type": "asgi", "config": public, "serve": serve})
    workspace, service = info["id"].split("/")
    apps = f"/{workspace}/apps"
    return {
        "workspace": workspace,
        "service": info["id"],
        "functions": info["id"].removesuffix(":bench") + ":bench-http",
        "path": f"{apps}/bench-http/hello",
        "handler": f"{apps}/bench-http/hello",
        "app": f"{apps}/bench-app",
        "call": f"/{workspace}/services/{service}/echo",
    }


async def register_many(server: Any, numbers: Iterable[int]) -> None:
    """One service for each number, with so many functions."""
    for number in numbers:
        functions = {f"f{at}": hello for at in range(number)}
        config = {"id": f"bench-{number}", "type": "functions", "config": {"visibility": "public"}}
        await server.register_service({**config, **functions})


async def serve_app(request: dict[str, Any]) -> None:
    """The web app, as hypha_rpc has it called."""
    await webapp.app(request["scope"], request["receive"], request["send"])


async def offer_on_nats(url: str) -> Any:
    import nats

    connection = await nats.connect(url)

    async def answer(message: Any) -> None:
        await message.respond(message.data)

    await connection.subscribe(SUBJECT, cb=answer)
    await connection.flush()
    return connection


async def reach(client: str, url: str, service: str) -> tuple[Any, Echo]:
    """The connection, and the function that echoes a value through the server."""
    if client == "nats":
        import nats

        connection = await nats.connect(url)

        async def request(value: Any) -> Any:
            payload = value if isinstance(value, bytes) else value.encode()
            reply = await connection.request(service, payload, timeout=60)
            return reply.data if isinstance(value, bytes) else reply.data.decode()

        return connection, request
    server, found = await reach_service(client, url, service)
    return server, found.echo


async def reach_service(client: str, url: str, service: str) -> tuple[Any, Any]:
    """The connection, and the whole service."""
    server = await connect(client, url)
    return server, await server.get_service(service)


def arguments() -> dict[str, str]:
    """`--name value` pairs of the command line."""
    words = sys.argv[1:]
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
