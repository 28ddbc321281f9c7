"""What the type of a service asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from .functions import DESCRIPTIVE
from .schema import schema_function


def checked(service: dict[str, Any], kind: Mapping[str, Any]) -> dict[str, Any]:
    """Give a service the schemas of its type; it must have what the type asks for, and no more.

    >>> kind = {"id": "calc", "definition": {"add": {"type": "function", "function": {"name": "add"}}}}
    >>> checked({"id": "c", "type": "calc", "add": lambda a, b: a + b}, kind)["add"].__schema__["name"]
    'add'
    >>> checked({"id": "c", "type": "calc", "sub": print}, kind)
    Traceback (most recent call last):
    TypeError: a service of type calc needs 'add'
    """
    name = str(kind.get("id") or service.get("type"))
    definition = kind.get("definition")
    if not isinstance(definition, Mapping):
        raise TypeError(f"service type {name} has no definition")
    own = {key: value for key, value in service.items() if key not in DESCRIPTIVE}
    wanted = cast("Mapping[str, Any]", definition)
    made = _checked(own, {key: value for key, value in wanted.items() if key not in DESCRIPTIVE}, name, "")
    return {**service, **made}


def _checked(members: dict[str, Any], wanted: Mapping[str, Any], kind: str, place: str) -> dict[str, Any]:
    for key in wanted:
        if key not in members:
            raise TypeError(f"a service of type {kind} needs {place + key!r}")
    for key in members:
        if key not in wanted:
            raise TypeError(f"a service of type {kind} has no {place + key!r}")
    return {key: _member(value, wanted[key], kind, place + key) for key, value in members.items()}


def _member(value: Any, wanted: Any, kind: str, place: str) -> Any:
    asked: Mapping[str, Any] = cast("Mapping[str, Any]", wanted) if isinstance(wanted, Mapping) else {}
    is_function = asked.get("type") == "function"
    if is_function != callable(value):
        found = "a function" if callable(value) else "no function"
        raise TypeError(f"{place!r} of a service of type {kind} is {found}")
    if is_function:
        about = cast("Mapping[str, Any]", asked.get("function") or {})
        return schema_function(
            value,
            name=about.get("name"),
            description=about.get("description"),
            parameters=about.get("parameters") or {"type": "object"},
        )
    if isinstance(value, dict):
        return _checked(cast("dict[str, Any]", value), asked, kind, f"{place}.")
    return value
