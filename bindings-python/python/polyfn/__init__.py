"""Polyglot functions: register plain functions on a server, and call those of others.

```python
import asyncio
from polyfn import connect_to_server

async def main():
    async with connect_to_server("http://localhost:9527") as server:
        await server.register_service({"id": "calc", "add": lambda a, b: a + b})
        calc = await server.get_service("calc")
        print(await calc.add(1, 2))

asyncio.run(main())
```
"""

from ._native import RemoteFunction, RemoteStream, current_deadline, current_trace
from ._native import version as __version__
from .accounts import login, logout
from .client import Client
from .connecting import (
    Connecting,
    connect_to_server,
    connect_to_server_http,
    get_remote_service,
    get_remote_service_http,
)
from .errors import (
    CallCancelledError,
    ConflictError,
    InternalError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    PeerGoneError,
    PermissionDeniedError,
    RemoteError,
    RpcError,
    RpcTimeoutError,
    TooLargeError,
)
from .export import api
from .functions import run_in_executor
from .http import Event, HTTPError, Upload
from .loading import function
from .proxy import ObjectProxy
from .rpc import Rpc
from .schema import schema_function, schema_method, schema_service
from .server import Request, Server
from .sync import connect_to_server as connect_to_server_sync
from .sync import get_remote_service as get_remote_service_sync
from .sync import login as login_sync
from .sync import logout as logout_sync

__all__ = [
    "CallCancelledError",
    "Client",
    "ConflictError",
    "Connecting",
    "Event",
    "HTTPError",
    "InternalError",
    "InvalidError",
    "NotFoundError",
    "ObjectProxy",
    "OverloadedError",
    "PeerGoneError",
    "PermissionDeniedError",
    "RemoteError",
    "RemoteFunction",
    "RemoteStream",
    "Request",
    "Rpc",
    "RpcError",
    "RpcTimeoutError",
    "Server",
    "TooLargeError",
    "Upload",
    "__version__",
    "api",
    "connect_to_server",
    "connect_to_server_http",
    "connect_to_server_sync",
    "current_deadline",
    "current_trace",
    "function",
    "get_remote_service",
    "get_remote_service_http",
    "get_remote_service_sync",
    "login",
    "login_sync",
    "logout",
    "logout_sync",
    "run_in_executor",
    "schema_function",
    "schema_method",
    "schema_service",
]
