"""The least a Python worker can do behind the relay: `relay_worker.py --url URL`. An id comes in, an id and `hello` go out."""

import asyncio

from connections import arguments, say
from websockets.asyncio.client import connect


async def main() -> None:
    async with connect(arguments()["url"], compression=None) as socket:
        say({"path": "/hello"})
        async for frame in socket:
            await socket.send(frame[:8] + b"hello")


asyncio.run(main())
