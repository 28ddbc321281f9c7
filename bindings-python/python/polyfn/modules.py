"""The services of a connection whose functions take one context: their ends, and where they log to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from .signature import Module

#: Records on their way to the server's log at the same time; more are shown here only.
MAX_LOG_RECORDS = 256


class Modules:
    """What is registered and has an end, by the names of the services."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Callable[[dict[str, Any]], Awaitable[Any]]):
        self._loop = loop
        self._send = send
        self._kept: dict[str, Module] = {}
        self._ending: asyncio.Future[None] | None = None
        self._logging = 0
        self._is_over = False

    async def begin(self, service: dict[str, Any]) -> Module | None:
        """Prepare a service before it is registered, if it is one of these."""
        if not Module.is_one(service):
            return None
        module = Module(service, self.log)
        await module.start()
        return module

    async def keep(self, name: str, module: Module | None) -> None:
        """Note what was registered; what it replaces is stopped."""
        replaced = self._kept.pop(name, None)
        if module is not None:
            self._kept[name] = module
        if replaced is not None:
            await replaced.stop()

    async def drop(self, name: str) -> None:
        """Stop what was taken back."""
        await self.keep(name, None)

    def end(self) -> None:
        """Stop everything: the connection is over."""
        self._is_over = True
        if self._kept:
            self._ending = asyncio.ensure_future(self._stop())

    async def ended(self) -> None:
        """Wait until everything is stopped."""
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def _stop(self) -> None:
        while self._kept:
            await self._kept.popitem()[1].stop()

    def log(self, record: dict[str, Any]) -> None:
        """Send what a function logged to the server, from whichever thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._log, record)

    def _log(self, record: dict[str, Any]) -> None:
        # a server that does not keep up loses lines of its log, not calls
        if self._is_over or self._logging >= MAX_LOG_RECORDS:
            return
        self._logging += 1
        asyncio.ensure_future(self._send(record)).add_done_callback(self._logged)

    def _logged(self, sent: asyncio.Future[Any]) -> None:
        self._logging -= 1
        if not sent.cancelled():
            sent.exception()
