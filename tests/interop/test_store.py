"""What the server has acknowledged outlives it: in SQLite and in PostgreSQL, however it ends."""

from __future__ import annotations

import random
import signal

import pytest
from runner import tokens
from runner.databases import Postgres
from runner.servers import PolyfnServer
from runner.sockets import RawClient, RemoteError
from websockets.exceptions import ConnectionClosed

KILLS = {"sqlite": 200, "postgresql": 20}
WRITES = 30
TOKEN = tokens.member("writer")


@pytest.fixture(scope="module")
def postgres():
    database = Postgres.start()
    if database is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    yield database
    database.stop()


@pytest.fixture(params=sorted(KILLS))
def kind(request) -> str:
    return request.param


@pytest.fixture
def place(kind, tmp_path, request) -> str:
    """The flag that names an empty database of this kind."""
    if kind == "sqlite":
        return f"--database-uri=sqlite://{tmp_path}/polyfn.db"
    return f"--database-uri={request.getfixturevalue('postgres').create()}"


def start(place: str) -> PolyfnServer:
    return PolyfnServer(arguments=(place, "--seal-key=a-key-of-the-tests")).start()


def kill(server: PolyfnServer) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.stop()


def connect(server: PolyfnServer) -> RawClient:
    client = RawClient(server.ws_url, token=TOKEN)
    client.register_builtin()
    return client


def test_everything_is_kept(place):
    server = start(place)
    try:
        with connect(server) as client:
            client.call_manager("create_workspace", {"id": "lab-kept", "persistent": True, "owners": ["b"]})
            client.call_manager("set_env", "KEY", "first")
            client.call_manager("set_env", "KEY", "second")
            client.call_manager("log_event", "run", {"n": 1})
            client.call_manager("log_event", "run")
            client.call_manager("register_service_type", {"id": "calc", "definition": {}})
            client.call_manager("bookmark", {"bookmark_type": "workspace", "id": "lab-kept"})
    finally:
        kill(server)
    server = start(place)
    try:
        with connect(server) as client:
            assert client.call_manager("get_workspace_info", "lab-kept")["owners"] == ["writer", "b"]
            assert client.call_manager("get_env") == {"KEY": "second"}
            assert [event["id"] for event in client.call_manager("get_events")] == [1, 2]
            assert client.call_manager("get_event_stats") == [{"event_type": "run", "count": 2}]
            assert client.call_manager("list_service_types")[0]["id"] == "calc"
            client.call_manager("delete_workspace", "lab-kept")
            with pytest.raises(RemoteError):
                client.call_manager("get_workspace_info", "lab-kept")
    finally:
        server.stop()


def write_until_killed(server: PolyfnServer, client: RawClient, turn: int, acknowledged: dict) -> dict:
    """Sends writes without waiting, kills the server among the answers; gives what may be there or not."""
    wanted = {f"K{number}": f"{turn}-{number}" * 50 for number in range(WRITES)}
    sessions = {}
    for name, value in wanted.items():
        sessions[client.start_call(client.manager, "services.default.set_env", name, value)] = name
    answers = random.Random(turn).randrange(WRITES)
    open_writes = dict(wanted)
    try:
        while open_writes:
            main, _ = client.receive()
            session, _, what = main.get("method", "").partition(".")
            if session in sessions and what == "resolve":
                name = sessions[session]
                acknowledged[name] = open_writes.pop(name)
            if len(wanted) - len(open_writes) == answers and server.process:
                server.process.send_signal(signal.SIGKILL)
    except ConnectionClosed:
        pass
    return open_writes


def test_what_was_acknowledged_survives_any_kill(place, kind):
    acknowledged, uncertain = {}, {}
    for turn in range(KILLS[kind]):
        server = start(place)
        try:
            client = connect(server)
            kept = client.call_manager("get_env")
            for name, value in acknowledged.items():
                # an answer that did not come may be true all the same: then all of it is
                assert kept[name] in (value, uncertain.get(name)), (turn, name)
            assert set(kept) <= set(acknowledged) | set(uncertain)
            acknowledged = kept
            uncertain = write_until_killed(server, client, turn, acknowledged)
        finally:
            kill(server)
