"""Services of an application: one by the connection, one that names another by itself."""

import asyncio
import importlib
import json
import os
import sys

connect_to_server = importlib.import_module(os.environ["PACKAGE"]).connect_to_server


def add(a, b):
    return a + b


async def main():
    settings = {"server_url": os.environ["SERVER_URL"], "app_id": "shop", "client_id": "worker"}
    async with connect_to_server(settings) as server:
        for name, more in (("ours", {}), ("theirs", {"app_id": "mall"})):
            config = {"visibility": "public"}
            functions = {"id": f"{name}-http", "type": "functions", "config": config, **more}
            await server.register_service({**functions, "index": lambda event, name=name: name})
            await server.register_service({"id": f"{name}-rpc", "config": config, "add": add, **more})
        token = await server.generate_token()
        print(json.dumps({"workspace": server.config.workspace, "token": token}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
