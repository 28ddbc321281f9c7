"""One request of an ASGI app: between the app and the server that it came from."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, cast

from ..errors import PeerGoneError

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("polyfn.apps")


def serving(app: Asgi, state: Mapping[str, Any]) -> Callable[..., Awaitable[Any]]:
    """The function `serve` by which a server reaches an app.

    `state` is what the app has prepared at its start; each request gets a copy of it.
    """

    async def serve(args: Any, context: Any = None) -> Any:
        """Answer one request of a web app."""
        exchange = Exchange(args)
        scope = scope_of(args["scope"], state)
        if context is not None:
            scope.setdefault("extensions", {}).setdefault("polyfn", {})["context"] = context
        try:
            await app(scope, exchange.receive, exchange.send)
        except Exception as error:
            # who sends to nobody is told by an error, which is no fault of the app
            level = logging.DEBUG if exchange.has_left else logging.ERROR
            place = (scope.get("method", scope["type"]), scope["path"])
            log.log(level, "the app failed at %s %s", *place, exc_info=error)
            raise
        finally:
            exchange.end()
        return await exchange.rest() if exchange.is_telling else exchange.take()

    return serve


def scope_of(given: Mapping[str, Any], state: Mapping[str, Any]) -> Scope:
    """The scope with the types that apps expect."""
    scope = _plain(cast("dict[str, Any]", given))
    scope["headers"] = [(name, value) for name, value in given["headers"]]
    for key in ("client", "server"):
        if (end := scope.get(key)) is not None:
            scope[key] = tuple(end)
    scope["state"] = dict(state)
    return scope


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    """A dict without the attributes that those of peers have, and so those in it."""
    # not by their own methods, which a key may hide; each request comes by here
    plain = dict(given)
    for key, value in plain.items():
        if isinstance(value, dict):
            plain[key] = _plain(cast("dict[str, Any]", value))
    return plain


class Exchange:
    """What an app receives and sends."""

    __slots__ = (
        "_ask",
        "_asking",
        "_first",
        "_held",
        "_is_batched",
        "_is_over",
        "_lock",
        "_tell",
        "_telling",
        "has_left",
    )

    def __init__(self, args: Mapping[str, Any]) -> None:
        self._ask: Callable[[], Awaitable[Any]] = args["receive"]
        self._tell: Callable[[Any], Awaitable[Any]] = args["send"]
        # the server has named it: it takes several messages at once, and the last of them as the result
        self._is_batched = "request" in args
        self._first: Any = args.get("request")
        self._asking: asyncio.Task[Any] | None = None
        self._lock: asyncio.Lock | None = None
        self._held: list[Message] = []
        self._telling: set[asyncio.Task[Any]] | None = None
        self._is_over = False
        #: Whether the app was told by an error that nobody hears what it sends.
        self.has_left = False

    async def receive(self) -> Message:
        """The next message of the server. One that is waited for no longer comes to who asks next."""
        first, self._first = self._first, None
        if first is not None:
            return _received(first)
        # few requests come so far
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if self._asking is None:
                self._asking = asyncio.ensure_future(_ask(self._ask))
            message = await asyncio.shield(self._asking)
            self._asking = None
        return _received(message)

    async def send(self, message: Message) -> None:
        """Give the server a message; returns when there is room for the next.

        Raises an `OSError` when whoever asked has left, as the standard has it.
        """
        message = _sent(message)
        if not self._is_batched:
            await self._give(message)
            return
        kind = message["type"]
        if kind == "http.response.start" and not self._held:
            # it may not leave before the body does
            self._held.append(message)
            return
        if not self._held:
            await self._give(message)
            return
        self._held.append(message)
        if kind == "http.response.body" and not message.get("more_body"):
            # an app that ends now gives its answer as the result; one with more to do keeps nobody waiting
            asyncio.get_running_loop().call_soon(self._flush_later)
            return
        await self._give(self.take())

    async def _give(self, messages: Message | list[Message] | None) -> None:
        try:
            await self._tell(messages)
        except PeerGoneError:
            self.has_left = True
            raise

    def _flush_later(self) -> None:
        if self._is_over or not self._held:
            return
        telling = asyncio.ensure_future(_tell(self._tell, self.take()))
        if self._telling is None:
            self._telling = set()
        self._telling.add(telling)
        telling.add_done_callback(self._told)

    def _told(self, telling: asyncio.Task[Any]) -> None:
        if self._telling is not None:
            self._telling.discard(telling)
        if not telling.cancelled() and (error := telling.exception()) is not None:
            log.debug("an answer did not reach the server: %s", error)

    def end(self) -> None:
        """The app has ended: nobody waits for a message any longer."""
        self._is_over = True
        if self._asking is not None:
            self._asking.cancel()

    @property
    def is_telling(self) -> bool:
        """Whether something is on its way."""
        return bool(self._telling)

    async def rest(self) -> list[Message] | None:
        """What was not sent yet; what is on its way comes first."""
        if self._telling:
            await asyncio.wait(self._telling)
        return self.take()

    def take(self) -> list[Message] | None:
        """What was not sent yet."""
        held, self._held = self._held, []
        return held or None


async def _ask(ask: Callable[[], Awaitable[Any]]) -> Any:
    return await ask()


async def _tell(tell: Callable[[Any], Awaitable[Any]], messages: list[Message] | None) -> None:
    await tell(messages)


def _received(message: Mapping[str, Any]) -> Message:
    """A message of the server with the types that apps expect."""
    plain = dict(message)
    for key in ("body", "bytes"):
        if plain.get(key) is not None:
            plain[key] = bytes(plain[key])
    return plain


def _sent(message: Message) -> Message:
    """A message of the app with values that can be sent."""
    plain = dict(message)
    if "headers" in plain:
        plain["headers"] = [(bytes(name), bytes(value)) for name, value in plain["headers"]]
    for key in ("body", "bytes"):
        if plain.get(key) is not None and not isinstance(plain[key], bytes):
            plain[key] = bytes(plain[key])
    return plain
