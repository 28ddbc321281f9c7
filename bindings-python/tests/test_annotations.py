"""JSON Schema of types, and what docstrings say."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import pathlib
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import polyfn
import pydantic
import pytest
from polyfn.annotations import Schemas
from polyfn.docstrings import parse
from typing_extensions import NotRequired, Required, TypeAliasType


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Point:
    """A place."""

    x: float
    y: float = 0.0
    name: str | None = None
    marks: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Node:
    value: int
    below: list[Node] = dataclasses.field(default_factory=list)


class Options(TypedDict, total=False):
    """How to do it."""

    verbose: Required[bool]
    depth: int


class Book(TypedDict):
    title: str
    year: NotRequired[int]


class Pair(NamedTuple):
    first: int
    second: str


class Model(pydantic.BaseModel):
    """A model."""

    title: str = pydantic.Field(description="how it is called")
    size: int = pydantic.Field(1, ge=0, le=10)
    inner: Point | None = None


class Tree(pydantic.BaseModel):
    children: list[Tree] = []


Number = TypeVar("Number", int, float)
Bound = TypeVar("Bound", bound=str)
Identifier = NewType("Identifier", int)
Alias = TypeAliasType("Alias", list[int])

INTEGER, STRING, NUMBER, NULL = ({"type": kind} for kind in ("integer", "string", "number", "null"))


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, INTEGER),
        (float, NUMBER),
        (str, STRING),
        (bool, {"type": "boolean"}),
        (None, NULL),
        (list, {"type": "array"}),
        (dict, {"type": "object"}),
        (Any, {}),
        (object, {}),
        (bytes, {"type": "string", "format": "binary"}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (pathlib.PosixPath, {"type": "string", "format": "path"}),
        (decimal.Decimal, {"anyOf": [NUMBER, STRING]}),
        (list[int], {"type": "array", "items": INTEGER}),
        (typing.List[str], {"type": "array", "items": STRING}),  # noqa: UP006
        (Sequence[float], {"type": "array", "items": NUMBER}),
        (set[str], {"type": "array", "uniqueItems": True, "items": STRING}),
        (frozenset[int], {"type": "array", "uniqueItems": True, "items": INTEGER}),
        (dict[str, int], {"type": "object", "additionalProperties": INTEGER}),
        (Mapping[str, Any], {"type": "object"}),
        (tuple[int, ...], {"type": "array", "items": INTEGER}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [INTEGER, STRING], "minItems": 2, "maxItems": 2},
        ),
        (Pair, {"type": "array", "prefixItems": [INTEGER, STRING], "minItems": 2, "maxItems": 2}),
        (Optional[int], {"anyOf": [INTEGER, NULL]}),  # noqa: UP045
        (int | None, {"anyOf": [INTEGER, NULL]}),
        (Union[int, str, float], {"anyOf": [INTEGER, STRING, NUMBER]}),  # noqa: UP007
        (int | Any, {}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a"], {"type": "string", "const": "a"}),
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),
        (Literal[Color.RED], {"type": "string", "const": "red"}),
        (Color, {"type": "string", "enum": ["red", "blue"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (
            Annotated[int, pydantic.Field(ge=0, description="n")],
            {**INTEGER, "minimum": 0, "description": "n"},
        ),
        (
            Annotated[str, pydantic.Field(min_length=1, pattern="^a")],
            {**STRING, "minLength": 1, "pattern": "^a"},
        ),
        (
            Annotated[list[int], pydantic.Field(max_length=3)],
            {"type": "array", "items": INTEGER, "maxItems": 3},
        ),
        (Number, {"anyOf": [INTEGER, NUMBER]}),
        (Bound, STRING),
        (Identifier, INTEGER),
        (Alias, {"type": "array", "items": INTEGER}),
        # what has no form in JSON is not constrained, and may come as a stream or a function
        (Callable[[int], int], {}),
        (collections.abc.AsyncIterator[int], {}),
        (collections.abc.Iterable[int], {}),
        (type(polyfn), {}),
    ],
    ids=str,
)
def test_types(annotation, expected):
    schemas = Schemas()
    assert schemas.of(annotation) == expected
    assert schemas.definitions == {}


@pytest.mark.parametrize(
    ("annotation", "name", "expected"),
    [
        (
            Point,
            "Point",
            {
                "type": "object",
                "description": "A place.",
                "properties": {
                    "x": NUMBER,
                    "y": {**NUMBER, "default": 0.0},
                    "name": {"anyOf": [STRING, NULL], "default": None},
                    "marks": {"type": "array", "items": STRING},
                },
                "required": ["x"],
            },
        ),
        (
            Node,
            "Node",
            {
                "type": "object",
                "properties": {
                    "value": INTEGER,
                    "below": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                },
                "required": ["value"],
            },
        ),
        (
            Options,
            "Options",
            {
                "type": "object",
                "description": "How to do it.",
                "properties": {"verbose": {"type": "boolean"}, "depth": INTEGER},
                "required": ["verbose"],
            },
        ),
        (
            Book,
            "Book",
            {"type": "object", "properties": {"title": STRING, "year": INTEGER}, "required": ["title"]},
        ),
    ],
)
def test_classes_are_defined_once(annotation, name, expected):
    schemas = Schemas()
    assert schemas.of(annotation) == {"$ref": f"#/$defs/{name}"}
    assert schemas.of(list[annotation]) == {"type": "array", "items": {"$ref": f"#/$defs/{name}"}}
    assert schemas.definitions == {name: expected}


def test_models_of_pydantic():
    schemas = Schemas()
    assert schemas.of(Model) == {"$ref": "#/$defs/Model"}
    model = schemas.definitions["Model"]
    assert model["properties"]["title"] == {"type": "string", "description": "how it is called"}
    assert model["properties"]["size"] == {"type": "integer", "default": 1, "minimum": 0, "maximum": 10}
    assert "title" not in model
    assert schemas.definitions["Model.Point"]["required"] == ["x"]
    assert schemas.of(Tree) == {"$ref": "#/$defs/Tree"}
    assert schemas.definitions["Tree"] == {"$ref": "#/$defs/Tree.Tree"}


def test_two_classes_of_one_name():
    def make(kind):
        return dataclasses.make_dataclass("Same", [("it", kind)])

    schemas = Schemas()
    assert schemas.of(make(int)) == {"$ref": "#/$defs/Same"}
    assert schemas.of(make(str)) == {"$ref": "#/$defs/Same2"}


GOOGLE = """Do it.

With care.

Args:
    first (int, optional): the first
        of them
    *rest: what
        remains
    key: see: below

Returns:
    nothing

Example:
    It stays.
"""
NUMPY = """
Do it.

With care.

Parameters
----------
first : int, optional
    the first
    of them
rest
    what remains
key : dict
    see: below

Returns
-------
None
    nothing

Notes
-----
It stays.
"""
REST = """Do it.

With care.

:param int first: the first
    of them
:param rest: what remains
:keyword key: see: below
:type first: int
:returns: nothing
:raises ValueError: never
"""


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST], ids=["Google", "NumPy", "reST"])
def test_docstrings(text):
    parsed = parse(text)
    assert parsed.arguments == {"first": "the first of them", "rest": "what remains", "key": "see: below"}
    assert parsed.description.startswith("Do it.\n\nWith care.")
    assert "nothing" not in parsed.description
    assert ("It stays." in parsed.description) == (text is not REST)


@pytest.mark.parametrize(
    "text", ["", None, "   ", "Args:", "Args:\n\n\nReturns:", ":", "Parameters\n---", "---\n---"]
)
def test_docstrings_that_say_nothing(text):
    assert parse(text).arguments == {}
