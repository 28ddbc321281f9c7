"""Clients over plain HTTP: every kind on our server and on the reference; what they do without websockets."""

from __future__ import annotations

import pytest
from runner import peers, servers, tokens, web
from runner.peers import PeerError, callback, fill
from runner.proxy import Proxy
from runner.waiting import eventually

LARGE = 3_000_000


@pytest.fixture
def program(pool):
    """Gives the program of a kind.

    That of hypha-rpc for JavaScript ends with the test: its `disconnect` over HTTP aborts a request, and the
    error, which nobody takes, ends the process.
    """
    own: list[peers.Peer] = []

    def give(kind: str) -> peers.Peer:
        if kind != "hypha_rpc-node":
            return pool.peer("any", kind)
        own.append(peers.Peer(kind))
        return own[-1]

    yield give
    for peer in own:
        peer.process.kill()
        peer.stop()


def leave(connection) -> None:
    if connection.peer.kind == "hypha_rpc-node":
        connection.peer.process.kill()
    else:
        connection.disconnect()


@pytest.fixture
def peer(program, peer_kind):
    """The program of this kind."""
    return program(peer_kind)


@pytest.fixture
def observer(pool, server_kind):
    """A client of another make, on a websocket."""
    return pool.connection(server_kind, "hypha_rpc-python", "observer")


@pytest.fixture
def over_http(server, peer, observer, fresh_name):
    """A client over HTTP, beside the observer."""
    connection = peer.connect(
        fresh_name(),
        server.url,
        workspace=observer.workspace,
        token=tokens.member("matrix"),
        client_id=fresh_name("over-http"),
        transport="http",
    )
    yield connection
    leave(connection)


def test_it_serves_calls(over_http, observer, fresh_name):
    name = fresh_name("svc")
    over_http.register("rpc", name)
    service = observer.get(f"{over_http.client_id}:{name}")
    assert service.call("add", 1, 2) == 3
    assert service.call("size", fill(LARGE)) == LARGE
    assert service.call("repeat", callback("double"), 3) == [0, 2, 4]
    with pytest.raises(PeerError) as caught:
        service.call("fail", "out of cheese")
    assert "out of cheese" in caught.value.text


def test_it_calls(over_http, observer, fresh_name):
    name = fresh_name("svc")
    observer.register("rpc", name)
    service = over_http.get(f"{observer.client_id}:{name}")
    assert service.call("add", 1, 2) == 3
    assert service.call("size", fill(LARGE)) == LARGE
    assert service.call("repeat", callback("double"), 3) == [0, 2, 4]
    answers = [service.start("echo_later", number) for number in range(50)]
    assert [over_http.peer.finish(answer) for answer in answers] == list(range(50))


def test_its_functions_know_the_way(over_http, observer, fresh_name):
    name = fresh_name("context")
    over_http.register("context", name)
    service = observer.get(f"{over_http.client_id}:{name}")
    assert service.call("came_by", "x") == "http_streaming"


def test_strangers_over_http_have_a_workspace_each(polyfn_server, peer, fresh_name):
    connections = [peer.connect(fresh_name(), polyfn_server.url, transport="http") for _ in range(2)]
    try:
        assert connections[0].workspace != connections[1].workspace
        for connection in connections:
            assert connection.manager("echo", "hi") == "hi"
    finally:
        for connection in connections:
            leave(connection)


def test_it_has_left_when_it_says_goodbye(polyfn_server, pool, peer, fresh_name):
    observer = pool.connection("polyfn", "hypha_rpc-python", "observer")
    connection = peer.connect(
        fresh_name(),
        polyfn_server.url,
        workspace=observer.workspace,
        token=tokens.member("matrix"),
        transport="http",
    )
    name = f"{observer.workspace}/{connection.client_id}"
    assert name in [item["id"] for item in observer.manager("list_clients")]
    leave(connection)

    def gone():
        assert name not in [item["id"] for item in observer.manager("list_clients")]

    eventually(gone)


@pytest.mark.timeout(150)
def test_a_cut_stream_comes_back_with_its_services(server, peer, observer, fresh_name):
    with Proxy(server.url) as proxy:
        connection = peer.connect(
            fresh_name(),
            proxy.url,
            workspace=observer.workspace,
            token=tokens.member("matrix"),
            client_id=fresh_name("cut"),
            method_timeout=10,
            transport="http",
        )
        connection.register("rpc", "rpc")
        uri = f"{connection.client_id}:rpc"
        assert observer.get(uri).call("add", 1, 2) == 3
        assert proxy.cut() >= 1
        eventually(lambda: observer.get(uri).call("add", 3, 4, limit=12) == 7 or pytest.fail("wrong sum"))
        eventually(lambda: connection.manager("echo", "back") == "back" or pytest.fail("wrong echo"))
        assert connection.get(uri).call("add", 5, 6) == 11
        leave(connection)


