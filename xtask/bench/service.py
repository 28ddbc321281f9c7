"""Offers the measured functions until stdin closes: `service.py --client polyfn|hypha_rpc|nats --url URL`."""

import asyncio
import os
import sys

from connections import arguments, offer, say


async def main() -> None:
    wanted = arguments()
    _connection, facts = await offer(wanted["client"], wanted["url"])
    say(facts)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
