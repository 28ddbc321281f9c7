"""Addresses of services as URLs."""

from __future__ import annotations

import re
import reprlib
from typing import Any, NamedTuple

from .errors import InvalidError

_SERVICE = re.compile(
    r"(?P<server>https?://[^\s?#]+?)/(?P<workspace>[^/\s]+)/services/"
    r"(?:(?P<client>[^/:@\s]+):)?(?P<service>[^/:@\s?#]+)(?:@(?P<app>[^/:@\s?#]+))?/*$"
)


class ServiceUrl(NamedTuple):
    """The parts of the URL of a service."""

    server_url: str
    workspace: str
    client_id: str
    service_id: str
    app_id: str


def parse_service_url(url: str) -> ServiceUrl:
    """Take the URL of a service apart; what it does not say is `*`.

    >>> parse_service_url("https://lab.example/my-lab/services/calc").service_id
    'calc'
    >>> parse_service_url("https://lab.example/base/my-lab/services/robot:calc@app")[1:]
    ('my-lab', 'robot', 'calc', 'app')
    >>> parse_service_url("https://lab.example/calc")
    Traceback (most recent call last):
    ValueError: 'https://lab.example/calc' is no URL of a service, expected https://host/workspace/services/service
    """
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidError(f"expected the URL of a service, found {reprlib.repr(url)}")
    found = _SERVICE.match(url.strip())
    if found is None:
        raise ValueError(f"{url!r} is no URL of a service, expected https://host/workspace/services/service")
    server, workspace, client, service, app = found.group("server", "workspace", "client", "service", "app")
    return ServiceUrl(server, workspace, client or "*", service, app or "*")


def settings_of(url: str, given: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Take the options of `get_remote_service` apart: address, settings of the connection, the choice."""
    parts = parse_service_url(url)
    selection = {name: given[name] for name in ("case_conversion", "mode") if name in given}
    settings = {name: value for name, value in given.items() if name not in selection}
    known: str = settings.setdefault("server_url", parts.server_url)
    if known.rstrip("/") != parts.server_url:
        raise ValueError(f"server_url {known} is not that of the service, {parts.server_url}: leave it out")
    address = f"{parts.workspace}/{parts.client_id}:{parts.service_id}@{parts.app_id}"
    return address, settings, selection
