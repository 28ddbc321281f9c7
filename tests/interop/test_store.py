"""What the server has acknowledged outlives it: in SQLite and in PostgreSQL, however it ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from runner import tokens
from runner.databases import Postgres
from runner.servers import PolyfnServer, polyfn_binary
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


@pytest.mark.timeout(240)
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


def polyfn(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("POLYFN_D")}
    command = [polyfn_binary(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


def test_a_database_is_copied_while_it_is_used_and_put_back(tmp_path):
    place, copy = tmp_path / "data" / "polyfn.db", tmp_path / "copy.db"
    uri = f"--database-uri=sqlite://{place}"
    server = start(uri)
    try:
        with connect(server) as client:
            client.call_manager("set_env", "KEY", "then")
            made = polyfn("backup", str(copy), uri)
            assert (made.returncode, made.stdout) == (0, f"copied {place} to {copy}\n"), made.stderr
            client.call_manager("set_env", "KEY", "now")
        again = polyfn("backup", str(copy), uri)
        assert (again.returncode, "is there already" in again.stderr) == (1, True)
        used = polyfn("restore", str(copy), uri)
        assert (used.returncode, "in use by another server" in used.stderr) == (1, True)
    finally:
        server.stop()
    assert polyfn("restore", str(copy), "--data-dir", str(place.parent)).returncode == 0
    server = start(uri)
    try:
        with connect(server) as client:
            assert client.call_manager("get_env") == {"KEY": "then"}
    finally:
        server.stop()
    # a folder that is not there yet is made
    fresh = tmp_path / "fresh" / "data"
    assert polyfn("restore", str(copy), "--data-dir", str(fresh)).returncode == 0
    assert sorted(path.name for path in fresh.iterdir()) == ["polyfn.db", "polyfn.db.lock"]
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in (place, copy, fresh / "polyfn.db")} == {0o600}
    # what was there before is kept
    assert polyfn("restore", f"{place}.before", uri).returncode == 0
    server = start(uri)
    try:
        with connect(server) as client:
            assert client.call_manager("get_env") == {"KEY": "now"}
    finally:
        server.stop()


def test_a_copy_that_was_cut_off_is_none(tmp_path):
    place, copy = tmp_path / "polyfn.db", tmp_path / "copy.db"
    uri = f"--database-uri=sqlite://{place}"
    start(uri).stop()
    # what a copy leaves that was killed: a name of its own, and a journal that would undo all
    for end in ("", "-journal"):
        Path(f"{copy}.part{end}").write_bytes(b"half" * 1000)
    assert polyfn("restore", str(copy), uri).returncode == 1
    made = polyfn("backup", str(copy), uri)
    assert made.returncode == 0, made.stderr
    assert not list(tmp_path.glob("*.part*"))
    assert polyfn("restore", str(copy), uri).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["backup", "x.db"], 1, "there is no database at polyfn-data/polyfn.db"),
        (["backup", "x.db", "--database-uri", "sqlite::memory:"], 2, "in memory cannot be copied"),
        (["backup", "x.db", "--database-uri", "postgresql://h/d"], 2, "pg_dump"),
        (["restore", "x.db"], 1, "there is no database at x.db"),
        (["restore", "text.db"], 1, "file is not a database"),
    ],
)
def test_what_cannot_be_copied_is_told(tmp_path, arguments, code, text):
    (tmp_path / "text.db").write_text("no database, " * 100)
    ended = polyfn(*arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert text in ended.stderr
