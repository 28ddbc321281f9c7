import asyncio
import json
import os
from urllib.parse import parse_qs

from package import connect_to_server, ready


class DataStore:
    """Shares JSON values and files by URL."""

    def __init__(self):
        self.items = {}

    def put_json(self, key, value):
        self.items[key] = ("application/json", key + ".json", json.dumps(value).encode())

    def put_file(self, key, name, content):
        self.items[key] = ("application/octet-stream", name, content)

    def get(self, event):
        key = parse_qs(event["query_string"]).get("id", [""])[0]
        if key not in self.items:
            return {"status": 404, "headers": {"Content-Type": "text/plain"}, "body": "no such item"}
        kind, name, content = self.items[key]
        return {
            "status": 200,
            "headers": {
                "Content-Type": kind,
                "Content-Length": str(len(content)),
                "Content-Disposition": f'inline; filename="{name}"',
            },
            "body": content,
        }


async def main():
    api = await connect_to_server({"server_url": os.environ["SERVER_URL"]})
    store = DataStore()
    store.put_json("numbers", {"values": [1, 2, 3]})
    store.put_file("dot", "dot.bin", bytes(range(256)))

    service = {
        "id": "data-store",
        "type": "functions",
        "config": {"visibility": "public", "require_context": False},
        "get": store.get,
    }
    await api.register_service(service, {"overwrite": True})
    await ready(api)


asyncio.run(main())
