"""Coming, going and coming back: every client kind on our server and on the reference."""

from __future__ import annotations

import pytest
from runner import peers, servers, tokens
from runner.peers import PeerError
from runner.proxy import Proxy
from runner.waiting import eventually


@pytest.fixture
def peer(pool, server_kind, peer_kind):
    """The program of this kind."""
    return pool.peer(server_kind, peer_kind)


@pytest.fixture
def observer(pool, server_kind):
    """A client of another make that watches."""
    return pool.connection(server_kind, "hypha_rpc-python", "observer")


def test_anonymous_users_get_a_workspace_of_their_own(server, peer, fresh_name):
    one = peer.connect(fresh_name(), server.url)
    two = peer.connect(fresh_name(), server.url)
    try:
        assert one.user["is_anonymous"] is True
        assert one.workspace == tokens.own_workspace(one.user["id"])
        assert one.workspace != two.workspace
    finally:
        one.disconnect()
        two.disconnect()


def test_a_token_decides_user_and_workspace(server, peer, fresh_name):
    user = fresh_name("user")
    connection = peer.connect(fresh_name(), server.url, token=tokens.member(user), client_id="chosen-id")
    try:
        assert connection.workspace == tokens.own_workspace(user)
        assert connection.client_id == "chosen-id"
        assert connection.user["id"] == user
        assert connection.user["is_anonymous"] is False
    finally:
        connection.disconnect()


def test_a_bad_token_is_refused(server, peer, fresh_name):
    with pytest.raises(PeerError):
        peer.connect(fresh_name(), server.url, token=tokens.member("eve", lifetime=-60), method_timeout=10)


def test_a_generated_token_lets_another_client_in(server, peer, fresh_name):
    owner = peer.connect(fresh_name(), server.url)
    token = owner.manager("generate_token")
    guest = peer.connect(fresh_name(), server.url, token=token, workspace=owner.workspace)
    try:
        assert guest.workspace == owner.workspace
        assert guest.manager("echo", "still here") == "still here"
    finally:
        guest.disconnect()
        owner.disconnect()


def test_the_services_of_a_client_are_listed_and_gone_with_it(server, pool, peer, observer, fresh_name):
    name = fresh_name("svc")
    connection = peer.connect(
        fresh_name(), server.url, workspace=observer.workspace, token=tokens.member("matrix")
    )
    connection.register("rpc", name)
    full = f"{observer.workspace}/{connection.client_id}:{name}"
    assert full in [item["id"] for item in observer.manager("list_services")]
    assert f"{observer.workspace}/{connection.client_id}" in [
        item["id"] for item in observer.manager("list_clients")
    ]
    assert observer.get(name).call("add", 1, 2) == 3
    connection.disconnect()

    def gone():
        assert full not in [item["id"] for item in observer.manager("list_services")]

    eventually(gone)
    with pytest.raises(PeerError) as caught:
        observer.get(name)
    assert "not found" in caught.value.text.lower()


def test_registering_again_needs_overwrite(server, peer, fresh_name):
    connection = peer.connect(fresh_name(), server.url)
    try:
        connection.register("rpc", "twice")
        with pytest.raises(PeerError) as caught:
            connection.register("rpc", "twice")
        assert "exists" in caught.value.text
        connection.register("rpc", "twice", overwrite=True)
        assert connection.get("twice").call("add", 1, 2) == 3
    finally:
        connection.disconnect()


def test_a_protected_service_is_closed_to_other_workspaces(server, server_kind, peer, observer, fresh_name):
    owner = peer.connect(fresh_name(), server.url)
    owner.register("rpc", "closed")
    owner.register("rpc", "open", visibility="public")
    uri = f"{owner.workspace}/{owner.client_id}"
    try:
        with pytest.raises(PeerError) as caught:
            observer.get(f"{uri}:closed")
        # to us it is none of their business whether it is there
        expected = "not found" if server_kind == "polyfn" else "ermission denied"
        assert expected in caught.value.text
        assert observer.get(f"{uri}:open").call("add", 1, 2) == 3
    finally:
        owner.disconnect()


@pytest.mark.timeout(150)
def test_a_cut_connection_comes_back_with_its_services(server, peer, observer, fresh_name):
    with Proxy(server.url) as proxy:
        connection = peer.connect(
            fresh_name(),
            proxy.url,
            workspace=observer.workspace,
            token=tokens.member("matrix"),
            client_id=fresh_name("cut"),
            method_timeout=10,
        )
        connection.register("rpc", "rpc")
        uri = f"{connection.client_id}:rpc"
        assert observer.get(uri).call("add", 1, 2) == 3
        assert proxy.cut() >= 1

        # calls to it work again, and so do calls from it
        eventually(lambda: observer.get(uri).call("add", 3, 4, limit=12) == 7 or pytest.fail("wrong sum"))
        eventually(lambda: connection.manager("echo", "back") == "back" or pytest.fail("wrong echo"))
        assert connection.get(uri).call("add", 5, 6) == 11
        connection.disconnect()


@pytest.mark.timeout(150)
def test_a_restarted_server_is_found_again(server_kind, peer_kind, fresh_name):
    server = servers.KINDS[server_kind](port=servers.free_port()).start()
    peer = peers.Peer(peer_kind)
    watcher = peers.Peer("hypha_rpc-python")
    try:
        user = fresh_name("restart")
        config = {"workspace": tokens.own_workspace(user), "token": tokens.member(user), "method_timeout": 10}
        connection = peer.connect("stays", server.url, client_id="stays", **config)
        connection.register("rpc", "rpc")
        server.stop()
        server.start()

        def served_again():
            observer = watcher.connect(fresh_name(), server.url, **config)
            try:
                assert observer.get("stays:rpc").call("add", 1, 2, limit=12) == 3
            finally:
                observer.disconnect()

        eventually(served_again)
        assert eventually(lambda: connection.manager("echo", "back")) == "back"
    finally:
        peer.stop()
        watcher.stop()
        server.stop()


def test_a_running_call_outlasts_the_timeout(server, peer, fresh_name):
    """The callee says that it is still working; only silence times out."""
    connection = peer.connect(fresh_name(), server.url, method_timeout=2)
    try:
        connection.register("rpc", "slow")
        assert connection.get("slow").call("pause", 3.5) == 3.5
    finally:
        connection.disconnect()


def test_a_call_ends_when_its_callee_dies(server, peer, peer_kind, fresh_name):
    doomed = peers.Peer(peer_kind)
    try:
        user = fresh_name("doomed")
        config = {"workspace": tokens.own_workspace(user), "token": tokens.member(user)}
        owner = doomed.connect("owner", server.url, client_id="owner", **config)
        owner.register("rpc", "rpc")
        service = peer.connect(fresh_name(), server.url, **config).get("owner:rpc")
        assert service.call("add", 1, 2) == 3
        answer = service.start("pause", 60)
        doomed.process.kill()
        with pytest.raises(PeerError):
            peer.finish(answer, limit=20)
    finally:
        doomed.stop()
