"""Start and end of an app (https://asgi.readthedocs.io/en/latest/specs/lifespan.html)."""

from __future__ import annotations

import asyncio
from typing import Any

from .exchange import Asgi, Message, log

#: How long an app may take to clean up, in seconds.
FAREWELL = 30.0


class Lifespan:
    """The lifespan of one app; apps that have none are left alone."""

    def __init__(self, app: Asgi) -> None:
        self._app = app
        #: What the app has prepared for its requests.
        self.state: dict[str, Any] = {}
        self._messages: asyncio.Queue[Message] | None = None
        self._running: asyncio.Task[None] | None = None
        self._started: asyncio.Future[str | None] | None = None
        self._stopped: asyncio.Future[str | None] | None = None

    async def start(self) -> None:
        """Say that requests will come, and wait until the app is ready for them."""
        loop = asyncio.get_running_loop()
        self._messages, self._started, self._stopped = (
            asyncio.Queue(),
            loop.create_future(),
            loop.create_future(),
        )
        self._messages.put_nowait({"type": "lifespan.startup"})
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._running = asyncio.ensure_future(self._run(scope))
        await asyncio.wait({self._running, self._started}, return_when=asyncio.FIRST_COMPLETED)
        failed = self._started.result() if self._started.done() else None
        if failed is not None:
            raise RuntimeError(f"the app could not start: {failed}")

    async def _run(self, scope: Message) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            if self._started is not None and self._started.done():
                log.exception("the lifespan of an app failed")
            else:
                # so says an app that has no lifespan
                log.debug("an app has no lifespan: %s", error)

    async def _receive(self) -> Message:
        assert self._messages is not None
        return await self._messages.get()

    async def _send(self, message: Message) -> None:
        phase, _, what = message["type"].removeprefix("lifespan.").partition(".")
        waiting = {"startup": self._started, "shutdown": self._stopped}.get(phase)
        if waiting is None or what not in ("complete", "failed"):
            raise ValueError(f"{message['type']!r} is no message of a lifespan")
        if not waiting.done():
            waiting.set_result(
                None if what == "complete" else str(message.get("message") or "it gave no reason")
            )

    async def stop(self) -> None:
        """Say that no more requests come, and wait until the app has cleaned up."""
        if self._running is None or self._messages is None or self._stopped is None:
            return
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        _, pending = await asyncio.wait({self._running}, timeout=FAREWELL)
        if pending:
            log.warning("an app took more than %s s to clean up", FAREWELL)
            self._running.cancel()
        elif self._stopped.done() and self._stopped.result() is not None:
            log.error("an app could not clean up: %s", self._stopped.result())
        self._running = None
