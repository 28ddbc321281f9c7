"""A server inside this program."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from . import _native, errors, options
from .blocking import in_thread
from .client import Client
from .connecting import Connecting

#: Seconds after which the thread that tells of requests looks whether the program is about to end.
_LOOK = 0.2
#: Seconds that clients of this program have to notice that their server is gone.
_GOODBYE = 2


class Request(NamedTuple):
    """An HTTP request that a server has answered."""

    method: str
    path: str
    status: int
    #: From the head of the request to the head of the answer.
    seconds: float
    #: All that for people, for example `GET /dev/apps/hello/ 200 1.5 ms`.
    line: str

    def __str__(self) -> str:
        return self.line


class Server:
    """A server inside this program: the very one that `polyfn serve` runs, on a thread of its own.

    ```python
    import polyfn

    async with polyfn.Server() as server:
        async with server.connect(workspace="lab") as client:
            await client.register_service({
                "id": "hello",
                "type": "functions",
                "config": {"visibility": "public"},
                "index": lambda event: "Home page",
            })
            print(f"{server.url}/lab/apps/hello/")
    ```

    It listens at any free port of this machine, unless `port` and `host` say otherwise. The settings are
    the flags of `polyfn serve` by name (`base_path`, `allow_origins`, `max_request_body`, ...); the
    environment is not read. Without `root_token` it makes one. `on_request` is called with a `Request` for
    each HTTP request that was answered, in a thread of its own.

    Raises `InvalidError` for a setting that there is not or that cannot be used, `ConflictError` when the
    port is taken.
    """

    def __init__(self, *, on_request: Callable[[Request], object] | None = None, **settings: Any) -> None:
        self._settings = settings
        self._on_request = on_request
        self._native: _native.EmbeddedServer | None = None
        self._teller: threading.Thread | None = None
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()

    async def start(self) -> Server:
        """Start; it listens when this returns. `async with` does it."""
        if self._native is not None:
            raise errors.ConflictError("the server has been started already: make another one")
        self._native = await in_thread("polyfn-start", self._started)
        if self._on_request is not None:
            self._teller = threading.Thread(target=self._tell, name="polyfn-requests")
            self._teller.start()
        return self

    def _started(self) -> _native.EmbeddedServer:
        return _native.EmbeddedServer.start(self._settings, self._on_request is not None)

    async def stop(self) -> bool:
        """Stop: accept nothing more, let requests finish, close the connections.

        Gives whether everything ended by itself within `shutdown_timeout` (10 s). A second call does
        nothing more.
        """
        ended = await in_thread("polyfn-stop", self._running.stop)
        teller, self._teller = self._teller, None
        if teller is not None:
            await in_thread("polyfn-join", teller.join)
        await self._let_go()
        return ended

    async def _let_go(self) -> None:
        """Wait until the clients of this loop have noticed."""
        ours = [client._over() for client in self._clients if client._is_of_this_loop()]
        if ours:
            await asyncio.wait([asyncio.ensure_future(closed) for closed in ours], timeout=_GOODBYE)

    @property
    def _running(self) -> _native.EmbeddedServer:
        if self._native is None:
            raise errors.PeerGoneError("the server has not been started: use `async with` or `await start()`")
        return self._native

    @property
    def url(self) -> str:
        """Its URL on this machine, without a slash at the end."""
        return self._running.url

    @property
    def root_token(self) -> str:
        """The token that may do everything; `connect` uses it unless told otherwise."""
        return self._running.root_token

    def connect(self, config: Mapping[str, Any] | None = None, **more: Any) -> Connecting[Client]:
        """Connect to it without a socket; await the result, or use it with `async with`.

        Options are those of `connect_to_server`, but for `server_url`. This program owns the server, so that
        without `token` it may do everything: it joins the `workspace` that it names, else `ws-user-root`.
        With `token=None` it comes as a stranger does, into a workspace of its own.

        ```python
        async with polyfn.Server() as server, server.connect(workspace="lab") as client:
            assert client.workspace == "lab"
        ```
        """
        settings = self.connection_settings({**(config or {}), **more})

        async def noted(client: Client) -> Client:
            self._clients.add(client)
            return client

        return Connecting(settings, noted)

    def connection_settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """The settings of a connection to it, from the options of `connect`."""
        if "server_url" in given:
            raise TypeError("connect has no option 'server_url': it connects to this server")
        if given.keys().isdisjoint({"token", "reconnection_token"}):
            given = {**given, "token": self.root_token}
        settings = options.read({**given, "server_url": self.url}, {})
        return {**settings, "in_process": self._running}

    def _tell(self) -> None:
        told, main = self._on_request, threading.main_thread()
        assert told is not None
        # a program that ends without stopping the server must not wait for this thread
        while main.is_alive():
            requests = self._running.requests(_LOOK)
            if requests is None:
                return
            for request in requests:
                told(Request(*request))

    async def __aenter__(self) -> Server:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<polyfn.Server {self._native.url if self._native else 'not started'}>"
