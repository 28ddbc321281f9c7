"""`api.export`: a program that does nothing but offer its functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from .connecting import connect_to_server
from .functions import exported


class Api:
    """Exports what a program offers; the server is the one that the environment names."""

    def __init__(self) -> None:
        self._registry: dict[str, Any] = {}
        self._handler: Callable[..., Any] = self._serve

    def export(self, obj: Any, config: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Offer an object, a class or a dict of functions under the service id `default`, until the end.

        Outside of an event loop this runs one, until Ctrl-C; inside of one it gives a task. `config` is that
        of the service.
        """
        self._registry[str((config or {}).get("name") or f"export-{len(self._registry) + 1}")] = obj
        return self._handler(obj, config=config, **options)

    def set_export_handler(self, handler: Callable[..., Any]) -> None:
        """Have `handler(obj, config=..., **options)` do what `export` does."""
        self._handler = handler

    def get_registry(self) -> dict[str, Any]:
        """What was exported, by name."""
        return self._registry

    def _serve(self, obj: Any, config: Mapping[str, Any] | None = None, **options: Any) -> Any:
        running = self._run(obj() if isinstance(obj, type) else obj, config or {}, options)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(running)
        return asyncio.ensure_future(running)

    async def _run(self, obj: Any, config: Mapping[str, Any], options: dict[str, Any]) -> None:
        skips_wait = options.pop("skip_wait", False)
        service = exported(obj, config)
        server = await connect_to_server()
        await server.register_service(service, **options)
        if not skips_wait:
            async with server:
                await server.serve()


#: Exports what this program offers: `api.export({"add": add})`.
api = Api()
