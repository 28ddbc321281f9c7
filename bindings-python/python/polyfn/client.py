"""The object through which one works with a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol, cast

from . import _native, errors, service_types
from .apps import Hosted, hosted
from .codecs import Codecs
from .deadline import within
from .events import Events, Handler, checked, types_of
from .functions import described, exported, id_of, schema_tree, service_map
from .modules import Modules
from .proxy import ObjectProxy
from .rpc import Rpc
from .threads import Threads

#: The core puts the manager of the server in the place of any `*/...`.
_MANAGER = "*/manager"


class Hooks(Protocol):
    """What stands between a connection and a program that is not written for it."""

    def given(self, value: Any, /) -> Any:
        """What peers get in place of a function or a generator of the program."""
        ...

    def received(self, value: Any, /) -> Any:
        """What the program gets in place of a function or a stream of a peer."""
        ...


class Client:
    """A server as one client sees it; made by `connect_to_server`.

    Besides the methods here it has all methods that the server's manager offers, under their own names, for
    example `generate_token`, `list_clients` or `create_workspace`.
    """

    def __init__(self, hooks: Hooks | None = None) -> None:
        #: The application that the services of this connection belong to.
        self.app_id = "*"
        self._hooks = hooks
        self._client: _native.Client | None = None
        self._loop = asyncio.get_running_loop()
        self._manager: ObjectProxy = ObjectProxy()
        self._events = Events()
        self._closed = asyncio.Event()
        self._end: BaseException | None = None
        self._is_leaving = False
        self._config: ObjectProxy | None = None
        self._codecs: Codecs | None = None
        self._state = "connecting"
        self._at_end: list[Callable[[], object]] = []
        self._services: dict[str, dict[str, Any]] = {}
        self._infos: dict[str, ObjectProxy] = {}
        self._apps: dict[str, Hosted] = {}
        self._modules = Modules(self._loop, lambda record: self._call("log", (record,), {}))
        self._rpc = Rpc(self)
        self._threads: Threads | None = None

    async def open(self, settings: dict[str, Any]) -> Client:
        """Connect; `connect_to_server` does it."""
        settings = dict(settings)
        self._threads = Threads.asked_for(settings.pop("sync_in_threads", False))
        if self._threads is not None:
            self.on_end(self._threads.close)
        self.app_id = str(settings.get("app_id") or "*")
        self._client = await _native.connect(settings, self._on_event, self._hooks)
        try:
            self._manager = await self._client.call(_MANAGER, "services.built-in.get_service", ("default",))
        except BaseException:
            self._client.close()
            raise
        return self

    @property
    def _native_client(self) -> _native.Client:
        if self._client is None:
            raise errors.PeerGoneError("not connected yet")
        return self._client

    @property
    def config(self) -> ObjectProxy:
        """What the server said of itself and of this connection.

        `workspace`, `client_id`, `user`, `public_base_url` and more.
        """
        if self._config is not None:
            return self._config
        about = self._manager.get("config")
        info = cast("ObjectProxy", self._native_client.connection_info)
        merged = ObjectProxy(cast("Mapping[str, Any]", about) if isinstance(about, Mapping) else {})
        merged.update(info)
        merged.setdefault("client_id", self.client_id)
        self._config = merged
        return merged

    @property
    def workspace(self) -> str:
        """The workspace that was joined."""
        return self._native_client.address.partition("/")[0]

    @property
    def client_id(self) -> str:
        """The own id in the workspace."""
        return self._native_client.address.partition("/")[2]

    @property
    def connection_state(self) -> str:
        """How the connection stands: `connecting`, `connected`, `disconnected` or `closed`.

        While it is `disconnected` it is being made again, and calls wait for that; `closed` is for good.
        """
        return self._state

    @property
    def rpc(self) -> Rpc:
        """The same connection by the names of hypha-rpc's `rpc` object."""
        return self._rpc

    async def register_service(
        self, api: Any, config: Mapping[str, Any] | bool | None = None, **more: Any
    ) -> ObjectProxy:
        """Offer functions to others; gives the info under which the server knows the service.

        `api` is a dict with an `id`, or an instance of a class, whose public methods are then offered.
        Functions may be plain or `async`, bound methods, and nested in dicts. With `overwrite=True` a service
        of the same id is replaced. With `notify=False` the server is not told: the service is not listed, and
        only who knows this client can call it. With `check_type=True` the functions must be those that the
        service's `type` asks for, as `get_service_type` describes it.

        Every function is described by a schema, from its signature and docstring or from a decorator of
        `polyfn.schema`. Plain functions run in the event loop; those of a service whose `config` says
        `"run_in_executor": True`, and those of a connection with `sync_in_threads`, run in threads.

        ```python
        async with connect_to_server("http://localhost:9527") as server:
            info = await server.register_service({
                "id": "calc",
                "config": {"visibility": "public"},
                "add": lambda a, b: a + b,
            })
            print(info.id)
        ```
        """
        given: dict[str, Any] = {"overwrite": config} if isinstance(config, bool) else dict(config or {})
        given.update(more)
        overwrite, notify = bool(given.pop("overwrite", False)), bool(given.pop("notify", True))
        check_type = bool(given.pop("check_type", False))
        if given:
            raise TypeError(f"register_service has no option {sorted(given)[0]!r}")
        service = service_map(api, self._threads)
        if check_type and service.get("type"):
            kind = await self._call("get_service_type", (service["type"],), {})
            service = service_types.checked(service, kind)
        app = hosted(service, api)
        if app is not None:
            await app.start()
            service = app.service
        module = await self._modules.begin(service)
        service = service if module is None else module.service
        try:
            info = await self._native_client.register_service(described(service), overwrite, notify)
        except BaseException:
            for begun in filter(None, (app, module)):
                await begun.stop()
            raise
        self._note_service(service, info)
        await self._host(_short_id(service["id"]), app)
        await self._modules.keep(_short_id(service["id"]), module)
        return info

    async def _host(self, name: str, app: Hosted | None) -> None:
        """Have an app served under a name; the one before it ends."""
        before = self._apps.pop(name, None)
        if app is not None:
            self._apps[name] = app
        if before is not None:
            await before.stop()

    def _note_service(self, service: dict[str, Any], info: ObjectProxy | None = None) -> None:
        name = _short_id(service["id"])
        self._services[name] = service
        if info is not None:
            self._infos[name] = info

    async def unregister_service(self, service: str | Mapping[str, Any], notify: bool = True) -> None:
        """Take a service back, named by its id or by what `register_service` gave.

        With `notify=False` the server is not told.
        """
        service_id = id_of(service)
        if notify:
            await self._native_client.unregister_service(service_id)
        else:
            self._native_client.remove_service(service_id)
        self._services.pop(_short_id(service_id), None)
        self._infos.pop(_short_id(service_id), None)
        await self._host(_short_id(service_id), None)
        await self._modules.drop(_short_id(service_id))

    async def get_service_schema(self, service: Any) -> dict[str, Any]:
        """The schema of each function of a service, one's own or one that was got from somebody.

        ```python
        def add(a: int, b: int) -> int:
            "Add two numbers."
            return a + b

        schema = await server.get_service_schema({"id": "calc", "add": add})
        assert schema["add"]["function"]["parameters"]["properties"]["a"] == {"type": "integer"}
        ```
        """
        return schema_tree(service)

    async def get_service(
        self, service_id: str | Mapping[str, Any], config: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """Get a service: its functions can be called as if they were here.

        ```python
        calc = await server.get_service("calc")
        assert await calc.add(1, b=2) == 3
        ```

        `config` takes `mode` (which of several services of this id: `random`, `first`, `last`, `exact`),
        `timeout`, `case_conversion` (`camel`, `snake`, or both by `camel+snake`: how functions are named) and
        `encryption_public_key`: the owner's public key, to which what its functions are told is encrypted
        from end to end. It must come from elsewhere, not by way of the server.
        """
        name = id_of(service_id)
        settings = {**(config or {}), **more}
        key = settings.pop("encryption_public_key", None)
        method, kwargs = "services.default.get_service", {"config": settings}
        return await self._native_client.call(_MANAGER, method, (name,), kwargs, key)

    def get_public_key(self) -> str | None:
        """Get the own public key in hexadecimal digits, for others to encrypt to; None without encryption."""
        return self._native_client.public_key

    async def list_services(self, query: str | Mapping[str, Any] | None = None, **more: Any) -> list[Any]:
        """List the services that one may see, as dicts of their infos."""
        return await self._call("list_services", () if query is None else (query,), more)

    async def echo(self, data: Any) -> Any:
        """Get `data` back from the server."""
        return await self._call("echo", (data,), {})

    async def subscribe(self, event_type: str | Iterable[str]) -> Any:
        """Have events of these types sent to this client, also after a reconnect."""
        return await self._native_client.subscribe(types_of(event_type))

    async def unsubscribe(self, event_type: str | Iterable[str]) -> Any:
        """Have them sent no longer."""
        return await self._native_client.unsubscribe(types_of(event_type))

    async def register_probes(self, probes: Mapping[str, Callable[..., Any]]) -> ObjectProxy:
        """Offer functions that tell how this program is, under the service id `probes`."""
        about = {"id": "probes", "type": "probes", "config": {"visibility": "public"}}
        return await self.register_service({**about, **probes}, overwrite=True)

    async def generate_token(self, config: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Make a token for others; `config` is as in `docs/tokens.md`.

        A server that knows nothing of narrowed tokens (`services`, `methods`, `max_uses`) makes one without
        any of these bounds. That one is taken back, and `InvalidError` is raised.
        """
        given = {**(config or {}), **more}
        token: str = await self._call("generate_token", (given,), {})
        if any(given.get(key) is not None for key in ("services", "methods", "max_uses")):
            await self._check_narrowed(token)
        return token

    async def _check_narrowed(self, token: str) -> None:
        words: list[str] = []
        # the reference refuses to look into a token for another workspace
        with contextlib.suppress(errors.RpcError):
            told = await self._call("parse_token", (token,), {})
            words = cast("dict[str, list[str]]", told["scope"]).get("extra_scopes") or []
        if any(word.startswith("polyfn:") for word in words):
            return
        with contextlib.suppress(errors.RpcError):
            await self._call("revoke_token", (token,), {})
        text = "this server makes no narrowed tokens: leave out services, methods and max_uses"
        raise errors.InvalidError(text)

    async def register_auth_service(
        self,
        service: str | Mapping[str, Any] = "auth-service",
        login_service: Mapping[str, Any] | None = None,
        **functions: Callable[..., Any],
    ) -> None:
        """Put functions in charge of who comes with which token, and of how people log in; for the root user.

        The functions, such as `parse_token=...` and `get_token=...`, are registered as a service of the type
        `auth-service`, whose id or further settings `service` gives; without functions it is the id of one
        that is there. The client must be in the workspace `public` or `ws-user-root`. What the functions are
        asked is in `docs/identity.md`. They count as long as this client is there, also after it has
        reconnected.
        """
        about: dict[str, Any] = {"id": service} if isinstance(service, str) else dict(service)
        given: dict[str, Any] = {**about, **(login_service or {}), **functions}
        if any(callable(value) for value in given.values()):
            kind = {"type": "auth-service", "id": about.get("id", "auth-service")}
            config: dict[str, Any] = {**(about.get("config") or {}), "visibility": "protected"}
            await self.register_service({**given, **kind, "config": config}, overwrite=True)
        await self._call("register_auth_service", (about.get("id", "auth-service"),), {})

    async def export(self, api: Any, config: Mapping[str, Any] | None = None) -> ObjectProxy:
        """Offer functions under the service id `default`, where `get_app` finds them.

        `config` is that of the service; it goes before what the service itself says.
        """
        return await self.register_service(exported(api, config), overwrite=True)

    async def get_app(self, client_id: str) -> Any:
        """Get what a client, `client` or `workspace/client`, has exported."""
        _no_colon("client_id", client_id)
        full = client_id if "/" in client_id else f"{self.workspace}/{client_id}"
        return await self.get_service(f"{full}:default")

    async def list_apps(self, workspace: str | None = None) -> list[Any]:
        """List what the clients of a workspace have exported."""
        workspace = workspace or self.workspace
        _no_colon("workspace", workspace)
        return await self.list_services({"workspace": workspace, "service_id": "default"})

    async def ping(self, client_id: str, timeout: float | None = None) -> Any:
        """Ask another client whether it is there."""
        call = self._native_client.call(client_id, "services.built-in.ping", ("ping",))
        return await within(call, timeout, f"client {client_id} did not answer a ping")

    def register_codec(self, config: Mapping[str, Any]) -> None:
        """Have objects of a class sent in a form of one's own.

        `config` is a dict with `name`, `type`, `encoder` and `decoder`. The encoder gives a dict, which
        carries the codec's name to the other side; the decoder registered there under that name gets it. A
        codec goes before everything that polyfn does by itself.

        ```python
        class Point:
            def __init__(self, x, y):
                self.x, self.y = x, y

        server.register_codec({
            "name": "point",
            "type": Point,
            "encoder": lambda point: {"x": point.x, "y": point.y},
            "decoder": lambda form: Point(form["x"], form["y"]),
        })
        assert (await server.echo(Point(1, 2))).y == 2
        ```
        """
        if self._codecs is None:
            self._codecs = Codecs()
            self._native_client.use_codecs(self._codecs)
        self._codecs.register(config)

    def on(self, event: str, handler: Handler) -> None:
        """Call `handler` with each message of this type.

        Besides what others send there are `connected` (after a reconnect), `disconnected` and
        `services_registered`.
        """
        self._events.on(event, handler)

    def once(self, event: str, handler: Handler) -> None:
        """Call `handler` with the next message of this type."""
        self._events.once(event, handler)

    def off(self, event: str | None = None, handler: Handler | None = None) -> None:
        """Take handlers back: all, all of one type, or one of them."""
        self._events.off(event, handler)

    def emit(
        self, message: Mapping[str, Any], extra: Mapping[str, Any] | None = None
    ) -> asyncio.Future[None]:
        """Send a message with a `type`: to a client (`to`), to everyone who subscribed (`to="*"`).

        Without `to` only the handlers of this object hear of it. There is no acknowledgement, so awaiting the
        result is optional.
        """
        full = checked(message, extra)
        if full.get("to") is None:
            self._events.fire(full["type"], ObjectProxy(full))
        else:
            self._native_client.emit(full)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def wait_for(self, event: str, timeout: float | None = None) -> Any:
        """Wait for the next event of this type, and give its data."""
        return await self._events.wait_for(event, timeout)

    async def disconnect(self) -> None:
        """Say goodbye; ends when the connection is closed. Calls under way fail with `PeerGoneError`."""
        self._leave()
        if self._client is None:
            return
        if asyncio.get_running_loop() is self._loop:
            await self._closed.wait()
            await self._stop_apps()
            await self._modules.ended()

    async def _stop_apps(self) -> None:
        apps, self._apps = list(self._apps.values()), {}
        await asyncio.gather(*(app.stop() for app in apps))

    def _leave(self) -> None:
        self._is_leaving = True
        if self._client is not None:
            self._client.close()

    async def serve(self) -> None:
        """Wait until the connection is over.

        Returns after `disconnect`; raises when the connection was lost for good.
        """
        await self._closed.wait()
        await self._stop_apps()
        if self._end is not None and not self._is_leaving:
            raise self._end

    def _is_of_this_loop(self) -> bool:
        """Whether the connection belongs to the event loop that runs here."""
        return asyncio.get_running_loop() is self._loop

    async def _over(self) -> None:
        """Wait until the connection is over, whatever the reason."""
        await self._closed.wait()

    def on_end(self, told: Callable[[], object]) -> None:
        """Have `told` called when the connection is over."""
        self._at_end.append(told)

    def statistics(self) -> dict[str, int]:
        """How much this connection holds at the moment, by name."""
        return self._native_client.statistics()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            try:
                return self._manager[name]
            except KeyError:
                pass
        raise AttributeError(f"neither polyfn nor the server's manager has {name!r}")

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(name) from error

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._manager})

    def __repr__(self) -> str:
        return f"<polyfn server, {self._client!r}>"

    async def _call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return await self._native_client.call(_MANAGER, f"services.default.{method}", args, kwargs)

    def _on_event(self, kind: str, data: Any) -> None:
        """Called on the loop for what happens outside of calls."""
        if kind.startswith("message:"):
            name = kind.removeprefix("message:")
            self._events.fire(name, data)
            if name == "client_disconnected":
                gone = data["data"]
                # servers of old leave out the workspace
                full = gone["id"] if "/" in gone["id"] else f"{gone['workspace']}/{gone['id']}"
                self._events.fire("remote_client_disconnected", ObjectProxy(client_id=full))
        elif kind in ("ready", "reconnected"):
            self._state = "connected"
            self._config = None
            if kind == "reconnected":
                self._events.fire("manager_refreshed", None)
            self._tell_registered(cast("list[tuple[str, Exception]]", data))
            if kind == "reconnected":
                self._events.fire("reconnected", self.config)
                self._events.fire("connected", self.config)
        elif kind == "disconnected":
            self._state = "disconnected"
            self._events.fire("disconnected", data)
        elif kind == "closed":
            self._state = "closed"
            self._end = data
            self._modules.end()
            self._closed.set()
            for told in self._at_end:
                told()
            self._events.fire("disconnected", str(data))

    def _tell_registered(self, failed: list[tuple[str, Exception]]) -> None:
        # the built-in service is one of them
        total = len(self._infos) + 1
        told = ObjectProxy(total=total, registered=total - len(failed), failed=[name for name, _ in failed])
        self._events.fire("services_registered", told)
        if failed:
            error = "; ".join(f"{name}: {reason}" for name, reason in failed)
            self._events.fire("services_registration_failed", ObjectProxy(error=error, total_services=total))


def _short_id(service_id: str) -> str:
    """The id of a service without the client and the application around it."""
    return service_id.rpartition(":")[2].partition("@")[0]


def _no_colon(name: str, value: str) -> None:
    if ":" in value:
        raise ValueError(f"{name} {value!r} should not name a service, leave out what follows the colon")
