"""Nobody can pass for somebody else, and a workspace is a wall."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import jwt
import pytest
from runner import tokens
from runner.peers import PeerError
from runner.servers import ROOT_TOKEN
from runner.sockets import RawClient, RemoteError
from runner.tokens import Token

ROOT_USER = {
    "id": "root",
    "roles": ["admin"],
    "is_anonymous": False,
    "scope": {
        "current_workspace": "*",
        "workspaces": {"*": "a"},
        "client_id": None,
        "extra_scopes": None,
    },
    "email": None,
    "parent": None,
    "expires_at": None,
    "current_workspace": None,
}


def forged(victim: RawClient) -> dict:
    """Routing keys as a liar would write them."""
    user = {**victim.info["user"], "roles": ["admin"]}
    return {
        "from": victim.address,
        "ws": victim.workspace,
        "user": user,
        "ctx": {
            "type": "method",
            "from": victim.address,
            "to": victim.manager,
            "ws": victim.workspace,
            "user": user,
        },
    }


PLACES = ("main", "extra")


@pytest.fixture
def victim(polyfn_server):
    """A client with a protected service in a workspace of its own."""
    with RawClient(polyfn_server.ws_url, token=tokens.member("victim"), client_id="victim") as client:
        client.register_builtin()
        client.call_manager("register_service", client.service_info("secret"))
        client.call_manager("register_service", client.service_info("open", visibility="public"))
        yield client


@pytest.fixture
def liar(polyfn_server):
    """An anonymous client of another workspace."""
    with RawClient(polyfn_server.ws_url) as client:
        client.register_builtin()
        yield client


def outcome(call):
    """The result of a call, or None when it is rejected: both may be right, only the result may leak."""
    try:
        return call()
    except RemoteError:
        return None


# -- lies to the manager -----------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", ["from", "ws", "user", "ctx", "all"])
def test_a_lie_lists_no_other_workspace(victim, liar, place, key):
    lie = forged(victim) if key == "all" else {key: forged(victim)[key]}
    listed = outcome(lambda: liar.call_manager("list_services", **{place: lie}))
    assert "secret" not in str(listed)
    assert victim.address not in str(listed)
    clients = outcome(lambda: liar.call_manager("list_clients", **{place: lie}))
    assert victim.address not in str(clients)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", ["from", "ws", "user", "ctx", "all"])
@pytest.mark.parametrize("asked", [None, "victim", "root"])
def test_a_lie_gets_no_token_of_another_workspace(victim, liar, place, key, asked):
    lie = forged(victim) if key == "all" else {key: forged(victim)[key]}
    config = {} if asked is None else {"workspace": f"ws-user-{asked}", "permission": "admin"}
    token = outcome(lambda: liar.call_manager("generate_token", config, **{place: lie}))
    if token is not None:
        scope = jwt.decode(token, options={"verify_signature": False})["scope"]
        assert liar.workspace in scope
        assert "victim" not in scope
        assert "root" not in scope


@pytest.mark.parametrize("place", PLACES)
def test_a_lie_registers_nothing_elsewhere(victim, liar, place):
    info = {**liar.service_info("planted", visibility="public"), "id": f"{victim.address}:planted"}
    outcome(lambda: liar.call_manager("register_service", info, **{place: forged(victim)}))
    assert "planted" not in str(victim.call_manager("list_services"))


@pytest.mark.parametrize("place", PLACES)
def test_a_lie_removes_nothing_elsewhere(victim, liar, place):
    for name in ("secret", f"{victim.address}:secret"):
        outcome(lambda name=name: liar.call_manager("unregister_service", name, **{place: forged(victim)}))
    assert f"{victim.address}:secret" in [item["id"] for item in victim.call_manager("list_services")]


@pytest.mark.parametrize("place", PLACES)
def test_a_lie_about_root_makes_no_administrator(liar, place):
    lie = {**forged(liar), "user": ROOT_USER, "ctx": {**forged(liar)["ctx"], "user": ROOT_USER}}
    workspace = {"id": "by-a-liar", "name": "x", "description": "x", "owners": []}
    with pytest.raises(RemoteError):
        liar.call_manager("create_workspace", workspace, **{place: lie})


@pytest.mark.parametrize("key", ["ctx", "from", "to", "ws", "user", "type", "method", "session"])
def test_routing_keys_in_the_payload_change_nothing(liar, key):
    """The call is refused or served as if the key were not there."""
    lie = {"type": "event", "method": "services.default.log", "session": "elsewhere", "to": "*"}
    value = {**forged(liar), **lie}[key]
    session = liar.start_call(liar.manager, "services.default.echo", "mine", extra={key: value})
    assert outcome(lambda: liar.finish_call(session)) in (None, "mine")


# -- lies to a client --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["from", "ws", "user", "ctx", "all"])
def test_the_receiver_learns_the_true_sender(polyfn_server, victim, key):
    lies = {"from": "elsewhere/somebody", "ws": "elsewhere", "user": ROOT_USER, "ctx": {"user": ROOT_USER}}
    lie = lies if key == "all" else {key: lies[key]}
    with RawClient(polyfn_server.ws_url, token=tokens.member("victim")) as colleague:
        colleague.start_call(victim.address, "services.secret.read", 1, main=lie)
        main, extra = victim.receive()
        assert main["from"] == colleague.address
        assert main["ws"] == colleague.workspace
        assert main["user"]["id"] == colleague.info["user"]["id"]
        assert "ctx" not in main
        assert extra["args"] == [1]


def test_the_relay_drops_routing_keys_that_it_does_not_know(polyfn_server, victim):
    with RawClient(polyfn_server.ws_url, token=tokens.member("victim")) as colleague:
        colleague.start_call(
            victim.address, "services.secret.read", 1, main={"evil": 1, "ctx": {}, "args": [2]}
        )
        main, _ = victim.receive()
    assert set(main) == {"type", "from", "to", "method", "session", "ws", "user"}


@pytest.mark.parametrize("place", PLACES)
def test_our_clients_run_no_protected_function_for_a_liar(pool, polyfn_kind, place, liar):
    """Vector 90: a `from` in the payload made the reference's clients run it."""
    service = pool.service("polyfn", polyfn_kind, "hypha_rpc-python", "rpc")
    owner = service.connection
    target = f"{owner.workspace}/{polyfn_kind}-callee"
    lie = {"from": target, "ws": owner.workspace, "ctx": {"from": target, "ws": owner.workspace}}
    with pytest.raises((RemoteError, TimeoutError)) as caught:
        liar.call(target, "services.rpc.add", 1, 2, **{place: lie}, limit=5)
    if isinstance(caught.value, RemoteError):
        assert caught.value.text.strip() != "3"