@pytest.mark.timeout(150)
def test_a_restarted_server_is_found_again(server_kind, polyfn_kind, fresh_name):
    server = servers.KINDS[server_kind](port=servers.free_port()).start()
    peer = peers.Peer(polyfn_kind)
    watcher = peers.Peer("hypha_rpc-python")
    try:
        user = fresh_name("restart")
        config = {"workspace": tokens.own_workspace(user), "token": tokens.member(user), "method_timeout": 10}
        connection = peer.connect("stays", server.url, client_id="stays", transport="http", **config)
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


@pytest.mark.parametrize("upgrades", ["refuse", "cut", "drop", "mute"])
def test_where_websockets_fail_our_clients_go_by_http(server, program, polyfn_kind, upgrades, fresh_name):
    user = fresh_name("behind")
    config = {"workspace": tokens.own_workspace(user), "token": tokens.member(user), "connect_timeout": 6}
    with Proxy(server.url, upgrades) as proxy:
        connection = program(polyfn_kind).connect(fresh_name(), proxy.url, **config)
        try:
            assert proxy.refused == 1
            connection.register("context", "context")
            assert connection.get("context").call("came_by", "x") == "http_streaming"
        finally:
            connection.disconnect()
        with pytest.raises(PeerError) as caught:
            program(polyfn_kind).connect(fresh_name(), proxy.url, transport="websocket", **config)
        assert caught.value.code == ("timeout" if upgrades == "mute" else "peer_gone")


@pytest.mark.timeout(150)
def test_where_websockets_work_again_our_clients_take_them(polyfn_server, program, polyfn_kind, fresh_name):
    user = fresh_name("moving")
    config = {"workspace": tokens.own_workspace(user), "token": tokens.member(user)}
    with Proxy(polyfn_server.url, "refuse") as proxy:
        connection = program(polyfn_kind).connect(fresh_name(), proxy.url, **config)
        connection.register("context", "context")
        service = connection.get("context")

        def comes_by(way):
            assert service.call("came_by", "x", limit=12) == way

        for upgrades, way in (("pass", "websocket"), ("cut", "http_streaming")):
            proxy.upgrades = upgrades
            proxy.cut()
            eventually(lambda way=way: comes_by(way))
        connection.disconnect()


def test_no_way_is_tried_where_nobody_listens(program, polyfn_kind, fresh_name):
    url = f"http://127.0.0.1:{servers.free_port()}"
    with pytest.raises(PeerError) as caught:
        program(polyfn_kind).connect(fresh_name(), url)
    assert caught.value.code == "peer_gone"
    assert "/ws" in caught.value.message
    assert "/rpc" not in caught.value.message


@pytest.mark.parametrize("transport", ["http", "auto"])
def test_a_bad_token_is_refused(polyfn_server, program, polyfn_kind, transport, fresh_name):
    with pytest.raises(PeerError) as caught:
        program(polyfn_kind).connect(
            fresh_name(), polyfn_server.url, transport=transport, token=tokens.member("eve", lifetime=-60)
        )
    assert caught.value.code == "permission_denied"
    assert "expired" in caught.value.message


def test_an_unknown_transport_is_an_error(polyfn_server, program, polyfn_kind, fresh_name):
    with pytest.raises(PeerError) as caught:
        program(polyfn_kind).connect(fresh_name(), polyfn_server.url, transport="pigeon")
    assert caught.value.code == "invalid"
    assert "pigeon" in caught.value.message


# {"type": "ping"}
PING = b"\x81\xa4type\xa4ping"


@pytest.mark.parametrize("with_token", [True, False])
def test_nobody_speaks_for_a_client(polyfn_server, peer, peer_kind, with_token, fresh_name):
    user = fresh_name("owner")
    config = {"token": tokens.member(user)} if with_token else {}
    connection = peer.connect(fresh_name(), polyfn_server.url, transport="http", **config)
    try:
        query = f"client_id={connection.client_id}&workspace={connection.workspace}"
        url = f"{polyfn_server.url}/rpc?{query}"
        headers = {"Content-Type": "application/msgpack"}
        statuses = {
            "stranger": web.request("POST", url, headers, PING).status,
            "other user": web.request("POST", url, headers, PING, tokens.member("eve")).status,
            "web page": web.request("POST", url, {**headers, "Origin": "https://eve.example"}, PING).status,
        }
        # a stranger on Node keeps no cookies: there the place that it speaks from must do
        is_weak = peer_kind == "hypha_rpc-node" and not with_token
        assert statuses == {
            "stranger": 200 if is_weak else 401,
            "other user": 403,
            "web page": 401,
        }
        assert connection.manager("echo", "still here") == "still here"
    finally:
        leave(connection)


def test_no_log_shows_a_token(program, polyfn_kind, fresh_name):
    server = servers.PolyfnServer(arguments=("--access-log", "--log-level", "trace")).start()
    try:
        token = tokens.member("secretive")
        with Proxy(server.url) as proxy:
            connection = program(polyfn_kind).connect(fresh_name(), proxy.url, transport="http", token=token)
            proxy.cut()
            eventually(lambda: connection.manager("echo", 1))
            connection.disconnect()
    finally:
        server.stop()
    log = "\n".join(server.log)
    assert "/rpc" in log
    assert token not in log
    assert "eyJ" not in log, "every token begins like this"
