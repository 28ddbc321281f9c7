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

from ._native import RemoteFunction, RemoteStream
from .client import Connecting, Server, connect_to_server
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
from .proxy import ObjectProxy

__all__ = [
    "CallCancelledError",
    "ConflictError",
    "Connecting",
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
    "RpcError",
    "RpcTimeoutError",
    "Server",
    "TooLargeError",
    "connect_to_server",
]