@pytest.mark.parametrize("place", PLACES)
def test_our_clients_tell_a_function_its_true_caller(polyfn_server, pool, polyfn_kind, place):
    pool.service("polyfn", polyfn_kind, "hypha_rpc-python", "context")
    lie = {
        "from": "elsewhere/root",
        "ws": "elsewhere",
        "user": ROOT_USER,
        "ctx": {"user": ROOT_USER, "ws": "x"},
    }
    with RawClient(polyfn_server.ws_url, token=tokens.member("matrix")) as colleague:
        target = f"{colleague.workspace}/{polyfn_kind}-callee"
        answer = outcome(lambda: colleague.call(target, "services.context.whoami", "x", **{place: lie}))
        if answer is not None:
            assert answer["user"] == "matrix"
            assert answer["from"] == colleague.address
            assert answer["ws"] == colleague.workspace


@pytest.mark.parametrize("way", ["keyword", "position"])
def test_a_caller_does_not_give_our_clients_its_context(pool, server_kind, polyfn_kind, way):
    service = pool.service(server_kind, polyfn_kind, "hypha_rpc-python", "context")
    lie = {"ws": "elsewhere", "from": "elsewhere/root", "user": ROOT_USER}
    args, keywords = (("x", lie), {}) if way == "position" else ((), {"tag": "x", "context": lie})
    with suppress(PeerError):  # it may be refused
        answer = service.call("whoami", *args, **keywords)
        assert (answer["user"], answer["ws"]) == ("matrix", service.connection.workspace)


