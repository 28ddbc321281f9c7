"""The first message of a connection: what is accepted, and the code and text of each refusal."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack

import pytest
from runner import tokens
from runner.sockets import RawClient, closing, hello, open_socket
from runner.tokens import Token
from websockets.exceptions import ConnectionClosed

NO_CONNECTION = "Failed to establish connection: "
REASON_LIMIT = 123  # bytes that a close frame has left for its reason


def refused(server, first: str | bytes) -> tuple[str, int | None, str]:
    """Sends a first message; returns the error text, the close code and the close reason."""
    connection = open_socket(server.ws_url)
    connection.send(first)
    texts, code, reason = closing(connection)
    assert len(texts) == 1, texts
    error = json.loads(texts[0])
    assert error["type"] == "error"
    return error["message"], code, reason


def assert_refused(server, first: str | bytes, code: int, message: str) -> None:
    found, found_code, reason = refused(server, first)
    assert (found_code, found) == (code, message)
    assert reason == message


def assert_serves(server) -> None:
    """Somebody else can still connect and call."""
    with RawClient(server.ws_url) as client:
        assert client.call_manager("echo", "alive") == "alive"


def test_the_answer_names_everything_a_client_needs(server):
    with RawClient(server.ws_url, client_id="raw") as client:
        info = client.info
    assert info["client_id"] == "raw"
    assert info["workspace"] == tokens.own_workspace(info["user"]["id"])
    assert info["public_base_url"].startswith("http")
    assert info["manager_id"]
    assert info["hypha_version"]
    assert info["reconnection_token"].count(".") == 2
    assert info["reconnection_token_life_time"] == 172800
    assert set(info["user"]) == {
        "id",
        "roles",
        "is_anonymous",
        "scope",
        "email",
        "parent",
        "expires_at",
        "current_workspace",
    }


def test_unknown_keys_of_the_first_message_are_ignored(server):
    with RawClient(server.ws_url, extra={"a": [1]}) as client:
        assert client.call_manager("echo", 1) == 1


def test_a_client_id_may_hold_anything_but_a_slash(server):
    with RawClient(server.ws_url, client_id="ü x:@.*") as client:
        assert client.info["client_id"] == "ü x:@.*"


def test_text_that_is_not_json(server):
    assert_refused(server, "hello", 1003, "Failed to decode authentication information")


@pytest.mark.parametrize(
    "first", ["[1]", '"text"', "42", "null", '{"client_id": 5}', '{"client_id": {"a": 1}}', "{}x"]
)
def test_json_of_another_shape(polyfn_server, first):
    message, code, _ = refused(polyfn_server, first)
    assert code in (1001, 1003, 1008)
    assert message
    assert_serves(polyfn_server)


@pytest.mark.parametrize("first", [b"", b"\x00\x01", b"\x85\xa4type", b"\xff" * 1000])
def test_binary_before_the_first_message(polyfn_server, first):
    message, code, _ = refused(polyfn_server, first)
    assert code in (1001, 1003, 1008)
    assert message
    assert_serves(polyfn_server)


def test_silence(server):
    connection = open_socket(server.ws_url)
    texts, code, reason = closing(connection, limit=15)
    assert [json.loads(text)["message"] for text in texts] == ["Authentication payload timeout"]
    assert (code, reason) == (1008, "Authentication payload timeout")


def test_many_silent_sockets_keep_nobody_out(polyfn_server):
    with ExitStack() as stack:
        for _ in range(30):
            stack.callback(open_socket(polyfn_server.ws_url).close)
        began = time.monotonic()
        assert_serves(polyfn_server)
        assert time.monotonic() - began < 3, "a newcomer had to wait for silent sockets"


def test_half_a_request_keeps_nobody_out(polyfn_server):
    with ExitStack() as stack:
        for _ in range(30):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", polyfn_server.port)))
            slow.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgr")
        assert_serves(polyfn_server)


def test_no_client_id(server):
    message, code, reason = refused(server, hello(workspace=None))
    assert code == 1001
    assert message.startswith(f"{NO_CONNECTION}Failed to authenticate user to workspace: ws-user-anonymouz-")
    assert message.startswith(reason)


def test_a_client_id_with_a_slash(server):
    assert_refused(server, hello(client_id="b/1"), 1001, f"{NO_CONNECTION}Invalid client id: b/1")


@pytest.mark.parametrize("workspace", ["public", "ws-user-somebody-else", "no-such-workspace"])
def test_a_workspace_of_others(server, workspace):
    message, code, _ = refused(server, hello(client_id="x", workspace=workspace))
    assert code == 1001
    assert message.startswith(NO_CONNECTION)
    assert workspace in message


def test_the_text_about_a_workspace_of_others(server):
    assert_refused(
        server,
        hello(client_id="x", workspace="public"),
        1001,
        f"{NO_CONNECTION}Permission denied for workspace: public",
    )


def test_the_text_does_not_tell_whether_a_workspace_exists(polyfn_server):
    with RawClient(polyfn_server.ws_url) as other:
        there, _, _ = refused(polyfn_server, hello(client_id="x", workspace=other.workspace))
        absent, _, _ = refused(
            polyfn_server, hello(client_id="x", workspace="ws-user-anonymouz-nobody-here-00000000")
        )
    assert there.replace(other.workspace, "W") == absent.replace(
        "ws-user-anonymouz-nobody-here-00000000", "W"
    )


@pytest.mark.parametrize("query", ["client_id=a", "workspace=w", "token=t", "reconnection_token=r"])
def test_credentials_in_the_url(server, query):
    connection = open_socket(f"{server.ws_url}?{query}")
    texts, code, reason = closing(connection)
    assert (texts, code) == ([], 1008)
    assert reason == (
        "Connection rejected, please  upgrade to `hypha-rpc` "
        "which pass the authentication information in the first message"
    )


# -- tokens ------------------------------------------------------------------------------------


def test_a_token_that_is_none(server):
    assert_refused(
        server,
        hello(client_id="x", token="abc.def.ghi"),
        1008,
        "Authentication error: Error decoding token headers.",
    )


def test_an_expired_token(server):
    assert_refused(
        server,
        hello(client_id="x", token=tokens.member("eve", lifetime=-60)),
        1008,
        "Authentication error: The token has expired. Please fetch a new one",
    )


BAD_TOKENS = {
    "another secret": lambda: Token("eve", workspace="ws-user-eve").sign(
        "another-secret-of-more-than-32-bytes"
    ),
    "no algorithm": lambda: Token("eve", workspace="ws-user-eve").sign(None, algorithm="none"),
    "another algorithm": lambda: Token("eve", workspace="ws-user-eve").sign(
        "another-secret-of-more-than-64-bytes-another-secret-of-more-than-64-bytes", algorithm="HS512"
    ),
    "another audience": lambda: Token(
        "eve", workspace="ws-user-eve", claims={"aud": "https://elsewhere.example/"}
    ).sign(),
    "another issuer": lambda: Token(
        "eve", workspace="ws-user-eve", claims={"iss": "https://elsewhere.example/"}
    ).sign(),
    "signature of another token": lambda: swap_signature(tokens.member("eve"), tokens.member("bob")),
}


def swap_signature(token: str, other: str) -> str:
    return ".".join([*token.split(".")[:2], other.split(".")[2]])


@pytest.mark.parametrize("kind", BAD_TOKENS)
@pytest.mark.parametrize("key", ["token", "reconnection_token"])
def test_a_token_that_does_not_hold(server, key, kind):
    message, code, _ = refused(server, hello(client_id="x", **{key: BAD_TOKENS[kind]()}))
    if key == "token":
        assert (code, message.split(":")[0]) == (1008, "Authentication error")
    else:
        assert code in (1001, 1008)
    assert_serves(server)


# The reference never closes after these three: their reasons are longer than a close frame can carry.


def test_a_token_of_another_workspace(polyfn_server):
    message, code, reason = refused(
        polyfn_server, hello(client_id="x", token=tokens.member("ann"), workspace="ws-user-bob")
    )
    text = (
        f"{NO_CONNECTION}Failed to authenticate user: Current workspace encoded in the token (ws-user-ann) "
        "does not match the specified workspace (ws-user-bob)"
    )
    assert message == text
    assert code == 1001
    assert text.startswith(reason)


def test_a_token_of_another_client(polyfn_server):
    token = tokens.member("ann", client="only-me")
    message, code, _ = refused(polyfn_server, hello(client_id="x", token=token))
    assert code == 1001
    assert message == (
        f"{NO_CONNECTION}Failed to authenticate user: "
        "Client id mismatch: this token is restricted to client with client_id='only-me'"
    )
    with RawClient(polyfn_server.ws_url, client_id="only-me", token=token) as client:
        assert client.workspace == "ws-user-ann"


def test_a_token_for_one_purpose_only(polyfn_server):
    token = Token("ann", workspace="ws-user-ann", words=("file:x",)).sign()
    message, code, _ = refused(polyfn_server, hello(client_id="x", token=token))
    assert code == 1001
    assert message == (
        f"{NO_CONNECTION}Failed to authenticate user: Specialized token with scopes [file:x] "
        "cannot be used for general workspace access. This token can only be used for its intended purpose."
    )


def test_a_reconnection_token_of_another_client(server):
    with RawClient(server.ws_url) as owner:
        message, code, _ = refused(
            server, hello(client_id="x", reconnection_token=owner.info["reconnection_token"])
        )
    assert code == 1001
    assert message == f"{NO_CONNECTION}Failed to authenticate user: Client id mismatch, disconnecting"


# -- long reasons ------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["x", "ü", "世", "🎈"])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_long_reason_is_cut_between_characters(polyfn_server, letter, shift):
    client_id = "y" * shift + letter * 150 + "/"
    message, code, reason = refused(polyfn_server, hello(client_id=client_id))
    assert code == 1001
    assert message.startswith(f"{NO_CONNECTION}Invalid client id: {client_id[:50]}")
    assert reason == message.encode()[:REASON_LIMIT].decode(errors="ignore")


def test_a_client_id_of_twelve_megabytes(polyfn_server):
    connection = open_socket(polyfn_server.ws_url)
    try:
        connection.send(hello(client_id="x" * 12_000_000))
        texts, code, _ = closing(connection)
    except ConnectionClosed as closed:  # closed while we were still sending
        texts, code = [], closed.rcvd.code if closed.rcvd else None
    assert code in (1001, 1003, 1008, 1009)
    assert all(len(text) < 10_000 for text in texts), "the answer repeats what it refuses"
    assert_serves(polyfn_server)


# -- two of one name ---------------------------------------------------------------------------


def test_a_second_client_of_the_name_is_refused(polyfn_server):
    token = tokens.member("twins")
    with RawClient(polyfn_server.ws_url, client_id="one", token=token) as live:
        live.register_builtin()
        message, code, _ = refused(polyfn_server, hello(client_id="one", token=token))
        assert code == 1001
        assert message == f"{NO_CONNECTION}Client already exists and is active: ws-user-twins/one"

        # and the live one is none the worse for it
        assert live.call_manager("echo", "well") == "well"
        with RawClient(polyfn_server.ws_url, token=token) as other:
            session = other.start_call(live.address, "services.any.thing", 1)
            request, _ = live.receive()
            assert request["session"] == session
            live.answer(request, "reached")
            assert other.finish_call(session) == "reached"


def test_a_reconnection_token_takes_the_place_of_the_old_socket(server):
    token = tokens.member("successor")
    old = RawClient(server.ws_url, client_id="one", token=token)
    old.register_builtin()
    old.call_manager("register_service", old.service_info("kept", visibility="public"))
    with RawClient(server.ws_url, client_id="one", reconnection_token=old.info["reconnection_token"]) as new:
        closing(old.socket)
        assert new.address == old.address
        assert new.call_manager("echo", "here") == "here"
        listed = [service["id"] for service in new.call_manager("list_services")]
        assert f"{new.address}:kept" in listed
        with RawClient(server.ws_url, token=token) as other:
            session = other.start_call(new.address, "services.kept.thing", 1)
            request, _ = new.receive()
            new.answer(request, "reached")
            assert other.finish_call(session) == "reached"


# -- text after the handshake ------------------------------------------------------------------


def test_text_after_the_handshake(server):
    with RawClient(server.ws_url) as client:
        for text in ("notjson", '{"type":"whatever"}', json.dumps({"type": "ping", "x": "x" * 1000})):
            client.socket.send(text)
        client.socket.send('{"type":"refresh_token"}')
        client.socket.send('{"type":"ping"}')
        renewed = json.loads(client.socket.recv(10))
        assert renewed["type"] == "reconnection_token"
        assert renewed["reconnection_token"].count(".") == 2
        assert json.loads(client.socket.recv(10)) == {"type": "pong"}


@pytest.mark.parametrize(
    "text", ["", "[]", "5", "null", '{"type":5}', '{"type":["ping"]}', "{" * 900, "x" * 2_000_000]
)
def test_any_text_after_the_handshake_is_survived(polyfn_server, text):
    with RawClient(polyfn_server.ws_url) as client:
        client.socket.send(text)
        client.socket.send('{"type":"ping"}')
        assert json.loads(client.socket.recv(10)) == {"type": "pong"}
