"""Forms of objects that the core does not know by itself: what is sent for them, and what is made of that.

The core asks here only for objects that are not plain values, arrays, functions or generators.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, cast

from . import cloudevent, iostream, models
from .codecs import Codecs

#: Sent as the text that they are shown as: exact, and what JSON has for them.
_AS_TEXT = (uuid.UUID, pathlib.PurePath, decimal.Decimal)
#: What to do instead, for objects that have no form.
_REMEDIES = {
    "isoformat": "give it a time zone, or pass its isoformat()",
    "total_seconds": "pass its total_seconds()",
    "__array_interface__": "pass a numpy array",
    "real": "pass its parts, or a numpy array of it",
    "__index__": "pass int(...) of it",
    "__iter__": "pass a list of it, or iter(...) to send it as a stream",
    "__spec__": "pass its functions in a dict, or register it as a service",
    "__dict__": "pass a dict, register a codec for its class, or register an instance of it as a service",
}


def form_of(value: Any) -> Any:
    """What is sent in place of `value`.

    >>> form_of(pathlib.PurePosixPath("/a/b")), form_of(decimal.Decimal("1.10"))
    ('/a/b', '1.10')
    >>> form_of(1 + 2j)
    Traceback (most recent call last):
    TypeError: cannot send an object of type complex: pass its parts, or a numpy array of it
    """
    if getattr(value, "_rintf", None) is True:
        return _Interface(value)
    if isinstance(value, enum.Enum):
        return value.value
    if cloudevent.is_event(value):
        return cloudevent.form_of(value)
    if models.is_model(value):
        return models.encode(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    if iostream.is_file(value):
        return iostream.encode(value)
    if hasattr(value, "__aiter__"):
        return _each_later(value)
    if hasattr(value, "__next__"):
        return _each(cast("Iterator[Any]", value))
    raise TypeError(f"cannot send an object of type {type(value).__name__}: {_remedy(value)}")


class _Interface(dict[str, Any]):
    """The public members of an object with `_rintf = True`; the object is told the id that it gets.

    >>> class Robot:
    ...     _rintf = True
    ...     def beep(self): return "beep"
    >>> robot = Robot()
    >>> members = _Interface(robot)
    >>> members["_rintf_service_id"] = "_rintf_1"
    >>> members["_rintf"], members["beep"](), robot._rintf_service_id
    (True, 'beep', '_rintf_1')
    """

    def __init__(self, owner: Any):
        names = [name for name in dir(owner) if not name.startswith("_")]
        super().__init__({"_rintf": True, **{name: getattr(owner, name) for name in names}})
        self._owner = owner

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        with contextlib.suppress(AttributeError):
            setattr(self._owner, name, value)


def _remedy(value: Any) -> str:
    found = (text for mark, text in _REMEDIES.items() if hasattr(value, mark))
    return next(found, "pass plain values instead")


def _each(items: Iterator[Any]) -> Iterator[Any]:
    """A generator of any iterator: it ends what it iterates over."""
    yield from items


async def _each_later(items: Any) -> AsyncIterator[Any]:
    iterator = aiter(items)
    try:
        async for item in iterator:
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


def rebuild(form: dict[str, Any], codecs: Codecs | None) -> Any:
    """What a map means that carries a name of its form; the map itself if nobody knows the name.

    >>> rebuild({"_rtype": "unheard of", "x": 1}, None)
    {'_rtype': 'unheard of', 'x': 1}
    """
    name = form.get("_rtype")
    if not isinstance(name, str):
        return form
    decoder = codecs.decoder(name) if codecs is not None else None
    if decoder is not None:
        return decoder(form)
    if name == "iostream":
        return iostream.decode(form)
    if name == "pydantic_model":
        return models.decode(form)
    return form


def members(items: list[Any]) -> set[Any] | list[Any]:
    """A set of members that may have no hash as they were received; a list where they cannot be given one.

    >>> members([[1, 2]])
    {(1, 2)}
    >>> members([{}])
    [{}]
    """
    try:
        return {_hashable(item) for item in items}
    except TypeError:
        return items


def pairs(items: list[tuple[Any, Any]]) -> OrderedDict[Any, Any] | list[list[Any]]:
    """An ordered dict of pairs; a list where a key has no hash.

    >>> list(pairs([([1, 2], "a"), ("b", 3)]).items())
    [((1, 2), 'a'), ('b', 3)]
    >>> pairs([({}, "a")])
    [[{}, 'a']]
    """
    try:
        return OrderedDict((_hashable(key), value) for key, value in items)
    except TypeError:
        return [[key, value] for key, value in items]


def _hashable(value: Any) -> Any:
    """Lists were tuples, and sets frozen ones, where they stood in a set or as a key."""
    if isinstance(value, list):
        return tuple(_hashable(item) for item in cast("list[Any]", value))
    if isinstance(value, set):
        return frozenset(cast("Iterable[Any]", value))
    return value
