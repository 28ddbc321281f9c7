"""Which package the programs use: the environment's PACKAGE, on the server SERVER_URL."""

import asyncio
import importlib
import json
import os
import sys

PACKAGE = os.environ["PACKAGE"]


async def main(register):
    package = importlib.import_module(PACKAGE)
    async with package.connect_to_server({"server_url": os.environ["SERVER_URL"]}) as server:
        more = await register(server) or {}
        token = await server.generate_token()
        print(json.dumps({"workspace": server.config.workspace, "token": token, **more}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def run(register):
    asyncio.run(main(register))