# -- the wall ----------------------------------------------------------------------------------


def test_a_protected_service_is_refused_to_strangers(victim, liar):
    with pytest.raises(RemoteError) as caught:
        liar.call_manager("get_service", f"{victim.address}:secret")
    assert f"Service not found: {victim.address}:secret" in caught.value.text
    listed = liar.call_manager("list_services", victim.workspace)
    ids = [item["id"] for item in listed]
    assert f"{victim.address}:open" in ids
    assert f"{victim.address}:secret" not in ids


def test_a_direct_call_of_a_protected_service_never_arrives(victim, liar):
    with pytest.raises(RemoteError) as caught:
        liar.call(victim.address, "services.secret.read", 1, limit=3)
    assert "ermission denied" in caught.value.text
    assert victim.quiet() == []


@pytest.mark.parametrize("what", [None, "method", "event"])
def test_no_other_message_crosses_the_wall(victim, liar, what):
    """Neither a session of nobody, nor an event, nor anything without a type."""
    fields = {"type": what, "to": victim.address, "from": liar.address, "method": "some-session.resolve"}
    liar.send({key: value for key, value in fields.items() if value is not None}, {"args": [1]})
    liar.send({"type": "custom", "to": victim.address, "data": 1})
    assert liar.call_manager("echo", 1) == 1
    assert victim.quiet() == []


def test_a_public_service_is_open_to_strangers(victim, liar):
    session = liar.start_call(victim.address, "services.open.read", 1)
    request, extra = victim.receive()
    assert (request["from"], request["ws"], extra["args"]) == (liar.address, liar.workspace, [1])
    victim.answer(request, "read")
    assert liar.finish_call(session) == "read"


def test_a_broadcast_stays_in_its_workspace(polyfn_server, victim, liar):
    victim.call_manager("subscribe", ["custom"])
    liar.call_manager("subscribe", ["custom"])
    for target in (f"{victim.workspace}/*", "*/*", "*", victim.address):
        liar.send({"type": "custom", "to": target, "data": f"to {target}"})
    assert liar.call_manager("echo", 1) == 1
    assert victim.quiet() == []

    with RawClient(polyfn_server.ws_url, token=tokens.member("victim")) as colleague:
        colleague.send({"type": "custom", "to": "*", "data": "news"})
        main, extra = victim.receive()
        assert main["type"] == "custom"
        assert {**main, **(extra or {})}["data"] == "news"


def test_events_of_one_workspace_are_not_told_in_another(polyfn_server, victim, liar):
    liar.call_manager("subscribe", ["client_connected", "client_disconnected", "service_added"])
    with RawClient(polyfn_server.ws_url, token=tokens.member("victim")) as colleague:
        colleague.register_builtin()
        colleague.call_manager("register_service", colleague.service_info("more", visibility="public"))
    assert victim.workspace not in str(liar.quiet())


def test_errors_do_not_tell_who_is_in_another_workspace(victim, liar):
    texts = []
    for target in (f"{victim.workspace}/victim", f"{victim.workspace}/nobody"):
        with pytest.raises(RemoteError) as caught:
            liar.call(target, "services.secret.read", limit=3)
        texts.append(caught.value.text.replace(target, "T").replace(target.split("/")[1], "C"))
    assert texts[0] == texts[1]


# -- rights of tokens --------------------------------------------------------------------------


