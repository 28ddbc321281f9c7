"""Calls over a connection that breaks and comes back."""

from __future__ import annotations

import asyncio

import hypha_rpc
import polyfn
import pytest
from runner.proxy import Proxy


async def join(package, proxy, owner, **more):
    """A client that is called `cut`, behind a proxy."""
    place = {"server_url": proxy.url, "workspace": owner.workspace, "client_id": "cut"}
    return await package.connect_to_server({**place, "token": await owner.generate_token(), **more})


async def cut_off(client, proxy):
    """Cuts a client off until the proxy lets it in again; gives what tells that it is back."""
    away, back = asyncio.Event(), asyncio.Event()
    client.on("disconnected", lambda _: away.set())
    client.on("connected", lambda _: back.set())
    proxy.upgrades = "cut"
    proxy.cut()
    await asyncio.wait_for(away.wait(), 5)
    return back


class Slow:
    """A function of the owner that ends when it is told to."""

    def __init__(self):
        self.begun, self.release = asyncio.Event(), asyncio.Event()

    async def work(self):
        self.begun.set()
        await self.release.wait()
        return "done"

    async def call(self, owner, client):
        """Begins a call, and gives what waits for its end."""
        await owner.register_service({"id": "slow", "work": self.work})
        service = await client.get_service(f"{owner.client_id}:slow")
        call = asyncio.ensure_future(service.work())
        await self.begun.wait()
        return call


@pytest.mark.parametrize("package", [polyfn, hypha_rpc])
async def test_a_call_outlives_a_short_cut(server_url, owner, package):
    slow, back = Slow(), asyncio.Queue()
    await owner.subscribe("client_connected")
    with Proxy(server_url) as proxy:
        client = await join(package, proxy, owner)
        call = await slow.call(owner, client)
        owner.on("client_connected", lambda event: back.put_nowait(event["data"]["id"]))
        proxy.cut()
        while not (await asyncio.wait_for(back.get(), 10)).endswith("cut"):
            pass
        slow.release.set()
        assert await asyncio.wait_for(call, 10) == "done"
        await client.disconnect()


@pytest.mark.parametrize("package", [polyfn, hypha_rpc])
async def test_a_result_waits_for_its_caller(server_url, owner, package):
    slow, gone = Slow(), asyncio.Event()
    await owner.subscribe("client_disconnected")
    owner.on("client_disconnected", lambda _: gone.set())
    with Proxy(server_url) as proxy:
        client = await join(package, proxy, owner)
        call = await slow.call(owner, client)
        proxy.upgrades = "cut"
        proxy.cut()
        await asyncio.wait_for(gone.wait(), 10)
        slow.release.set()
        # behind the result, which has nobody to go to
        await owner.echo(None)
        proxy.upgrades = "pass"
        assert await asyncio.wait_for(call, 20) == "done"
        await client.disconnect()


async def test_a_call_given_up_while_away_is_never_made(server_url, owner):
    paid = []
    await owner.register_service({"id": "shop", "config": {"visibility": "public"}, "pay": paid.append})
    with Proxy(server_url) as proxy:
        client = await polyfn.connect_to_server(proxy.url, transport="websocket")
        shop = await client.get_service(f"{owner.workspace}/{owner.client_id}:shop")
        back = await cut_off(client, proxy)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(shop.pay(1), 0.2)
        with pytest.raises(polyfn.RpcTimeoutError):
            await shop.pay.with_options(timeout=0.2)(2)
        proxy.upgrades = "pass"
        await asyncio.wait_for(back.wait(), 20)
        await shop.pay(3)
        assert paid == [3]
        await client.disconnect()


async def test_a_registration_given_up_while_away_is_never_made(server_url, owner):
    with Proxy(server_url) as proxy:
        client = await join(polyfn, proxy, owner, transport="websocket")
        back = await cut_off(client, proxy)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.register_service({"id": "late", "add": max}), 0.2)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.subscribe("late"), 0.2)
        proxy.upgrades = "pass"
        await asyncio.wait_for(back.wait(), 20)
        assert await client.echo(1) == 1
        with pytest.raises(polyfn.NotFoundError):
            await owner.get_service("cut:late")
        assert client.statistics()["calls"] == 0
        await client.disconnect()


async def test_who_leaves_for_good_says_so(server_url, owner):
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work():
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await owner.register_service({"id": "long", "config": {"visibility": "public"}, "work": work})
    client = await polyfn.connect_to_server(server_url)
    service = await client.get_service(f"{owner.workspace}/{owner.client_id}:long")
    call = asyncio.ensure_future(service.work())
    await begun.wait()
    await client.disconnect()
    await asyncio.wait_for(cancelled.wait(), 5)
    with pytest.raises(polyfn.PeerGoneError):
        await call
