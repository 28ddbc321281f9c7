"""What a test waits for that takes too long: one that hangs once in a thousand runs would tell nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Generator

from runner import servers

# before the limit of pyproject.toml ends the test
PATIENCE = 50.0


@contextlib.contextmanager
def watched() -> Generator[None]:
    """Within it, whatever has not ended after `PATIENCE` seconds is described on stdout."""
    timer = threading.Timer(PATIENCE, describe)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def describe() -> None:
    """Prints the stacks of all tasks, and the end of the log of each server."""
    print("this test takes long; its tasks:")
    # by their types: to ask a weak proxy for its class raises an error once its object is gone
    loops = [found for found in gc.get_objects() if issubclass(type(found), asyncio.BaseEventLoop)]
    for loop in loops:
        if loop.is_running():
            for task in asyncio.all_tasks(loop):
                task.print_stack(file=sys.stdout)
    for server in list(servers.running):
        print(f"log of {server.name} at {server.url}:", *list(server.log)[-20:], sep="\n  ")
