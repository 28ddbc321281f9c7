"""Workspaces and what belongs to them: who may do what, what is there after a kill."""

from __future__ import annotations

import signal

import pytest
from runner import tokens
from runner.servers import ROOT_TOKEN, PolyfnServer
from runner.sockets import RawClient, RemoteError
from runner.tokens import Token
from runner.waiting import eventually


@pytest.fixture
def connect(polyfn_server):
    """Connects members of workspaces; all of them leave at the end."""
    clients = []

    def connect(token: str | None = None, url: str = polyfn_server.ws_url, **options) -> RawClient:
        client = RawClient(url, token=token, **options)
        clients.append(client)
        client.register_builtin()
        return client

    yield connect
    for client in clients:
        client.close()


def refused(client: RawClient, method: str, *arguments) -> str:
    with pytest.raises(RemoteError) as error:
        client.call_manager(method, *arguments)
    return str(error.value)


def test_a_workspace_is_made_described_listed_and_deleted(connect, fresh_name):
    name = fresh_name("lab-made")
    owner, stranger = connect(tokens.member("founder")), connect()
    made = owner.call_manager(
        "create_workspace", {"id": name, "description": "Ours", "persistent": True, "covers": ["a"]}
    )
    assert (made["id"], made["owners"], made["persistent"]) == (name, ["founder"], True)
    told = owner.call_manager("get_workspace_info", name)
    assert (told["description"], told["covers"], told["read_only"]) == ("Ours", ["a"], False)
    listed = owner.call_manager("list_workspaces")
    assert {"id", "name", "description", "read_only", "persistent", "owners"} == set(listed[0])
    assert name in [info["id"] for info in listed]
    assert owner.call_manager("list_workspaces", {"description": "Ours", "id": name}) == [
        info for info in listed if info["id"] == name
    ]
    assert owner.call_manager("list_workspaces", {}, len(listed)) == []
    # a stranger learns nothing, not even whether there is such a workspace
    assert name not in [info["id"] for info in stranger.call_manager("list_workspaces")]
    there, nowhere = (refused(stranger, "get_workspace_info", which) for which in (name, "lab-nowhere"))
    assert "Permission denied" in there
    assert there.replace(name, "") == nowhere.replace("lab-nowhere", "")
    assert "Permission denied" in refused(stranger, "delete_workspace", name)
    owner.call_manager("delete_workspace", name)
    assert name not in [info["id"] for info in owner.call_manager("list_workspaces")]


def test_who_owns_a_workspace_may_connect_to_it(connect, fresh_name):
    name = fresh_name("lab-owned")
    login = Token("founder", words=()).sign()
    connect(login).call_manager("create_workspace", {"id": name, "persistent": True})
    with RawClient(connect(login).url, token=login, workspace=name) as client:
        assert client.info["user"]["scope"]["workspaces"][name] == "a"
    with pytest.raises(Exception, match="Permission denied for workspace"):
        connect(Token("another").sign(), workspace=name)


def test_the_clients_of_a_deleted_workspace_are_let_go(connect, fresh_name):
    name = fresh_name("lab-deleted")
    owner = connect(tokens.member("founder"))
    owner.call_manager("create_workspace", {"id": name, "persistent": True})
    owner.call_manager("set_env", "KEY", "value")
    member = connect(Token("guest", name, "rw").sign())
    owner.call_manager("delete_workspace", name)
    assert member.closed() == (1008, f"Workspace {name} was deleted")


@pytest.mark.parametrize("name", ["public", "ws-user-root"])
def test_the_servers_own_workspaces_stay(connect, name):
    assert "Permission denied" in refused(connect(ROOT_TOKEN), "delete_workspace", name)


def test_variables_are_set_read_and_taken_out(connect):
    client = connect(tokens.member("secretive"))
    client.call_manager("set_env", "API_KEY", "hush")
    client.call_manager("set_env", "OTHER", "x")
    assert client.call_manager("get_env", "API_KEY") == "hush"
    assert client.call_manager("get_env") == {"API_KEY": "hush", "OTHER": "x"}
    client.call_manager("set_env", "OTHER", None)
    assert client.call_manager("get_env") == {"API_KEY": "hush"}
    assert "Environment variable 'OTHER' not found" in refused(client, "get_env", "OTHER")
    assert "must be a string" in refused(client, "set_env", "N", 1)
    assert "65536 bytes" in refused(client, "set_env", "N", "x" * 65_537)
    assert "hush" not in str(client.call_manager("get_workspace_info"))
    token = Token("reader", tokens.own_workspace("secretive"), "r").sign()
    with RawClient(client.url, token=token) as reader:
        assert "Permission denied" in refused(reader, "get_env", "API_KEY")


