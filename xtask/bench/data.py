"""Measures what travels: `data.py --client polyfn|hypha_rpc --url URL --service ID --window SECONDS`."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import numpy as np
from connections import arguments, connect, reach_service, say
from cutting import Cutter

MB = 1_000_000
ARRAY = 16 * 1024 * 1024
TRANSFERS = 10
SERVICES = 200
MILLION = 1_000_000
IN_FLIGHT = 64

Facts = dict[str, float]
Measure = Callable[[Any, dict[str, str]], Awaitable[Facts]]


async def stream(service: Any, wanted: dict[str, str]) -> Facts:
    """Items per second, as many as come within the window."""
    begun, items = perf_counter(), 0
    async for _ in await service.count(1 << 40):
        items += 1
        if perf_counter() - begun > float(wanted["window"]):
            break
    return {"items_per_s": items / (perf_counter() - begun)}


async def callbacks(service: Any, wanted: dict[str, str]) -> Facts:
    begun, calls = perf_counter(), 0
    while perf_counter() - begun < float(wanted["window"]):
        calls += await service.repeat(lambda number: number, 100)
    return {"callbacks_per_s": calls / (perf_counter() - begun)}


def sized(size: int) -> Measure:
    async def there_and_back(service: Any, wanted: dict[str, str]) -> Facts:
        payload = os.urandom(size * MB)
        begun, trips = perf_counter(), 0
        while trips == 0 or perf_counter() - begun < float(wanted["window"]):
            if len(await service.echo(payload)) != len(payload):
                raise ValueError("the echo is not what was sent")
            trips += 1
        return {f"mb_{size}_per_s": trips * size / (perf_counter() - begun)}

    there_and_back.__name__ = f"sized {size}"
    return there_and_back


async def array(service: Any, wanted: dict[str, str]) -> Facts:
    """64 MB of float32, there and back."""
    payload = np.arange(ARRAY, dtype="float32")
    begun = perf_counter()
    if (await service.echo(payload)).shape != payload.shape:
        raise ValueError("the echo is not what was sent")
    return {"array_mb_per_s": payload.nbytes / MB / (perf_counter() - begun)}


async def quantile(service: Any, until: Callable[[], bool]) -> float:
    times = []
    while not until() or len(times) < 100:
        begun = perf_counter()
        await service.echo(1)
        times.append(perf_counter() - begun)
    times.sort()
    return times[(len(times) - 1) * 99 // 100] * 1000


async def beside_a_transfer(service: Any, wanted: dict[str, str]) -> Facts:
    """p99 of small calls when idle, and while 1 GB leaves by the same connection."""
    end = perf_counter() + float(wanted["window"])
    idle = await quantile(service, lambda: perf_counter() > end)
    payload = os.urandom(100 * MB)

    async def send() -> None:
        for _ in range(TRANSFERS):
            await service.size(payload)

    sending = asyncio.ensure_future(send())
    busy = await quantile(service, sending.done)
    await sending
    return {"p99_idle_ms": idle, "p99_busy_ms": busy, "p99_busy_to_idle": busy / idle}


class Program:
    """Another program of this folder, which tells facts."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, name: str, **wanted: str) -> "Program":
        flags = [word for flag, value in wanted.items() for word in (f"--{flag}", value)]
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-u", name, *flags)
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def facts(self) -> dict[str, Any]:
        assert self._process.stdout
        while not (line := await self._process.stdout.readline()).startswith(b"BENCH "):
            if not line:
                raise ValueError("a program has ended early")
        return json.loads(line.removeprefix(b"BENCH "))

    def tell(self) -> None:
        assert self._process.stdin
        self._process.stdin.write(b"\n")

    def end(self) -> None:
        self._process.kill()


async def beside_a_transfer_of_others(service: Any, wanted: dict[str, str]) -> Facts:
    """p99 of small calls between two programs when idle, and while 1 GB travels between two others."""
    place = {"client": wanted["client"], "url": wanted["url"]}
    callee = await Program.start("service.py", **place)
    caller = await Program.start("probe.py", **place, service=(await callee.facts())["service"])
    await caller.facts()
    caller.tell()
    await asyncio.sleep(float(wanted["window"]))
    caller.tell()
    idle = (await caller.facts())["p99_ms"]
    payload = os.urandom(100 * MB)
    caller.tell()
    for _ in range(TRANSFERS):
        await service.size(payload)
    caller.tell()
    busy = (await caller.facts())["p99_ms"]
    caller.end()
    callee.end()
    return {"p99_apart_idle_ms": idle, "p99_apart_ms": busy, "p99_apart_to_idle": busy / idle}


async def reconnect(_service: Any, wanted: dict[str, str]) -> Facts:
    """From a cut connection to everything registered again, with many services."""
    cutter = Cutter(wanted["url"])
    await cutter.start()
    server = await connect(wanted["client"], cutter.url)
    for number in range(SERVICES):
        await server.register_service({"id": f"s{number}", "work": lambda: None})
    back = asyncio.Event()
    server.rpc.on("services_registered", lambda *_: back.set())
    begun = perf_counter()
    cutter.cut()
    await back.wait()
    return {"reconnect_ms": (perf_counter() - begun) * 1000}


def resident() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB


async def million(service: Any, wanted: dict[str, str]) -> Facts:
    """What a million calls leave in the caller's memory, after the first tenth of them."""
    if wanted["client"] != "polyfn":
        return {}

    async def calls(count: int) -> None:
        for _ in range(count):
            await service.echo(1)

    async def all_of_them(count: int) -> None:
        await asyncio.gather(*(calls(count // IN_FLIGHT) for _ in range(IN_FLIGHT)))

    await all_of_them(MILLION // 10)
    before = resident()
    await all_of_them(MILLION)
    return {"million_calls_mb": resident() - before}


MEASURES: list[Measure] = [
    stream,
    callbacks,
    sized(1),
    sized(10),
    sized(100),
    array,
    beside_a_transfer,
    beside_a_transfer_of_others,
    reconnect,
    million,
]


async def main() -> None:
    wanted = arguments()
    _server, service = await reach_service(wanted["client"], wanted["url"], wanted["service"])
    for measure in MEASURES:
        try:
            say(await asyncio.wait_for(measure(service, wanted), float(wanted["window"]) + 90))
        except Exception as error:
            say({"failed": f"{measure.__name__}: {type(error).__name__}: {str(error)[:200]}"})
    say({"done": True})
    os._exit(0)


asyncio.run(main())
