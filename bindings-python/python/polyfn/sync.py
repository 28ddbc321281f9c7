"""The same for programs that block: scripts, threads, the Python prompt and notebooks.

```python
from polyfn.sync import connect_to_server

with connect_to_server("http://localhost:9527") as server:
    server.register_service({"id": "calc", "add": lambda a, b: a + b})
    calc = server.get_service("calc")
    print(calc.add(1, 2))
```

Everything is that of `polyfn`, under the same names, and waits where that awaits: an event loop in a thread
of its own does the work. Functions of the program that peers call run in other threads, `sync_max_workers`
(2) at a time; one that waits for a call of its own makes room for others. Streams are iterators on both
sides. Ctrl-C breaks off the call that is waited for.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import _native, accounts, client, options, portal, server, urls
from .proxy import ObjectProxy
from .rpc import Rpc
from .server import Request
from .threads import each

__all__ = [
    "Client",
    "Function",
    "Server",
    "Service",
    "connect_to_server",
    "get_remote_service",
    "login",
    "logout",
]

T = TypeVar("T")
_END = object()
#: Methods whose arguments are handlers of events, which may block.
_TAKE_HANDLERS = frozenset({"off", "on", "once"})


class Function:
    """A function of a peer, called by blocking until it answers."""

    __slots__ = ("__weakref__", "_bridge", "_function")

    def __init__(self, function: _native.RemoteFunction, bridge: Bridge) -> None:
        self._function = function
        self._bridge = bridge

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._bridge.portal.is_here:
            # in a function of the program that is `async`, which has to await it
            return self._function(*args, **kwargs)
        return self._bridge.portal.call(self._function, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._function, name)
        if not callable(value):
            return value

        def made(*args: Any, **kwargs: Any) -> Any:
            """The same function with other options is to be called by blocking as well."""
            result = value(*args, **kwargs)
            is_function = isinstance(result, _native.RemoteFunction)
            return Function(result, self._bridge) if is_function else result

        return made

    @property
    def __doc__(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._function.__doc__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and other._function is self._function

    def __hash__(self) -> int:
        return hash(self._function)

    def __repr__(self) -> str:
        return f"<blocking {self._function!r}>"


class Handler:
    """A function of the program as peers call it: in a thread."""

    __slots__ = ("_function", "_worker")

    def __init__(self, function: Callable[..., Any], worker: portal.Worker) -> None:
        self._function = function
        self._worker = worker

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        return self._worker.run(self._function, *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handler) and other._function == self._function

    def __hash__(self) -> int:
        return hash(self._function)


class Bridge:
    """Between a connection, which lives in the loop, and a program that blocks."""

    def __init__(self, workers: int, mixes_async: bool) -> None:
        self.portal = portal.Portal.shared()
        self.worker = portal.Worker(self.portal, workers)
        self._mixes_async = mixes_async

    def given(self, value: Any) -> Any:
        """What peers get in place of a function or a generator of the program."""
        if isinstance(value, Function):
            return value._function
        if callable(value):
            return Handler(value, self.worker)
        return self._each(cast("Generator[Any, None, None]", value)) if inspect.isgenerator(value) else value

    def received(self, value: Any) -> Any:
        """What the program gets in place of a function or a stream of a peer."""
        if isinstance(value, _native.RemoteFunction):
            return value if self._mixes_async and value.is_async else Function(value, self)
        return self.iterate(value)

    def iterate(self, stream: AsyncIterator[T]) -> Iterator[T]:
        """Iterate over a stream by blocking; its producer is told when the program stops early."""
        try:
            while True:
                item = self.portal.call(anext, stream, _END)
                if item is _END:
                    return
                yield cast("T", item)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                self.portal.post(_start, close)

    def _each(self, items: Generator[T, None, None]) -> AsyncIterator[T]:
        """The items of a generator, which runs in a thread, each as soon as it is made."""
        return each(items, self.worker.run)

    def method(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A method of an object of the loop, called from outside of it."""
        takes_handlers = function.__name__ in _TAKE_HANDLERS

        async def run(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if takes_handlers:
                args = tuple(self.given(arg) if callable(arg) else arg for arg in args)
                kwargs = {name: self.given(arg) if callable(arg) else arg for name, arg in kwargs.items()}
            return self.portal.call(run, *args, **kwargs)

        return call


def _start(close: Callable[[], Awaitable[object]]) -> None:
    import asyncio

    closing = asyncio.ensure_future(close())
    # whoever stopped early does not want to know how that went
    closing.add_done_callback(lambda done: done.cancelled() or done.exception())


class _Blocking:
    """An object of the loop, whose methods block."""

    def __init__(self, inner: Any, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._inner, name)
        if inspect.ismethod(value):
            return self._bridge.method(value)
        if isinstance(value, Rpc):
            return _Blocking(value, self._bridge)
        return value

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *dir(self._inner)})

    def __repr__(self) -> str:
        return f"<blocking {self._inner!r}>"


