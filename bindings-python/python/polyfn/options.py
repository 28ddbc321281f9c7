"""The settings of a connection: which there are, and where those that are not given come from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any

#: Passed on to the core, which has the defaults.
_OWN = frozenset(
    {
        "app_id",
        "client_id",
        "connect_timeout",
        "encryption",
        "encryption_private_key",
        "encryption_public_key",
        "long_message_chunk_size",
        "method_timeout",
        "name",
        "ping_interval",
        "ping_timeout",
        "reconnect",
        "reconnection_token",
        "rintf_timeout",
        "send_buffer",
        "server_url",
        "token",
        "token_refresh_interval",
        "transport",
        "workspace",
    }
)
#: Known to hypha-rpc and without a meaning here: taken, so that moving over is changing one import.
_INERT = frozenset({"additional_headers", "kwargs_expansion", "logger", "loop", "silent"})
#: Known to hypha-rpc and not offered yet, with the values that ask for nothing.
_MISSING: dict[str, tuple[Any, ...]] = {
    "ssl": (None, True),
    "webrtc": (None, False),
    "webrtc_config": (None,),
}
_FROM_ENVIRONMENT = ("server_url", "token", "client_id", "workspace")


def read(config: Mapping[str, Any] | str | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Put the settings of a call together.

    >>> read({"server_url": "http://localhost:9527"}, {"method_timeout": 5})
    {'server_url': 'http://localhost:9527', 'method_timeout': 5, 'connect_timeout': 5}
    >>> read("http://localhost:9527", {"workspaces": "lab"})
    Traceback (most recent call last):
    TypeError: connect_to_server has no option 'workspaces', did you mean 'workspace'?
    """
    given = {"server_url": config} if isinstance(config, str) else dict(config or {})
    given.update(more)
    if not given:
        given = _environment()
    options = {name: value for name, value in given.items() if _is_used(name, value)}
    if not options.get("server_url"):
        raise TypeError("connect_to_server needs server_url, for example http://localhost:9527")
    if "method_timeout" in options:
        options.setdefault("connect_timeout", options["method_timeout"])
    return options


def _is_used(name: str, value: Any) -> bool:
    if name in _OWN:
        return value is not None
    if name in _MISSING:
        if value not in _MISSING[name]:
            raise NotImplementedError(f"polyfn does not offer {name}={value!r} yet, leave the option out")
        return False
    if name in _INERT:
        return False
    close = difflib.get_close_matches(name, _OWN | _INERT | _MISSING.keys(), 1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    raise TypeError(f"connect_to_server has no option {name!r}{hint}")


def _environment() -> dict[str, Any]:
    """Called without any option: what the environment says, under our names or those of hypha-rpc."""
    found: dict[str, Any] = {}
    for name in _FROM_ENVIRONMENT:
        value = os.environ.get(f"POLYFN_{name.upper()}") or os.environ.get(f"HYPHA_{name.upper()}")
        if value:
            found[name] = value
    return found
