"""A function called by RPC: `cost.py --client polyfn|hypha_rpc --url URL --service ID --window SECONDS`."""

import asyncio
import os
from time import perf_counter

from connections import arguments, reach_service, say

WARM_UP = 300
EVENT = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/hello",
    "query_string": "",
    "headers": {"host": "127.0.0.1", "accept": "*/*"},
    "body": None,
    "function_path": "/hello",
    "user": {"id": "anonymous", "is_anonymous": True},
}


async def main() -> None:
    wanted = arguments()
    _server, service = await reach_service(wanted["client"], wanted["url"], wanted["service"])
    for _ in range(WARM_UP):
        await service.hello(EVENT)
    times = []
    end = perf_counter() + float(wanted["window"])
    while (begun := perf_counter()) < end:
        await service.hello(EVENT)
        times.append(perf_counter() - begun)
    times.sort()
    say({"p50_ms": times[len(times) // 2] * 1000})
    say({"done": True})
    os._exit(0)


asyncio.run(main())
