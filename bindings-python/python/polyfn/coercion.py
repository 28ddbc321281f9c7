"""Making of arguments what annotations ask for, such as models, dates and sets; pydantic does it."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from . import annotations, errors, models

#: Given by the session, not by the caller.
CONTEXT = "context"


class Field:
    """What is known of an argument besides its type: a default and a description.

    Works like `pydantic.Field`, and needs no pydantic:

    >>> from polyfn.schema import schema_function
    >>> @schema_function
    ... def greet(name: str = Field("you", description="whom to greet")):
    ...     return f"hello {name}"
    >>> greet()
    'hello you'
    >>> greet.__schema__["parameters"]["properties"]
    {'name': {'type': 'string', 'description': 'whom to greet', 'default': 'you'}}
    """

    def __init__(self, default: Any = inspect.Parameter.empty, description: str | None = None) -> None:
        self.default = inspect.Parameter.empty if default is ... else default
        self.description = description


def has_pydantic() -> bool:
    """Whether pydantic can be imported."""
    try:
        return importlib.util.find_spec("pydantic") is not None
    except ValueError:
        return False


def is_field(value: Any) -> bool:
    """Whether the default of a parameter is a field that holds the default: ours, or one of pydantic."""
    return isinstance(value, Field) or type(value).__name__ == "FieldInfo"


def default_of(parameter: inspect.Parameter) -> Any:
    """The default of a parameter, `Parameter.empty` when there is none."""
    if not is_field(parameter.default):
        return parameter.default
    field = parameter.default
    factory = getattr(field, "default_factory", None)
    if factory is not None:
        return factory()
    is_required = field.default is ... or type(field.default).__name__ == "PydanticUndefinedType"
    return inspect.Parameter.empty if is_required else field.default


def prepared(
    function: Callable[..., Any], *, coerces: bool, names: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """Wrap a function so that defaults in fields are filled in and, if asked, arguments are coerced.

    A function that needs neither comes back as it is.
    """
    signature = inspect.signature(function)
    has_fields = any(is_field(parameter.default) for parameter in signature.parameters.values())
    model = _Model(function, signature, hints_of(function, names)) if coerces else None
    if not has_fields and (model is None or model.is_empty):
        return function

    def arranged(args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        bound = signature.bind_partial(*args, **kwargs)
        _fill(signature, bound)
        if model is not None:
            model.apply(bound)
        return bound

    def now(*args: Any, **kwargs: Any) -> Any:
        bound = arranged(args, kwargs)
        return function(*bound.args, **bound.kwargs)

    async def later(*args: Any, **kwargs: Any) -> Any:
        return await now(*args, **kwargs)

    run = functools.wraps(function)(later if inspect.iscoroutinefunction(function) else now)
    cast("Any", run).__original__ = function
    return run


def _fill(signature: inspect.Signature, bound: inspect.BoundArguments) -> None:
    """Put in the defaults of fields; arguments that are missing are told as Python does."""
    for name, parameter in signature.parameters.items():
        if name in bound.arguments or parameter.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            continue
        default = default_of(parameter)
        if default is inspect.Parameter.empty:
            raise TypeError(f"missing a required argument: {name!r}")
        if is_field(parameter.default):
            bound.arguments[name] = default


class _Model:
    """The arguments of a function as a pydantic model, made when it is needed first."""

    def __init__(
        self, function: Callable[..., Any], signature: inspect.Signature, hints: Mapping[str, Any]
    ) -> None:
        self._function = function
        self._annotations = {
            name: _whole(hints[name], parameter)
            for name, parameter in signature.parameters.items()
            if name in hints and name != CONTEXT and not annotations.is_plain(hints[name])
        }
        self._made: Any = None

    @property
    def is_empty(self) -> bool:
        return not self._annotations

    def apply(self, bound: inspect.BoundArguments) -> None:
        """Put what pydantic makes of the arguments into their places."""
        import pydantic

        if self._made is None:
            self._made = self._make()
        # a model that was sent is received as a model, but not as one of this class
        given = {
            name: models.values_of(bound.arguments[name])
            for name in self._annotations
            if name in bound.arguments
        }
        try:
            # by attributes: where it is called beside the wire, objects like the model do as well
            made = self._made.model_validate(given, from_attributes=True)
        except pydantic.ValidationError as error:
            raise errors.InvalidError(_told(error)) from None
        for place, name in enumerate(self._annotations):
            if name in given:
                bound.arguments[name] = getattr(made, f"argument_{place}")

    def _make(self) -> Any:
        import pydantic

        # By place, and the name as alias: names of parameters may be what a model has itself.
        fields: dict[str, Any] = {
            f"argument_{place}": (annotation, pydantic.Field(default=None, alias=name))
            for place, (name, annotation) in enumerate(self._annotations.items())
        }
        config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        return pydantic.create_model(self._function.__name__, __config__=config, **fields)


def hints_of(function: Callable[..., Any], names: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The annotations of any callable, by the names of its parameters."""
    if isinstance(function, functools.partial):
        return hints_of(cast("functools.partial[Any]", function).func, names)
    if isinstance(function, type):
        return annotations.hints_of(cast("Any", function).__init__, names)
    if inspect.isroutine(function):
        return annotations.hints_of(inspect.unwrap(function), names)
    return annotations.hints_of(type(function).__call__, names)


def _whole(annotation: Any, parameter: inspect.Parameter) -> Any:
    """The annotation of what a parameter gets as a whole; with the constraints of its field."""
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple[annotation, ...]
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return dict[str, annotation]
    return annotation


def _told(error: Any) -> str:
    """All that is wrong, in one line."""
    found = cast("list[Mapping[str, Any]]", error.errors(include_url=False, include_context=False))
    return "; ".join(f"argument {'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in found)
