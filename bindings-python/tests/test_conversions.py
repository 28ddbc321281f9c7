"""What values become on their way to a peer and back."""

from __future__ import annotations

import collections
import datetime
import enum
import math
import threading
from dataclasses import dataclass

import numpy as np
import polyfn
import pytest

Point = collections.namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 3


class Text(str):
    pass


@pytest.fixture
async def echo(offer):
    return (await offer(echo=lambda value: value)).echo


SAME = [
    None,
    True,
    False,
    0,
    1,
    -1,
    127,
    128,
    -32,
    -33,
    255,
    256,
    -128,
    -129,
    65535,
    65536,
    -32768,
    -32769,
    2**31,
    2**32 - 1,
    2**32,
    -(2**31) - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -(2**63),
    0.0,
    1.5,
    -1e300,
    math.inf,
    "",
    "a",
    "grüße 世界 🎉",
    "x" * 31,
    "x" * 32,
    "x" * 70_000,
    b"",
    b"\x00\xff",
    b"x" * 70_000,
    [],
    [1, [2, [3, []]]],
    list(range(70_000)),
    {},
    {"a": {"b": [{"c": None}]}},
    {"": "empty key", "a.b": 1, "with space": 2},
    {str(number): number for number in range(20_000)},
    {1: "a", 2.5: "b", False: "c", None: "d", b"k": "e"},
    {"x": 1, 2: "mixed"},
    set(),
    {1, 2, 3},
    {"_rtype": "of another kind", "x": 1},
]


@pytest.mark.parametrize("value", SAME, ids=lambda value: repr(value)[:40])
async def test_the_same_comes_back(echo, value):
    answer = await echo(value)
    assert answer == value
    assert isinstance(answer, type(value))


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        ((1, (2,)), [1, [2]]),
        (bytearray(b"ab"), b"ab"),
        (frozenset({1}), {1}),
        (Colour.RED, 3),
        (Text("t"), "t"),
        (Point(1, 2), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (np.float64(1.5), 1.5),
        (np.str_("s"), "s"),
        (polyfn.ObjectProxy(a=1), {"a": 1}),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_becomes_plain(echo, value, becomes):
    answer = await echo(value)
    assert answer == becomes
    assert type(answer) in (type(becomes), polyfn.ObjectProxy)


async def test_not_a_number(echo):
    assert math.isnan(await echo(math.nan))
    assert math.copysign(1, await echo(-0.0)) == -1


async def test_order_of_keys_is_kept(echo):
    assert list(await echo({"b": 1, "a": 2, "c": 3})) == ["b", "a", "c"]


async def test_memory_stays_memory(echo):
    answer = await echo(memoryview(b"abcd")[::2])
    assert isinstance(answer, memoryview)
    assert bytes(answer) == b"ac"


async def test_moments(echo):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    for moment in (
        datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=zone),
        datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc),
        datetime.datetime(1931, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
    ):
        assert await echo(moment) == moment


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.arange(6, dtype=">f4"),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([[True], [False]]),
        np.zeros((0, 3), dtype=np.uint8),
        np.array(7, dtype=np.int64),
        np.array([1 + 2j]),
        np.array(["ab", "c"]),
        np.int32(5),
        np.bool_(True),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
async def test_arrays(echo, array):
    answer = await echo(array)
    assert isinstance(answer, np.ndarray)
    assert answer.dtype == array.dtype
    assert answer.shape == array.shape
    assert np.array_equal(answer, array)


async def test_arrays_that_were_received_are_read_only(echo):
    answer = await echo(np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        answer[0] = 1


async def test_large_bytes_in_parts(echo):
    data = bytes(range(256)) * 12_000
    assert await echo(data) == data
    array = np.frombuffer(data, dtype=np.uint8)
    assert np.array_equal(await echo(array), array)


async def test_an_exception_as_a_value(echo):
    answer = await echo(ValueError("bad"))
    assert isinstance(answer, polyfn.RemoteError)
    assert (str(answer), answer.remote_type, answer.code) == ("bad", "ValueError", "remote")


async def test_maps_read_as_attributes(echo):
    answer = await echo({"user": {"name": "ann", "tags": [{"id": 1}]}, "items": 4, "_private": 5})
    assert answer.user.name == "ann"
    assert answer.user.tags[0].id == 1
    assert answer["items"] == answer.items == 4
    assert answer._private == 5
    assert sorted(answer.keys()) == ["_private", "items", "user"]
    assert isinstance(answer, dict)
    with pytest.raises(AttributeError, match="nothing"):
        _ = answer.nothing
    assert list(answer.user.items()) == [("name", "ann"), ("tags", [{"id": 1}])]


@dataclass
class Person:
    name: str


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (threading.Lock(), TypeError, r"at args\[0\]: cannot send an object of type lock"),
        ({"items": [1, 2, 3, object()]}, TypeError, r"at args\[0\]\.items\[3\]: .*type object"),
        (Person("ann"), TypeError, r"type Person: pass dataclasses\.asdict"),
        ((number for number in [1]), TypeError, "iterators cannot be sent yet"),
        (2**64, OverflowError, r"at args\[0\]: an integer above"),
        ([-(2**63) - 1], OverflowError, r"at args\[0\]\[0\]: an integer below"),
        ({("a", "b"): 1}, TypeError, "a key of type tuple"),
        ("\ud800", TypeError, "surrogate"),
        (1 + 2j, TypeError, "type complex"),
        (range(3), TypeError, "type range"),
        (datetime.datetime(2024, 1, 1), TypeError, "time zone"),
        (np.array([object()]), TypeError, "array of Python objects"),
        (CYCLE, polyfn.TooLargeError, "nested deeper than 64"),
    ],
    ids=lambda value: repr(value)[:30] if not isinstance(value, str) else "",
)
async def test_refused_at_the_caller(echo, caller, value, error, text):
    with pytest.raises(error, match=text):
        await echo(value)
    assert caller.statistics()["calls"] == 0
    assert await echo(1) == 1


async def test_keyword_arguments_are_named_in_the_place(echo):
    with pytest.raises(TypeError, match=r"at kwargs\.value\[0\]: cannot send"):
        await echo(value=[object()])


async def test_a_result_that_cannot_be_sent(offer):
    service = await offer(lock=lambda: {"lock": threading.Lock()})
    with pytest.raises(polyfn.RpcError, match=r"at result\.lock: cannot send an object of type lock"):
        await service.lock()


async def test_a_dict_that_changes_while_it_is_sent(echo, caller):
    values = {"a": 1}

    class Grows:
        @property
        def __schema__(self):
            values[str(len(values))] = 1
            return None

        def __call__(self):
            pass

    values["b"] = Grows()
    with pytest.raises(TypeError, match="changed while it was being sent"):
        await echo(values)
    assert caller.statistics()["functions"] == 0
