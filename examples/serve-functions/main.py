"""Functions that answer HTTP requests."""

import asyncio
import os
import urllib.error
import urllib.request

from polyfn import connect_to_server

SERVER = os.environ.get("POLYFN_SERVER_URL", "http://localhost:9527")

service = {
    "id": "shop",
    "type": "functions",
    "config": {"visibility": "public"},
    "index": lambda event: "Home page",
    "greet": lambda event: {"message": f"hello {event['query_string']}"},
    "items": {"POST": lambda event: {"status": 201, "body": "made"}},
    "default": lambda event: {"status": 404, "body": f"no {event['function_path']} here"},
}


def ask(url, data=None):
    try:
        with urllib.request.urlopen(url, data) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def main():
    async with connect_to_server({"server_url": SERVER}) as server:
        await server.register_service(service)
        base = f"{SERVER}/{server.config.workspace}/apps/shop"
        for path, data in [("/", None), ("/greet?ann", None), ("/items", b""), ("/elsewhere", None)]:
            print(*await asyncio.to_thread(ask, base + path, data))


asyncio.run(main())
