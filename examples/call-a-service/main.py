"""A service, called with arguments by position and by name."""

import asyncio
import os

from polyfn import connect_to_server

SERVER = os.environ.get("POLYFN_SERVER_URL", "http://localhost:9527")


def add(a, b):
    return a + b


async def greet(name, greeting="Hello"):
    return f"{greeting} {name}"


async def main():
    async with connect_to_server({"server_url": SERVER}) as owner:
        await owner.register_service(
            {"id": "tools", "config": {"visibility": "public"}, "add": add, "greet": greet}
        )
        async with connect_to_server({"server_url": SERVER}) as caller:
            tools = await caller.get_service(f"{owner.config.workspace}/tools")
            print(await tools.add(1, 2))
            print(await tools.greet("ann"))
            print(await tools.greet("bob", greeting="Good day"))


asyncio.run(main())
