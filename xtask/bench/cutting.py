"""A way to the server that can be cut: a proxy inside the measuring program."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


class Cutter:
    """Passes bytes on to the server at `url`; `cut` ends all connections that go through it."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._place = (place.hostname, place.port)
        self._open: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._place)
        self._open |= {writer, to_server}
        try:
            await asyncio.gather(pump(reader, to_server), pump(from_server, writer), return_exceptions=True)
        finally:
            self._open -= {writer, to_server}


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
