"""Tokens of our server and of the reference one, with one secret: each is good at the other."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time

import jwt
import polyfn
import pytest
from runner import tokens
from runner.peers import ROOT, environment, node_command
from runner.servers import ROOT_TOKEN
from runner.sockets import RawClient
from runner.web import get

pytestmark = pytest.mark.usefixtures("both")


@pytest.fixture(scope="module")
def both(polyfn_server, hypha_server):
    return {"polyfn": polyfn_server, "hypha": hypha_server}


WAYS = [("polyfn", "hypha"), ("hypha", "polyfn")]


def claims(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


def connect(server, token: str, **more):
    return polyfn.connect_to_server({"server_url": server.url, "token": token, "reconnect": False, **more})


def root(server, **more):
    return connect(server, ROOT_TOKEN, **more)


@pytest.mark.parametrize(("maker", "taker"), WAYS)
async def test_a_token_is_good_at_the_other_server(both, fresh_name, maker, taker):
    workspace = fresh_name("ws-exchange")
    for kind in ("polyfn", "hypha"):
        # before its tokens, and with somebody who may
        async with root(both[kind]) as keeper:
            await keeper.create_workspace({"id": workspace, "persistent": kind == "polyfn"})
    user = fresh_name("exchanger")
    own = tokens.Token(user=user, workspace=workspace, permission="a").sign()
    async with connect(both[maker], own) as api:
        made = await api.generate_token(
            {"workspace": workspace, "permission": "read", "expires_in": 500, "extra_scopes": ["blue"]}
        )
        bound = await api.generate_token({"workspace": workspace, "client_id": "only-me"})
    found = claims(made)
    assert found["scope"] == f"ws:{workspace}#r wid:{workspace} blue"
    assert found["exp"] - found["iat"] == 500
    assert found[f"{tokens.NAMESPACE}parent"] == user
    async with connect(both[taker], own) as keeper:
        told = await keeper.parse_token(made)
        assert (told["id"], told["parent"]) == (found["sub"], user)
        assert told["scope"]["workspaces"] == {workspace: "r", f"ws-user-{found['sub']}": "a"}
        assert told["scope"]["extra_scopes"] == ["blue"]
        assert get(f"{both[taker].url}/{workspace}/info", token=made).status == 200
        async with connect(both[taker], bound, client_id="only-me") as guest:
            assert (guest.config.workspace, await guest.echo(5)) == (workspace, 5)
        with pytest.raises(Exception, match="Client id mismatch"):
            await connect(both[taker], bound, client_id="somebody-else")


@pytest.mark.parametrize(("maker", "taker"), WAYS)
async def test_what_ends_or_is_changed_is_refused_there_too(both, fresh_name, maker, taker):
    async with connect(both[maker], tokens.member(fresh_name("exchanger"))) as api:
        made = await api.generate_token({"expires_in": 1})
    head, payload, signature = made.split(".")
    forged = ".".join((head, payload, ("A" if signature[0] != "A" else "B") + signature[1:]))
    with pytest.raises(Exception, match=r"[Ss]ignature verification failed"):
        await connect(both[taker], forged)
    # it is the token's own time that is waited for
    await asyncio.sleep(max(0.0, claims(made)["exp"] + 1 - time.time()))
    with pytest.raises(Exception, match="The token has expired"):
        await connect(both[taker], made)


@pytest.mark.parametrize(("maker", "taker"), WAYS)
async def test_a_user_token_makes_child_tokens_at_the_other_server(both, fresh_name, maker, taker):
    user = fresh_name("exchanger")
    own = tokens.member(user)
    async with connect(both[maker], own) as api:
        child = await api.generate_token({"permission": "admin"})
    assert claims(child)[f"{tokens.NAMESPACE}parent"] == user
    async with connect(both[taker], own) as keeper:
        assert keeper.config.workspace == tokens.own_workspace(user)
        async with connect(both[taker], child) as guest:
            assert guest.config.workspace == tokens.own_workspace(user)
            grandchild = await guest.generate_token({"permission": "read"})
        assert claims(grandchild)[f"{tokens.NAMESPACE}parent"] == user, "whoever was there first"
        # and back
        async with connect(both[maker], own):
            url = f"{both[maker].url}/{tokens.own_workspace(user)}/info"
            assert get(url, token=grandchild).status == 200


@pytest.mark.parametrize(("maker", "taker"), WAYS)
def test_a_stranger_comes_back_at_the_other_server(both, maker, taker):
    with RawClient(both[maker].ws_url, client_id="wanderer") as here:
        info = here.info
    found = claims(info["reconnection_token"])
    workspace = info["workspace"]
    assert found["scope"].split()[-2:] == ["cid:wanderer", f"wid:{workspace}"]
    assert found["exp"] - found["iat"] == 172_800
    assert found[f"{tokens.NAMESPACE}roles"] == ["anonymous"]
    back = {
        "reconnection_token": info["reconnection_token"],
        "client_id": "wanderer",
        "workspace": workspace,
    }
    with RawClient(both[taker].ws_url, **back) as there:
        assert there.info["workspace"] == workspace
        assert there.info["user"]["id"] == info["user"]["id"]
        assert there.info["user"]["is_anonymous"]


@pytest.mark.parametrize("narrow", [{"services": ["shop"]}, {"methods": ["get_*"]}, {"max_uses": 3}], ids=str)
async def test_our_client_takes_no_wide_token_for_a_narrowed_one(both, narrow):
    own = tokens.member("narrower")
    async with connect(both["polyfn"], own) as api:
        assert "polyfn:ws:" in claims(await api.generate_token(narrow))["scope"]
    async with connect(both["hypha"], own) as api:
        with pytest.raises(polyfn.InvalidError, match="this server makes no narrowed tokens"):
            await api.generate_token(narrow)
        assert "ws:" in claims(await api.generate_token({"permission": "read"}))["scope"]


async def test_a_narrowed_token_opens_nothing_at_the_reference(both):
    own = tokens.member("narrower")
    async with connect(both["polyfn"], own) as api:
        narrowed = await api.generate_token({"services": ["shop"]})
    with pytest.raises(Exception, match="Specialized token"):
        await connect(both["hypha"], narrowed)
    async with connect(both["hypha"], own):
        url = f"{both['hypha'].url}/{tokens.own_workspace('narrower')}/info"
        assert get(url, token=narrowed).status == 403


NODE = """
const { connectToServer } = await import(process.cwd() + "/bindings-node/lib/index.js");
const [server_url, token] = process.argv.slice(2);
const api = await connectToServer({ server_url, token });
const refused = (error) => `${error.name}: ${error.message}`;
const said = await api.generateToken({ services: ["shop"] }).catch(refused);
const wide = await api.generateToken({ permission: "read" });
console.log(JSON.stringify([said, wide]));
process.exit(0);
"""


@pytest.mark.parametrize("kind", ["polyfn", "hypha"])
def test_the_client_of_node_neither(both, tmp_path, kind):
    program = tmp_path / "narrow.mjs"
    program.write_text(NODE)
    command = [*node_command(program), both[kind].url, tokens.member("narrower")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=60)
    said, wide = json.loads(done.stdout.splitlines()[-1])
    assert "ws:ws-user-narrower#r" in claims(wide)["scope"]
    if kind == "polyfn":
        assert "polyfn:svc:shop" in claims(said)["scope"]
    else:
        assert said.startswith("InvalidError: this server makes no narrowed tokens")
