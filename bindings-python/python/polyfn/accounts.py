"""Logging in and out: by a web page that the server's login service shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from . import environment
from .connecting import connect_to_server

#: The login service of a server, in the workspace that everybody can see.
SERVICE = "public/hypha-login"
_TIMEOUT = 60.0
Callback = Callable[[Any], Any]


async def login(config: Mapping[str, Any] | str | None = None, **more: Any) -> Any:
    """Have a user log in by a web page; gives the token, for `connect_to_server`.

    ```python
    from polyfn import login

    async def show(context):
        print("please visit", context.login_url)

    token = await login({"server_url": "http://localhost:9527", "login_callback": show})
    ```

    `config` are options, or the URL of the server. Options, there or by name: `login_callback` (called with
    `login_url` and more; default: prints it), `login_timeout` (seconds to wait for the user, above 0; 60),
    `workspace` and `expires_in` of the token, `profile` (True to get a map with the token and what is known
    of the user), `login_service_id`, and those of `connect_to_server`.
    """
    given = settings(config, more)
    service_id = given.pop("login_service_id", None) or SERVICE
    timeout = _seconds(given.pop("login_timeout", None))
    callback: Callback = given.pop("login_callback", None) or _show_login
    profile = bool(given.pop("profile", False))
    wishes = {name: given.pop(name, None) for name in ("workspace", "expires_in")}
    async with _connection(given, "initial login client") as server:
        service = await server.get_service(service_id)
        context = await service.start(**{name: value for name, value in wishes.items() if value is not None})
        await _tell(callback, context)
        return await service.check(context["key"], timeout=timeout, profile=profile)


async def logout(config: Mapping[str, Any] | str | None = None, **more: Any) -> Any:
    """Have a user log out by a web page; gives what the server says of it.

    `config` are options, or the URL of the server. Options, there or by name: `logout_callback` (called with
    `logout_url`; default: prints it), `login_service_id`, and those of `connect_to_server`.
    """
    given = settings(config, more)
    service_id = given.pop("login_service_id", None) or SERVICE
    callback: Callback = given.pop("logout_callback", None) or _show_logout
    async with _connection(given, "initial logout client") as server:
        service = await server.get_service(service_id)
        if "logout" not in service:
            raise RuntimeError(
                "logout is not supported by this server: its login service has no such function"
            )
        context = await service.logout({})
        await _tell(callback, context)
        return context


def settings(config: Mapping[str, Any] | str | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Put the options of a call together."""
    given: dict[str, Any] = {"server_url": config} if isinstance(config, str) else dict(config or {})
    given.update(more)
    if not given.get("server_url"):
        given["server_url"] = environment.settings().get("server_url")
    return given


def _seconds(timeout: Any) -> float:
    """Refuse to wait for nobody, which would give nothing instead of a token."""
    seconds = _TIMEOUT if timeout is None else float(timeout)
    if not seconds > 0:
        raise ValueError(f"login_timeout must be a number of seconds above 0, not {timeout!r}")
    return seconds


def _connection(given: dict[str, Any], name: str) -> Any:
    return connect_to_server({"name": name, **given})


async def _tell(callback: Callback, context: Any) -> None:
    told = callback(context)
    if inspect.isawaitable(told):
        await told


def _show_login(context: Any) -> None:
    print(f"Please open your browser and login at {context['login_url']}")


def _show_logout(context: Any) -> None:
    print(f"Please open your browser to logout at {context['logout_url']}")
