"""A function among the arguments, called back while the call runs."""

import asyncio
import os

from polyfn import connect_to_server

SERVER = os.environ.get("POLYFN_SERVER_URL", "http://localhost:9527")


async def total(items, double):
    """Runs at the owner; `double` runs at the caller."""
    return sum([await double(item) for item in items])


def double(item):
    print("item", item)
    return item * 2


async def main():
    async with connect_to_server({"server_url": SERVER}) as owner:
        await owner.register_service({"id": "sums", "config": {"visibility": "public"}, "total": total})
        async with connect_to_server({"server_url": SERVER}) as caller:
            sums = await caller.get_service(f"{owner.config.workspace}/sums")
            print(await sums.total([1, 2, 3], double))


asyncio.run(main())
