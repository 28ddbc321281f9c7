"""Starts a server inside of this program, again and again, and tells how long that takes."""

import asyncio
import statistics
import time

import polyfn
from connections import say

STARTS = 20


async def main() -> None:
    starts, stops = [], []
    for _ in range(STARTS):
        begun = time.perf_counter()
        async with polyfn.Server():
            started = time.perf_counter()
        stops.append((time.perf_counter() - started) * 1000)
        starts.append((started - begun) * 1000)
    middle = statistics.median
    say({"first_ms": starts[0], "start_ms": middle(starts), "stop_ms": middle(stops)})
    say({"done": True})


asyncio.run(main())
