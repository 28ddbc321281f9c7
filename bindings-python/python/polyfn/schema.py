"""Schemas of functions: what they are called with, for callers, for tools, and for the check of arguments.

Every function of a service is described from its signature and its docstring. A function with one of the
decorators here has a *declared* schema: its arguments are checked before it runs.

```python
from polyfn.schema import Field, schema_function

@schema_function
def area(width: float, height: float = Field(1.0, description="in metres")) -> float:
    \"\"\"Compute an area.

    Args:
        width: in metres
    \"\"\"
    return width * height

assert area.__schema__["parameters"]["properties"]["width"] == {"type": "number", "description": "in metres"}
```
"""

from __future__ import annotations

import functools
import inspect
import reprlib
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast, overload

from . import docstrings, errors
from .annotations import MISSING, Schema, Schemas, with_default
from .coercion import Field, default_of, has_pydantic, hints_of, is_field, prepared

__all__ = ["Field", "describe", "parse_schema_function", "schema_function", "schema_method", "schema_service"]

_KINDS = ("auto", "native", "pydantic")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def describe(
    function: Callable[..., Any],
    name: str | None = None,
    without: Iterable[str] = (),
    names: Mapping[str, Any] | None = None,
) -> Schema:
    """Describe a function: `{name, description, parameters}`, the last a JSON Schema of its arguments.

    A schema that the function has already is taken; arguments in `without` are left out. `names` are those
    that annotations may use besides the names of the function's module.

    >>> def add(a: int, b: int = 2):
    ...     "Add two numbers."
    >>> described = describe(add)
    >>> described["name"], described["description"]
    ('add', 'Add two numbers.')
    >>> described["parameters"]["properties"]
    {'a': {'type': 'integer'}, 'b': {'type': 'integer', 'default': 2}}
    >>> described["parameters"]["required"]
    ['a']
    """
    without = frozenset(without)
    declared = declared_schema(function)
    if declared is not None:
        full = {**declared, "name": name or declared.get("name"), **_before_rest(function, without)}
        return _reduced(full, without)
    inner = _innermost(function)
    doc = docstrings.parse(_doc_of(inner))
    return {
        "name": name or getattr(inner, "__name__", type(inner).__name__),
        "description": doc.description,
        **_arguments(function, doc.arguments, without, names),
        **_before_rest(function, without),
    }


def declared_schema(function: Any) -> Schema | None:
    """The schema that somebody gave a function, if it has one."""
    schema = getattr(function, "__schema__", None)
    return dict(cast("Mapping[str, Any]", schema)) if isinstance(schema, Mapping) else None


def is_checked(function: Callable[..., Any]) -> bool:
    """Whether the arguments of a function are checked before it runs: where somebody has declared a schema.

    A schema has no names for those that `*rest` takes: they are only looked at where `*rest` has a type.
    """
    return declared_schema(function) is not None


def _before_rest(function: Callable[..., Any], without: frozenset[str]) -> Schema:
    """How many parameters have a name and a place, where any number of arguments may follow."""
    parameters = signature_of(function).items()
    kinds = [parameter.kind for name, parameter in parameters if name not in without]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return {}
    return {"positional": kinds.index(inspect.Parameter.VAR_POSITIONAL)}


def _closed(parameters: Schema, function: Callable[..., Any]) -> Schema:
    """A schema of arguments that admits no other keywords, where the function takes none."""
    taken = signature_of(function).values()
    # those that a partial has set may be given anew
    if (
        isinstance(function, functools.partial)
        or not taken
        or any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken)
    ):
        return parameters
    # at the front: a keyword that is misspelt is told before the one that is missing
    return {"additionalProperties": False, **parameters}


@overload
def schema_function(
    func: Callable[..., Any],
    schema_type: str = "auto",
    skip_self: bool = False,
    arbitrary_types_allowed: bool = False,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Any: ...
@overload
def schema_function(
    func: None = None,
    schema_type: str = "auto",
    skip_self: bool = False,
    arbitrary_types_allowed: bool = False,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], Any]: ...
