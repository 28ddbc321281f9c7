"""Objects whose functions outlive the call that brought them, and the keys of a connection."""

from __future__ import annotations

import asyncio
import gc
import weakref

import polyfn
import pytest


@pytest.fixture
def keep(offer):
    """A service that keeps what it is given."""
    kept = []
    return offer(keep=kept.append), kept


async def test_a_dict_is_called_after_its_call_until_either_side_ends_it(owner, caller, keep):
    service, kept = await keep[0], keep[1]
    for end in ("dispose", "unregister"):
        beeps = {
            "_rintf": True,
            "beep": lambda text: text * 2,
            "deep": {"er": lambda: "down"},
            "name": "robot",
        }
        await service.keep(beeps)
        assert beeps["_rintf_service_id"].startswith("_rintf_")
        robot = kept.pop()
        assert (await robot.beep("ab"), await robot.deep.er(), robot.name) == ("abab", "down", "robot")
        assert robot._rintf_service_id == beeps["_rintf_service_id"]
        held = weakref.ref(beeps["beep"])
        del beeps["beep"]
        if end == "dispose":
            await robot._dispose()
        else:
            await caller.unregister_service(beeps["_rintf_service_id"])
        with pytest.raises(polyfn.NotFoundError, match="Method expired or not found"):
            await robot.beep("x")
        await asyncio.sleep(0)
        gc.collect()
        assert held() is None, "what was given is let go"
        assert caller.statistics()["interfaces"] == 0


async def test_functions_that_come_home(offer, owner, caller):
    async def use(function):
        return await function(2)

    service = await offer(make=lambda: lambda number: number + 1, use=use)
    assert await service.use(await service.make()) == 3, "given away in a result"

    async def give_back(function):
        return await service.use(function)

    await caller.register_service({"id": "through", "through": give_back})
    through = await owner.get_service(f"{caller.client_id}:through")
    assert await through.through(lambda number: number + 1) == 3, "and in the arguments of a call under way"


async def test_an_object_gives_its_public_methods(keep):
    class Robot:
        _rintf = True

        def __init__(self):
            self.name = "robot"
            self.beeps = 0

        def beep(self):
            self.beeps += 1
            return self.beeps

        async def say(self, text):
            return f"{self.name}: {text}"

        def _hidden(self):
            return "not given"

    service, kept = await keep[0], keep[1]
    robot = Robot()
    await service.keep(robot)
    given = kept.pop()
    assert (await given.beep(), await given.beep(), await given.say("hi")) == (1, 2, "robot: hi")
    assert (robot.beeps, given.name) == (2, "robot")
    assert "_hidden" not in given
    assert robot._rintf_service_id == given._rintf_service_id


async def test_what_was_received_can_be_sent_on(owner, caller, keep):
    service, kept = await keep[0], keep[1]
    await service.keep({"_rintf": True, "beep": lambda: "beep"})
    robot = kept.pop()
    got = []
    info = await caller.register_service({"id": "back", "take": got.append})
    back = await owner.get_service(info.id)
    await back.take(robot)
    assert await got[0].beep() == "beep"
    assert owner.statistics()["interfaces"] == 0, "it stays its owner's"


async def test_a_result_may_be_one(offer):
    service = await offer(make=lambda: {"_rintf": True, "beep": lambda: "beep"})
    robot = await service.make()
    await asyncio.sleep(0)
    assert await robot.beep() == "beep"


async def test_without_functions_it_is_data(keep):
    service, kept = await keep[0], keep[1]
    value = {"_rintf": True, "a": 1}
    await service.keep(value)
    assert kept == [value]
    assert "_rintf_service_id" not in value


async def test_its_calls_end_with_its_owner(server_url, owner):
    called = asyncio.Event()
    token = await owner.generate_token()
    async with polyfn.connect_to_server(
        server_url, workspace=owner.workspace, token=token, method_timeout=30, rintf_timeout=0.2
    ) as quick:
        got = []
        info = await quick.register_service({"id": "quick", "keep": got.append})

        async def slow():
            called.set()
            await asyncio.Event().wait()

        async def quickly():
            return "in time"

        functions = {"_rintf": True, "slow": slow, "quickly": quickly}
        await (await owner.get_service(info.id)).keep(functions)
        assert await got[0].quickly() == "in time"
        under_way = asyncio.ensure_future(got[0].slow())
        await called.wait()
        await owner.disconnect()
        with pytest.raises(polyfn.PeerGoneError):
            await under_way
        with pytest.raises(polyfn.RpcError):
            await got[0].quickly()


async def test_keys_are_made_or_given(server_url):
    private = bytes(range(32))
    async with polyfn.connect_to_server(server_url, encryption=True) as made:
        key = made.get_public_key()
        assert key is not None
        assert len(bytes.fromhex(key)) == 32
    for form in (private, private.hex()):
        async with polyfn.connect_to_server(
            server_url, encryption=True, encryption_private_key=form
        ) as given:
            assert (
                given.get_public_key() == "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"
            )
    async with polyfn.connect_to_server(server_url) as plain:
        assert plain.get_public_key() is None
    with pytest.raises(polyfn.InvalidError, match="64 hexadecimal digits"):
        await polyfn.connect_to_server(server_url, encryption=True, encryption_private_key="ab")


async def test_the_key_of_a_service_is_checked_before_anything_is_sent(owner):
    with pytest.raises(polyfn.InvalidError, match="64 hexadecimal digits"):
        await owner.get_service("x", encryption_public_key="ab")
    with pytest.raises(polyfn.InvalidError, match="needs a connection with encryption"):
        await owner.get_service("x", {"encryption_public_key": "07" * 32})
