"""Web apps as services: ASGI apps as they are, and WSGI apps in threads.

```python
from fastapi import FastAPI

app = FastAPI()

@app.get("/hello")
async def hello():
    return {"message": "Hello"}

await server.register_service({
    "id": "web",
    "type": "asgi",
    "config": {"visibility": "public"},
    "serve": app,
})
```
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from .checked import Check, checked
from .exchange import Asgi, serving
from .lifespan import Lifespan
from .wsgi import App, Wsgi

__all__ = ["Hosted", "hosted", "is_asgi", "is_wsgi"]


class Hosted:
    """An app that a service serves, from its start to its end."""

    def __init__(self, service: dict[str, Any], app: Asgi, close: Callable[[], None] | None = None) -> None:
        self._lifespan = Lifespan(app)
        self._close = close
        config = cast("Mapping[str, Any]", service.get("config") or {})
        #: The service as it is to be registered. Servers know by the config that links may be whole, and that
        #: several messages may go together.
        self.service: dict[str, Any] = {
            **service,
            "type": "asgi",
            "config": {"root_path": True, **config, "app_protocol": 2},
            "serve": serving(app, self._lifespan.state),
        }

    async def start(self) -> None:
        """Let the app prepare itself.

        Raises `RuntimeError` when it says that it cannot.
        """
        await self._lifespan.start()

    async def stop(self) -> None:
        """Let the app clean up."""
        await self._lifespan.stop()
        if self._close is not None:
            self._close()


def hosted(service: Mapping[str, Any], given: Any) -> Hosted | None:
    """The app of a service, if it has one: `given` is what was registered, `service` the same as a dict.

    A service of type `asgi` may also have a function `serve(args, context)` which calls the app by itself, as
    with hypha-rpc; then there is nothing to host. With `check_context` each request is looked at first:
    see `checked`.
    """
    kind = str(service.get("type") or "").lower()
    if kind not in ("asgi", "wsgi"):
        return None
    # what runs in threads was wrapped already
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else service
    app: Any = fields.get("serve")
    if not callable(app):
        raise ValueError(f"a service of type {kind} needs the app, or a function, under the name `serve`")
    if kind == "asgi" and not is_asgi(app):
        return None
    config = cast("Mapping[str, Any]", service.get("config") or {})
    wsgi = Wsgi(cast("App", app), int(config.get("threads", 10))) if kind == "wsgi" else None
    asgi = wsgi or cast("Asgi", app)
    described = dict(service)
    if described.pop("check_context", None) is not None:
        asgi = checked(asgi, cast("Check", fields["check_context"]))
        described["config"] = {**config, "require_context": True}
    return Hosted(described, asgi, wsgi and wsgi.close)


def is_asgi(app: Callable[..., Any]) -> bool:
    """Whether this is an ASGI app, called with scope, receive and send; not a function of one argument.

    >>> async def app(scope, receive, send): ...
    >>> async def serve(args, context=None): ...
    >>> is_asgi(app), is_asgi(serve)
    (True, False)
    """
    return _takes(app, 3) and not _takes(app, 1)


def is_wsgi(app: Callable[..., Any]) -> bool:
    """Whether this looks like a WSGI app, called with the environment and `start_response`.

    >>> def app(environ, start_response): ...
    >>> is_wsgi(app), is_wsgi(print)
    (True, False)
    """
    return _takes(app, 2) and not _takes(app, 1) and not _takes(app, 3)


def _takes(app: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True
