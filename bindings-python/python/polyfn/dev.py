"""`polyfn dev`: serves the functions of modules, and loads them again when they are saved."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping
from typing import Any

from . import _native
from .client import Client
from .connecting import connect_to_server
from .loading import Module
from .server import Server

#: Seconds between two looks at the files: a change is served within three of them.
_LOOK = 0.06


def main(plan: Mapping[str, Any]) -> int:
    """Serve until the process is told to stop; gives the exit code."""
    try:
        return asyncio.run(_serve(plan))
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        print(f"polyfn: {error}", file=sys.stderr)
        return 1


async def _serve(plan: Mapping[str, Any]) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for kind in (signal.SIGINT, signal.SIGTERM):
        # without it Ctrl-C still ends the loop
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(kind, stopped.set)
    async with contextlib.AsyncExitStack() as stack:
        workspace = {"workspace": plan["workspace"]} if plan["workspace"] else {}
        if plan["server_url"] is None:
            own = Server(host=plan["host"], port=plan["port"], on_request=_say)
            server = await stack.enter_async_context(own)
            url, connecting = server.url, server.connect(workspace)
        else:
            url = plan["server_url"].rstrip("/")
            token = {"token": plan["token"]} if plan["token"] else {}
            connecting = connect_to_server({"server_url": url, **workspace, **token})
        client = await stack.enter_async_context(connecting)
        # an own server tells of its requests; of another one only the calls are seen here
        shows_calls = plan["server_url"] is not None
        modules = [Module(path, service_id, _say, shows_calls) for path, service_id in plan["modules"]]
        # what is saved while the modules are loaded is not missed
        files = _files(plan, modules)
        for module in modules:
            await _load(module, client, url)
        watching = asyncio.create_task(_watch(files, modules, client, url))
        ends = [asyncio.create_task(stopped.wait()), asyncio.create_task(client.serve())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            _say("the connection to the server is lost")
        for task in (watching, *ends):
            task.cancel()
        await asyncio.gather(watching, *ends, return_exceptions=True)
    return 0


def _files(plan: Mapping[str, Any], modules: list[Module]) -> _native.Watch | None:
    if not plan["reload"]:
        return None
    return _native.Watch([str(module.path) for module in modules], [str(path) for path in plan["watch"]])


async def _watch(files: _native.Watch | None, modules: list[Module], client: Client, url: str) -> None:
    while files is not None:
        await asyncio.sleep(_LOOK)
        if files.changed():
            for module in modules:
                module.forget()
            for module in modules:
                await _load(module, client, url)


async def _load(module: Module, client: Client, url: str) -> None:
    """Load a module and register its functions; what fails leaves the last good ones in place."""
    try:
        service, functions = module.load()
        await client.register_service(service, overwrite=True)
    except (Exception, SystemExit) as error:
        module.tell_failed(error)
    else:
        _say(_native.dev_routes(url, client.workspace, module.service_id, functions))


def _say(line: object) -> None:
    print(line, flush=True)
