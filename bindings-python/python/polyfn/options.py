"""The settings of a connection: which there are, and where those that are not given come from."""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from . import _native, environment

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
        "server_url",
        "token",
        "token_refresh_interval",
        "transport",
        "workspace",
        *_native.limit_names(),
    }
)
#: Of the Python half alone: `Client.open` takes it out.
_HERE = frozenset({"sync_in_threads"})
#: Put into settings of the core here.
_TRANSLATED = frozenset({"additional_headers", "ssl"})
#: Known to hypha-rpc and without a meaning here: taken, so that moving over is changing one import.
_INERT = frozenset({"kwargs_expansion", "logger", "loop", "silent"})
#: Known to hypha-rpc and not offered yet, with the values that ask for nothing.
_MISSING: dict[str, tuple[Any, ...]] = {
    "webrtc": (None, False),
    "webrtc_config": (None,),
}


def read(config: Mapping[str, Any] | str | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Put the settings of a call together.

    >>> read({"server_url": "http://localhost:9527"}, {"method_timeout": 5})
    {'server_url': 'http://localhost:9527', 'method_timeout': 5, 'connect_timeout': 5}
    >>> read("http://localhost:9527", {"workspaces": "lab"})
    Traceback (most recent call last):
    TypeError: connect_to_server has no option 'workspaces', did you mean 'workspace'?
    """
    given: dict[str, Any] = {"server_url": config} if isinstance(config, str) else dict(config or {})
    given.update(more)
    if not given.keys() - {"transport"}:
        given |= dict[str, Any](environment.settings())
    transport = _transport(given.pop("ssl", None), given.pop("additional_headers", None))
    options = {name: value for name, value in given.items() if _is_used(name, value)}
    options.update(transport)
    if not options.get("server_url"):
        raise TypeError(
            "connect_to_server needs server_url, for example http://localhost:9527; without any option it is "
            "HYPHA_SERVER_URL of the environment or of a file .env"
        )
    if "method_timeout" in options:
        options.setdefault("connect_timeout", options["method_timeout"])
    return options


def _is_used(name: str, value: Any) -> bool:
    if name in _OWN | _HERE:
        return value is not None
    if name in _MISSING:
        if value not in _MISSING[name]:
            raise NotImplementedError(f"polyfn does not offer {name}={value!r} yet, leave the option out")
        return False
    if name in _INERT:
        return False
    close = difflib.get_close_matches(name, _OWN | _HERE | _TRANSLATED | _INERT | _MISSING.keys(), 1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    raise TypeError(f"connect_to_server has no option {name!r}{hint}")


def _transport(certificates: Any, headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """How the server is reached and known, from the options `ssl` and `additional_headers`."""
    settings: dict[str, Any] = {}
    if headers:
        settings["headers"] = [(str(name), str(value)) for name, value in headers.items()]
    if certificates is False:
        settings["tls_unverified"] = True
    elif isinstance(certificates, ssl.SSLContext):
        settings.update(_of_context(certificates))
    elif isinstance(certificates, str | os.PathLike):
        settings["tls_authorities"] = Path(cast("str", certificates)).read_text(encoding="ascii")
    elif certificates not in (None, True):
        raise TypeError(
            f"ssl must be a bool, an ssl.SSLContext, or the path of a file with certificates, "
            f"not {type(certificates).__name__}"
        )
    return settings


def _of_context(context: ssl.SSLContext) -> dict[str, Any]:
    """What can be taken from a context of Python's: whether it checks, and the authorities it believes."""
    if context.verify_mode == ssl.CERT_NONE:
        return {"tls_unverified": True}
    authorities = context.get_ca_certs(binary_form=True)
    if not authorities:
        return {}
    return {"tls_authorities": "".join(ssl.DER_cert_to_PEM_cert(authority) for authority in authorities)}
