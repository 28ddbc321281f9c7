"""`polyfn serve-app`: an ASGI or WSGI app that is served through a server.

```sh
polyfn serve-app myapp:app --id web --server-url https://functions.example.org --token "$TOKEN"
```
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from .accounts import login
from .apps import is_asgi, is_wsgi
from .client import Client
from .connecting import connect_to_server

__all__ = ["load", "main", "register_asgi_service", "serve_app"]

#: Exit code for a command line that cannot be used.
_UNUSABLE = 2
_TYPES = ("asgi", "wsgi")
#: What `register_asgi_service` puts into `config`.
_SETTINGS = (
    "visibility",
    "require_context",
    "root_path",
    "threads",
    "cors",
    "max_request_body",
    "http_call_timeout",
    "max_http_calls",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the app that the arguments name until the process is told to stop; gives the exit code."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else _UNUSABLE
    try:
        app = load(given.app, given.app_dir)
        kind = app_type(app) if given.type == "auto" else given.type
        given.check = load(given.check_context, given.app_dir) if given.check_context else None
    except (ValueError, TypeError) as error:
        print(f"polyfn: {error}", file=sys.stderr)
        return _UNUSABLE
    try:
        return asyncio.run(_serve(app, kind, given))
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        print(f"polyfn: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="polyfn serve-app",
        description="Serve an ASGI or WSGI app of this machine through a server, until it is stopped.",
        epilog="Token and workspace are also read from POLYFN_TOKEN and POLYFN_WORKSPACE (or HYPHA_...).",
    )
    add = parser.add_argument
    add("app", metavar="MODULE:APP", help="the app, such as myapp:app, or a file: folder/myapp.py:app")
    add("--id", required=True, help="id of the service; the app is at /WORKSPACE/apps/ID/")
    add("--server-url", required=True, metavar="URL", help="the server")
    add("--name", help="name of the service; its id when left out")
    add("--workspace", metavar="NAME", default=_variable("WORKSPACE"), help="workspace to join")
    tokens = parser.add_mutually_exclusive_group()
    tokens.add_argument("--token", help="token for the server; without one a workspace of one's own is made")
    tokens.add_argument("--login", action="store_true", help="get a token by logging in with a browser")
    add("--disable-ssl", action="store_true", help="do not check the server's certificate")
    add("--type", choices=("auto", *_TYPES), default="auto", help="kind of the app; found out by itself")
    add("--visibility", choices=("public", "unlisted", "protected"), default="public", help="who may ask")
    add("--threads", type=_count, metavar="N", help="threads of a WSGI app (10)")
    add("--relative", action="store_true", help="have the app believe that it stands at /, without root_path")
    add(
        "--check-context",
        metavar="MODULE:FUNCTION",
        help="a function that lets requests through, or refuses them",
    )
    add("--app-dir", default="", metavar="FOLDER", help="where the module is; this folder when left out")
    return parser


def _variable(name: str) -> str | None:
    # not from `.env`: its token is for the server that it names
    return os.environ.get(f"POLYFN_{name}") or os.environ.get(f"HYPHA_{name}")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def load(name: str, folder: str = "") -> Callable[..., Any]:
    """Import the app that `name` stands for, `module:app` or `file.py:app`, from `folder`.

    >>> load("polyfn.serve_app")
    Traceback (most recent call last):
    ValueError: 'polyfn.serve_app' names no app, expected module:app, such as myapp:app

    Raises `ValueError` when there is no such app; what the module itself raises comes through.
    """
    place, _, path = name.rpartition(":")
    if not place or not path:
        raise ValueError(f"{name!r} names no app, expected module:app, such as myapp:app")
    where = Path(folder).resolve()
    if place.endswith(".py"):
        file = where / place
        if not file.is_file():
            raise ValueError(f"there is no file {file}")
        where, place = file.parent, file.stem
    if str(where) not in sys.path:
        sys.path.insert(0, str(where))
    try:
        found: Any = importlib.import_module(place)
    except ModuleNotFoundError as error:
        # one that the module itself imports is another matter
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise ValueError(f"there is no module {place} in {where}, nor is it installed") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{place} has no {part!r}, so that there is no {name}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{name} cannot be called, it is of type {type(found).__name__}")
    return found


def app_type(app: Callable[..., Any]) -> str:
    """Find out whether an app is an ASGI or a WSGI one, by the arguments that it takes.

    >>> async def asgi(scope, receive, send): ...
    >>> def wsgi(environ, start_response): ...
    >>> app_type(asgi), app_type(wsgi)
    ('asgi', 'wsgi')

    Raises `TypeError` when it looks like neither.
    """
    if is_asgi(app):
        return "asgi"
    if is_wsgi(app):
        return "wsgi"
    raise TypeError("the app takes neither (scope, receive, send) nor (environ, start_response): give --type")


async def _serve(app: Callable[..., Any], kind: str, given: argparse.Namespace) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for end in (signal.SIGINT, signal.SIGTERM):
        # without it Ctrl-C still ends the loop
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(end, stopped.set)
    serving = asyncio.ensure_future(_serve_until_lost(app, kind, given))
    stopping = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if serving.done():
        await serving
        return 0
    serving.cancel()
    await asyncio.wait({serving})
    return 0


async def _serve_until_lost(app: Callable[..., Any], kind: str, given: argparse.Namespace) -> None:
    more: dict[str, Any] = {"visibility": given.visibility, "root_path": not given.relative}
    if given.threads is not None:
        more["threads"] = given.threads
    token = given.token or (None if given.login else _variable("TOKEN"))
    if given.login:
        token = await login(_connection(given.server_url, None, None, given.disable_ssl))
    settings = _connection(given.server_url, given.workspace, token, given.disable_ssl)
    await _serve_by(settings, _service(given.id, app, kind, given.name, more, given.check))


def _connection(url: str, workspace: str | None, token: str | None, disable_ssl: bool) -> dict[str, Any]:
    given = {"workspace": workspace, "token": token, "ssl": False if disable_ssl else None}
    return {
        "server_url": url.rstrip("/"),
        **{key: value for key, value in given.items() if value is not None},
    }


def _service(
    service_id: str,
    app: Callable[..., Any],
    kind: str,
    name: str | None,
    config: Mapping[str, Any],
    check: Callable[..., Any] | None,
) -> dict[str, Any]:
    service = {"id": service_id, "name": name or service_id, "type": kind, "config": config, "serve": app}
    return service if check is None else {**service, "check_context": check}


async def _serve_by(settings: dict[str, Any], service: dict[str, Any]) -> None:
    async with connect_to_server(settings) as server:
        server.on("disconnected", lambda _: _tell(server, "the connection is lost, trying again"))
        server.on("reconnected", lambda _: _tell(server, "connected again"))
        await server.register_service(service, overwrite=True)
        url = f"{settings['server_url']}/{server.workspace}/apps/{service['id']}/"
        print(f"Access your app at: {url}", flush=True)
        await server.serve()


def _tell(server: Client, text: str) -> None:
    # at the end there is nothing to say
    if server.connection_state != "closed":
        print(f"polyfn: {text}", file=sys.stderr, flush=True)


async def register_asgi_service(
    server: Client,
    service_id: str,
    app: Callable[..., Any],
    check_context: Callable[..., Any] | None = None,
    **more: Any,
) -> Any:
    """Register an app as a service, open to everybody unless `visibility` says otherwise; gives its info.

    `check_context` is called before the app, with `context`, `scope`, `receive` and `send` as keywords: it
    refuses a request by raising an `HTTPError` or a `PermissionError`, or by giving `False`. `service_name`
    names the service; settings such as `root_path` or `max_http_calls` go into its `config`, all else is put
    into the service as it is. WSGI apps are known as such.
    """
    name = cast("str | None", more.pop("service_name", None))
    settings = {key: more.pop(key) for key in _SETTINGS if key in more}
    given = cast("Mapping[str, Any]", more.pop("config", None) or {})
    config = {"visibility": "public", "root_path": True, **given, **settings}
    service = _service(service_id, app, app_type(app), name, config, check_context)
    return await server.register_service({**service, **more}, overwrite=True)


async def serve_app(
    app: Callable[..., Any],
    server_url: str,
    service_id: str,
    workspace: str | None = None,
    token: str | None = None,
    disable_ssl: bool = False,
    service_name: str | None = None,
    check_context: Callable[..., Any] | None = None,
) -> None:
    """Connect, register an app, print its URL, and serve it until the connection is over.

    `check_context` is that of `register_asgi_service`.
    """
    settings = _connection(server_url, workspace, token, disable_ssl)
    config = {"visibility": "public", "root_path": True}
    await _serve_by(settings, _service(service_id, app, app_type(app), service_name, config, check_context))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
