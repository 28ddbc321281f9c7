"""Calls a service on and on between two lines of stdin: `probe.py --client NAME --url URL --service ID`.

Tells the p99 of each such time.
"""

import asyncio
import os
import sys
import threading
from time import perf_counter

from connections import arguments, reach_service, say


async def main() -> None:
    wanted = arguments()
    _server, service = await reach_service(wanted["client"], wanted["url"], wanted["service"])
    say({"ready": True})
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        await lines.get()
        times: list[float] = []
        while lines.empty() or len(times) < 100:
            begun = perf_counter()
            await service.echo(1)
            times.append(perf_counter() - begun)
        await lines.get()
        times.sort()
        say({"p99_ms": times[(len(times) - 1) * 99 // 100] * 1000})


asyncio.run(main())
