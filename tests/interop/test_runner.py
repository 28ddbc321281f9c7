"""What the tests stand on leaves nothing behind, and loses nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import weakref

import pytest
from runner.log import Log
from runner.proxy import Proxy
from runner.servers import PolyfnServer, free_port
from runner.stuck import describe


def test_a_closed_proxy_leaves_no_thread(polyfn_server):
    before = set(threading.enumerate())
    with Proxy(polyfn_server.url):
        (acceptor,) = set(threading.enumerate()) - before
    assert not acceptor.is_alive()


def test_the_last_words_of_a_server_are_heard():
    server = PolyfnServer(arguments=("--log-level", "info")).start()
    server.stop()
    assert any("stopp" in line for line in server.log), list(server.log)


def test_a_log_can_be_read_while_it_grows():
    writer = "for number in range(100_000): print(number)"
    program = subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE, text=True)
    log = Log(1000)
    log.follow(program.stdout)
    while program.poll() is None:
        assert all(line.isdigit() for line in log)
    log.finish()
    program.stdout.close()
    assert list(log)[-1] == "99999"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be held for a server")
def test_a_free_port_stays_free():
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    # stopped and started again it has the same
    server = PolyfnServer(port=port)
    for _ in range(2):
        server.start()
        assert server.port == port
        server.stop()


def test_a_test_that_hangs_is_described_whatever_there_is(capsys):
    class Gone:
        pass

    proxy = weakref.proxy(Gone())
    describe()
    with pytest.raises(ReferenceError):
        isinstance(proxy, Gone)
    assert capsys.readouterr().out.startswith("this test takes long")
