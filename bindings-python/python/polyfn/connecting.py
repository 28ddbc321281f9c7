"""Connecting to a server, and to a service by its URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

from . import options, urls
from .client import Client

T = TypeVar("T")


class Connecting(Generic[T]):
    """A connection that is about to be made: await it, or enter it with `async with`."""

    def __init__(self, settings: dict[str, Any], then: Callable[[Client], Awaitable[T]]) -> None:
        self._settings = settings
        self._then = then
        self._server: Client | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._connect().__await__()

    async def _connect(self) -> T:
        server = await Client().open(self._settings)
        self._server = server
        try:
            return await self._then(server)
        except BaseException:
            await server.disconnect()
            raise

    async def __aenter__(self) -> T:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            await self._server.disconnect()


def connect_to_server(config: Mapping[str, Any] | str | None = None, **more: Any) -> Connecting[Client]:
    """Connect to a server and join a workspace.

    Await the result, or use it with `async with`, which disconnects at the end.

    ```python
    async with connect_to_server({"server_url": "http://localhost:9527"}) as server:
        print(server.config.workspace)
    ```

    Options, in `config` or by name: `server_url`, `workspace`, `token`, `client_id`, `name`, `app_id`,
    `reconnection_token`, `method_timeout` (seconds that a call may take without a sign of life, 30),
    `connect_timeout`, `ping_interval`, `ping_timeout`, `token_refresh_interval`, `long_message_chunk_size`,
    `reconnect`, `transport` (`websocket`, `http` for networks that let no websocket through,
    or `auto`, the default: the websocket, and HTTP where it cannot be had), `rintf_timeout`, `encryption`
    (end to end, with peers whose key is known), `encryption_private_key` and `encryption_public_key` (bytes
    or hexadecimal digits; made when left out), `additional_headers` (a dict), `ssl` (False to believe any
    server, the path of a file with certificates of authorities, or an `ssl.SSLContext`, of which these are
    taken), `sync_in_threads` (plain functions of all services run in threads and not in the event loop: True,
    or how many at once; a service's own `run_in_executor` wins).

    Limits, by name too: `max_calls` and `max_runs` (under way in either direction, 65536 each),
    `max_runs_per_peer` (32768), `max_kept` (sessions with functions given away in results, 262144),
    `max_functions` and `max_functions_per_peer` (given away at once, 262144 and 65536), `max_streams`
    (generators of peers read at once, 1024), `stream_window` and `stream_window_bytes` (what one of them may
    send ahead: 1024 items, 4 MiB), `stream_buffer` (all of them together, 64 MiB), `send_buffer` (bytes
    waiting to be sent above which callers are slowed, 64 MiB), `memory_kept` (bytes of large memory that this
    process keeps for its next long message, for 10 seconds, 256 MiB; of several connections the largest
    counts).

    Called without any, it reads `HYPHA_SERVER_URL`, `HYPHA_TOKEN`, `HYPHA_WORKSPACE` and `HYPHA_CLIENT_ID`
    (or the same with `POLYFN_`) from the environment, or else from the nearest file `.env`.

    Raises `PeerGoneError` when the server cannot be reached, `PermissionDeniedError` when it refuses,
    `RpcTimeoutError` when it does not answer in time.
    """
    return Connecting(options.read(config, more), _itself)


def connect_to_server_http(config: Mapping[str, Any] | str | None = None, **more: Any) -> Connecting[Client]:
    """The same with `transport="http"`, for networks that let no websocket through."""
    return Connecting(options.read(config, {**more, "transport": "http"}), _itself)


async def _itself(server: Client) -> Client:
    return server


def get_remote_service(
    service_uri: str, config: Mapping[str, Any] | None = None, **more: Any
) -> Connecting[Any]:
    """Connect to the server of a service and get it, by the URL `https://host/workspace/services/service`.

    The service may be written `client:service` and `service@app`. Await the result, or use it with
    `async with`, which disconnects at the end.

    ```python
    async with get_remote_service(f"http://localhost:9527/{server.workspace}/services/calc") as calc:
        print(await calc.add(1, 2))
    ```

    Options are those of `connect_to_server`, and `case_conversion` and `mode` of `get_service`.
    """
    address, settings, selection = urls.settings_of(service_uri, {**(config or {}), **more})

    async def get(server: Client) -> Any:
        return await server.get_service(address, selection)

    return Connecting(options.read(settings, {}), get)


def get_remote_service_http(
    service_uri: str, config: Mapping[str, Any] | None = None, **more: Any
) -> Connecting[Any]:
    """The same as `get_remote_service` with `transport="http"`."""
    return get_remote_service(service_uri, config, **{**more, "transport": "http"})
