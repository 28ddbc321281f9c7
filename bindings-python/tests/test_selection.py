"""How one of several services of a name is chosen."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import polyfn
import pytest

NAMES = ("one", "two", "three")


def calc(name: str, load: float, release: asyncio.Event) -> dict:
    """What each of them offers; `hold` answers when `release` is set."""

    def get_load(context):
        assert context["user"]["id"] != "root", "who asks does so in its own name"
        return load

    def failing(context):
        if name != "three":
            raise ValueError("not me")

    async def hold(context):
        await release.wait()

    return {
        "id": "calc",
        "config": {"require_context": True},
        "get_load": get_load,
        "failing": failing,
        "hold": hold,
        "name_of": lambda context: name,
        "text": lambda context: "no number",
    }


@pytest.fixture
async def workers(server_url, owner):
    """Three clients that offer the same; gives what ends their calls of `hold`."""
    release = asyncio.Event()
    async with AsyncExitStack() as stack:
        token = await owner.generate_token()
        for name, load in zip(NAMES, (3, 1.5, 2), strict=True):
            joining = polyfn.connect_to_server(
                server_url, workspace=owner.workspace, token=token, client_id=name
            )
            client = await stack.enter_async_context(joining)
            await client.register_service(calc(name, load, release))
        yield release
        release.set()


async def chosen(caller, mode, **more):
    return await (await caller.get_service("calc", mode=mode, **more)).name_of()


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("first", {"one"}),
        ("last", {"three"}),
        ("select:min:get_load", {"two"}),
        ("select:max:get_load", {"one"}),
        ("select:first_success:failing", {"three"}),
    ],
)
async def test_modes_that_always_take_the_same(workers, caller, mode, names):
    assert {await chosen(caller, mode) for _ in range(3)} == names
    info = await caller.get_service_info("calc", {"mode": mode})
    assert info["id"].split("/")[1].split(":")[0] in names


@pytest.mark.parametrize("mode", ["random", "select:min:no_such_function", "select:max:text"])
async def test_modes_that_take_any(workers, caller, mode):
    """Also those in which nobody answers what was asked."""
    seen = {await chosen(caller, mode) for _ in range(40)}
    assert seen == set(NAMES)


async def test_exactly_one_by_default(workers, caller):
    with pytest.raises(polyfn.RpcError, match="Multiple services found for"):
        await caller.get_service("calc")


async def test_services_that_do_not_answer_in_time_are_not_chosen(workers, caller):
    begun = asyncio.get_running_loop().time()
    assert await chosen(caller, "select:first_success:hold", select_timeout=0.1) in NAMES
    assert asyncio.get_running_loop().time() - begun < 8


async def test_the_least_loaded_has_fewest_calls_under_way(workers, caller):
    busy = [await caller.get_service(f"{name}:calc") for name in ("one", "two") for _ in range(5)]
    calls = [asyncio.ensure_future(service.hold()) for service in busy]
    # behind the calls on the same connections, so they are under way when this is answered
    await asyncio.gather(*[service.name_of() for service in busy])
    seen = [await chosen(caller, "least_loaded") for _ in range(40)]
    assert seen.count("three") > 15
    workers.set()
    await asyncio.gather(*calls)


async def test_the_one_that_sends_least_has_the_least_load(workers, caller):
    for name in ("one", "three"):
        service = await caller.get_service(f"{name}:calc")
        for _ in range(30):
            await service.name_of()
    assert {await chosen(caller, "min_load") for _ in range(5)} == {"two"}


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("bogus", "Invalid mode: bogus. Mode must be 'random', 'first', 'last', 'exact', 'min_load'"),
        ("select:min", "Invalid select mode format: select:min. Expected 'select:criteria:function'"),
        ("select:best:f", "Unknown selection criteria: best"),
    ],
)
async def test_modes_that_make_no_sense(workers, caller, mode, text):
    with pytest.raises(polyfn.RpcError, match=text):
        await caller.get_service("calc", mode=mode)
