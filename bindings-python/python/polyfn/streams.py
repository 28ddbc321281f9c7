"""The Python half of generators that peers read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any


async def produce(items: AsyncGenerator[Any, None], put: Callable[[Any], Awaitable[None] | None]) -> None:
    """Hand over each item to `put`, and wait for what it gives; then the peer wants more."""
    try:
        async for item in items:
            pause = put(item)
            if pause is not None:
                await pause
    finally:
        # also when the peer does not want the rest: then this is cancelled
        await items.aclose()
