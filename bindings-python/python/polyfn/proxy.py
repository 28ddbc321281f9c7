"""Dicts whose entries can be read as attributes: what maps become when they are received."""

from __future__ import annotations

from typing import Any, cast

_METHODS = frozenset({"fromDict", "toDict", *(name for name in dir(dict) if not name.startswith("_"))})


class ObjectProxy(dict[str, Any]):
    """A dict whose entries are attributes as well.

    >>> user = ObjectProxy(name="ann", items=3)
    >>> user.name, user["name"]
    ('ann', 'ann')

    A key wins over the method of the same name in maps that were received, and once it was set as an
    attribute:

    >>> user.items = 4
    >>> user.items
    4
    """

    __slots__ = ()

    @staticmethod
    def fromDict(members: dict[str, Any]) -> ObjectProxy:  # noqa: N802 - hypha-rpc's name
        """Make one of a dict and of the dicts in it.

        >>> ObjectProxy.fromDict({"inner": [{"a": 1}]}).inner[0].a
        1
        """
        return cast("ObjectProxy", _converted(members, ObjectProxy))

    def toDict(self) -> dict[str, Any]:  # noqa: N802 - hypha-rpc's name
        """Make a plain dict of it and of those in it.

        >>> ObjectProxy(inner=ObjectProxy(a=1)).toDict()
        {'inner': {'a': 1}}
        """
        return cast("dict[str, Any]", _converted(self, dict))

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__class__":
            super().__setattr__(name, value)
            return
        self[name] = value
        if name in _METHODS:
            super().__setattr__("__class__", ShadowingProxy)

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(key for key in self if isinstance(key, str))})  # pyright: ignore[reportUnnecessaryIsInstance]


class ShadowingProxy(ObjectProxy):
    """The same for maps with a key like `items`, which then hides the method.

    It is a class of its own so that all other maps need not look twice at each attribute.
    """

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name in _METHODS and name in self:
            return self[name]
        return super().__getattribute__(name)


def _converted(value: Any, kind: type[dict[str, Any]]) -> Any:
    """A value with all dicts in it of this kind."""
    if isinstance(value, dict):
        made = kind()
        # not by its own method, which a key may hide
        members = cast("Any", dict).items(value)
        made.update({key: _converted(member, kind) for key, member in members})
        if isinstance(made, ObjectProxy) and not _METHODS.isdisjoint(made):
            object.__setattr__(made, "__class__", ShadowingProxy)
        return made
    if type(value) is list or type(value) is tuple:
        return cast("Any", type)(value)(_converted(item, kind) for item in cast("list[Any]", value))
    return value
