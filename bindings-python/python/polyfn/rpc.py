"""A connection by the names of hypha-rpc's `rpc` object, for programs that use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .case import convert_case
from .deadline import within
from .functions import described, id_of, service_map
from .proxy import ObjectProxy

if TYPE_CHECKING:
    from .client import Client

#: What this object has of its connection as it is.
_SHARED = frozenset(
    {
        "config",
        "connection_state",
        "disconnect",
        "emit",
        "get_public_key",
        "get_service",
        "get_service_schema",
        "off",
        "on",
        "once",
        "register_codec",
        "register_service",
        "statistics",
        "unregister_service",
        "wait_for",
    }
)


class Rpc:
    """The connection of a `Server`; besides the methods here it has those that both share.

    ```python
    await server.rpc.ping(server.client_id)
    assert server.rpc.get_client_info()["id"] == server.client_id
    ```
    """

    def __init__(self, server: Client) -> None:
        self._server = server

    async def ping(self, client_id: str, timeout: float | None = 1) -> str:
        """Ask another client whether it is there; raises when it does not answer within `timeout` seconds."""
        answer = await self._call(client_id, "services.built-in.ping", ("ping",), timeout)
        if answer != "pong":
            raise RuntimeError(f"client {client_id} answered {answer!r} to a ping")
        return answer

    async def get_manager_service(self, config: Mapping[str, Any] | None = None) -> ObjectProxy:
        """Get the server's manager as a service."""
        return await self._fetch("*/manager", "default", config or {})

    async def get_remote_service(
        self, service_uri: str | None = None, config: Mapping[str, Any] | None = None, **more: Any
    ) -> ObjectProxy:
        """Get a service from the client that has it, without asking the manager: `client:service`.

        Without a client it is one's own; without anything it is the manager. `config` takes `timeout`,
        `case_conversion` and `encryption_public_key`, as in `Client.get_service`.
        """
        settings = {**(config or {}), **more}
        if service_uri is None:
            return await self.get_manager_service(settings)
        service_uri = id_of(service_uri)
        client, colon, service = service_uri.rpartition(":")
        service, _, app = service.partition("@")
        if app and self._server.app_id not in ("*", app):
            raise ValueError(f"application {app} is not that of this client, {self._server.app_id}")
        found = await self._fetch(client if colon else self._server.client_id, service, settings)
        found["id"] = service_uri
        return found

    def get_local_service(self, service_id: str, context: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A service of this client, as it was registered."""
        services = self.get_all_local_services()
        try:
            return services[id_of(service_id).rpartition(":")[2]]
        except KeyError:
            raise KeyError(f"Service not found: {service_id}") from None

    def get_all_local_services(self) -> dict[str, dict[str, Any]]:
        """The services of this client by their ids."""
        return dict(self._server._services)

    def add_service(self, api: Any, overwrite: bool = False) -> dict[str, Any]:
        """Offer functions without telling the server: only who knows this client can call them."""
        service = service_map(api, self._server._threads)
        self._server._native_client.register_service(described(service), overwrite, False)
        self._server._note_service(service)
        return service

    def get_client_info(self) -> dict[str, Any]:
        """The id of this client, and the infos of the services that the server knows."""
        return {"id": self._server.client_id, "services": list(self._server._infos.values())}

    def get_session_stats(self) -> dict[str, Any]:
        """How much the connection holds at the moment, also under the names of hypha-rpc."""
        held = self._server.statistics()
        return {**held, "total_sessions": held["calls"] + held["kept"], "promise_sessions": held["calls"]}

    def reset(self) -> None:
        """Take back all handlers of events."""
        self._server.off()

    def close(self) -> None:
        """Say goodbye without waiting for the end."""
        self._server._leave()

    async def _fetch(self, client: str, service: str, settings: Mapping[str, Any]) -> ObjectProxy:
        key = settings.get("encryption_public_key")
        method, timeout = "services.built-in.get_service", settings.get("timeout")
        found = await self._call(client, method, (service,), timeout, key)
        return convert_case(found, settings.get("case_conversion"))

    async def _call(
        self,
        client: str,
        method: str,
        args: tuple[Any, ...],
        timeout: float | None,
        answer_key: str | bytes | None = None,
    ) -> Any:
        call = self._server._native_client.call(client, method, args, None, answer_key)
        return await within(call, timeout, f"client {client} did not answer {method}")

    def __getattr__(self, name: str) -> Any:
        if name in _SHARED:
            return getattr(self._server, name)
        raise AttributeError(f"the rpc object has no {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_SHARED})

    def __repr__(self) -> str:
        return f"<rpc of {self._server!r}>"
