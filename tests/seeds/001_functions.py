import asyncio
import json
import os

from package import connect_to_server, ready


async def main():
    api = await connect_to_server({"server_url": os.environ["SERVER_URL"]})

    async def hello_world(event):
        return {
            "status": 200,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps({"message": "Hello World"}),
        }

    async def index(event):
        return {"status": 200, "body": "Home page"}

    await api.register_service(
        {
            "id": "hello-functions",
            "type": "functions",
            "config": {
                "visibility": "public",
            },
            "hello-world": hello_world,
            "index": index,
        }
    )

    def answering(value):
        async def function(event):
            return {
                "status": 200,
                "headers": {"Content-Type": "application/json"},
                "body": json.dumps(value),
            }

        return function

    await api.register_service(
        {
            "id": "nested-functions",
            "type": "functions",
            "config": {
                "visibility": "public",
            },
            "api": {
                "v1": {
                    "users": answering({"users": ["alice", "bob"]}),
                    "posts": answering({"posts": []}),
                },
                "v2": {
                    "users": answering({"users": [], "version": "v2"}),
                },
            },
        }
    )

    async def hello(event):
        return {"status": 200, "body": "Hello from specific function"}

    async def default(event):
        path = event.get("function_path") or "/"
        return {
            "status": 200,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps(
                {
                    "message": "Default handler",
                    "path": path,
                    "method": event["method"],
                }
            ),
        }

    await api.register_service(
        {
            "id": "fallback-functions",
            "type": "functions",
            "config": {
                "visibility": "public",
            },
            "hello": hello,
            "default": default,
        }
    )

    await ready(api)


asyncio.run(main())
