"""Offers the measured functions until stdin closes: `service.py --client polyfn|hypha_rpc|nats --url URL`.

With `--many 1,10,1000` there are services of so many functions, too.
"""

import asyncio
import os
import sys

from connections import arguments, offer, register_many, say


async def main() -> None:
    wanted = arguments()
    connection, facts = await offer(wanted["client"], wanted["url"])
    if "many" in wanted:
        await register_many(connection, map(int, wanted["many"].split(",")))
    say(facts)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
