"""What calls tell beside their results; the results themselves stand in tests/suites."""

from __future__ import annotations

import pytest
from runner.peers import PeerError


def test_an_error_in_our_clients_has_a_code_and_the_remote_traceback(
    pool, server_kind, callee_kind, polyfn_kind
):
    service = pool.service(server_kind, callee_kind, polyfn_kind, "rpc")
    with pytest.raises(PeerError) as caught:
        service.call("fail", "out of cheese")
    assert caught.value.code == "remote"
    if callee_kind.endswith("python"):
        assert "ValueError" in caught.value.text
    assert "fail" in caught.value.trace, "the trace names the function that failed"


def test_the_context_names_the_caller(pool, server_kind, callee_kind, caller_kind):
    service = pool.service(server_kind, callee_kind, caller_kind, "context")
    caller = service.connection
    answer = service.call("whoami", "x")
    assert answer == {
        "tag": "x",
        "ws": caller.workspace,
        "from": f"{caller.workspace}/{caller.client_id}",
        "user": "matrix",
    }
