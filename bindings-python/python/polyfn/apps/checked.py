"""Apps whose requests are looked at before the app sees them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from ..http import HTTPError
from .exchange import Asgi, Receive, Scope, Send

#: Is called with `context`, `scope`, `receive` and `send`; refuses by raising, or by giving `False`.
Check = Callable[..., Any]


def checked(app: Asgi, check: Check) -> Asgi:
    """The app behind a check: only requests that it lets through reach it.

    An `HTTPError` is the answer, a `PermissionError` or `False` one of 403; other errors are those of an app
    that fails. A websocket is refused with 403 whatever was raised.
    """

    async def app_behind_check(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            context = scope.get("extensions", {}).get("polyfn", {}).get("context")
            try:
                passed = check(context=context, scope=scope, receive=receive, send=send)
                if inspect.isawaitable(passed):
                    passed = await cast("Any", passed)
                if passed is False:
                    raise PermissionError("this request is not let through")
            except PermissionError as error:
                return await _refuse(HTTPError(403, str(error)), scope, send)
            except HTTPError as error:
                return await _refuse(error, scope, send)
        await app(scope, receive, send)

    return app_behind_check


async def _refuse(error: HTTPError, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.detail})
        return
    answer = error.response()
    headers = [
        (name.lower().encode("latin-1"), str(one).encode("latin-1"))
        for name, value in answer["headers"].items()
        for one in (cast("list[Any]", value) if isinstance(value, list) else [value])
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer["body"].encode()})
