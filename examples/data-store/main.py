"""A store that gives values and files a URL, to be shown in web pages."""

import asyncio
import json
import os
import urllib.error
import urllib.request
import uuid
from urllib.parse import parse_qs

from polyfn import HTTPError, connect_to_server

SERVER = os.environ.get("POLYFN_SERVER_URL", "http://localhost:9527")


class DataStore:
    def __init__(self):
        self.items = {}
        self.base = ""

    async def start(self, server):
        api = {"id": "data-store", "type": "functions", "config": {"visibility": "public"}, "get": self.get}
        await server.register_service(api)
        self.base = f"{SERVER}/{server.config.workspace}/apps/data-store/get"

    def put(self, value):
        return self.put_file(
            "value.json", json.dumps(value, separators=(",", ":")).encode(), "application/json"
        )

    def put_file(self, name, content, kind="application/octet-stream"):
        item = str(uuid.uuid4())
        self.items[item] = (name, kind, content)
        return item

    def url(self, item):
        return f"{self.base}?id={item}"

    def list(self):
        return [name for name, _, _ in self.items.values()]

    def remove(self, item):
        del self.items[item]

    def get(self, event):
        item = parse_qs(event.query_string).get("id", [""])[0]
        if item not in self.items:
            raise HTTPError(404, "no such item")
        name, kind, content = self.items[item]
        headers = {"content-type": kind, "content-disposition": f'inline; filename="{name}"'}
        return {"headers": headers, "body": content}


def ask(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return response.status, response.headers["content-type"], response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["detail"]


async def main():
    store = DataStore()
    async with connect_to_server({"server_url": SERVER}) as server:
        await store.start(server)
        numbers = store.put({"numbers": [1, 2, 3]})
        dot = store.put_file("dot.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml")
        print("items", *store.list())
        print(*await asyncio.to_thread(ask, store.url(numbers)))
        print(*await asyncio.to_thread(ask, store.url(dot)))
        print(*await asyncio.to_thread(ask, store.url(dot), Range="bytes=1-3"))
        store.remove(dot)
        print(*await asyncio.to_thread(ask, store.url(dot)))


asyncio.run(main())
