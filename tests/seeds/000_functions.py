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

    await ready(api)


asyncio.run(main())
