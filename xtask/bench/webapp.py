"""A web app without a framework, which all servers serve: `/hello`, `/first`, `/items?n=NUMBER`."""

import asyncio
from typing import Any

#: Seconds between the begin and the end of `/first`.
PAUSE = 0.02


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"].endswith("/items"):
        for number in range(int(text(scope["query_string"]).removeprefix("n="))):
            await part(send, b"%d\n" % number)
    elif scope["path"].endswith("/first"):
        await part(send, b"first\n")
        await asyncio.sleep(PAUSE)
    await send({"type": "http.response.body", "body": b"hello"})


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def part(send: Any, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


def text(query: bytes | str) -> str:
    return query if isinstance(query, str) else query.decode()
