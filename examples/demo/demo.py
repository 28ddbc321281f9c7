"""Serves functions and calls another program's: `demo.py SERVER_URL`, started by `cargo xtask demo`."""

import asyncio
import contextlib
import json
import sys
from urllib.parse import parse_qs

from polyfn import connect_to_server


def query(event):
    return {name: values[0] for name, values in parse_qs(event["query_string"]).items()}


async def hello(event):
    return {"message": f"hello {query(event).get('name', 'world')}, this is Python"}


def add(event):
    return {"sum": int(query(event)["a"]) + int(query(event)["b"])}


async def each(items, callback):
    """Calls the caller's own function for every item."""
    return [await callback(item) for item in items]


async def call_the_other(server, service_id):
    other = await server.get_service(service_id)
    tell({"call": "tools.add(2, 3)", "answer": await other.add(2, 3)})
    tell({"call": 'tools.greet("Ada")', "answer": await other.greet("Ada")})
    tell(
        {
            "call": "tools.each([1, 2, 3], square)",
            "answer": await other.each([1, 2, 3], lambda number: number**2),
        }
    )
    tell({"done": True})


def tell(facts):
    print(json.dumps(facts), flush=True)


async def main():
    server = await connect_to_server({"server_url": sys.argv[1], "name": "demo in Python"})
    public = {"visibility": "public"}
    functions = {
        "id": "python-functions",
        "type": "functions",
        "config": public,
        "hello": hello,
        "math": {"add": add},
    }
    tools = {
        "id": "python-tools",
        "config": public,
        "add": lambda a, b: a + b,
        "greet": lambda name: f"hello {name}, this is Python",
        "each": each,
    }
    await server.register_service(functions)
    info = await server.register_service(tools)
    tell({"service": info["id"], "path": f"/{info['id'].split('/')[0]}/apps/python-functions"})

    lines = asyncio.get_running_loop()
    while service_id := await lines.run_in_executor(None, sys.stdin.readline):
        await call_the_other(server, service_id.strip())
    await server.disconnect()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
