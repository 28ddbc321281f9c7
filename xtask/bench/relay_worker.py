"""The least a Python worker can do behind the relay: an id comes in, the id and `hello` go out."""

import asyncio

from connections import arguments, say
from websockets.asyncio.client import connect


async def main() -> None:
    async with connect(arguments()["url"], compression=None) as socket:
        say({"path": "/hello"})
        async for frame in socket:
            await socket.send(frame[:8] + b"hello")


asyncio.run(main())