def schema_function(
    func: Callable[..., Any] | None = None,
    schema_type: str = "auto",
    skip_self: bool = False,
    arbitrary_types_allowed: bool = False,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Any:
    """Give a function a schema, from its signature and docstring or as written in `parameters`.

    A decorator, with or without arguments:

    ```python
    from polyfn.schema import schema_function

    @schema_function(name="sum")
    def add(a: int, b: int = 2) -> int:
        "Add two numbers."
        return a + b

    assert add.__schema__["name"] == "sum"
    assert add(1) == 3
    ```

    With `schema_type="auto"` pydantic makes of arguments what the annotations ask for (models, dates, sets)
    when it is installed; `"pydantic"` insists on it, `"native"` does without. A `":strict"` behind it wants a
    docstring, and the type and the description of every argument. `arbitrary_types_allowed` is taken as
    hypha-rpc takes it, but types that have no form in JSON are always allowed.
    """
    if func is None:
        return functools.partial(
            schema_function,
            schema_type=schema_type,
            skip_self=skip_self,
            arbitrary_types_allowed=arbitrary_types_allowed,
            name=name,
            description=description,
            parameters=parameters,
        )
    kind, mode = _kind_and_mode(schema_type)
    if parameters is not None:
        if not isinstance(parameters, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            text = "`parameters` must be a dict, the JSON Schema of an object"
            raise errors.InvalidError(f"{text}, found {reprlib.repr(parameters)}")
        about = {
            "name": name or getattr(func, "__name__", None),
            "description": description,
            "parameters": dict(parameters),
        }
        return _with_schema(func, about)
    if declared_schema(func) is not None:
        return func
    skipped = _first_parameter(func) if skip_self else ()
    if mode == "strict":
        _check_strictly(func, skipped)
    names = _names_around()
    about = describe(func, name, skipped, names)
    about["parameters"] = _closed(about["parameters"], func)
    if description is not None:
        about["description"] = description
    return _with_schema(prepared(func, coerces=kind == "pydantic", names=names), about)


def schema_method(*args: Any, **kwargs: Any) -> Any:
    """Give a method of a class a schema: `schema_function` without the first argument.

    ```python
    from polyfn.schema import schema_method

    class Shelf:
        @schema_method
        def put(self, title: str) -> str:
            "Put a book on the shelf."
            return f"{title} is on the shelf"

    assert list(Shelf().put.__schema__["parameters"]["properties"]) == ["title"]
    ```
    """
    return schema_function(*args, **{**kwargs, "skip_self": True})


def parse_schema_function(obj: Any, name: str | None = None, schema_type: str = "native") -> Any:
    """Give all functions in dicts and lists a schema.

    A function of which none can be made, in strict mode, is warned of and left as it is.
    """
    if isinstance(obj, Mapping):
        members = cast("Mapping[str, Any]", obj)
        return {key: parse_schema_function(value, key, schema_type) for key, value in members.items()}
    if isinstance(obj, list | tuple):
        items = cast("Iterable[Any]", obj)
        return [parse_schema_function(item, None, schema_type) for item in items]
    if not callable(obj):
        return obj
    if schema_type in ("native", "pydantic"):
        schema_type += ":strict"
    try:
        return schema_function(obj, schema_type, name=name)
    except ValueError as error:
        warnings.warn(f"no schema for {name or obj!r}: {error}", stacklevel=2)
        return obj


def schema_service(schema_type: str = "auto", **members: Any) -> dict[str, Any]:
    """Make a service of keywords, with a schema for each function.

    ```python
    from polyfn.schema import schema_service

    def add(a: int, b: int) -> int:
        "Add two numbers."
        return a + b

    service = schema_service(id="calc", add=add)
    assert service["add"].__schema__["parameters"]["required"] == ["a", "b"]
    ```
    """
    kind, mode = _kind_and_mode(schema_type)
    return cast("dict[str, Any]", parse_schema_function(members, schema_type=f"{kind}:{mode}"))


def _kind_and_mode(schema_type: str) -> tuple[str, str]:
    kind, _, mode = schema_type.partition(":")
    if kind not in _KINDS or mode not in ("", "auto", "strict"):
        raise ValueError(
            f"schema type {schema_type!r} is not known, expected 'auto', 'native' or 'pydantic', "
            "or one of them with ':strict'"
        )
    if kind == "pydantic" and not has_pydantic():
        raise ImportError("schema_type='pydantic' needs pydantic: pip install pydantic")
    if kind == "auto":
        kind = "pydantic" if has_pydantic() else "native"
    return kind, mode or "auto"


def _copy(function: types.FunctionType) -> Any:
    parts = (function.__code__, function.__globals__, function.__name__)
    copy: Any = types.FunctionType(*parts, function.__defaults__, function.__closure__)
    for name in (*functools.WRAPPER_ASSIGNMENTS, "__kwdefaults__"):
        setattr(copy, name, getattr(function, name))
    copy.__dict__.update(function.__dict__)
    return copy


def _with_schema(function: Callable[..., Any], schema: Schema) -> Any:
    """The function with a schema; the one that was given stays as it was."""
    if inspect.isfunction(function):
        made = _copy(function)
        made.__schema__ = schema
        return made

    # methods, built-in functions and objects that can be called may not take attributes
    def now(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    async def later(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    run = functools.wraps(function)(later if inspect.iscoroutinefunction(function) else now)
    cast("Any", run).__schema__ = schema
    return run


def _arguments(
    function: Callable[..., Any],
    docs: Mapping[str, str],
    without: frozenset[str],
    names: Mapping[str, Any] | None,
) -> Schema:
    """The `parameters` of a schema, and `rest`: what `*rest` takes, where it has a type."""
    schemas = Schemas()
    rest: Schema = {}
    properties: dict[str, Schema] = {}
    required: list[str] = []
    parameters = signature_of(function)
    hints = hints_of(function, names) if parameters else {}
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and name in hints:
            rest["rest"] = {"name": name, "items": schemas.of(hints[name])}
        if name in without or parameter.kind in _VARIADIC:
            continue
        field = [parameter.default] if is_field(parameter.default) else []
        schema = schemas.field(hints.get(name, Any), field)
        if docs.get(name):
            schema.setdefault("description", docs[name])
        default = default_of(parameter)
        properties[name] = with_default(schema, MISSING if default is inspect.Parameter.empty else default)
        if default is inspect.Parameter.empty:
            required.append(name)
    made: Schema = {"type": "object", "properties": properties, "required": required}
    if schemas.definitions:
        made["$defs"] = schemas.definitions
    return {"parameters": made, **rest}


def signature_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of any callable; those that a partial has set already are not among them."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        # some functions of C do not say
        return {}
    if not isinstance(function, functools.partial):
        return parameters
    given = cast("functools.partial[Any]", function).keywords
    return {name: parameter for name, parameter in parameters.items() if name not in given}


def _reduced(schema: Schema, without: frozenset[str]) -> Schema:
    """A schema without some of the arguments."""
    parameters = schema.get("parameters")
    if not without or not isinstance(parameters, Mapping):
        return schema
    kept = dict(cast("Mapping[str, Any]", parameters))
    properties = cast("Mapping[str, Any]", kept.get("properties") or {})
    kept["properties"] = {name: value for name, value in properties.items() if name not in without}
    if "required" in kept:
        kept["required"] = [name for name in kept["required"] if name not in without]
    return {**schema, "parameters": kept}


def _innermost(function: Callable[..., Any]) -> Any:
    """The function itself, behind `functools.partial`."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[Any]", function).func
    return function


def _doc_of(function: Any) -> str | None:
    is_own = inspect.isroutine(function) or inspect.isclass(function)
    return inspect.getdoc(function if is_own else type(function).__call__)


def _names_around() -> Mapping[str, Any]:
    """The names that are known where a decorator stands: annotations that are text may use them."""
    frame = sys._getframe(1)
    while frame.f_globals is globals() and frame.f_back is not None:
        frame = frame.f_back
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)


def _first_parameter(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(signature_of(function))[:1]


def _check_strictly(function: Callable[..., Any], skipped: tuple[str, ...]) -> None:
    name = getattr(_innermost(function), "__name__", repr(function))
    doc = docstrings.parse(_doc_of(_innermost(function)))
    if name == "<lambda>":
        raise ValueError("a lambda has no name and no docstring, write a function")
    if not doc.description:
        raise ValueError(f"function {name} needs a docstring")
    hints = hints_of(function)
    for parameter in signature_of(function).values():
        if parameter.name in skipped or parameter.kind in _VARIADIC or parameter.name == "context":
            continue
        if parameter.name not in hints:
            raise ValueError(f"argument {parameter.name} of {name} needs a type")
        described = doc.arguments.get(parameter.name) or getattr(parameter.default, "description", None)
        if not described and not _is_described(hints[parameter.name]):
            raise ValueError(f"argument {parameter.name} of {name} needs a description")


def _is_described(annotation: Any) -> bool:
    return "description" in Schemas().of(annotation)
