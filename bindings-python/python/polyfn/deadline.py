"""Waiting for so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from . import errors

T = TypeVar("T")


async def within(awaitable: Awaitable[T], timeout: float | None, missing: str) -> T:
    """Wait up to `timeout` seconds; `missing` names what did not come."""
    try:
        return await asyncio.wait_for(awaitable, timeout)
    except errors.RpcError:
        # a peer, or the connection, may have had a shorter deadline, and says so itself
        raise
    except asyncio.TimeoutError:
        raise errors.RpcTimeoutError(f"{missing} within {timeout} seconds") from None
