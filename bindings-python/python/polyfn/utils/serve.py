"""What `hypha_rpc.utils.serve` has: apps served through a server, also as `python -m polyfn.utils.serve`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..serve_app import main, register_asgi_service, serve_app

__all__ = ["create_openai_chat_server", "main", "register_asgi_service", "serve_app"]


def create_openai_chat_server(
    model_registry: Mapping[str, Callable[[dict[str, Any]], Any]],
    allow_origins: Sequence[str] | str = "*",
    allow_credentials: bool = True,
    allow_methods: Sequence[str] | str = "*",
    allow_headers: Sequence[str] | str = "*",
) -> Any:
    """Make a FastAPI app that chat clients can ask, from functions that write text; for `serve_app`.

    A function is given the request as a dict. It gives a text, an async or plain generator of texts, or a
    whole answer as a dict; it may be a coroutine function. The app answers `/v1/models` and
    `/v1/chat/completions`, with `stream` as server-sent events. Cookies are let through for origins that are
    named only, never for `*`.

    Raises `ImportError` without FastAPI, which polyfn does not install by itself.

    ```python
    from polyfn.utils.serve import create_openai_chat_server, register_asgi_service

    async def echo(request):
        for word in request["messages"][-1]["content"].split():
            yield word + " "

    app = create_openai_chat_server({"echo": echo})
    await register_asgi_service(server, "chat", app, visibility="unlisted")
    ```
    """
    try:
        from .chat import chat_app
    except ImportError as error:
        raise ImportError("create_openai_chat_server needs FastAPI: pip install fastapi") from error
    origins, methods, headers = (
        [given] if isinstance(given, str) else given
        for given in (allow_origins, allow_methods, allow_headers)
    )
    return chat_app(model_registry, origins, allow_credentials, methods, headers)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
