"""Waiting for what nobody tells."""

from __future__ import annotations

import time

from .peers import PeerError

BACK_AGAIN = 40.0


def eventually(attempt, limit: float = BACK_AGAIN):
    """Repeats `attempt` until it raises nothing; its last error is raised when the time is over."""
    deadline = time.monotonic() + limit
    while True:
        try:
            return attempt()
        except (PeerError, TimeoutError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # nothing tells a stranger when a client is back
