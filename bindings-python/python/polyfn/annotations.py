"""JSON Schema of Python types."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import pathlib
import sys
import types
import typing
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    dict: {"type": "object"},
}
_SCALARS: dict[Any, Schema] = {
    **_PLAIN,
    bytes: {"type": "string", "format": "binary"},
    bytearray: {"type": "string", "format": "binary"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"anyOf": [{"type": "number"}, {"type": "string", "format": "duration"}]},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"anyOf": [{"type": "number"}, {"type": "string"}]},
    pathlib.Path: {"type": "string", "format": "path"},
}
#: Not what can only be iterated over: it may be sent as a stream.
_LISTS = frozenset({list, collections.abc.Sequence, collections.abc.MutableSequence})
_SETS = frozenset({set, frozenset, collections.abc.Set, collections.abc.MutableSet})
_MAPS = frozenset({dict, collections.abc.Mapping, collections.abc.MutableMapping})
_UNIONS = frozenset({Union, types.UnionType})
_CALLABLE = cast("Any", collections.abc.Callable)
#: Attributes of what stands in `Annotated[...]` and of fields, as pydantic and annotated-types call them.
_CONSTRAINTS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}
_LENGTHS = {"string": "Length", "array": "Items", "object": "Properties"}


class Schemas:
    """Makes schemas; those of classes are collected in `definitions`, and referred to.

    >>> schemas = Schemas()
    >>> schemas.of(dict[str, int | None])
    {'type': 'object', 'additionalProperties': {'anyOf': [{'type': 'integer'}, {'type': 'null'}]}}
    >>> schemas.of(Literal["a", "b"])
    {'type': 'string', 'enum': ['a', 'b']}

    What has no form in JSON, such as a function or an array of numpy, is not constrained:

    >>> schemas.of(print)
    {}
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._names: dict[Any, str] = {}

    def of(self, annotation: Any) -> Schema:
        """Make the schema of an annotation."""
        if (scalar := _known(_SCALARS, annotation)) is not None:
            return dict(scalar)
        origin = get_origin(annotation)
        if origin is not None:
            return self._generic(annotation, origin, get_args(annotation))
        if isinstance(annotation, TypeVar):
            return self._type_variable(annotation)
        # aliases made by the statement `type`, and by NewType
        for inner in ("__value__", "__supertype__"):
            if hasattr(annotation, inner):
                return self.of(getattr(annotation, inner))
        if isinstance(annotation, type):
            return self._class(cast("type[Any]", annotation))
        return {}

    def field(self, annotation: Any, marks: Iterable[Any]) -> Schema:
        """Make the schema of an annotation with constraints and descriptions beside it."""
        schema = self.of(annotation)
        for mark in marks:
            for key, value in _said_by(mark, schema.get("type")):
                schema[key] = value
        return schema

    def _generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Schema:
        if origin is typing.Annotated:
            return self.field(args[0], args[1:])
        if origin in _UNIONS:
            return self._any_of(args)
        if origin is Literal:
            return choices(args)
        if origin in _LISTS:
            return {"type": "array", **self._inner("items", args[:1])}
        if origin in _SETS:
            return {"type": "array", "uniqueItems": True, **self._inner("items", args[:1])}
        if origin in _MAPS:
            return {"type": "object", **self._inner("additionalProperties", args[1:])}
        if origin is tuple:
            return self._tuple(args)
        if _name_of(origin) in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar"):
            return self.of(args[0])
        if hasattr(origin, "__value__"):
            return self.of(origin.__value__)
        if isinstance(origin, type) and _is_described(origin):
            return self._class(annotation if _is_pydantic(origin) else cast("type[Any]", origin))
        return {}

    def _any_of(self, args: tuple[Any, ...]) -> Schema:
        options: list[Schema] = []
        for arg in args:
            option = self.of(arg)
            if not option:
                return {}
            if option not in options:
                options.append(option)
        return options[0] if len(options) == 1 else {"anyOf": options}

    def _inner(self, key: str, args: tuple[Any, ...]) -> Schema:
        inner = self.of(args[0]) if args else {}
        return {key: inner} if inner else {}

    def _tuple(self, args: tuple[Any, ...]) -> Schema:
        if len(args) == 2 and args[1] is Ellipsis:
            return {"type": "array", **self._inner("items", args[:1])}
        length = {"minItems": len(args), "maxItems": len(args)}
        return {"type": "array", "prefixItems": [self.of(arg) for arg in args], **length}

    def _type_variable(self, variable: TypeVar) -> Schema:
        if variable.__constraints__:
            return self._any_of(variable.__constraints__)
        return {} if variable.__bound__ is None else self.of(variable.__bound__)

    def _class(self, kind: Any) -> Schema:
        if issubclass(kind, enum.Enum):
            return choices(cast("Iterable[enum.Enum]", kind))
        if _is_pydantic(kind):
            return self._pydantic(kind)
        if issubclass(kind, tuple):
            return self._named_tuple(cast("Any", kind))
        if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
            return self._object(kind)
        for base, schema in _SCALARS.items():
            if isinstance(base, type) and base is not type(None) and issubclass(kind, base):
                return dict(schema)
        if kind in _LISTS or kind in _SETS:
            return {"type": "array"}
        return {"type": "object"} if kind in _MAPS else {}

    def _named_tuple(self, kind: Any) -> Schema:
        hints = hints_of(kind)
        names: tuple[str, ...] = getattr(kind, "_fields", ())
        return self._tuple(tuple(hints.get(name, Any) for name in names)) if names else {"type": "array"}

    def _object(self, kind: Any) -> Schema:
        """A dataclass or a TypedDict, defined once and referred to: it may contain itself."""
        if kind in self._names:
            return {"$ref": f"#/$defs/{self._names[kind]}"}
        name = self._name(kind)
        self._names[kind] = name
        hints = hints_of(kind)
        if dataclasses.is_dataclass(kind):
            fields = {field.name: _default_of(field) for field in dataclasses.fields(kind) if field.init}
        else:
            fields = {
                key: MISSING if _is_required(kind, key, hint) else UNKNOWN for key, hint in hints.items()
            }
        properties = {
            key: with_default(self.of(hints.get(key, Any)), default) for key, default in fields.items()
        }
        self.definitions[name] = {
            "type": "object",
            **_documented(kind),
            "properties": properties,
            "required": [key for key, default in fields.items() if default is MISSING],
        }
        return {"$ref": f"#/$defs/{name}"}

    def _pydantic(self, kind: Any) -> Schema:
        if kind in self._names:
            return {"$ref": f"#/$defs/{self._names[kind]}"}
        from pydantic import TypeAdapter

        name = self._name(kind)
        try:
            made = TypeAdapter(kind).json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        except Exception:
            # a model of which pydantic itself can make no schema, for example one that holds an array
            return {}
        self._names[kind] = name
        inner = cast("dict[str, Schema]", made.pop("$defs", {}))
        self.definitions[name] = without_titles(made)
        for key, schema in inner.items():
            self.definitions[f"{name}.{key}"] = without_titles(schema)
        return {"$ref": f"#/$defs/{name}"}

    def _name(self, kind: Any) -> str:
        """A name for a definition that no other class has."""
        wanted: str = getattr(kind, "__name__", "Type")
        taken, number = set(self._names.values()), 2
        name = wanted
        while name in taken:
            name, number = f"{wanted}{number}", number + 1
        return name


