"""Workspaces come and go: what is told of it, and who has a right in one whose name was another's before."""

from __future__ import annotations

import asyncio
import contextlib
import time

import polyfn
import pytest
from runner import tokens
from runner.servers import ROOT_TOKEN
from runner.web import get, post_json

KINDS = (
    "workspace_loaded",
    "workspace_ready",
    "workspace_status_changed",
    "workspace_unloaded",
    "workspace_deleted",
    "workspace_changed",
)


def person(server, name: str, **more) -> dict:
    token = tokens.Token(user=name, **more).sign()
    return {"server_url": server.url, "token": token, "reconnect": False}


async def made(api, name: str) -> None:
    """Makes a workspace as soon as the name is free: it goes with its last client."""
    deadline = time.monotonic() + 20
    while True:
        try:
            await api.create_workspace({"id": name})
            return
        except polyfn.ConflictError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)  # nothing tells a stranger when the others have left


class Heard:
    """The events that a client hears, of one workspace."""

    def __init__(self, api, workspace: str):
        self.events: list[str] = []
        self.workspace = workspace
        self.changed = asyncio.Event()
        for kind in KINDS:
            api.on(kind, self.note)

    def note(self, message) -> None:
        data = message["data"]
        if self.workspace in (data.get("id"), data.get("workspace")):
            self.events.append(f"{message['type'].removeprefix('workspace_')}:{data.get('status')}"[:24])
            self.changed.set()

    async def until(self, count: int) -> list[str]:
        while len(self.events) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 20)
        kinds = [event.split(":{")[0].removesuffix(":None") for event in self.events]
        self.events.clear()
        return kinds


LOADED = ["loaded", "ready", "status_changed:ready"]
UNLOADED = ["unloaded", "status_changed:not_found"]


async def test_each_change_of_a_workspace_is_told_once(polyfn_server, fresh_name):
    name = fresh_name("lab-life")
    root = {"server_url": polyfn_server.url, "token": ROOT_TOKEN}
    async with (
        polyfn.connect_to_server(root) as admin,
        polyfn.connect_to_server(person(polyfn_server, fresh_name("maker"))) as maker,
        polyfn.connect_to_server(person(polyfn_server, fresh_name("stranger"))) as stranger,
    ):
        for api in (admin, maker, stranger):
            await api.subscribe(list(KINDS))
        heard, own, foreign = (Heard(api, name) for api in (admin, maker, stranger))
        await maker.create_workspace({"id": name})
        assert await heard.until(3) == LOADED
        assert await own.until(3) == LOADED, "whoever makes it hears of it"
        await maker.create_workspace({"id": name, "description": "changed"}, overwrite=True)
        await maker.delete_workspace(name)
        assert await heard.until(2) == UNLOADED
        token = await admin.generate_token({"workspace": name})
        async with polyfn.connect_to_server({"server_url": polyfn_server.url, "token": token}) as guest:
            assert await heard.until(3) == LOADED
            async with polyfn.connect_to_server({"server_url": polyfn_server.url, "token": token}):
                assert (await guest.check_status())["status"] == "ready"
        assert await heard.until(2) == UNLOADED
        await admin.echo(1)
        await stranger.echo(1)
        assert (heard.events, foreign.events) == ([], []), "once each, and to nobody else"


async def test_a_token_does_not_open_a_later_workspace_of_its_name(polyfn_server, fresh_name):
    name, first, second = fresh_name("lab-heir"), fresh_name("first"), fresh_name("second")
    url = polyfn_server.url
    async with polyfn.connect_to_server(person(polyfn_server, first)) as owner:
        await owner.create_workspace({"id": name})
        kept = await owner.generate_token({"workspace": name, "permission": "admin", "expires_in": 9000})
        narrowed = await owner.generate_token({"workspace": name, "services": ["*"]})
        async with polyfn.connect_to_server({"server_url": url, "token": kept}) as guest:
            child = await guest.generate_token({"permission": "read"})
            assert get(f"{url}/{name}/info", token=child).status == 200
    async with polyfn.connect_to_server(person(polyfn_server, second)) as heir:
        await made(heir, name)
        own = await heir.generate_token({"workspace": name, "permission": "read"})
        assert get(f"{url}/{name}/info", token=own).status == 200, "those of the new owner count at once"
        for is_there in (True, False):
            async with contextlib.AsyncExitStack() as stack:
                if is_there:
                    inside = {"server_url": url, "token": own, "reconnect": False}
                    await stack.enter_async_context(polyfn.connect_to_server(inside))
                for old in (kept, child, narrowed):
                    assert get(f"{url}/{name}/info", token=old).status == 403
                    variable = {"key": "a", "value": "b"}
                    assert post_json(f"{url}/{name}/services/ws/set_env", variable, token=old).status == 403
                    with pytest.raises(Exception, match="Permission denied for workspace"):
                        await polyfn.connect_to_server({"server_url": url, "token": old, "reconnect": False})
        # the former owner has nothing left there, whatever it held
        async with polyfn.connect_to_server(person(polyfn_server, first)) as former:
            with pytest.raises(Exception, match="Permission denied"):
                await former.get_workspace_info(name)
            with pytest.raises(Exception, match="permission"):
                await former.generate_token({"workspace": name})
        # an operator's tokens are for whatever is there
        parent = {"https://amun.ai/parent": "root"}
        operators = tokens.Token(user="x", workspace=name, permission="r", claims=parent).sign()
        async with polyfn.connect_to_server({"server_url": url, "token": operators}) as api:
            assert (await api.get_workspace_info())["owners"] == [second], "it is still whose it was"


