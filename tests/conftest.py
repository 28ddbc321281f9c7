"""What all shared tests stand on: servers and client programs, started once and stopped at the end."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Generator, Iterator

import pytest
from runner import commands, known, peers, servers, stuck, summary, tokens


def pytest_configure() -> None:
    """Ended from outside, the run still stops the servers that it has started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # servers that tests start in other ways keep nothing on the disk either
    os.environ["POLYFN_DATABASE_URI"] = "sqlite::memory:"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("polyfn")
    group.addoption(
        "--servers", default=",".join(servers.KINDS), help="servers of the matrix, separated by commas"
    )
    group.addoption(
        "--peers", default=",".join(peers.KINDS), help="client kinds of the matrix, separated by commas"
    )
    group.addoption(
        "--write-summary", action="store_true", help="write the table of cases in docs/compatibility.md"
    )


SUMMARY = summary.Summary()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    with stuck.watched():
        return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        SUMMARY.add(report.nodeid, report.outcome, hasattr(report, "wasxfail"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    # of several processes only the first one hears of every test
    if session.config.getoption("--write-summary") and not hasattr(session.config, "workerinput"):
        SUMMARY.write()


def chosen(config: pytest.Config, option: str, kinds) -> list[str]:
    """The kinds that the option names, of those that a test can use."""
    known_names = servers.KINDS if option == "--servers" else peers.KINDS
    names = [name for name in config.getoption(option).split(",") if name]
    if unknown := set(names) - set(known_names):
        raise pytest.UsageError(f"{option} names {sorted(unknown)}: choose from {sorted(known_names)}")
    return [name for name in names if name in kinds]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The matrix: one test for each server, callee and caller that it asks for."""
    for fixture, option, kinds in (
        ("server_kind", "--servers", servers.KINDS),
        ("callee_kind", "--peers", peers.KINDS),
        ("caller_kind", "--peers", peers.KINDS),
        ("peer_kind", "--peers", peers.KINDS),
        ("script_kind", "--peers", peers.SCRIPT_KINDS),
    ):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, chosen(metafunc.config, option, kinds), scope="session")
    if "polyfn_kind" in metafunc.fixturenames:
        ours = [
            kind for kind in chosen(metafunc.config, "--peers", peers.KINDS) if kind.startswith("polyfn-")
        ]
        metafunc.parametrize("polyfn_kind", ours, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    listed = known.entries()
    for item in items:
        if why := known.reason(item.nodeid, listed):
            item.add_marker(pytest.mark.xfail(reason=why, strict=True))


class Pool:
    """Everything the session has started."""

    def __init__(self):
        self.servers: dict[str, servers.Server] = {}
        self.peers: dict[tuple[str, str], peers.Peer] = {}
        self.connections: dict[tuple[str, str, str], peers.Connection] = {}
        self.registered: set[tuple] = set()
        self.numbers = itertools.count(1)

    def server(self, kind: str) -> servers.Server:
        if kind not in self.servers:
            self.servers[kind] = servers.KINDS[kind]().start()
        return self.servers[kind]

    def peer(self, server: str, kind: str) -> peers.Peer:
        """The program of this kind that belongs to a server; started anew if it has died."""
        key = (server, kind)
        if key not in self.peers or self.peers[key].process.poll() is not None:
            self.peers[key] = peers.Peer(kind)
            self.connections = {name: value for name, value in self.connections.items() if name[:2] != key}
            self.registered = {name for name in self.registered if name[:2] != key}
        return self.peers[key]

    def connection(self, server: str, kind: str, role: str) -> peers.Connection:
        """A lasting connection in the workspace which all programs of a server share."""
        peer = self.peer(server, kind)
        key = (server, kind, role)
        if key not in self.connections:
            self.connections[key] = peer.connect(
                role,
                self.server(server).url,
                workspace=tokens.own_workspace("matrix"),
                token=tokens.member("matrix"),
                client_id=f"{kind}-{role}",
            )
        return self.connections[key]

    def service(self, server: str, callee: str, caller: str, what: str) -> peers.Service:
        """A service of the callee in the hands of the caller."""
        owner = self.connection(server, callee, "callee")
        if (server, callee, what) not in self.registered:
            owner.register(what, what)
            self.registered.add((server, callee, what))
        return self.connection(server, caller, "caller").get(f"{owner.client_id}:{what}")

    def stop(self) -> None:
        for peer in self.peers.values():
            peer.stop()
        for server in self.servers.values():
            server.stop()


@pytest.fixture(scope="session")
def pool():
    everything = Pool()
    yield everything
    everything.stop()


def only(pool: Pool, config: pytest.Config, kind: str) -> servers.Server:
    """The server of a test that is about this kind; `--servers` may leave it out."""
    if kind not in chosen(config, "--servers", servers.KINDS):
        pytest.skip(f"--servers leaves out {kind}")
    return pool.server(kind)


@pytest.fixture(scope="session")
def polyfn_server(pool: Pool, request: pytest.FixtureRequest) -> servers.Server:
    """Our server, one for the whole session."""
    return only(pool, request.config, "polyfn")


@pytest.fixture(scope="session")
def hypha_server(pool: Pool, request: pytest.FixtureRequest) -> servers.Server:
    """The pinned reference server, one for the whole session."""
    return only(pool, request.config, "hypha")


@pytest.fixture
def server(pool: Pool, server_kind: str) -> servers.Server:
    """The server of this row of the matrix."""
    return pool.server(server_kind)


@pytest.fixture
def fresh_name(pool: Pool):
    """Names that no other test of the session has used."""
    return lambda prefix="t": f"{prefix}-{next(pool.numbers)}"


@pytest.fixture
def running() -> Iterator:
    """Starts the command `polyfn`, of the binary or of a package; what still runs is ended after the test."""
    started: list[commands.Running] = []

    def start(kind: str, *arguments: str, **more: str) -> commands.Running:
        started.append(commands.Running(kind, *arguments, **more))
        return started[-1]

    yield start
    for program in started:
        program.end()
