"""A server for the whole session, and clients that are closed after each test."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import polyfn
import pytest
from runner.servers import PolyfnServer

PACKAGE = Path(polyfn.__file__).resolve().parents[1]


@pytest.fixture
def figure(record_property) -> Callable[[str], None]:
    """Notes what was measured, in one line; all of them are printed at the end of the run, passed or not."""
    return lambda text: record_property("figure", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    figures = [text for report in reports for name, text in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{text}\n" for text in figures))


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Our server, or the one that POLYFN_TEST_URL names."""
    if url := os.environ.get("POLYFN_TEST_URL"):
        yield url
        return
    server = PolyfnServer()
    server.start()
    yield server.url
    assert server.stop() == 0


@pytest.fixture
async def owner(server_url: str) -> AsyncIterator[polyfn.Client]:
    """The client that registers services."""
    async with polyfn.connect_to_server(server_url, method_timeout=10) as client:
        yield client


@pytest.fixture
async def caller(server_url: str, owner: polyfn.Client) -> AsyncIterator[polyfn.Client]:
    """A client in the same workspace that calls them."""
    token = await owner.generate_token()
    async with polyfn.connect_to_server(
        server_url, workspace=owner.workspace, token=token, method_timeout=10
    ) as client:
        yield client


@pytest.fixture
def offer(owner: polyfn.Client, caller: polyfn.Client):
    """Registers functions and gives them as the caller has them."""

    async def offered(api=None, /, **functions):
        service = {"id": "offered", **functions} if api is None else api
        info = await owner.register_service(service, overwrite=True)
        return await caller.get_service(info.id)

    return offered


@pytest.fixture
def at_rest():
    """Waits until clients run nothing and hold nothing that is given or read item by item."""
    names = ("runs", "tasks", "generators", "streams")

    async def rest(*clients: polyfn.Client) -> None:
        while any(client.statistics()[name] for client in clients for name in names):
            # a round trip: what was given up before it is given up behind it
            await clients[0].echo(None)

    async def rest_soon(*clients: polyfn.Client) -> None:
        await asyncio.wait_for(rest(*clients), 10)

    return rest_soon


@pytest.fixture
def program(server_url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in an interpreter of its own, with SERVER_URL in its environment."""

    def run(
        source: str, *args: str, timeout: float = 30, dev: bool = True
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "SERVER_URL": server_url, "PYTHONPATH": str(PACKAGE)}
        done = subprocess.run(
            [
                sys.executable,
                *(["-X", "dev"] if dev else []),
                "-W",
                "error",
                "-c",
                textwrap.dedent(source),
                *args,
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        # how busy the machine is says nothing of the program
        done.stderr = re.sub(r"^Executing <.*> took [\d.]+ seconds\n", "", done.stderr, flags=re.MULTILINE)
        return done

    return run
