"""What the programs in Python do with functions, streams and errors in tests/suites."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

PATTERN = bytes(range(256))


def fill(size: int) -> bytes:
    return (PATTERN * (size // 256 + 1))[:size]


class Streams:
    """Functions that give or take streams; counts those that are open."""

    def __init__(self) -> None:
        self.open = 0
        self.ticks = asyncio.Event()

    async def _counted(self, items: Any, failure: str | None = None) -> AsyncIterator[Any]:
        self.open += 1
        try:
            for item in items:
                yield item
            if failure is not None:
                raise ValueError(failure)
        finally:
            self.open -= 1

    async def _ticking(self) -> AsyncIterator[int]:
        self.open += 1
        self.ticks.set()
        try:
            for item in itertools.count():
                yield item
                await asyncio.sleep(0.01)
        finally:
            self.open -= 1
            self.ticks.clear()

    def service(self) -> dict[str, Any]:
        async def stream_is_open() -> bool:
            return await self.ticks.wait()

        async def open_streams() -> int:
            for _ in range(200):
                if self.open == 0:
                    break
                await asyncio.sleep(0.01)
            return self.open

        return {
            "count_up": lambda number: self._counted(range(number)),
            "count_plainly": lambda number: (item for item in range(number)),
            "kinds": lambda: self._counted([1, "text", {"a": [None]}, b"\x00\xff"]),
            "fail_after": lambda number: self._counted(range(number), "out of items"),
            "large_items": lambda number, size: self._counted([fill(size)] * number),
            "ticks": self._ticking,
            "stream_is_open": stream_is_open,
            "open_streams": open_streams,
            "sum_stream": sum_stream,
            "zip_streams": zip_streams,
            "first_of": first_of,
        }


class Hanging:
    """A function that never ends by itself, and what became of it."""

    def __init__(self) -> None:
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()

    async def hang(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def service(self) -> dict[str, Any]:
        return {
            "hang": self.hang,
            "hang_begun": lambda: self.begun.wait(),
            "hang_cancelled": lambda: self.cancelled.wait(),
        }


async def sum_stream(stream):
    total = 0
    async for item in stream:
        total += item
    return total


async def zip_streams(first, second):
    return [[item, await second.__anext__()] async for item in first]


async def first_of(stream):
    async for item in stream:
        return item


class Counter:
    def __init__(self, value: int):
        self.total = value

    def increase(self) -> int:
        self.total += 1
        return self.total

    def value(self) -> int:
        return self.total


def strictly_two(first: int, second: int) -> int:
    return first + second


def fail_deep(message: str) -> None:
    def deep_down():
        raise ValueError(message)

    deep_down()


def callables() -> dict[str, Any]:
    """Functions that take functions, or give them."""
    kept: dict[str, Any] = {}

    async def apply(function, *args):
        return await function(*args)

    async def apply_keywords(function, keywords):
        return await function(**keywords)

    async def both(first, second, number):
        return [await first(number), await second(number)]

    async def apply_inside(holder, number):
        return await holder["work"][0](number)

    async def call_what_it_gives(function, number):
        made = await function(number)
        return await made(21)

    async def apply_filled(function, size):
        return await function(fill(size))

    def keep_callback(function):
        kept["callback"] = function
        return "kept"

    async def use_kept(number):
        return await kept["callback"](number)

    def keep_interface(interface):
        kept["interface"] = interface
        return "kept"

    async def use_interface(number):
        return await kept["interface"]["double"](number)

    def make_counter(value):
        counter = Counter(value)
        return {"increase": counter.increase, "value": counter.value}

    return {
        "apply": apply,
        "apply_keywords": apply_keywords,
        "both": both,
        "apply_inside": apply_inside,
        "call_what_it_gives": call_what_it_gives,
        "apply_filled": apply_filled,
        "keep_callback": keep_callback,
        "use_kept": use_kept,
        "keep_interface": keep_interface,
        "use_interface": use_interface,
        "make_counter": make_counter,
        "makers": lambda factors: [multiplier(factor) for factor in factors],
    }


def multiplier(factor):
    return lambda number: number * factor


def service() -> dict[str, Any]:
    return {
        **Streams().service(),
        **Hanging().service(),
        **callables(),
        "strictly_two": strictly_two,
        "fail_deep": fail_deep,
        "sizes": lambda *contents: [len(content) for content in contents],
        "length_of_text": lambda text: len(text),
        "length_of_list": lambda items: len(items),
    }


CALLBACKS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "describe_pair": lambda a, b: f"a={a} b={b}",
    "multiplier": multiplier,
    "length": lambda content: len(content),
}

INTERFACES: dict[str, Callable[[], dict[str, Any]]] = {
    "counter": lambda: {"_rintf": True, "double": lambda number: number * 2},
}


async def later(items):
    for item in items:
        yield item


def plainly(items):
    yield from items


async def collect(stream: Any, take: int | None) -> dict[str, Any]:
    """What comes out of a stream, and the error that it ends with."""
    items: list[Any] = []
    told: dict[str, Any] = {"$items": items}
    try:
        async for item in stream:
            items.append(item)
            if take is not None and len(items) == take:
                await stream.aclose()
                break
    except Exception as error:
        told["$error"] = str(error)
        told["$code"] = getattr(error, "code", None)
    return told


async def results(value: Any) -> Any:
    """Functions in a result are called; what they give stands in their place."""
    if isinstance(value, list) and value and all(callable(item) for item in value):
        return [await item(21) for item in value]
    if isinstance(value, dict) and value and all(callable(item) for item in dict.values(value)):
        return {"$methods": {name: await method() for name, method in dict.items(value)}}
    return value
