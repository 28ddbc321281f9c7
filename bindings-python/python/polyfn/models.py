"""Models of pydantic: sent with their schema, made again from it where pydantic is installed."""

from __future__ import annotations

import functools
import json
import operator
import warnings
import weakref
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, cast

from .maker import Maker

#: Longer schemas of peers are not worked out: their models stay maps.
MOST_SCHEMA = 64 * 1024
FORM = "pydantic_model"


class _Known(NamedTuple):
    """What is known of a class whose models are sent."""

    schema: dict[str, Any]
    #: Whether a field has other names where it is sent than where it is taken, which are those of the schema.
    is_renamed: bool


_SCALARS = frozenset((str, int, float, bool, bytes, type(None)))
_KNOWN: weakref.WeakKeyDictionary[type, _Known] = weakref.WeakKeyDictionary()
#: The classes that were made here, of the schemas of peers.
_MADE: weakref.WeakSet[type] = weakref.WeakSet()


def is_model(value: Any) -> bool:
    """Whether this is a model of pydantic, which is not loaded to find out."""
    return hasattr(value, "model_dump") and hasattr(value, "model_json_schema")


def encode(model: Any) -> dict[str, Any]:
    """The values of a model and its schema, under the same names: those by which the model is made."""
    kind = cast("type[Any]", type(model))
    known = _KNOWN.get(kind)
    if known is None:
        known = _KNOWN[kind] = _known(kind)
    values = model.model_dump(mode="json", by_alias=not known.is_renamed)
    if known.is_renamed:
        values = _as_taken(model, values)
    return {"_rvalue": values, "_rschema": known.schema, "_rtype": FORM}


def _known(kind: Any) -> _Known:
    schema = kind.model_json_schema()
    try:
        is_renamed = _names(schema) != _names(kind.model_json_schema(mode="serialization"))
    except Exception:
        # what it is sent as has no schema: nothing is known of the names in it
        is_renamed = True
    if schema.keys() == {"$defs", "$ref"}:
        # a model that contains itself refers to one of its definitions, which hypha-rpc does not follow
        schema = {**schema["$defs"][schema["$ref"].removeprefix("#/$defs/")], "$defs": schema["$defs"]}
    return _Known(schema, is_renamed)


def _names(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the fields of all models in a schema."""
    found = {"": schema, **schema.get("$defs", {})}
    return {key: list(about.get("properties", ())) for key, about in found.items()}


def _as_taken(value: Any, dumped: Any) -> Any:
    """What was dumped by the names of fields, by those that make a model of it again."""
    kind = cast("Any", type(value))
    if getattr(kind, "__pydantic_root_model__", False):
        return _as_taken(value.root, dumped)
    if isinstance(dumped, list):
        kept = cast("list[Any]", dumped)
        return [_as_taken(*pair) for pair in zip(_items(value, kept), kept, strict=True)]
    if not isinstance(dumped, dict):
        return dumped
    entries = cast("dict[str, Any]", dumped)
    if issubclass(kind, Mapping):
        items = _items(value.values(), entries)
        return {key: _as_taken(item, entries[key]) for key, item in zip(entries, items, strict=True)}
    names = _taken_names(kind)
    return {names.get(key, key): _as_taken(getattr(value, key, None), item) for key, item in entries.items()}


def _items(value: Any, dumped: Collection[Any]) -> Iterable[Any]:
    """The items of which others were made; nothing for each of them where it cannot be said which."""
    if isinstance(value, Collection) and len(cast("Collection[Any]", value)) == len(dumped):
        return cast("Collection[Any]", value)
    return [None] * len(dumped)


def _taken_names(kind: Any) -> dict[str, str]:
    """The names of a model in its schema, by those of its fields, and of what it computes."""
    fields = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "model_fields", {})
    computed = getattr(kind, "model_computed_fields", {})
    return {
        **{name: _taken_name(name, field.validation_alias) for name, field in fields.items()},
        **{name: field.alias or name for name, field in computed.items()},
    }


def _taken_name(name: str, alias: Any) -> str:
    """The name of a field in the schema: the first of its aliases that is one and not a path."""
    for choice in getattr(alias, "choices", [alias]):
        path = getattr(choice, "path", [choice])
        if len(path) == 1 and isinstance(path[0], str):
            return path[0]
    return name


def decode(form: dict[str, Any]) -> Any:
    """A model of the values; they alone where there is no pydantic, the form itself where they do not fit."""
    try:
        schema = json.dumps(_plain(form["_rschema"]))
        if len(schema) > MOST_SCHEMA:
            return form
        kind = _model(schema)
        return form if kind is None else kind.model_validate(form["_rvalue"])
    except ImportError:
        return dict(form).get("_rvalue", form)
    # whatever a peer sends as a schema, what it sent with it can still be read
    except Exception:
        return form


def values_of(value: Any) -> Any:
    """An argument with the values of the models in it that peers have sent, for a declared class to take.

    What holds none is given back as it is.

    >>> values_of([{"_rtype": "pydantic_model", "_rvalue": {"x": 1}, "_rschema": None}, 2])
    [{'x': 1}, 2]
    """
    kind = cast("Any", type(value))
    if kind in _SCALARS:
        return value
    if kind in _MADE:
        # what the peer left out has its default in the declared class, which this one may not know
        return kind.model_dump(value, by_alias=True, exclude_unset=True)
    if kind is list or kind is tuple:
        items = [values_of(item) for item in value]
        return cast("Any", value if all(map(operator.is_, items, value)) else kind(items))
    if not isinstance(value, dict):
        return value
    # a copy: in maps of peers a key like `items` hides the method of dicts
    entries = dict(cast("dict[Any, Any]", value))
    if entries.get("_rtype") == FORM:
        return entries.get("_rvalue")
    made = {key: values_of(item) for key, item in entries.items()}
    return cast("Any", value) if all(map(operator.is_, made.values(), entries.values())) else made


def _plain(value: Any) -> Any:
    """Without maps in which a key like `items` hides the method of dicts."""
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    value = dict(cast("dict[str, Any]", value))
    return {key: _plain(item) for key, item in value.items()}


@functools.lru_cache(maxsize=128)
def _model(schema: str) -> Any:
    """The class of a schema; nothing where there is none, which is not tried again."""
    with warnings.catch_warnings():
        # a field may have the name of a method, as in `json`
        warnings.simplefilter("ignore")
        try:
            maker = Maker(json.loads(schema))
            made = maker.model()
        except ImportError:
            raise
        except Exception:
            return None
    _MADE.update(maker.classes)
    return made
