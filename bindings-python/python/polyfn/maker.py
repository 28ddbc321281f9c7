"""Classes of pydantic made again of their JSON Schema."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Any, ForwardRef, Literal, Union, cast

#: Schemas come from peers, and it takes long to make many classes: longer ones stay maps.
MOST_CLASSES = 64
#: Those that refer to each other are made anew for each of them.
MOST_IN_CIRCLES = 24
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


class Maker:
    """Makes the class that a schema describes, with all that it refers to.

    >>> schema = {"title": "Point", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    >>> Maker(schema).model()(x="3")
    Point(x=3)
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        import pydantic

        self._pydantic: Any = pydantic
        self._top = {key: part for key, part in schema.items() if key != "$defs"}
        self._definitions: dict[str, Any] = schema.get("$defs", {})
        #: What was made of definitions; while one is being made, what may be said of it inside of itself.
        self._named: dict[str, Any] = {}
        #: The classes among them, by the names under which they refer to each other.
        self._referred_to: dict[str, Any] = {}
        #: All classes that were made.
        self.classes: list[Any] = []

    def model(self) -> Any:
        """The class: a model with fields, or a `RootModel` of a schema without."""
        top, name = self._top, self._own_definition()
        if name is not None:
            top = self._definitions[name]
        if "properties" in top:
            made = self._kind(top) if name is None else self._referred(name)
        else:
            made = self._root(top)
        incomplete = [kind for kind in self.classes if not kind.__pydantic_complete__]
        if len(incomplete) > MOST_IN_CIRCLES:
            raise ValueError(f"{len(incomplete)} models refer to each other, {MOST_IN_CIRCLES} are made")
        for kind in incomplete:
            kind.model_rebuild(_types_namespace=self._referred_to)
        return made

    def _own_definition(self) -> str | None:
        """The name of the definition of the whole, which is one of them when it contains itself."""
        # beside the reference of a RootModel of a model stands a title of its own
        if "$ref" in self._top and "title" not in self._top:
            return _name_in(self._top)
        return next((name for name, about in self._definitions.items() if about == self._top), None)

    def _root(self, schema: dict[str, Any]) -> Any:
        base = self._pydantic.RootModel[self._kind(schema)]
        made = self._pydantic.create_model(
            schema.get("title", "Model"), __base__=base, __doc__=schema.get("description")
        )
        self.classes.append(made)
        return made

    def _class(self, schema: dict[str, Any]) -> Any:
        if len(self.classes) >= MOST_CLASSES:
            raise ValueError(f"a schema has more than {MOST_CLASSES} models")
        required = schema.get("required", ())
        properties = schema["properties"]
        fields: dict[str, Any] = {}
        for name, about in properties.items():
            limits = {ours: about[theirs] for theirs, ours in _LIMITS.items() if theirs in about}
            default = ... if name in required else about.get("default")
            field = _field_name(name, properties)
            if field != name:
                limits["alias"] = name
            fields[field] = (
                self._kind(about),
                self._pydantic.Field(default, description=about.get("description"), **limits),
            )
        config = {"extra": "allow"} if schema.get("additionalProperties") is True else None
        made = self._pydantic.create_model(
            schema.get("title", "Model"), __config__=config, __doc__=schema.get("description"), **fields
        )
        self.classes.append(made)
        return made

    def _kind(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return self._referred(_name_in(schema))
        if "const" in schema or "enum" in schema:
            return Literal[tuple(schema.get("enum", [schema.get("const")]))]
        if options := schema.get("anyOf") or schema.get("oneOf"):
            kinds = tuple(self._kind(part) for part in options)
            return Union[kinds]  # noqa: UP007
        if "properties" in schema:
            return self._class(schema)
        kind = schema.get("type")
        if kind == "array":
            return list[self._kind(schema.get("items", {}))]
        if kind == "object":
            inner = schema.get("additionalProperties")
            return dict[str, self._kind(cast("Any", inner)) if isinstance(inner, dict) else Any]
        return _FORMATS.get(schema.get("format", ""), _PLAIN.get(cast("str", kind), Any))

    def _referred(self, name: str) -> Any:
        if name not in self._named:
            about = self._definitions[name]
            place = f"made_{len(self._named)}"
            is_class = "properties" in about
            # only classes can be referred to before they are made: what else contains itself is not followed
            self._named[name] = ForwardRef(place) if is_class else Any
            self._named[name] = made = self._kind(about)
            if is_class:
                self._referred_to[place] = made
        return self._named[name]


def _name_in(schema: Mapping[str, Any]) -> str:
    return schema["$ref"].rsplit("/", 1)[-1]


def _field_name(name: str, others: Mapping[str, Any]) -> str:
    """The name of a field: pydantic has none that begin with an underscore, as `_id` does."""
    field = name.lstrip("_") or "field"
    while field != name and field in others:
        field += "_"
    return field
