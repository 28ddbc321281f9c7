"""How long it takes until a function hears that nobody waits for it: printed, never asserted."""

from __future__ import annotations

import asyncio
import statistics
import time
from urllib.parse import urlsplit

import pytest

ROUNDS = 20
#: Seconds that callers wait who give up by time.
PATIENCE = 0.05


class Slow:
    """A function that never ends by itself, and the moment at which it was cancelled."""

    def __init__(self):
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()
        self.ended = 0.0

    async def __call__(self, *_) -> None:
        self.cancelled.clear()
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended = time.perf_counter()
            self.cancelled.set()
            raise

    async def round(self, give_up) -> float | None:
        """Calls once, and gives milliseconds from when `give_up` says that its caller has gone; nothing when
        the function had not begun by then."""
        self.begun.clear()
        left = await give_up()
        if not self.begun.is_set():
            return None
        await asyncio.wait_for(self.cancelled.wait(), 10)
        return (self.ended - left) * 1000

    async def measure(self, figure, way: str, give_up) -> None:
        took: list[float] = []
        while len(took) < ROUNDS:
            if (once := await self.round(give_up)) is not None:
                took.append(once)
        figure(f"{way}: {statistics.median(took):.1f} ms, at most {max(took):.1f} ms, in {ROUNDS} rounds")


@pytest.fixture
def slow():
    return Slow()


async def test_a_task_that_is_cancelled(offer, figure, slow):
    service = await offer(wait=slow)

    async def give_up():
        waiting = asyncio.ensure_future(service.wait())
        await slow.begun.wait()
        left = time.perf_counter()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return left

    await slow.measure(figure, "task cancelled", give_up)


@pytest.mark.parametrize("who", ["asyncio", "the call"])
async def test_a_time_that_is_over(offer, figure, slow, who):
    service = await offer(wait=slow)

    async def give_up():
        left = time.perf_counter() + PATIENCE
        if who == "asyncio":
            call = asyncio.wait_for(service.wait(), PATIENCE)
        else:
            call = service.wait.with_options(timeout=PATIENCE)()
        with pytest.raises(asyncio.TimeoutError):
            await call
        return left

    await slow.measure(figure, f"timeout of {who}", give_up)


async def test_a_caller_over_http_that_is_gone(server_url, owner, figure, slow):
    info = await owner.register_service(
        {"id": "gone", "type": "functions", "config": {"visibility": "public"}, "wait": slow}
    )
    parts, name = urlsplit(server_url), info.id.rpartition("/")[2]
    head = f"GET /{owner.workspace}/apps/{name}/wait HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n"

    async def give_up():
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head.encode())
        await asyncio.wait_for(slow.begun.wait(), 10)
        left = time.perf_counter()
        writer.transport.abort()
        return left

    await slow.measure(figure, "HTTP caller gone", give_up)
