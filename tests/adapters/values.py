"""Values of every type in Python: how each is made, and how one that arrived is told in one line."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import uuid
from typing import Any

import numpy as np

MIDDAY = datetime.datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=datetime.timezone.utc)
GRID = np.arange(6, dtype="float32").reshape(2, 3)


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Shade(enum.Enum):
    DARK = "dark"


# Name in types.yaml -> the value, made anew each time.
MAKE: dict[str, Any] = {
    "none": lambda: None,
    "true": lambda: True,
    "integer": lambda: 42,
    "negative integer": lambda: -7,
    "largest exact number": lambda: 2**53 - 1,
    "64-bit integer": lambda: 2**53 + 1,
    "least 64-bit integer": lambda: -(2**63),
    "largest 64-bit integer": lambda: 2**64 - 1,
    "float": lambda: 1.5,
    "whole float": lambda: 2.0,
    "negative zero": lambda: -0.0,
    "nan": lambda: math.nan,
    "infinity": lambda: math.inf,
    "text": lambda: "grüße 世界 🎈",
    "bytes": lambda: b"\x00\xff\x01",
    "byte array": lambda: bytearray(b"\x00\xff"),
    "memory": lambda: memoryview(b"\x00\xff\x01"),
    "strided memory": lambda: memoryview(b"\x00\x01\x02\x03")[::2],
    "list": lambda: [1, "a", None],
    "tuple": lambda: (1, "a"),
    "map": lambda: {"a": 1, "b": [2]},
    "map with numbers as keys": lambda: {1: "one"},
    "map with other keys": lambda: {1: "one", None: "none"},
    "ordered map": lambda: collections.OrderedDict([("b", 1), ("a", 2)]),
    "ordered map with other keys": lambda: collections.OrderedDict([(1, "one"), (None, "none")]),
    "set": lambda: {7},
    "frozen set": lambda: frozenset({7}),
    "time": lambda: MIDDAY,
    "error": lambda: ValueError("out of cheese"),
    "float32 array": lambda: np.array([1.5, 2.5], dtype="float32"),
    "float64 array": lambda: np.array([1.5]),
    "uint8 array": lambda: np.array([0, 255], dtype="uint8"),
    "int64 array": lambda: np.array([-1, 2**53 + 1]),
    "uint64 array": lambda: np.array([2**64 - 1], dtype="uint64"),
    "bool array": lambda: np.array([True, False]),
    "complex array": lambda: np.array([1 + 2j], dtype="complex64"),
    "text array": lambda: np.array(["ab", "c"]),
    "big-endian array": lambda: np.array([1, 2], dtype=">i2"),
    "array of two dimensions": lambda: GRID,
    "array in Fortran order": lambda: np.asfortranarray(GRID),
    "array with strides": lambda: GRID[:, ::2],
    "array of no dimension": lambda: np.array(5, dtype="int16"),
    "empty array": lambda: np.zeros((0, 3), dtype="float32"),
    "numpy scalar": lambda: np.int16(5),
    "numpy float": lambda: np.float64(1.5),
    "dataclass": lambda: Point(1, 2.0),
    "enum": lambda: Shade.DARK,
    "date": lambda: MIDDAY.date(),
    "uuid": lambda: uuid.UUID(int=5),
    "decimal": lambda: decimal.Decimal("1.10"),
    "path": lambda: pathlib.PurePosixPath("/a/b"),
}


def describe(value: Any) -> str:
    """One line: the type as Python calls it, and the content."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value).tobytes().hex()
        return f"ndarray {value.dtype} {list(value.shape)} {data}"
    if isinstance(value, np.generic):
        return f"numpy.{value.dtype} {value.item()}"
    if isinstance(value, BaseException):
        return f"{getattr(value, 'remote_type', None) or type(value).__name__} {value}"
    if isinstance(value, datetime.datetime):
        return f"datetime {value.isoformat()}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{type(value).__name__} {bytes(value).hex()}"
    if isinstance(value, (int, float, str)):
        return f"{type(value).__name__} {value}"
    if isinstance(value, collections.OrderedDict):
        return "OrderedDict" + entries(value)
    if isinstance(value, dict):
        return "dict" + entries(value)
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + "[" + ", ".join(describe(item) for item in value) + "]"
    if isinstance(value, (set, frozenset)):
        return type(value).__name__ + "{" + ", ".join(sorted(describe(item) for item in value)) + "}"
    return type(value).__name__


def entries(value: dict[Any, Any]) -> str:
    named = (
        f"{key if isinstance(key, str) else describe(key)}: {describe(item)}" for key, item in value.items()
    )
    return "{" + ", ".join(named) + "}"
