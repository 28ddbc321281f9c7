"""What can be registered as a service, and how it is taken apart."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import reprlib
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from . import _native, coercion, errors, schema
from .threads import Threads

#: Entries that are offered although their names begin with an underscore.
PUBLIC_UNDERSCORED = frozenset({"__enter__", "__exit__", "_dispose"})
#: Entries of a service that describe it and are not called.
DESCRIPTIVE = frozenset({"id", "name", "type", "description", "docs", "config", "app_id", "service_schema"})


async def wait_for(awaitable: Awaitable[Any]) -> Any:
    """Make a coroutine of any awaitable."""
    return await awaitable


async def run_in_executor(
    func: Callable[..., Any], *args: Any, executor: concurrent.futures.Executor | None = None, **kwargs: Any
) -> Any:
    """Run a plain function that computes for long in a thread, so that the event loop goes on meanwhile.

    While a function computes in the event loop, nothing else of this program is served. A whole service runs
    in threads when its `config` says `"run_in_executor": True`; this is for single calls.

    ```python
    from polyfn import run_in_executor

    assert await run_in_executor(sum, range(1000)) == 499500
    ```

    With an `executor` it runs there, for example in a `concurrent.futures.ProcessPoolExecutor`.
    """
    call = functools.partial(func, *args, **kwargs)
    if executor is None:
        return await asyncio.to_thread(call)
    return await asyncio.get_running_loop().run_in_executor(executor, call)


def service_map(service: Any, threads: Threads | None = None) -> dict[str, Any]:
    """Take a service apart into one dict of plain values, functions, and dicts and lists of them.

    A service is a dict, or an instance of a class, whose public methods and attributes are then offered.

    Plain functions run in `threads`, when there are any; what the service's `run_in_executor` says wins.

    >>> class Shelf:
    ...     "Books."
    ...     room = 3
    ...     def put(self, title): return f"{title} is on the shelf"
    ...     def _count(self): return 1
    >>> service = service_map(Shelf())
    >>> sorted(service), service["id"], service["put"]("Emma")
    (['description', 'id', 'put', 'room'], 'default', 'Emma is on the shelf')
    >>> service_map(Shelf)
    Traceback (most recent call last):
    polyfn.errors.InvalidError: a service must be a dict or an object, found the class Shelf: make one of it
    """
    _check_service(service)
    entries = _members(service, seen=[])
    if not isinstance(service, Mapping):
        entries.setdefault("id", "default")
        description = inspect.getdoc(cast("type[Any]", type(service)))
        if description:
            entries.setdefault("description", description)
    config = entries.get("config")
    own = None
    if isinstance(config, Mapping):
        own = cast("Mapping[str, Any]", config).get("run_in_executor")
    if own is not None:
        threads = (threads or Threads()) if own else None
    if threads is not None:
        entries = {
            key: value if key in DESCRIPTIVE else threads.offload(value) for key, value in entries.items()
        }
    return entries


def _check_service(service: Any) -> None:
    if isinstance(service, Mapping):
        for key in cast("Mapping[Any, Any]", service):
            if not isinstance(key, str):
                raise errors.InvalidError(f"the keys of a service must be str, found {key!r}")
        return
    if isinstance(service, type):
        found = f"the class {service.__name__}: make one of it"
    elif inspect.isroutine(service) or isinstance(service, functools.partial | _native.RemoteFunction):
        found = f"{service!r}: put the function into a dict"
    elif service is None:
        found = "None"
    elif type(service).__module__ == "builtins" and not isinstance(service, types.ModuleType):
        found = f"an object of type {type(service).__name__}"
    else:
        return
    raise errors.InvalidError(f"a service must be a dict or an object, found {found}")


def exported(api: Any, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The service `default` that is made of what a program exports.

    >>> service = exported({"config": {"visibility": "public"}}, {"name": "mine", "require_context": True})
    >>> service["id"], service["config"]
    ('default', {'visibility': 'public', 'require_context': True})
    """
    if config is not None and not isinstance(config, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InvalidError(f"the config of an export must be a dict, found {reprlib.repr(config)}")
    service = service_map(api)
    own: Any = service.get("config") or {}
    if config is None or not isinstance(own, Mapping):
        return {**service, "id": "default"}
    # by `name` the registry of `api` knows it
    given = {key: value for key, value in config.items() if key != "name"}
    return {**service, "config": {**cast("Mapping[str, Any]", own), **given}, "id": "default"}


def id_of(service: Any) -> str:
    """The id of a service that is named by it, or by a dict that has it, such as its info.

    >>> id_of("calc"), id_of({"id": "calc", "type": "tool"})
    ('calc', 'calc')
    >>> id_of(None)
    Traceback (most recent call last):
    polyfn.errors.InvalidError: expected the id of a service, or a dict with its `id`, found None
    """
    name = cast("Mapping[str, Any]", service).get("id") if isinstance(service, Mapping) else service
    if not isinstance(name, str):
        found = reprlib.repr(cast("Any", service))
        raise errors.InvalidError(f"expected the id of a service, or a dict with its `id`, found {found}")
    return name


def described(entries: Mapping[str, Any]) -> dict[str, Any]:
    """A service with a schema beside each of its functions, as the core takes it."""

    def member(value: Any, name: str | None) -> Any:
        if isinstance(value, dict):
            return {key: member(item, key) for key, item in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [member(item, None) for item in cast("list[Any]", value)]
        if not callable(value) or isinstance(value, _native.RemoteFunction):
            return value
        return _native.Member(value, schema.describe(value, name), schema.is_checked(value))

    return {key: member(value, key) if is_offered(key) else value for key, value in entries.items()}


def is_offered(key: str) -> bool:
    """Whether a member of a service is part of what others see of it."""
    return key not in DESCRIPTIVE and (not key.startswith("_") or key in PUBLIC_UNDERSCORED)


def _covers(rule: Any, path: str) -> bool:
    """Whether the context is given to the function at a path, by the service's `require_context`."""
    return path in rule if isinstance(rule, list | tuple) else bool(rule)


def schema_tree(service: Any) -> dict[str, Any]:
    """The schema of each function of a service, and the types of its other members, nested as they are.

    >>> schema_tree({"id": "calc", "size": 3, "deep": {"is": True}})
    {'size': {'type': 'number'}, 'deep': {'is': {'type': 'boolean'}}}
    """
    _check_service(service)
    entries = (
        dict(cast("Mapping[str, Any]", service)) if isinstance(service, Mapping) else service_map(service)
    )
    config = entries.get("config")
    rule = cast("Mapping[str, Any]", config).get("require_context") if isinstance(config, Mapping) else None

    def tree(value: Any, path: str, name: str | None) -> Any:
        if isinstance(value, Mapping):
            inner = cast("Mapping[str, Any]", value)
            return {key: tree(item, f"{path}.{key}", key) for key, item in inner.items()}
        if isinstance(value, list | tuple):
            items = cast("list[Any]", value)
            return [tree(item, f"{path}.{place}", None) for place, item in enumerate(items)]
        if callable(value):
            without = (coercion.CONTEXT,) if _covers(rule, path) else ()
            return {"type": "function", "function": schema.describe(value, name, without)}
        return {"type": _type_of(value)}

    return {key: tree(value, key, key) for key, value in entries.items() if is_offered(key)}


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "object"


def _members(node: Any, seen: list[int]) -> dict[str, Any]:
    """The members of a dict or an instance, with everything in them taken apart as well."""
    if id(node) in seen:
        raise ValueError(f"a service may not contain itself: found {type(node).__name__} inside of itself")
    seen = [*seen, id(node)]
    if isinstance(node, Mapping):
        pairs = dict(cast("Mapping[str, Any]", node))
    else:
        names = [name for name in dir(node) if not name.startswith("_")]
        pairs = {name: getattr(node, name) for name in names}
    return {key: value if key in DESCRIPTIVE else _member(value, seen) for key, value in pairs.items()}


def _member(value: Any, seen: list[int]) -> Any:
    if isinstance(value, Mapping) or _is_instance_of_class(value):
        return _members(value, seen)
    if type(value) is list or type(value) is tuple:
        return [_member(item, seen) for item in cast("list[Any]", value)]
    if inspect.isroutine(value) and _has_fields(value):
        return coercion.prepared(value, coerces=False)
    return value


def _has_fields(function: Callable[..., Any]) -> bool:
    return any(coercion.is_field(one.default) for one in schema.signature_of(function).values())


def _is_instance_of_class(value: Any) -> bool:
    """Whether this is an object of a user's class that stands for a folder of functions.

    Values, exceptions, arrays and everything that can be called itself are sent as they are.
    """
    if callable(value) or isinstance(value, BaseException):
        return False
    kind = cast("type[Any]", type(value))
    module: str = kind.__module__
    has_functions = any(
        inspect.isfunction(getattr(kind, name, None)) for name in dir(kind) if not name.startswith("_")
    )
    return module not in ("builtins", "datetime", "numpy", "polyfn._native") and has_functions
