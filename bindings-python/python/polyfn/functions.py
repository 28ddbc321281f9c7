"""What can be registered as a service, and how it is taken apart."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping
from typing import Any, cast

from .threads import Threads

#: Entries of a service that describe it and are not called.
DESCRIPTIVE = frozenset({"id", "name", "type", "description", "docs", "config", "app_id", "service_schema"})


async def wait_for(awaitable: Awaitable[Any]) -> Any:
    """Make a coroutine of any awaitable."""
    return await awaitable


def service_map(service: Any) -> dict[str, Any]:
    """Take a service apart into one dict of plain values, functions, and dicts and lists of them.

    A service is a dict, or an instance of a class, whose public methods and attributes are then offered.

    >>> class Shelf:
    ...     "Books."
    ...     room = 3
    ...     def put(self, title): return f"{title} is on the shelf"
    ...     def _count(self): return 1
    >>> service = service_map(Shelf())
    >>> sorted(service), service["id"], service["put"]("Emma")
    (['description', 'id', 'put', 'room'], 'default', 'Emma is on the shelf')
    """
    entries = _members(service, seen=[])
    if not isinstance(service, Mapping):
        entries.setdefault("id", "default")
        description = inspect.getdoc(cast("type[Any]", type(service)))
        if description:
            entries.setdefault("description", description)
    config = entries.get("config")
    if isinstance(config, Mapping) and cast("Mapping[str, Any]", config).get("run_in_executor"):
        threads = Threads()
        entries = {
            key: value if key in DESCRIPTIVE else threads.offload(value) for key, value in entries.items()
        }
    return entries


def _members(node: Any, seen: list[int]) -> dict[str, Any]:
    """The members of a dict or an instance, with everything in them taken apart as well."""
    if id(node) in seen:
        raise ValueError(f"a service may not contain itself: found {type(node).__name__} inside of itself")
    seen = [*seen, id(node)]
    if isinstance(node, Mapping):
        pairs = dict(cast("Mapping[str, Any]", node))
    else:
        names = [name for name in dir(node) if not name.startswith("_")]
        pairs = {name: getattr(node, name) for name in names}
    return {key: value if key in DESCRIPTIVE else _member(value, seen) for key, value in pairs.items()}


def _member(value: Any, seen: list[int]) -> Any:
    if isinstance(value, Mapping) or _is_instance_of_class(value):
        return _members(value, seen)
    if type(value) is list or type(value) is tuple:
        return [_member(item, seen) for item in cast("list[Any]", value)]
    return value


def _is_instance_of_class(value: Any) -> bool:
    """Whether this is an object of a user's class that stands for a folder of functions.

    Values, exceptions, arrays and everything that can be called itself are sent as they are.
    """
    if callable(value) or isinstance(value, BaseException):
        return False
    kind = cast("type[Any]", type(value))
    module: str = kind.__module__
    has_functions = any(
        inspect.isfunction(getattr(kind, name, None)) for name in dir(kind) if not name.startswith("_")
    )
    return module not in ("builtins", "datetime", "numpy", "polyfn._native") and has_functions
