"""Leaves connections of one workspace idle: `idle.py --client polyfn|hypha_rpc --url URL --count N`."""

import asyncio
import os
import sys
from time import perf_counter

from connections import arguments, connect, say

AT_ONCE = 10


async def main() -> None:
    wanted = arguments()
    places = asyncio.Semaphore(AT_ONCE)
    first = await connect(wanted["client"], wanted["url"])
    token = await first.generate_token()

    async def one() -> object:
        async with places:
            return await connect(wanted["client"], wanted["url"], token=token)

    begun = perf_counter()
    rest = await asyncio.gather(*(one() for _ in range(int(wanted["count"]) - 1)))
    say({"connects_per_s": len(rest) / (perf_counter() - begun)})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
