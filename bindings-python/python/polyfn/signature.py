"""Functions of the signature specification: they take one `context`. See `docs/signature.md`."""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from .cloudevent import CloudEventResponse
from .proxy import ObjectProxy

#: Levels of a context's log, and what they are for `logging`.
LEVELS = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "error": 40, "fatal": 50}
#: Members beside a `handle` that are for the owner, not for callers.
LIFECYCLE = ("init", "shutdown", "cors")
#: What stands on a context itself, as well as in its request.
_ALIASES = frozenset({"query", "body", "headers", "method"})
_logger = logging.getLogger("polyfn.functions")

Send = Callable[[dict[str, Any]], object]


def members(exported: Any) -> dict[str, Any]:
    """The members of a service for what a module exports: a function, or an object with a `handle`.

    >>> members(print)
    {'handle': <built-in function print>}
    >>> members({"handle": print})
    {'handle': <built-in function print>}
    """
    found = {"handle": exported} if callable(exported) else dict(cast("Mapping[str, Any]", exported))
    if not callable(found.get("handle")):
        raise TypeError(
            "a module of the signature specification exports a function, or an object with `handle`"
        )
    return found


class Log:
    """The log of one request: to the logger `polyfn.functions` here, and to the log of the server.

    A message may have arguments for its `%` signs, and fields by keyword, or in a dict before the message.

    >>> log = Log("r1", "shop", 20, print)
    >>> log.info("sold %d", 2, book="Emma")
    {'level': 'info', 'message': 'sold 2', 'request_id': 'r1', 'service': 'shop', 'fields': {'book': 'Emma'}}
    >>> log.debug("below the level of the service")
    """

    __slots__ = ("_level", "_request_id", "_send", "_service")

    def __init__(self, request_id: str, service: str, level: int, send: Send) -> None:
        self._request_id = request_id
        self._service = service
        self._level = level
        self._send = send

    def trace(self, message: Any, *args: Any, **fields: Any) -> None:
        """Log at the finest level."""
        self._write("trace", message, args, fields)

    def debug(self, message: Any, *args: Any, **fields: Any) -> None:
        """Log for those who look for a fault."""
        self._write("debug", message, args, fields)

    def info(self, message: Any, *args: Any, **fields: Any) -> None:
        """Log what happens."""
        self._write("info", message, args, fields)

    def warn(self, message: Any, *args: Any, **fields: Any) -> None:
        """Log what should not be."""
        self._write("warn", message, args, fields)

    warning = warn

    def error(self, message: Any, *args: Any, **fields: Any) -> None:
        """Log what went wrong."""
        self._write("error", message, args, fields)

    def fatal(self, message: Any, *args: Any, **fields: Any) -> None:
        """Log what cannot go on."""
        self._write("fatal", message, args, fields)

    critical = fatal

    def _write(self, level: str, message: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        if LEVELS[level] < self._level:
            return
        if isinstance(message, Mapping):
            fields = {**cast("Mapping[str, Any]", message), **fields}
            message, args = (args[0], args[1:]) if args else ("", args)
        text = _formatted(str(message), args)
        if not _logger.hasHandlers():
            _show()
        extra = {"request_id": self._request_id, "service": self._service, "fields": fields}
        suffix = f" {json.dumps(fields, default=str)}" if fields else ""
        # the caller of `info` and its like, not this file, is where it was logged
        _logger.log(LEVELS[level], "[%s] %s%s", self._request_id, text, suffix, extra=extra, stacklevel=3)
        record = {"level": level, "message": text, "request_id": self._request_id, "service": self._service}
        if fields:
            record["fields"] = json.loads(json.dumps(fields, default=str))
        self._send(record)


def _formatted(message: str, args: tuple[Any, ...]) -> str:
    try:
        return message % args if args else message
    except (TypeError, ValueError):
        return " ".join([message, *map(str, args)])


def _show() -> None:
    """Where a program has not set up `logging`, what functions log is shown all the same."""
    for level in ("trace", "fatal"):
        logging.addLevelName(LEVELS[level], level.upper())
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    _logger.addHandler(handler)
    _logger.setLevel(LEVELS["trace"])


class Context(ObjectProxy):
    """What a function of the signature specification is given.

    `request` holds `query`, `body`, `headers` and `method`; these four stand on the context itself as well.
    `log` is a `Log`, `event` a CloudEvent, a list of them for a batch, or None. Names in the query that mean
    nothing else can be read as attributes.

    >>> request = {"query": {"name": "Ann", "body": "x"}, "body": None, "headers": {}, "method": "GET"}
    >>> context = Context({"request": ObjectProxy.fromDict(request)}, log=None)
    >>> context.method, context.request.query.name, context.name, context.body, context.event
    ('GET', 'Ann', 'Ann', None, None)
    """

    __slots__ = ()

    def __init__(self, received: Mapping[str, Any], log: Log | None) -> None:
        super().__init__(received)
        self.setdefault("event", None)
        self["log"] = log

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name == "cloudevent":
            return self["event"]
        request = self["request"]
        if name in _ALIASES:
            return request[name]
        query: Mapping[str, Any] = request["query"]
        if name in query:
            return query[name]
        raise AttributeError(name)

    def cloud_event_response(self, data: Any = None) -> CloudEventResponse:
        """Begin a CloudEvent as an answer: `.type(...).source(...).response()` ends it."""
        return CloudEventResponse(data)

    cloudEventResponse = cloud_event_response  # noqa: N815 - the name of faas-js-runtime


class Module:
    """A service whose functions take one context: what is registered, and what is done at its ends."""

    def __init__(self, service: dict[str, Any], send: Send) -> None:
        self._send = send
        self._name = str(service.get("id"))
        self._level = _level_of(service.get("config") or {})
        self._inits: list[Callable[[], Any]] = []
        self._shutdowns: list[Callable[[], Any]] = []
        self.service = self._prepared(service, is_service=True)

    @staticmethod
    def is_one(service: Mapping[str, Any]) -> bool:
        """Whether a service asks for the one context."""
        config = service.get("config")
        is_context = isinstance(config, Mapping) and cast("Any", config).get("signature") == "context"
        return is_context and service.get("type") == "functions"

    async def start(self) -> None:
        """Call what is to be called before the service is there."""
        for init in self._inits:
            await _called(init)

    async def stop(self) -> None:
        """Call what is to be called when the service is gone; one that fails does not keep others from it."""
        shutdowns, self._shutdowns = self._shutdowns, []
        for shutdown in shutdowns:
            try:
                await _called(shutdown)
            except Exception:
                _logger.exception("the shutdown of service %s failed", self._name)

    def _prepared(self, folder: Mapping[str, Any], is_service: bool = False) -> dict[str, Any]:
        has_handle = callable(folder.get("handle"))
        if has_handle:
            self._inits += [folder["init"]] if callable(folder.get("init")) else []
            self._shutdowns += [folder["shutdown"]] if callable(folder.get("shutdown")) else []
        kept = {
            key: value if is_service and key in ("config", "docs") else self._member(value)
            for key, value in folder.items()
            if not (has_handle and key in LIFECYCLE and callable(value))
        }
        if is_service and has_handle and callable(folder.get("cors")):
            config = dict(kept.get("config") or {})
            config.setdefault("cors", {"origins": list(folder["cors"]())})
            kept["config"] = config
        return kept

    def _member(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._prepared(cast("Mapping[str, Any]", value))
        if isinstance(value, list):
            return [self._member(item) for item in cast("list[Any]", value)]
        return self._wrapped(value) if callable(value) else value

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        taken = _positions(function)

        @functools.wraps(function)
        def answer(received: Any, **given: Any) -> Any:
            if not (isinstance(received, Mapping) and "request" in received):
                raise TypeError("a function of signature `context` takes one context, with a `request` in it")
            fields = cast("Mapping[str, Any]", received)
            log = Log(str(fields.get("id", "")), self._name, self._level, self._send)
            context = Context(fields, log)
            if "context" in given:
                context["caller"] = given["context"]
            event = context["event"]
            data = context["request"].get("body") if event is None else event
            return function(*(context, data)[:taken])

        return answer


def _level_of(config: Mapping[str, Any]) -> int:
    level = config.get("log_level") or "info"
    if level not in LEVELS:
        raise ValueError(f"`config.log_level` is {level!r}, use one of {', '.join(LEVELS)}")
    return LEVELS[level]


def _positions(function: Callable[..., Any]) -> int:
    """How many of context and data a function takes; some need neither, such as those that tell how it is.

    >>> _positions(lambda: "ok"), _positions(lambda context: 1), _positions(lambda *both: 2)
    (0, 1, 2)
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    by_position = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return 2 if any(one.kind is one.VAR_POSITIONAL for one in parameters) else min(len(by_position), 2)


async def _called(function: Callable[[], Any]) -> None:
    result = function()
    if inspect.isawaitable(result):
        await result
