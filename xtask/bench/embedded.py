"""Serves the measured functions with a server of its own until stdin closes."""

import asyncio
import os
import sys

import polyfn
from connections import register, say


async def main() -> None:
    async with polyfn.Server() as server, server.connect() as client:
        say({**await register(client, "polyfn"), "url": server.url})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        os._exit(0)


asyncio.run(main())
