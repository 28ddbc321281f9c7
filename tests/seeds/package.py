"""The package under test, and the line by which a program says that it is ready."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys

connect_to_server = importlib.import_module(os.environ.get("PACKAGE", "polyfn")).connect_to_server


async def ready(api) -> None:
    """Says where the services are, then waits until stdin ends."""
    token = await api.generate_token()
    sys.stdout.write(json.dumps({"workspace": api.config["workspace"], "token": token}) + "\n")
    sys.stdout.flush()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()
    await api.disconnect()
