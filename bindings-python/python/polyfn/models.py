"""Models of pydantic: sent with their schema, made again from it where pydantic is installed."""

from __future__ import annotations

import datetime
import functools
import json
import uuid
import warnings
import weakref
from typing import Any, Literal, Union, cast

#: Longer schemas of peers are not worked out: their models stay maps.
MOST_SCHEMA = 64 * 1024
_SCHEMAS: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()
_PLAIN: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
_FORMATS: dict[str, Any] = {
    "date-time": datetime.datetime,
    "date": datetime.date,
    "time": datetime.time,
    "duration": datetime.timedelta,
    "uuid": uuid.UUID,
}
_LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minItems": "min_length",
    "maxItems": "max_length",
    "minLength": "min_length",
    "maxLength": "max_length",
}


def is_model(value: Any) -> bool:
    """Whether this is a model of pydantic, which is not loaded to find out."""
    return hasattr(value, "model_dump") and hasattr(value, "model_json_schema")


def encode(model: Any) -> dict[str, Any]:
    """The values of a model and its schema, under the same names."""
    kind = cast("type[Any]", type(model))
    schema = _SCHEMAS.get(kind)
    if schema is None:
        schema = _SCHEMAS[kind] = kind.model_json_schema()
    values = model.model_dump(mode="json", by_alias=True)
    return {"_rvalue": values, "_rschema": schema, "_rtype": "pydantic_model"}


def decode(form: dict[str, Any]) -> Any:
    """A model of the values; the form itself where there is no pydantic, or where they do not fit."""
    try:
        schema = json.dumps(_plain(form["_rschema"]))
        if len(schema) > MOST_SCHEMA:
            return form
        return _model(schema)(**form["_rvalue"])
    # whatever a peer sends as a schema, what it sent with it can still be read
    except Exception:
        return form


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
    with warnings.catch_warnings():
        # a field may have the name of a method, as in `json`
        warnings.simplefilter("ignore")
        return _Maker(json.loads(schema)).model()


class _Maker:
    """Makes the class that a schema describes, with all that it refers to."""

    def __init__(self, schema: dict[str, Any]) -> None:
        import pydantic

        self._pydantic: Any = pydantic
        self._schema = schema
        #: Any while it is being made: a class that contains itself is not followed.
        self._named: dict[str, Any] = {}

    def model(self) -> Any:
        schema = self._schema
        return self._kind(schema) if "$ref" in schema else self._class(schema)

    def _class(self, schema: dict[str, Any]) -> Any:
        required = schema.get("required", ())
        fields: dict[str, Any] = {}
        for name, about in schema.get("properties", {}).items():
            limits = {ours: about[theirs] for theirs, ours in _LIMITS.items() if theirs in about}
            default = ... if name in required else about.get("default")
            fields[name] = (
                self._kind(about),
                self._pydantic.Field(default, description=about.get("description"), **limits),
            )
        config = {"extra": "allow"} if schema.get("additionalProperties") is True else None
        return self._pydantic.create_model(
            schema.get("title", "Model"), __config__=config, __doc__=schema.get("description"), **fields
        )

    def _kind(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return self._referred(schema["$ref"].rsplit("/", 1)[-1])
        if "const" in schema or "enum" in schema:
            return Literal[tuple(schema.get("enum", [schema.get("const")]))]
        if "anyOf" in schema:
            kinds = tuple(self._kind(part) for part in schema["anyOf"])
            return Union[kinds]  # noqa: UP007
        kind = schema.get("type")
        if kind == "array":
            return list[self._kind(schema.get("items", {}))]
        if kind == "object":
            if "properties" in schema:
                return self._class(schema)
            inner = schema.get("additionalProperties")
            return dict[str, self._kind(cast("Any", inner)) if isinstance(inner, dict) else Any]
        return _FORMATS.get(schema.get("format", ""), _PLAIN.get(cast("str", kind), Any))

    def _referred(self, name: str) -> Any:
        if name not in self._named:
            self._named[name] = Any
            self._named[name] = self._kind(self._schema["$defs"][name])
        return self._named[name]
