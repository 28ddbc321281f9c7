"""Tokens end: those that an auth service makes with what they were made with, also over a restart.

Without `from __future__ import annotations`: as in the tests of auth services.
"""

import asyncio
import contextlib
import secrets
import time

import polyfn
import pytest
from runner import tokens
from runner.logins import ask
from runner.servers import ROOT_TOKEN, PolyfnServer
from runner.web import get

PASSWORD = "correct horse battery"


def arguments(folder) -> tuple[str, ...]:
    return ("--enable-local-auth", f"--database-uri=sqlite:///{folder}/p.db", f"--jwt-secret={tokens.SECRET}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = PolyfnServer(arguments=arguments(tmp_path_factory.mktemp("ends"))).start()
    yield server
    server.stop()


def settings(server, token: str, **more) -> dict:
    return {"server_url": server.url, "token": token, "reconnect": False, **more}


@contextlib.asynccontextmanager
async def maker(server, made: dict):
    """An auth service that makes tokens which say nothing, and knows whose they are."""

    def generate_token(user, expires_in):
        token = secrets.token_urlsafe(16)
        made[token] = {"id": user["id"], "scope": user["scope"]}
        return token

    api = await polyfn.connect_to_server(settings(server, ROOT_TOKEN, workspace="public"))
    async with api:
        await api.register_auth_service(generate_token=generate_token, parse_token=made.get)
        yield api
        # one of the tests kills the server
        with contextlib.suppress(polyfn.PeerGoneError):
            await api.unregister_auth_service()


def signed_in_before(user: str) -> str:
    """The token of a user who signed in long before anything here was made."""
    return tokens.Token(user, claims={"iat": int(time.time()) - 100}).sign()


async def status(server, workspace: str, token: str) -> int:
    return (await asyncio.to_thread(get, f"{server.url}/{workspace}/info", token=token)).status


async def test_a_made_token_ends_when_its_parent_is_revoked(server, fresh_name, tmp_path):
    name = fresh_name("lab-made")
    made = {}
    async with maker(server, made) as root:
        await root.create_workspace({"id": name, "persistent": True})
        parent = tokens.Token("parent", name, "a").sign()
        async with polyfn.connect_to_server(settings(server, parent)) as client:
            token = await client.generate_token({"permission": "read"})
            assert token in made
        assert await status(server, name, token) == 200
        gone = asyncio.Event()
        child = await polyfn.connect_to_server(settings(server, token, workspace=name))
        child.on("disconnected", lambda *_: gone.set())
        await root.revoke_token(parent)
        await asyncio.wait_for(gone.wait(), 5)
        assert await status(server, name, token) == 401


async def test_a_made_token_ends_with_the_login(server):
    service = f"{server.url}/public/services/hypha-login"
    await asyncio.to_thread(ask, f"{service}/signup", name="Ada", email="ada@made.org", password=PASSWORD)
    login = await asyncio.to_thread(ask, f"{service}/login", email="ada@made.org", password=PASSWORD)
    async with maker(server, {}):
        async with polyfn.connect_to_server(settings(server, login["token"])) as client:
            token = await client.generate_token({})
            assert await status(server, login["workspace"], token) == 200
            change = {"current_password": PASSWORD, "new_password": PASSWORD + "!"}
            await asyncio.to_thread(ask, f"{service}/update_profile", login["token"], **change)
        assert await status(server, login["workspace"], token) == 401


async def test_a_made_token_is_not_for_a_later_workspace_of_its_name(server, fresh_name):
    name = fresh_name("lab-lost")
    async with maker(server, {}):
        async with polyfn.connect_to_server(settings(server, signed_in_before("first"))) as owner:
            await owner.create_workspace({"id": name})
            token = await owner.generate_token({"workspace": name, "permission": "admin"})
            assert await status(server, name, token) == 200
            await owner.delete_workspace(name)
        async with polyfn.connect_to_server(settings(server, tokens.Token("second").sign())) as heir:
            await heir.create_workspace({"id": name})
            assert await status(server, name, token) == 403


async def test_who_asked_for_a_made_token_may_revoke_it(server, fresh_name):
    name = fresh_name("lab-back")
    first = signed_in_before("first")
    async with maker(server, {}), polyfn.connect_to_server(settings(server, first)) as owner:
        await owner.create_workspace({"id": name})
        token = await owner.generate_token({"workspace": name, "permission": "read"})
        assert (await owner.parse_token(token))["parent"] == "first"
        await owner.revoke_token(token)
        assert await status(server, name, token) == 401


async def test_made_tokens_are_limited_and_make_room_when_they_expire(tmp_path):
    server = PolyfnServer(arguments=(*arguments(tmp_path), "--max-auth-service-tokens=2")).start()
    try:
        async with maker(server, {}) as root:
            await root.generate_token({})
            await root.generate_token({"expires_in": 1})
            while True:
                try:
                    await root.generate_token({})
                    break
                except polyfn.OverloadedError:
                    await asyncio.sleep(0.1)  # nobody is told when a token expires
            with pytest.raises(polyfn.OverloadedError, match="2 tokens of the auth service are good"):
                await root.generate_token({})
            assert "max_auth_service_tokens" in (await asyncio.to_thread(get, f"{server.url}/metrics")).text
    finally:
        server.stop()


async def test_what_ended_stays_so_over_a_restart(tmp_path, fresh_name):
    name, made = fresh_name("lab-kept"), {}
    first = PolyfnServer(arguments=arguments(tmp_path)).start()
    async with maker(first, made) as root:
        await root.create_workspace({"id": "lab-parent", "persistent": True})
        parent = tokens.Token("parent", "lab-parent", "a").sign()
        async with polyfn.connect_to_server(settings(first, parent)) as client:
            ended = await client.generate_token({"permission": "read"})
        await root.revoke_token(parent)
        owner = signed_in_before("first")
        async with polyfn.connect_to_server(settings(first, owner)) as client:
            await client.create_workspace({"id": name})
            old = [
                await client.generate_token({"workspace": name, "permission": "admin"}),
                tokens.Token("guest", name, "a").sign(),
            ]
            assert [await status(first, name, token) for token in old] == [200, 200]
            first.process.kill()
            first.process.wait()
    second = PolyfnServer(arguments=arguments(tmp_path)).start()
    try:
        async with maker(second, made):
            assert await status(second, "lab-parent", ended) == 401
            for _ in range(2):
                async with polyfn.connect_to_server(settings(second, tokens.Token("second").sign())) as heir:
                    # the name is somebody else's now, whatever was made for it before
                    await heir.create_workspace({"id": name}, overwrite=True)
                    assert [await status(second, name, token) for token in old] == [403, 403]
                    for token in old:
                        with pytest.raises(Exception, match="Permission denied for workspace"):
                            await polyfn.connect_to_server(settings(second, token))
    finally:
        second.stop()
