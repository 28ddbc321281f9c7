"""Measures an echo: `caller.py --client polyfn|hypha_rpc|nats --url URL --service ID --window SECONDS`."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from time import perf_counter

from connections import Echo, arguments, reach, say

TEXT = "hello, how are you " * 5
LARGE = 10_000_000
IN_FLIGHT = 64
WARM_UP = 300

Facts = dict[str, float]


async def latency(echo: Echo, window: float) -> Facts:
    times = []
    end = perf_counter() + window
    while (begun := perf_counter()) < end:
        await echo(TEXT)
        times.append(perf_counter() - begun)
    times.sort()
    return {f"p{share}_ms": times[(len(times) - 1) * share // 100] * 1000 for share in (50, 99)}


async def calls(echo: Echo, window: float) -> Facts:
    begun = perf_counter()

    async def one_after_the_other() -> int:
        count = 0
        while perf_counter() - begun < window:
            await echo(TEXT)
            count += 1
        return count

    counts = await asyncio.gather(*(one_after_the_other() for _ in range(IN_FLIGHT)))
    return {"calls_per_s": sum(counts) / (perf_counter() - begun)}


async def large(echo: Echo, window: float) -> Facts:
    payload = os.urandom(LARGE)
    if bytes(await echo(payload)) != payload:
        raise ValueError("the echo of 10 MB is not what was sent")
    begun, trips = perf_counter(), 0
    while trips == 0 or perf_counter() - begun < window:
        await echo(payload)
        trips += 1
    return {"mb_per_s": trips * LARGE / 1e6 / (perf_counter() - begun)}


async def main() -> None:
    wanted = arguments()
    window = float(wanted["window"])
    _connection, echo = await reach(wanted["client"], wanted["url"], wanted["service"])
    if await echo(TEXT) != TEXT:
        raise ValueError("the echo is not what was sent")
    for _ in range(WARM_UP):
        await echo(TEXT)
    measures: list[Callable[[Echo, float], Awaitable[Facts]]] = [latency, calls, large]
    for measure in measures:
        try:
            say(await asyncio.wait_for(measure(echo, window), 3 * window + 30))
        except Exception as error:
            say({"failed": f"{measure.__name__}: {type(error).__name__}: {str(error)[:200]}"})
    say({"done": True})
    os._exit(0)


asyncio.run(main())