class _Mark(enum.Enum):
    MISSING = "there is no default"
    UNKNOWN = "there is one that has no form in JSON"


MISSING = _Mark.MISSING
UNKNOWN = _Mark.UNKNOWN


def is_plain(annotation: Any) -> bool:
    """Whether a value of this type arrives as what it is, so that nothing has to be made of it.

    >>> is_plain(dict[str, list[int] | None]), is_plain(tuple[int, int]), is_plain(set[str])
    (True, False, False)
    """
    if annotation is Any or annotation is object or annotation is inspect.Parameter.empty:
        return True
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return is_plain(args[0])
    if origin is Literal:
        return not any(isinstance(choice, enum.Enum) for choice in args)
    if origin in _UNIONS or origin in (list, dict):
        return all(is_plain(arg) for arg in args)
    if origin is not None:
        return origin is _CALLABLE
    return _known(_PLAIN, annotation) is not None or annotation is bytes


def _known(table: dict[Any, Schema], annotation: Any) -> Schema | None:
    try:
        return table.get(annotation)
    except TypeError:
        # `Annotated` with something in it that has no hash
        return None


def hints_of(owner: Any, names: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The annotations of a class or a function; those that cannot be resolved are `Any`.

    `names` are those that are known where it stands besides the names of its module.
    """
    try:
        return typing.get_type_hints(owner, localns=dict(names or {}), include_extras=True)
    except Exception:
        # one name that is not known here must not hide the others
        return {name: _resolve(owner, hint, names) for name, hint in _own_annotations(owner).items()}


def _own_annotations(owner: Any) -> Mapping[str, Any]:
    try:
        return inspect.get_annotations(owner)
    except Exception:
        return {}


def _resolve(owner: Any, hint: Any, names: Mapping[str, Any] | None) -> Any:
    module = sys.modules.get(getattr(owner, "__module__", None) or "")
    known = getattr(owner, "__globals__", None) or getattr(module, "__dict__", {})
    holder = types.SimpleNamespace(__annotations__={"it": hint})
    try:
        return typing.get_type_hints(holder, known, dict(names or {}), include_extras=True)["it"]
    except Exception:
        return Any


def choices(values: Iterable[Any]) -> Schema:
    """The schema of one value out of several.

    >>> choices([1, 2]), choices(["a"]), choices([1, "a"])
    ({'type': 'integer', 'enum': [1, 2]}, {'type': 'string', 'const': 'a'}, {'enum': [1, 'a']})
    """
    plain = [value.value if isinstance(value, enum.Enum) else value for value in values]
    if not all(is_json(value) for value in plain):
        return {}
    kinds: set[Any] = {type(value) for value in plain}
    schema = dict(_PLAIN.get(kinds.pop(), {})) if len(kinds) == 1 else {}
    return {**schema, "const": plain[0]} if len(plain) == 1 else {**schema, "enum": plain}


def with_default(schema: Schema, default: Any) -> Schema:
    """Add a default, when there is one that JSON can express."""
    if isinstance(default, _Mark):
        return schema
    value = default.value if isinstance(default, enum.Enum) else default
    return {**schema, "default": value} if is_json(value) else schema


def is_json(value: Any) -> bool:
    """Whether a value is the same after a way through JSON."""
    if value is None or type(value) in (bool, int, str):
        return True
    try:
        return json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError, RecursionError):
        return False


def without_titles(schema: Any) -> Any:
    """A schema as pydantic makes it, without the names in capitals that say nothing."""
    if isinstance(schema, list):
        return [without_titles(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    kept: Schema = {}
    for key, value in cast("Schema", schema).items():
        if key == "title" and isinstance(value, str):
            continue
        kept[key] = value if key in ("default", "const", "enum", "examples") else without_titles(value)
    return kept


def _said_by(mark: Any, kind: str | None) -> Iterable[tuple[str, Any]]:
    """What an entry of `Annotated[...]`, or a field, says of the type."""
    if isinstance(mark, str):
        yield "description", mark
        return
    for inner in cast("Iterable[Any]", getattr(mark, "metadata", None) or ()):
        yield from _said_by(inner, kind)
    for name in ("description", "examples"):
        if (value := getattr(mark, name, None)) is not None:
            yield name, value
    for name, key in _CONSTRAINTS.items():
        value = getattr(mark, name, None)
        if value is not None and is_json(value):
            yield key, value
    suffix = _LENGTHS.get(kind or "")
    for name in ("min", "max"):
        value = getattr(mark, f"{name}_length", None)
        if isinstance(value, int) and suffix and (value or name == "max"):
            yield f"{name}{suffix}", value


def _is_pydantic(kind: Any) -> bool:
    return hasattr(kind, "__pydantic_core_schema__") or hasattr(kind, "__get_pydantic_core_schema__")


def _is_described(kind: Any) -> bool:
    return _is_pydantic(kind) or dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return MISSING if field.default_factory is dataclasses.MISSING else UNKNOWN


def _name_of(form: Any) -> str:
    """The name of a special form of `typing`."""
    return getattr(form, "__name__", None) or getattr(form, "_name", None) or ""


def _is_required(kind: Any, key: str, hint: Any) -> bool:
    """Whether a key of a TypedDict must be there; while annotations are text, Python itself does not know."""
    said = _name_of(get_origin(hint))
    return said == "Required" or (key in kind.__required_keys__ and said != "NotRequired")


def _documented(kind: Any) -> Schema:
    """The description of a class, unless it is the one that `dataclass` makes up."""
    text = kind.__doc__
    if not text or text.startswith(f"{kind.__name__}("):
        return {}
    return {"description": inspect.cleandoc(text)}
