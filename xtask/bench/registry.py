"""Registers services and looks them up: `registry.py --client polyfn|hypha_rpc --url URL --window SECONDS`.

With `--steps 10,1000` all are in one workspace, with `--workspaces 1000 --each 100` they are in many.
"""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from connections import arguments, connect, echo, say

AT_ONCE = 64
#: Calls after which is told how far it is.
TOLD = 10_000
#: Services in one list at most.
PART = 1000
#: Look-ups whose median is taken.
LOOK_UPS = 300
#: Services of the type that is rare.
RARE = 10

Facts = dict[str, float]


async def many(what: str, calls: list[Callable[[], Awaitable[Any]]]) -> None:
    """Makes all calls, some at a time, and tells how far it is."""
    waiting = iter(enumerate(calls, 1))

    async def work() -> None:
        for number, call in waiting:
            await call()
            if number % TOLD == 0:
                say({"at": f"{number} of {len(calls)} {what}"})

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def service(number: int) -> dict[str, Any]:
    kind = {"type": "rare"} if number < RARE else {}
    return {"id": f"s{number}", "config": {"visibility": "public"}, "work": echo, **kind}


async def median(call: Callable[[], Awaitable[Any]], times: int = LOOK_UPS) -> float:
    taken = []
    for _ in range(times):
        begun = perf_counter()
        await call()
        taken.append(perf_counter() - begun)
    return sorted(taken)[len(taken) // 2] * 1000


async def pause(place: str) -> None:
    say({"waits": place})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def look(server: Any, name: str, some: Callable[[], str], listed: int) -> None:
    """How long look-ups take, one at a time."""
    say({f"look_up_ms@{name}": await median(lambda: server.get_service_info(some()))})
    say({f"get_ms@{name}": await median(lambda: server.get_service(some()))})
    # a message holds so many values at most that longer lists come in parts
    part = {"limit": PART} if listed > PART else {}
    found = await server.list_services(**part)
    if len(found) < min(listed, PART):
        raise ValueError(f"{len(found)} services are listed, not {listed}")
    await pause("listing" if part else "list")
    say({f"list_ms@{name}": await median(lambda: server.list_services(**part), 21)})
    await pause("listed")


async def filtered(server: Any, name: str) -> None:
    found = await server.list_services({"type": "rare"})
    if len(found) != RARE:
        raise ValueError(f"{len(found)} services are of the type, not {RARE}")
    say({f"filter_ms@{name}": await median(lambda: server.list_services({"type": "rare"}), 21)})


async def in_one(wanted: dict[str, str]) -> None:
    server = await connect(wanted["client"], wanted["url"])
    held = 0
    for step in map(int, wanted["steps"].split(",")):
        begun, added = perf_counter(), range(held, step)
        await many("services", [lambda n=number: server.register_service(service(n)) for number in added])
        rate, held = len(added) / (perf_counter() - begun), step
        await pause(str(step))
        await look(server, str(step), lambda held=held: f"s{random.randrange(held)}", held)
        await pause("filled")
    say({"registrations_per_s": rate})
    if wanted["client"] == "polyfn":
        await filtered(server, str(held))


async def in_many(wanted: dict[str, str]) -> None:
    workspaces, each = int(wanted["workspaces"]), int(wanted["each"])
    servers: list[Any] = []

    async def join() -> None:
        servers.append(await connect(wanted["client"], wanted["url"]))

    await many("clients", [join] * workspaces)
    calls = [lambda s=s, n=n: s.register_service(service(n)) for s in servers for n in range(each)]
    await many("services", calls)

    def some() -> str:
        return f"{random.choice(servers).config.workspace}/s{random.randrange(each)}"

    await look(servers[0], "many", some, each)


async def main() -> None:
    wanted = arguments()
    try:
        await (in_one if "steps" in wanted else in_many)(wanted)
    except Exception as error:
        say({"failed": f"{type(error).__name__}: {str(error)[:300]}"})
    say({"done": True})
    os._exit(0)


asyncio.run(main())