@pytest.fixture
def reader(polyfn_server, victim):
    token = Token("reader", workspace=victim.workspace, permission="r").sign()
    with RawClient(polyfn_server.ws_url, token=token) as client:
        yield client


def test_a_reader_reads(victim, reader):
    assert f"{victim.address}:secret" in [item["id"] for item in reader.call_manager("list_services")]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("echo", [1]), ("log", ["x"]), ("generate_token", []), ("generate_token", [{"permission": "read"}])],
)
def test_a_reader_may_do_no_more(reader, method, arguments):
    with pytest.raises(RemoteError):
        reader.call_manager(method, *arguments)


def test_a_reader_registers_nothing(victim, reader):
    with pytest.raises(RemoteError) as caught:
        reader.call_manager("register_service", reader.service_info("mine"))
    assert "ermission denied" in caught.value.text


def test_a_reader_may_not_broadcast(victim, reader):
    victim.call_manager("subscribe", ["custom"])
    session = "s1"
    reader.send({"type": "custom", "to": "*", "session": session, "data": 1})
    with pytest.raises(RemoteError) as caught:
        reader.finish_call(session)
    assert caught.value.text.startswith(f"Read-only client {reader.address} cannot broadcast messages.")
    assert victim.quiet() == []


def test_a_token_gives_no_more_than_its_maker_has(polyfn_server, liar):
    token = liar.call_manager("generate_token", {"permission": "read"})
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["scope"] == f"ws:{liar.workspace}#r wid:{liar.workspace}"
    assert claims["https://amun.ai/parent"] == liar.info["user"]["id"]
    assert claims["exp"] - claims["iat"] == 3600
    with RawClient(polyfn_server.ws_url, token=token) as guest, pytest.raises(RemoteError):
        guest.call_manager("generate_token", {"permission": "admin"})


def test_a_writer_makes_no_tokens(polyfn_server, victim):
    token = Token("writer", workspace=victim.workspace, permission="rw").sign()
    with RawClient(polyfn_server.ws_url, token=token) as writer:
        assert writer.call_manager("echo", 1) == 1
        with pytest.raises(RemoteError):
            writer.call_manager("generate_token")


def test_the_root_token_is_root(polyfn_server):
    with RawClient(polyfn_server.ws_url, token=ROOT_TOKEN) as root:
        assert root.info["user"]["id"] == "root"
        assert root.workspace == "ws-user-root"
    with pytest.raises(PermissionError):
        RawClient(polyfn_server.ws_url, token=ROOT_TOKEN + "x")


def test_a_client_registers_under_its_own_name_only(polyfn_server, victim):
    with RawClient(polyfn_server.ws_url, token=tokens.member("victim")) as colleague:
        colleague.register_builtin()
        for name in (f"{victim.workspace}/ghost:x", f"{victim.address}:x"):
            info = {**colleague.service_info("x"), "id": name}
            with pytest.raises(RemoteError):
                colleague.call_manager("register_service", info)


def test_services_of_strangers_are_called_through_our_clients(pool, polyfn_kind, polyfn_server, fresh_name):
    """The wall has its door: public services, and callbacks of a call of them, in both directions."""
    peer = pool.peer("polyfn", polyfn_kind)
    with ExitStack() as stack:
        owner = peer.connect(fresh_name(), polyfn_server.url)
        stack.callback(owner.disconnect)
        owner.register("rpc", "open", visibility="public")
        owner.register("rpc", "closed")
        guest = peer.connect(fresh_name(), polyfn_server.url)
        stack.callback(guest.disconnect)
        service = guest.get(f"{owner.workspace}/{owner.client_id}:open")
        assert service.call("add", 1, 2) == 3
        assert service.call("repeat", {"$callback": "double"}, 3) == [0, 2, 4]
        assert service.call("multiplier", 2) == {"$then": 42}
        with pytest.raises(PeerError):
            guest.get(f"{owner.workspace}/{owner.client_id}:closed")
