"""Dicts whose entries can be read as attributes: what maps become when they are received."""

from __future__ import annotations

from typing import Any

_METHODS = frozenset(name for name in dir(dict) if not name.startswith("_"))


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
