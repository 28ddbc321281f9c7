"""Names in camelCase and snake_case: programs of another language like to be called in their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from .proxy import ObjectProxy

_CASES = ("camel", "snake", "camel+snake", "snake+camel")


def to_camel_case(name: str) -> str:
    """Write a name in camelCase.

    >>> to_camel_case("list_all_services"), to_camel_case("Services")
    ('listAllServices', 'services')
    """
    if "_" not in name:
        return name[:1].lower() + name[1:]
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


def to_snake_case(name: str) -> str:
    """Write a name in snake_case.

    >>> to_snake_case("listAllServices"), to_snake_case("HTTPServer")
    ('list_all_services', 'h_t_t_p_server')
    """
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def convert_case(value: Any, case: str | None) -> Any:
    """Rename the keys of a map, and of the maps in it: `camel`, `snake`, or both with `camel+snake`.

    >>> convert_case({"do_it": {"now_or_never": 1}}, "camel")
    {'doIt': {'nowOrNever': 1}}
    >>> convert_case({"do_it": 1}, "camel+snake")
    {'doIt': 1, 'do_it': 1}
    """
    if case is None:
        return value
    if case not in _CASES:
        raise ValueError(f"case_conversion {case!r} is not known, expected one of {', '.join(_CASES)}")
    if not isinstance(value, Mapping):
        return value
    members = cast("Mapping[Any, Any]", value)
    renamed: dict[Any, Any] = ObjectProxy() if isinstance(value, ObjectProxy) else {}
    for one in case.split("+"):
        rename = to_camel_case if one == "camel" else to_snake_case
        for key, member in members.items():
            renamed[rename(key) if isinstance(key, str) else key] = convert_case(member, one)
    return renamed