class Client(_Blocking):
    """A server as a blocking program sees it: what `polyfn.Client` has, without `await`."""

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(name) from error

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    if TYPE_CHECKING:
        # What type checkers are told; a test compares it with `polyfn.Client`.
        @property
        def config(self) -> ObjectProxy: ...
        @property
        def workspace(self) -> str: ...
        @property
        def client_id(self) -> str: ...
        @property
        def connection_state(self) -> str: ...
        @property
        def rpc(self) -> Any: ...
        def register_service(
            self, api: Any, config: Mapping[str, Any] | bool | None = None, **more: Any
        ) -> ObjectProxy: ...
        def unregister_service(self, service: str | Mapping[str, Any], notify: bool = True) -> None: ...
        def get_service(
            self, service_id: str | Mapping[str, Any], config: Mapping[str, Any] | None = None, **more: Any
        ) -> Any: ...
        def get_public_key(self) -> str | None: ...
        def get_service_schema(self, service: Any) -> dict[str, Any]: ...
        def list_services(self, query: str | Mapping[str, Any] | None = None, **more: Any) -> list[Any]: ...
        def echo(self, data: Any) -> Any: ...
        def subscribe(self, event_type: str | Iterable[str]) -> Any: ...
        def unsubscribe(self, event_type: str | Iterable[str]) -> Any: ...
        def register_probes(self, probes: Mapping[str, Callable[..., Any]]) -> ObjectProxy: ...
        def generate_token(self, config: Mapping[str, Any] | None = None, **more: Any) -> str: ...
        def register_auth_service(
            self,
            service: str | Mapping[str, Any] = "auth-service",
            login_service: Mapping[str, Any] | None = None,
            **functions: Callable[..., Any],
        ) -> None: ...
        def export(self, api: Any, config: Mapping[str, Any] | None = None) -> ObjectProxy: ...
        def get_app(self, client_id: str) -> Any: ...
        def list_apps(self, workspace: str | None = None) -> list[Any]: ...
        def ping(self, client_id: str, timeout: float | None = None) -> Any: ...
        def register_codec(self, config: Mapping[str, Any]) -> None: ...
        def on(self, event: str, handler: Callable[[Any], Any]) -> None: ...
        def once(self, event: str, handler: Callable[[Any], Any]) -> None: ...
        def off(self, event: str | None = None, handler: Callable[[Any], Any] | None = None) -> None: ...
        def emit(self, message: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> None: ...
        def wait_for(self, event: str, timeout: float | None = None) -> Any: ...
        def serve(self) -> None: ...
        def disconnect(self) -> None: ...
        def statistics(self) -> dict[str, int]: ...


class Service(ObjectProxy):
    """A service with a connection of its own, which ends with it; made by `get_remote_service`."""

    __slots__ = ("__server",)

    def __init__(self, members: Mapping[str, Any], server: Client) -> None:
        super().__init__(members)
        object.__setattr__(self, "_Service__server", server)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__server.disconnect()


def connect_to_server(config: Mapping[str, Any] | str | None = None, **more: Any) -> Client:
    """Connect to a server and join a workspace; with `with` it disconnects at the end.

    Options are those of `polyfn.connect_to_server`, and `sync_max_workers`: how many functions of this
    program may run at a time when peers call them (2). With `mix_async=True` functions of peers that are
    `async` there have to be awaited, in an event loop of the program's own.
    """
    given: dict[str, Any] = {"server_url": config} if isinstance(config, str) else dict(config or {})
    given.update(more)
    return _connect(given, lambda given: options.read(given, {}))


def _connect(given: dict[str, Any], read: Callable[[dict[str, Any]], dict[str, Any]]) -> Client:
    workers = given.pop("sync_max_workers", None)
    if "sync_in_threads" in given:
        raise TypeError(
            "functions of a blocking program always run in threads: leave sync_in_threads out, "
            "sync_max_workers says in how many"
        )
    mixes_async = bool(given.pop("mix_async", False))
    bridge = Bridge(2 if workers is None else int(workers), mixes_async)
    settings = read(given)

    async def connect() -> client.Client:
        made = await client.Client(bridge).open(settings)
        portal.at_end(made.disconnect)
        made.on_end(lambda: portal.not_at_end(made.disconnect))
        return made

    return Client(bridge.portal.call(connect), bridge)


class Server:
    """A server inside this program, for programs that block: what `polyfn.Server` is, without `await`.

    ```python
    from polyfn.sync import Server

    with Server() as server, server.connect(workspace="lab") as client:
        client.register_service({"id": "calc", "add": lambda a, b: a + b})
        print(client.get_service("calc").add(1, 2))
    ```
    """

    def __init__(self, *, on_request: Callable[[Request], object] | None = None, **settings: Any) -> None:
        self._server = server.Server(on_request=on_request, **settings)

    def start(self) -> Server:
        """Start; it listens when this returns. `with` does it."""
        portal.Portal.shared().call(self._server.start)
        return self

    def stop(self) -> bool:
        """Stop, and wait for that; gives whether everything ended by itself in time."""
        return portal.Portal.shared().call(self._server.stop)

    @property
    def url(self) -> str:
        """Its URL on this machine, without a slash at the end."""
        return self._server.url

    @property
    def root_token(self) -> str:
        """The token that may do everything; `connect` uses it unless told otherwise."""
        return self._server.root_token

    def connect(self, config: Mapping[str, Any] | None = None, **more: Any) -> Client:
        """Connect to it without a socket, with the options of `polyfn.Server.connect`."""
        return _connect({**(config or {}), **more}, self._server.connection_settings)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<blocking {self._server!r}>"


def get_remote_service(service_uri: str, config: Mapping[str, Any] | None = None, **more: Any) -> Service:
    """Connect to the server of a service and get it; with `with` it disconnects at the end.

    ```python
    from polyfn.sync import get_remote_service

    with get_remote_service(f"http://localhost:9527/{server.workspace}/services/calc") as calc:
        print(calc.add(1, 2))
    ```
    """
    address, settings, selection = urls.settings_of(service_uri, {**(config or {}), **more})
    server = connect_to_server(settings)
    try:
        return Service(server.get_service(address, selection), server)
    except BaseException:
        server.disconnect()
        raise


def login(config: Mapping[str, Any] | str | None = None, **more: Any) -> Any:
    """Have a user log in by a web page; gives the token. See `polyfn.login`."""
    return _ask(accounts.login, accounts.settings(config, more), "login_callback")


def logout(config: Mapping[str, Any] | str | None = None, **more: Any) -> Any:
    """Have a user log out by a web page; gives what the server says of it. See `polyfn.logout`."""
    return _ask(accounts.logout, accounts.settings(config, more), "logout_callback")


def _ask(function: Callable[..., Any], settings: dict[str, Any], callback: str) -> Any:
    bridge = Bridge(int(settings.pop("sync_max_workers", None) or 2), False)
    if settings.get(callback) is not None:
        settings[callback] = bridge.given(settings[callback])
    return bridge.portal.call(function, settings)
