"""What the server says about itself over HTTP."""

from __future__ import annotations

import pytest
from runner.web import get, request


def test_ready(server):
    answer = get(f"{server.url}/health/readiness")
    assert answer.status == 200
    assert answer.json()["status"] == "OK"


def test_alive(server):
    answer = get(f"{server.url}/health/liveness")
    assert answer.status == 200
    assert answer.json()["status"] == "OK"


def test_health(server):
    answer = get(f"{server.url}/health")
    assert answer.status == 200
    assert answer.json()["status"] in ("HEALTHY", "WARNING", "OK")


def test_metrics_are_prometheus_text(server):
    answer = get(f"{server.url}/metrics")
    assert answer.status == 200
    assert answer.media_type == "text/plain"
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        float(line.rsplit(" ", 1)[1])


def test_the_front_page(server):
    answer = get(f"{server.url}/")
    assert answer.status == 200
    assert answer.media_type == "text/html"


@pytest.mark.parametrize("path", ["/version", "/no/such/page", "/%2e%2e/etc/passwd", "/ws-x-y/nope"])
def test_anything_else_is_404(server, path):
    assert get(server.url + path).status == 404


def test_the_socket_route_wants_an_upgrade(polyfn_server):
    assert 400 <= get(f"{polyfn_server.url}/ws").status < 500


def test_other_origins_may_ask_first(server):
    answer = request(
        "OPTIONS",
        f"{server.url}/health/readiness",
        headers={"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "GET"},
    )
    assert answer.status in (200, 204)
    assert answer.header("access-control-allow-origin") in ("*", "http://elsewhere.example")
    assert "GET" in answer.header("access-control-allow-methods")
