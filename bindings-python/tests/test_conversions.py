"""What values become on their way to a peer and back."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import io
import math
import os
import pathlib
import re
import tempfile
import threading
import uuid
from dataclasses import dataclass, field

import numpy as np
import polyfn
import pytest

Point = collections.namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 3


class Shade(enum.Enum):
    DARK = "dark"


class Text(str):
    pass


@dataclass
class Person:
    name: str
    friends: list = field(default_factory=list)


@pytest.fixture
async def echo(offer):
    return (await offer(echo=lambda value: value)).echo


def name(value) -> str:
    """The same in every process: sets have no order of their own, and objects no lasting address."""
    if isinstance(value, set):
        return "set of " + ", ".join(sorted(map(repr, value)))[:30]
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))[:40]


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
    {(1, 2), frozenset({3}), None, b"x"},
    collections.OrderedDict(a=1, b=[2]),
    collections.OrderedDict({(1, 2): "a", None: {"b": collections.OrderedDict()}}),
    {"_rtype": "of another kind", "x": 1},
]


@pytest.mark.parametrize("value", SAME, ids=name)
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
        (Shade.DARK, "dark"),
        (Person("ann", [Person("bob")]), {"name": "ann", "friends": [{"name": "bob", "friends": []}]}),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (datetime.date(2024, 5, 6), "2024-05-06"),
        (datetime.time(7, 8, 9), "07:08:09"),
        (array.array("b", [1, 2]).tobytes(), b"\x01\x02"),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (np.float64(1.5), 1.5),
        (np.str_("s"), "s"),
        (polyfn.ObjectProxy(a=1), {"a": 1}),
    ],
    ids=name,
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


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abcd"),
        memoryview(b"abcd")[1:3],
        memoryview(b"abcd")[::2],
        memoryview(b"abcd")[::-1],
        memoryview(b""),
        memoryview(bytearray(b"x" * 70_000))[5:],
        memoryview(array.array("i", [1, 2, 3])),
        memoryview(np.arange(6, dtype=">i2").reshape(2, 3).T),
    ],
    ids=lambda view: f"{view.format}{view.shape}{view.strides}",
)
async def test_memory_stays_memory(echo, view):
    answer = await echo(view)
    assert isinstance(answer, memoryview)
    assert bytes(answer) == view.tobytes()


async def test_moments(echo):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    for moment in (
        datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=zone),
        datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc),
        datetime.datetime(1931, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
    ):
        assert await echo(moment) == moment


DTYPES = [
    *("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g", "F", "D"),
    *("S3", "U2", "V5", "M8[ns]", "m8[us]", ">i2", ">u4", ">f4", ">f8", ">D", ">U2", ">M8[s]"),
]
SHAPES = [(), (0,), (3,), (2, 3), (2, 0, 3), (1, 2, 3, 1)]


def made_array(dtype, shape):
    numbers = np.arange(math.prod(shape)) % 100
    kind = numbers.astype("S5").astype(dtype) if dtype.startswith("V") else numbers.astype(dtype)
    return kind.reshape(shape)


def assert_same(answer, array):
    assert isinstance(answer, np.ndarray)
    assert (answer.dtype, answer.shape) == (array.dtype, array.shape)
    assert np.array_equal(answer, array)


@pytest.mark.parametrize("dtype", DTYPES)
async def test_arrays_of_all_types_and_shapes(echo, dtype):
    for shape in SHAPES:
        array = made_array(dtype, shape)
        strided = np.repeat(array, 2, axis=-1)[..., ::2] if shape else array
        for ordered in (array, array.T, np.asfortranarray(array), strided):
            assert_same(await echo(ordered), ordered)
    scalar = made_array(dtype, (1,))[0]
    # those derived from float, str and bytes of Python are these
    if isinstance(scalar, (float, str, bytes)):
        assert await echo(scalar) == scalar
    else:
        assert_same(await echo(scalar), np.asarray(scalar))


async def test_arrays_that_were_received_are_read_only(echo):
    answer = await echo(np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        answer[0] = 1


@pytest.mark.parametrize("dtype", ["u1", ">f4", "f8"])
async def test_large_arrays_outlive_the_message(echo, dtype):
    # several in one message, at even and odd places, in one part and in many
    for count in (600, 5_000, 700_000):
        arrays = [np.arange(count).astype(dtype), "odd", np.arange(count, 0, -1).astype(dtype)]
        first, _, last = await echo(arrays)
        assert_same(first, arrays[0])
        assert first.flags.aligned
        assert not first.flags.writeable
        view = last[1:-1]
        del first, last
        assert [await echo(bytes(count)) for _ in range(3)] == [bytes(count)] * 3
        assert np.array_equal(view, arrays[2][1:-1])


async def test_bytes_of_images_are_not_copied(echo):
    answer = await echo(np.zeros((64, 64, 3), dtype=np.uint8))
    base = answer
    while isinstance(base, np.ndarray):
        base = base.base
    assert type(base).__name__ == "Frame"


async def test_arrays_of_types_that_numpy_does_not_know(echo):
    for dtype in ("of nothing", "O", "f8"):
        with pytest.raises(polyfn.RpcError, match="a value cannot be read"):
            await echo({"_rtype": "ndarray", "_rvalue": b"123", "_rshape": [3], "_rdtype": dtype})
    unnamed = {"_rtype": "typedarray", "_rvalue": b"123", "_rdtype": None}
    assert await echo(unnamed) == unnamed


def test_arrays_without_numpy(program):
    ran = program("""
        import asyncio, os, sys
        sys.modules["numpy"] = None
        import polyfn

        async def main():
            async with polyfn.connect_to_server(os.environ["SERVER_URL"]) as server:
                form = {"_rtype": "ndarray", "_rvalue": b"12", "_rshape": [2], "_rdtype": "uint8"}
                assert await server.echo(form) == form

        asyncio.run(main())
    """)
    assert ran.stderr == ""


async def test_large_bytes_in_parts(echo):
    data = bytes(range(256)) * 12_000
    assert await echo(data) == data
    array = np.frombuffer(data, dtype=np.uint8)
    assert np.array_equal(await echo(array), array)


async def test_sets_of_what_has_no_hash_are_lists(echo):
    form = {"_rtype": "set", "_rvalue": [{"a": 1}, [1]]}
    assert await echo(form) == [{"a": 1}, [1]]


async def test_an_exception_as_a_value(echo):
    answer = await echo(ValueError("bad"))
    assert isinstance(answer, polyfn.RemoteError)
    assert isinstance(answer, ValueError)
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


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        # it has `read` and `write`, and is no file
        (os, TypeError, r"at args\[0\]: cannot send an object of type module: pass its functions in a dict"),
        (threading.Lock(), TypeError, r"at args\[0\]: cannot send an object of type lock"),
        ({"items": [1, 2, 3, object()]}, TypeError, r"at args\[0\]\.items\[3\]: .*type object"),
        (2**64, OverflowError, r"at args\[0\]: an integer above"),
        ([-(2**63) - 1], OverflowError, r"at args\[0\]\[0\]: an integer below"),
        ({("a", "b"): 1}, TypeError, "a key of type tuple"),
        ("\ud800", TypeError, "surrogate"),
        (1 + 2j, TypeError, "type complex: pass its parts"),
        (range(3), TypeError, r"type range: pass a list of it, or iter\("),
        (datetime.datetime(2024, 1, 1), TypeError, "time zone"),
        (datetime.timedelta(1), TypeError, r"type timedelta: pass its total_seconds\(\)"),
        (np.array([object()]), TypeError, "array of Python objects"),
        (np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]), TypeError, "a structured array has no raw form"),
        (np.ma.masked_array([1, 2], [True, False]), TypeError, "would lose its mask"),
        (CYCLE, polyfn.TooLargeError, "nested deeper than 64"),
    ],
    ids=lambda value: name(value) if not isinstance(value, str) else "",
)
async def test_refused_at_the_caller(echo, caller, value, error, text):
    with pytest.raises(error, match=text):
        await echo(value)
    assert caller.statistics()["calls"] == 0
    assert await echo(1) == 1


async def test_a_moment_that_no_datetime_holds(echo):
    early = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5)))
    with pytest.raises(polyfn.RpcError, match="outside of the years 1 to 9999"):
        await echo(early)


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


FILES = {
    "bytes": lambda: io.BytesIO(b"one\ntwo\n"),
    "text": lambda: io.StringIO("one\ntwo\n"),
    "temporary": lambda: written(tempfile.TemporaryFile),
    "spooled": lambda: written(tempfile.SpooledTemporaryFile),
    "named": lambda: written(tempfile.NamedTemporaryFile),
}


def written(kind):
    file = kind()
    file.write(b"one\ntwo\n")
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", FILES)
async def test_files(offer, kind):
    async def consume(file):
        assert file._rtype == "iostream"
        whole = await file.read()
        await file.seek(4)
        rest = await file.read(2)
        await file.seek(0)
        async with file:
            return [whole, rest, [line async for line in file], file.closed]

    with FILES[kind]() as file:
        text = str if kind == "text" else str.encode
        service = await offer(consume=consume)
        answer = await service.consume(file)
        assert answer == [text("one\ntwo\n"), text("tw"), [text("one\n"), text("two\n")], False]
        assert file.closed


async def test_a_file_in_a_result_is_written(offer):
    kept = io.BytesIO()
    service = await offer(make=lambda: kept)
    file = await service.make()
    assert await file.write(b"abc") == 3
    assert kept.getvalue() == b"abc"


async def test_parts_of_a_file_without_lines(offer):
    parts = iter([b"a", b"b", b""])
    service = await offer(make=lambda: {"_rtype": "iostream", "read": lambda size: next(parts)})
    assert [part async for part in await service.make()] == [b"a", b"b"]


class Vector:
    def __init__(self, *parts):
        self.parts = parts


VECTOR = {
    "name": "vector",
    "type": Vector,
    "encoder": lambda vector: {"parts": list(vector.parts)},
    "decoder": lambda form: Vector(*form["parts"]),
}


async def test_codecs(offer, owner, caller):
    def extend(vector):
        return [Vector(*vector.parts, 3)]

    service = await offer(extend=extend, kind=lambda value: type(value).__name__)
    with pytest.raises(TypeError, match="type Vector: pass a dict, register a codec for its class"):
        await service.extend(Vector(1, 2))
    caller.register_codec(VECTOR)
    assert await service.kind(Vector(1)) == "ObjectProxy"
    owner.register_codec(VECTOR)
    assert await service.kind(Vector(1)) == "Vector"
    [answer] = await service.extend(Vector(1, Vector()))
    assert isinstance(answer, Vector)
    assert isinstance(answer.parts[1], Vector)
    assert answer.parts[2] == 3


async def test_codecs_come_first_and_are_replaced(echo, caller):
    caller.register_codec({"name": "dict", "type": dict, "encoder": lambda value: {"keys": list(value)}})
    assert await echo({"a": 1}) == {"keys": ["a"], "_rtype": "dict"}
    caller.register_codec({"name": "dict", "type": dict, "encoder": lambda value: "text"})
    assert await echo({"a": 1}) == "text"
    caller.register_codec({"name": "other", "type": np.ndarray, "encoder": lambda value: value.tolist()})
    assert await echo([np.arange(2)]) == [[0, 1]]


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ({}, "needs a `name`"),
        ({"name": 5, "decoder": list}, "needs a `name`"),
        ({"name": "set", "decoder": list}, "'set' is a built-in form, choose another name"),
        ({"name": "x", "type": Vector, "encoder": 5}, "the encoder of codec 'x' must be a function, not 5"),
        ({"name": "x"}, "needs an encoder or a decoder"),
        ({"name": "x", "encoder": list}, "needs the type of what it encodes"),
    ],
)
async def test_codecs_that_are_none(caller, codec, words):
    with pytest.raises((ValueError, TypeError), match=words):
        caller.register_codec(codec)


async def test_codecs_that_fail(offer, owner, caller):
    service = await offer(echo=lambda value: value)

    def fail(value):
        raise ValueError("as it is")

    caller.register_codec({"name": "bad", "type": Vector, "encoder": fail, "decoder": fail})
    with pytest.raises(TypeError, match=r"at args\[0\]\[0\]: ValueError while reading it: as it is"):
        await service.echo([Vector()])
    with pytest.raises(polyfn.InvalidError, match="a value cannot be read: ValueError: as it is"):
        await service.echo({"_rtype": "bad"})
    for codec in ({"name": "x"}, {"name": "x", "encoder": fail}):
        with pytest.raises(ValueError, match="codec 'x'"):
            caller.register_codec(codec)


async def test_models_of_pydantic(offer):
    pydantic = pytest.importorskip("pydantic")

    class Part(pydantic.BaseModel):
        name: str
        kind: Shade = Shade.DARK

    class Order(pydantic.BaseModel):
        number: int = pydantic.Field(ge=1, alias="no")
        parts: list[Part]
        notes: dict[str, float | None] = pydantic.Field(default_factory=dict)
        due: datetime.datetime | None = None
        inner: Order | None = None

    Order.model_rebuild(_types_namespace={"Order": Order})
    seen = []
    service = await offer(take=lambda order: seen.append(order) or order)
    order = Order(no=3, parts=[Part(name="a")], notes={"x": 1.5}, due="2024-05-06T07:08:09Z", inner=None)
    answer = await service.take({"order": order})
    for made in (seen[0]["order"], answer["order"]):
        assert isinstance(made, pydantic.BaseModel)
        assert type(made).__name__ == "Order"
        assert (made.no, made.parts[0].name, made.parts[0].kind, made.notes) == (3, "a", "dark", {"x": 1.5})
        assert made.due == order.due
        with pytest.raises(pydantic.ValidationError):
            type(made)(no=0, parts=[])
    odd = {"_rtype": "pydantic_model", "_rvalue": {"x": 1}, "_rschema": {"required": 5, "properties": 3}}
    assert await service.take(odd) == odd


async def test_a_model_keeps_what_is_beside_its_fields_and_their_order(offer):
    pydantic = pytest.importorskip("pydantic")

    class Open(pydantic.BaseModel, extra="allow"):
        t: int = 1
        a: int = 2

    service = await offer(take=lambda model: model)
    made = await service.take(Open(more="kept"))
    assert list(made.model_dump().items()) == [("t", 1), ("a", 2), ("more", "kept")]
