"""Memory after many calls is what it was after few."""

from __future__ import annotations

import os

import pytest

#: A million of each by hand: POLYFN_MEMORY_CALLS=1000000.
CALLS = int(os.environ.get("POLYFN_MEMORY_CALLS", "200000"))

PROGRAM = """
    import asyncio, gc, os, sys
    import polyfn

    KIND, CALLS = sys.argv[1], int(sys.argv[2])

    async def later(value):
        await asyncio.sleep(0)
        return value

    async def repeat(function):
        return await function(1)

    def fail():
        raise ValueError("bad")

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def calls(service, count):
        for number in range(count):
            assert (await service.later({"number": number})).number == number

    async def errors(service, count):
        for _ in range(count):
            try:
                await service.fail()
            except ValueError:
                pass

    async def callbacks(service, count):
        for _ in range(count // 4):
            assert await service.repeat(lambda value: value) == 1

    async def items(service, count):
        while count > 0:
            async for _ in await service.make(min(count, 500)):
                count -= 1

    async def abandoned(service, count):
        for _ in range(count // 4):
            await anext(await service.make(10))

    async def main():
        make = lambda count: iter(range(count))
        functions = {"later": later, "repeat": repeat, "fail": fail, "make": make}
        async with polyfn.connect_to_server(os.environ["SERVER_URL"]) as server:
            await server.register_service({"id": "s", **functions})
            service = await server.get_service("s")
            before, work = server.statistics(), globals()[KIND]
            # the first part fills caches and the free lists of the allocator
            parts = []
            for part in (CALLS // 4, CALLS * 3 // 4):
                await asyncio.gather(*(work(service, part // 32) for _ in range(32)))
                gc.collect()
                await server.echo(None)
                parts.append((resident(), len(gc.get_objects())))
            held = {name: count for name, count in server.statistics().items() if count > before[name]}
            (first, objects), (last, objects_last) = parts
            print(last - first, objects_last - objects, held)

    asyncio.run(main())
"""


@pytest.mark.timeout(600)
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the memory in use from /proc")
@pytest.mark.parametrize("kind", ["calls", "errors", "callbacks", "items", "abandoned"])
def test_memory_stays_flat(program, figure, kind):
    count = CALLS if kind == "calls" else CALLS // 8
    ran = program(PROGRAM, kind, str(count), timeout=600, dev=False)
    assert ran.stderr == ""
    grown, objects, held = ran.stdout.split(maxsplit=2)
    figure(
        f"{kind}: {int(grown) / 1024:.0f} KiB and {objects} objects more after {count} than after a quarter"
    )
    # what a leak of one small object for each call would pass by far
    assert int(grown) < max(4 << 20, count * 16)
    assert int(objects) < 1000
    assert held.strip() == "{}"
