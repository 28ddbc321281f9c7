"""Hostile HTTP over raw sockets: our server answers each case as `hostile.yaml` says, and goes on."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest
import yaml
from runner import peers, tokens
from runner.servers import PolyfnServer
from runner.web import get

CASES = yaml.safe_load(Path(__file__).with_name("hostile.yaml").read_text(encoding="utf-8"))
FLAGS = {"max-request-body": 1000, "max-header-size": 8192, "http-header-timeout": 1, "http-call-timeout": 2}
PAUSE = 1.5
ANSWER = re.compile(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n", re.DOTALL)


@pytest.fixture(scope="module")
def service():
    """The URL and the path of a service that says what it was asked, at a server with small limits."""
    server = PolyfnServer(arguments=tuple(f"--{flag}={value}" for flag, value in FLAGS.items())).start()
    peer = peers.Peer("polyfn-python")
    owner = peer.connect(
        "owner", server.url, workspace="ws-user-hostile", token=tokens.member("hostile"), client_id="owner"
    )
    owner.register("echo", "echo", visibility="public")
    yield server, "/ws-user-hostile/apps/echo"
    peer.stop()
    server.stop()


def exchange(port: int, pieces: list[bytes]) -> bytes:
    """Sends the pieces with pauses between, and reads until the server closes."""
    told = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(PAUSE)
                connection.sendall(piece)
            while part := connection.recv(65536):
                told += part
        except ConnectionError:
            # the server need not read what it refuses
            pass
    return told


def answers(told: bytes) -> list[str]:
    """Status, and the body where a function has made it; errors are told by the status alone."""
    found = []
    while head := ANSWER.match(told):
        length = re.search(rb"content-length: (\d+)", head[0])
        end = head.end() + int(length[1] if length else 0)
        status, body = head[1].decode(), told[head.end() : end].decode("latin-1")
        found.append(f"{status} {body}" if status == "200" and body else status)
        told = told[end:]
    assert not told, told
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_hostile(service, case):
    server, path = service
    text = case["send"].replace("{path}", path).replace("{fill}", "a" * 10_000)
    told = exchange(server.port, [piece.encode("latin-1") for piece in text.split("{pause}")])
    assert answers(told) == case["answers"], told[:500]
    assert get(f"{server.url}{path}/after").text == "GET /after 0"


def test_names_are_said_once():
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))
