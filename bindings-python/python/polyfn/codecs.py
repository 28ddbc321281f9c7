"""Codecs: forms that programs give to objects of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from . import _native
from .errors import InvalidError

Encode = Callable[[Any], Any]
#: Forms that every peer knows, which nobody may redefine.
_BUILT_IN = frozenset(_native.form_names())
#: Classes whose encoder is remembered. Past it all are looked up again: classes made on the fly must go.
MOST_REMEMBERED = 1024


@dataclass(frozen=True)
class Codec:
    """How objects of one class are sent, and made again where they are received."""

    name: str
    type: type | tuple[type, ...] | None
    encoder: Encode | None
    decoder: Encode | None


class Codecs(dict[type, "Encode | None"]):
    """The codecs of one connection: for each class of objects the function that encodes them, or None.

    It is a dict so that the core can ask it quickly; a class that was not met yet is looked up.

    >>> class Point:
    ...     def __init__(self, x, y): self.x, self.y = x, y
    >>> codecs = Codecs()
    >>> codecs.register({"name": "point", "type": Point, "encoder": lambda p: {"x": p.x, "y": p.y}})
    >>> codecs[int], codecs[Point](Point(1, 2))
    (None, {'x': 1, 'y': 2, '_rtype': 'point'})
    """

    def __init__(self) -> None:
        super().__init__()
        self._codecs: dict[str, Codec] = {}

    def register(self, config: Mapping[str, Any]) -> None:
        """Add a codec; one of the same name or class is replaced."""
        codec = Codec(
            _name(config.get("name")), config.get("type"), config.get("encoder"), config.get("decoder")
        )
        for part, given in (("encoder", codec.encoder), ("decoder", codec.decoder)):
            if given is not None and not callable(given):
                raise TypeError(f"the {part} of codec {codec.name!r} must be a function, not {given!r}")
        if codec.encoder is None and codec.decoder is None:
            raise ValueError(f"codec {codec.name!r} needs an encoder or a decoder")
        if codec.encoder is not None and codec.type is None:
            raise ValueError(f"codec {codec.name!r} has an encoder, so it needs the type of what it encodes")
        for known in list(self._codecs.values()):
            if known.name == codec.name or (codec.type is not None and known.type == codec.type):
                del self._codecs[known.name]
        self._codecs[codec.name] = codec
        self.clear()

    def decoder(self, name: str) -> Encode | None:
        """The function that makes objects of what carries this name."""
        codec = self._codecs.get(name)
        return codec.decoder if codec else None

    def __missing__(self, kind: type) -> Encode | None:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        fitting = (codec for codec in self._codecs.values() if codec.encoder and codec.type)
        found = next((codec for codec in fitting if issubclass(kind, cast("type", codec.type))), None)
        self[kind] = None if found is None else _named(found.name, cast("Encode", found.encoder))
        return self[kind]


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidError(f"a codec needs a `name` that is str, found {name!r}")
    if name in _BUILT_IN:
        raise InvalidError(f"{name!r} is a built-in form, choose another name")
    return name


def _named(name: str, encoder: Encode) -> Encode:
    """The same encoder, whose maps carry the codec's name unless they name a form themselves."""

    def encode(value: Any) -> Any:
        encoded = encoder(value)
        if not isinstance(encoded, Mapping) or "_rtype" in encoded:
            return cast("Any", encoded)
        return {**cast("Mapping[str, Any]", encoded), "_rtype": name}

    return encode
