"""Checks of arguments that the core cannot make: it knows a function's schema, but not its signature.

Everything else that a declared schema asks for is checked by the core.
"""

from __future__ import annotations

import datetime
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from . import errors, schema
from .annotations import Schemas
from .coercion import CONTEXT, hints_of

_TIMES = (datetime.date, datetime.time, datetime.timedelta)
_LISTS = (list, tuple, set, frozenset)
_BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value, bound: value >= bound, "less than the minimum of"),
    "maximum": (lambda value, bound: value <= bound, "greater than the maximum of"),
    "exclusiveMinimum": (lambda value, bound: value > bound, "less than or equal to"),
    "exclusiveMaximum": (lambda value, bound: value < bound, "greater than or equal to"),
}


def guarded(function: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    """A function with a declared schema as peers call it: what it does not take is `invalid`."""
    declared, parameters = schema.declared_schema(function), schema.signature_of(function)
    if declared is None or not parameters:
        return function
    check = _Check(function, name or str(declared.get("name")), declared, parameters)

    def now(*args: Any, **kwargs: Any) -> Any:
        check(args, kwargs)
        return function(*args, **kwargs)

    async def later(*args: Any, **kwargs: Any) -> Any:
        check(args, kwargs)
        return await function(*args, **kwargs)

    return functools.wraps(function)(later if inspect.iscoroutinefunction(function) else now)


class _Check:
    """Refuses unknown keywords and, where there is a `*rest`, arguments that are not as declared."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        declared: Mapping[str, Any],
        parameters: Mapping[str, inspect.Parameter],
    ) -> None:
        kinds = {one.kind: key for key, one in parameters.items()}
        marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        shown = [marks.get(one.kind, "") + key for key, one in parameters.items() if key != CONTEXT]
        self._signature = f"{name}({', '.join(shown)})"
        asked = _map(declared.get("parameters"))
        self._properties = _map(asked.get("properties"))
        self._known = {*parameters, *self._properties, CONTEXT}
        self._takes_all = inspect.Parameter.VAR_KEYWORD in kinds
        self._rest = kinds.get(inspect.Parameter.VAR_POSITIONAL)
        by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self._names = [key for key, one in parameters.items() if one.kind in by_place]
        self._required = [key for key in asked.get("required") or () if key in parameters and key != CONTEXT]
        self._definitions = _map(asked.get("$defs"))
        schemas = Schemas()
        self._items = schemas.of(hints_of(function).get(self._rest, Any)) if self._rest else {}
        self._definitions_of_items = schemas.definitions

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for key in kwargs:
            if not self._takes_all and (key not in self._known or key == self._rest):
                raise errors.InvalidError(f"{self._signature} takes no `{key}`")
        if self._rest is None:
            return
        given = {key: (f"args[{at}]", args[at]) for at, key in enumerate(self._names[: len(args)])}
        for key, value in kwargs.items():
            if key in given:
                raise errors.InvalidError(f"at {key}: {self._signature} got `{key}` twice")
            given[key] = (key, value)
        for key in self._required:
            if key not in given:
                raise errors.InvalidError(f"{self._signature} needs {key}, which was not given")
        for key, (place, value) in given.items():
            if key != CONTEXT:
                self._admit(key, place, problem(value, self._properties.get(key), self._definitions))
        for at, value in enumerate(args[len(self._names) :], len(self._names)):
            wrong = problem(value, self._items, self._definitions_of_items)
            self._admit(self._rest, f"args[{at}]", wrong)

    def _admit(self, key: str, place: str, wrong: tuple[str, str] | None) -> None:
        if wrong is not None:
            inner, text = wrong
            raise errors.InvalidError(f"at {place}{inner}: `{key}` of {self._signature}: {text}")


def problem(value: Any, asked: Any, definitions: Mapping[str, Any]) -> tuple[str, str] | None:
    """Where and why a value is not as a schema asks, by the words that schemas of annotations are made of.

    >>> problem([1, "a"], {"type": "array", "items": {"type": "integer"}}, {})
    ('[1]', 'the value is not of type "integer", found "a"')
    """
    if not isinstance(asked, Mapping):
        return None
    schema = cast("Mapping[str, Any]", asked)
    if isinstance(reference := schema.get("$ref"), str):
        return problem(value, definitions.get(reference.removeprefix("#/$defs/")), definitions)
    options = schema.get("anyOf")
    if options and all(problem(value, option, definitions) for option in options):
        return "", f"the value is not valid under any of the schemas in `anyOf`, found {_shown(value)}"
    if _is_binary(value, schema):
        return None
    kinds = schema.get("type", [])
    wanted: list[str] = [kinds] if isinstance(kinds, str) else kinds
    if wanted and not any(_is(value, kind) for kind in wanted):
        named = " or ".join(json.dumps(kind) for kind in wanted)
        return "", f"the value is not of type {named}, found {_shown(value)}"
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    # True is 1 for Python, and not for JSON
    if choices is not None and not any(
        value == one and isinstance(value, bool) == isinstance(one, bool) for one in choices
    ):
        return "", f"the value is not one of {json.dumps(choices)}, found {_shown(value)}"
    if _is(value, "number"):
        for word, (holds, text) in _BOUNDS.items():
            if word in schema and not holds(value, schema[word]):
                return "", f"the value is {text} {schema[word]}, found {_shown(value)}"
    return _inside(value, schema, definitions)


def _inside(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, str] | None:
    inner: list[tuple[str, Any, Any]] = []
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        others = schema.get("additionalProperties")
        properties = _map(schema.get("properties"))
        for key in schema.get("required") or ():
            if key not in members:
                return "", f"the value needs `{key}`, found {_shown(members)}"
        inner = [(f".{key}", item, properties.get(key, others)) for key, item in members.items()]
    elif isinstance(value, _LISTS):
        others = schema.get("items")
        first: list[Any] = schema.get("prefixItems", [])
        items = list(cast("list[Any]", value))
        if not schema.get("minItems", 0) <= len(items) <= schema.get("maxItems", len(items)):
            return "", f"the value has a wrong number of items, found {len(items)}"
        inner = [(f"[{at}]", item, first[at] if at < len(first) else others) for at, item in enumerate(items)]
    for place, item, asked in inner:
        if wrong := problem(item, asked, definitions):
            return place + wrong[0], wrong[1]
    return None


def _map(value: Any) -> Mapping[str, Any]:
    """What is no map says nothing here; where the core compiles a schema, it refuses it."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _is(value: Any, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("integer", "number"):
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (is_whole or (kind == "number" and isinstance(value, float)))
    if kind == "string":
        return isinstance(value, (str, *_TIMES))
    if kind == "array":
        return isinstance(value, _LISTS)
    # functions, arrays, streams and models are objects without members that one could check
    return not (value is None or isinstance(value, (bool, int, float, str, *_TIMES, *_LISTS)))


def _is_binary(value: Any, schema: Mapping[str, Any]) -> bool:
    return schema.get("format") in ("binary", "byte") and isinstance(value, (bytes, bytearray, memoryview))


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