async def test_a_name_is_not_free_while_somebody_connected_has_a_right_in_it(polyfn_server, fresh_name):
    name, first, second = fresh_name("lab-held"), fresh_name("first"), fresh_name("second")
    holder = person(polyfn_server, first, words=(f"ws:{name}#rw",))
    async with polyfn.connect_to_server(person(polyfn_server, second)) as other:
        async with polyfn.connect_to_server(holder):
            with pytest.raises(Exception, match=f"Workspace already exists: {name}"):
                await other.create_workspace({"id": name})
        await made(other, name)
        late = person(polyfn_server, first, words=(f"ws:{name}#rw",), claims={"iat": int(time.time()) - 60})
        assert get(f"{polyfn_server.url}/{name}/info", token=late["token"]).status == 403


async def test_strangers_over_http_are_not_each_other(polyfn_server, fresh_name):
    url = polyfn_server.url

    async def who(context=None):
        return {"user": context["user"]["id"], "ws": context["ws"]}

    async with polyfn.connect_to_server(person(polyfn_server, fresh_name("host"))) as api:
        config = {"visibility": "public", "require_context": True}
        await api.register_service({"id": "mirror", "who": who, "config": config})
        place = f"{url}/{api.config.workspace}/services/mirror/who"
        seen = [(await asyncio.to_thread(get, place)).json() for _ in range(2)]
        assert seen[0]["user"] != seen[1]["user"]
        for one in seen:
            assert one["ws"] == f"ws-user-{one['user']}"
            assert one["user"].startswith("anonymouz-")
        # nothing came of it, and nobody gets there: neither the other one nor who knows the name
        infos = [get(f"{url}/{one['ws']}/info").status for one in seen]
        assert infos == [403, 403]
        root = {"server_url": url, "token": ROOT_TOKEN}
        async with polyfn.connect_to_server(root) as admin:
            known = {workspace["id"] for workspace in await admin.list_workspaces(limit=1000)}
        assert not known & {one["ws"] for one in seen}
        write = post_json(f"{url}/public/services/ws/set_env", {"key": "a", "value": "b"})
        assert write.status == 403, "a stranger keeps nothing"


async def test_a_name_that_is_not_free_says_no_more_than_that(polyfn_server, fresh_name):
    there, held = fresh_name("lab-there"), fresh_name("lab-right")
    owner, guest = fresh_name("owner"), fresh_name("guest")
    taken = [there, held, f"ws-user-{owner}", f"ws-user-{fresh_name('nobody')}", "ws-anonymous"]
    async with (
        polyfn.connect_to_server(person(polyfn_server, owner)) as first,
        polyfn.connect_to_server(person(polyfn_server, guest, words=(f"ws:{held}#r",))),
        polyfn.connect_to_server(person(polyfn_server, fresh_name("other"))) as other,
    ):
        await first.create_workspace({"id": there, "persistent": True})
        for overwrite, kind in ((False, polyfn.ConflictError), (True, polyfn.PermissionDeniedError)):
            told = set()
            for name in taken:
                with pytest.raises(kind) as refusal:
                    await other.create_workspace({"id": name}, overwrite)
                told.add(str(refusal.value).replace(name, "NAME"))
                assert owner not in str(refusal.value).replace(name, "")
            assert len(told) == 1, told
        await first.delete_workspace(there)
