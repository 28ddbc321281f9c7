"""Comes, works and vanishes: `churn.py --client polyfn --url URL --clients N --rounds N`.

Each round connects clients, which register services, call them and are asked over HTTP; then a part of the
clients says good-bye, and the program ends without a word of the others.
"""

import asyncio
import os
from typing import Any
from urllib.parse import urlsplit

from connections import arguments, connect, hello, say

SERVICES = 3
CALLS = 20
REQUESTS = 5


async def ask(url: str, path: str) -> None:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {place.netloc}\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ValueError(f"{path} answered {answer[:200]!r}")


async def offer(server: Any) -> str:
    """Registers services; the path of the function."""
    public = {"visibility": "public"}
    for number in range(SERVICES):
        await server.register_service({"id": f"work{number}", "config": public, "echo": lambda value: value})
    await server.register_service({"id": "web", "type": "functions", "config": public, "hello": hello})
    await server.unregister_service("work0")
    return f"/{server.config.workspace}/apps/{server.config.client_id}:web/hello"


async def work(wanted: dict[str, str], owner: Any, path: str) -> None:
    """What one client is for: it is called, and asked over HTTP."""
    service = await owner.get_service(f"{owner.config.workspace}/{owner.config.client_id}:work1")
    for number in range(CALLS):
        if await service.echo(number) != number:
            raise ValueError("the echo is not what was sent")
    for _ in range(REQUESTS):
        await ask(wanted["url"], path)


async def main() -> None:
    wanted = arguments()
    count = int(wanted["clients"])
    for _ in range(int(wanted["rounds"])):
        servers = await asyncio.gather(*(connect(wanted["client"], wanted["url"]) for _ in range(count)))
        paths = await asyncio.gather(*map(offer, servers))
        await asyncio.gather(*(work(wanted, one, path) for one, path in zip(servers, paths, strict=True)))
        await asyncio.gather(*(server.disconnect() for server in servers[: count // 4]))
        say({"clients": count, "calls": count * CALLS, "requests": count * REQUESTS})
    say({"done": True})
    os._exit(0)


asyncio.run(main())