def test_events_are_logged_found_and_counted(connect, fresh_name):
    user = fresh_name("logger")
    client = connect(tokens.member(user))
    for number in range(3):
        client.call_manager("log_event", "run", {"number": number})
    client.call_manager("log", "a line")
    assert client.call_manager("get_event_stats") == [
        {"event_type": "log", "count": 1},
        {"event_type": "run", "count": 3},
    ]
    events = client.call_manager("get_events", "run")
    assert [event["data"] for event in events] == [{"number": number} for number in range(3)]
    assert {"id", "event_type", "workspace", "user_id", "timestamp", "data"} == set(events[0])
    assert client.call_manager("get_events", "run", events[1]["timestamp"]) == events[1:]
    assert client.call_manager("get_events", "run", None, events[0]["timestamp"]) == events[:1]
    assert client.call_manager("get_events", None, "2999-01-01T00:00:00") == []
    assert "must not contain spaces" in refused(client, "log_event", "a run")
    assert "must be a time as" in refused(client, "get_events", None, "tomorrow")
    # others of the same workspace have events of their own
    guest = connect(Token("guest", tokens.own_workspace(user), "rw").sign())
    assert guest.call_manager("get_events") == []


def test_bookmarks_are_kept_in_the_own_workspace(connect, fresh_name):
    user = fresh_name("reader")
    client = connect(tokens.member(user))
    own = {"bookmark_type": "workspace", "id": tokens.own_workspace(user)}
    client.call_manager("bookmark", own)
    client.call_manager("bookmark", {**own, "note": "again"})
    bookmarks = client.call_manager("get_workspace_info")["config"]["bookmarks"]
    assert bookmarks == [{**own, "note": "again"}]
    assert "Permission denied" in refused(
        client, "bookmark", {"bookmark_type": "workspace", "id": "lab-other"}
    )
    assert "Service not found" in refused(client, "bookmark", {"bookmark_type": "service", "id": "nothing"})
    assert "needs a 'bookmark_type'" in refused(client, "bookmark", {"id": "x"})
    client.call_manager("unbookmark", own)
    assert "Bookmark not found" in refused(client, "unbookmark", own)


def test_a_workspace_is_summed_up_and_checked(connect, fresh_name):
    client = connect(tokens.member(fresh_name("sum")), client_id="one")
    client.call_manager("register_service", client.service_info("calc"))
    summary = client.call_manager("get_summary")
    assert (summary["client_count"], summary["clients"]) == (1, [client.address])
    assert [set(service) for service in summary["services"]] == [
        {"id", "name", "type", "description", "config"}
    ]
    assert client.call_manager("check_status") == {"status": "ready", "errors": None, "user_permission": "a"}


def test_clients_without_a_sign_of_life_are_let_go(connect, fresh_name):
    name = tokens.own_workspace(fresh_name("clean"))
    silent = connect(Token("guest", name, "rw").sign(), client_id="silent")
    assert connect(ROOT_TOKEN).call_manager("cleanup", name, 0.2) == {"removed_clients": ["silent"]}
    assert silent.closed()[0] == 1001
    assert "Permission denied" in refused(connect(), "cleanup", name)


def test_search_says_that_it_is_not_there(connect):
    assert "Service search is not enabled." in refused(connect(), "search_services", "x")


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path, connect):
    """Workspaces, variables, types, bookmarks, events; not what belonged to a workspace that is gone."""
    arguments = ("--data-dir", str(tmp_path))
    server = PolyfnServer(arguments=arguments).start()
    token, guest = Token("founder").sign(), None
    try:
        owner = connect(token, url=server.ws_url)
        guest = connect(url=server.ws_url)
        owner.call_manager("create_workspace", {"id": "lab-kept", "persistent": True, "description": "Kept"})
        owner.call_manager("create_workspace", {"id": "lab-passing"})
        owner.call_manager("set_env", "KEY", "hush")
        owner.call_manager("log_event", "run", [1])
        kind = {"id": "calc", "definition": {"add": {"type": "function"}}}
        owner.call_manager("register_service_type", kind)
        owner.call_manager("bookmark", {"bookmark_type": "workspace", "id": "lab-kept"})
        guest.call_manager("set_env", "KEY", "passing")
    finally:
        server.process.send_signal(signal.SIGKILL)
        server.stop()
    assert b"hush" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    again = PolyfnServer(arguments=arguments).start()
    try:
        owner = connect(token, url=again.ws_url)
        assert owner.call_manager("get_workspace_info", "lab-kept")["description"] == "Kept"
        assert "lab-passing" not in str(owner.call_manager("list_workspaces"))
        assert owner.call_manager("get_env") == {"KEY": "hush"}
        assert [event["data"] for event in owner.call_manager("get_events")] == [[1]]
        assert "add" in owner.call_manager("get_service_type", "calc")["definition"]
        assert len(owner.call_manager("get_workspace_info")["config"]["bookmarks"]) == 1
    finally:
        again.stop()


def told(server: PolyfnServer, text: str) -> None:
    assert any(text in line for line in server.log)


def test_a_database_has_one_server(tmp_path):
    first = PolyfnServer(arguments=("--data-dir", str(tmp_path))).start()
    try:
        second = PolyfnServer(arguments=("--data-dir", str(tmp_path)))
        with pytest.raises(RuntimeError):
            second.start()
        assert second.process is None
        eventually(lambda: told(second, "in use by another server"))
    finally:
        first.stop()
