"""Schemas of functions: made, sent, seen by callers, and what arguments become by them."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import pathlib
import subprocess
import sys
import uuid
from typing import Any

import polyfn
import pydantic
import pytest
from polyfn import schema


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    """A place."""

    x: float
    y: float = 0.0
    name: str | None = None
    marks: list[str] = dataclasses.field(default_factory=list)


class Model(pydantic.BaseModel):
    """A model."""

    title: str = pydantic.Field(description="how it is called")
    size: int = pydantic.Field(1, ge=0, le=10)
    inner: Point | None = None


INTEGER = {"type": "integer"}


def plain(a, b=1, *args, key: int = 2, untold: Any = object(), **kwargs):  # noqa: B008
    """Do it.

    Args:
        a: the first
        key: a key
    """


def test_a_plain_function():
    assert schema.describe(plain) == {
        "name": "plain",
        "description": "Do it.",
        "parameters": {
            "type": "object",
            "properties": {
                "a": {"description": "the first"},
                "b": {"default": 1},
                "key": {"type": "integer", "description": "a key", "default": 2},
                "untold": {},
            },
            "required": ["a"],
        },
        "positional": 2,
    }


class Callable_:  # noqa: N801
    """Describes the class."""

    def __call__(self, a: int):
        """Describes the call."""

    def method(self, a: int):
        pass


@pytest.mark.parametrize(
    ("function", "name", "properties"),
    [
        (functools.partial(plain, 5, key=3), "plain", ["b", "untold"]),
        (Callable_(), "Callable_", ["a"]),
        (Callable_().method, "method", ["a"]),
        (lambda x: x, "<lambda>", ["x"]),
        (Point, "Point", ["x", "y", "name", "marks"]),
        (len, "len", ["obj"]),
        (dict.fromkeys, "fromkeys", None),
        (print, "print", None),
        (min, "min", None),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_everything_that_can_be_called(function, name, properties):
    described = schema.describe(function)
    assert described["name"] == name
    assert properties is None or list(described["parameters"]["properties"]) == properties


def test_annotations_that_cannot_be_resolved():
    def function(a: int, b: NotKnown, c: list[NotKnown]):  # noqa: F821
        pass

    assert schema.describe(function)["parameters"]["properties"] == {"a": INTEGER, "b": {}, "c": {}}


def test_annotations_with_names_of_the_function_around():
    class Inner(pydantic.BaseModel):
        x: int

    @schema.schema_function
    def function(inner: Inner):
        return inner

    assert function.__schema__["parameters"]["properties"] == {"inner": {"$ref": "#/$defs/Inner"}}
    assert function({"x": 1}) == Inner(x=1)


def test_without_some_arguments():
    def function(a: int, context): ...

    for one in (function, schema.schema_function(function)):
        parameters = schema.describe(one, without=["context"])["parameters"]
        assert (list(parameters["properties"]), parameters["required"]) == (["a"], ["a"])
    declared = schema.schema_function(function)
    assert list(declared.__schema__["parameters"]["properties"]) == ["a", "context"]


def test_decorators():
    @schema.schema_function
    def bare(a: int): ...

    @schema.schema_function(name="other", description="Told.")
    def with_options(a: int): ...

    assert bare.__schema__["name"] == "bare"
    assert (with_options.__schema__["name"], with_options.__schema__["description"]) == ("other", "Told.")
    assert schema.schema_function(bare) is bare

    def untouched(a: int, *, b=2):
        return a, b

    given = schema.schema_function(untouched)
    assert (given(1), given.__name__, given.__module__) == ((1, 2), "untouched", __name__)
    assert not hasattr(untouched, "__schema__")

    written = {"type": "object", "properties": {"z": {}}}
    explicit = schema.schema_function(len, name="size", description="How many.", parameters=written)
    assert explicit("abc") == 3
    assert explicit.__schema__ == {"name": "size", "description": "How many.", "parameters": written}

    class Shelf:
        @schema.schema_method
        def put(self, title: str, place: int = 1):
            "Put it."
            return (title, place)

    assert list(Shelf.put.__schema__["parameters"]["properties"]) == ["title", "place"]
    assert Shelf().put("Emma") == ("Emma", 1)


@pytest.mark.parametrize("parameters", ["str", 5, [1]])
def test_parameters_are_a_schema(parameters):
    with pytest.raises(polyfn.InvalidError, match=r"`parameters` must be a dict.*, found"):
        schema.schema_function(parameters=parameters)(print)


async def test_decorated_coroutines():
    @schema.schema_function
    async def later(at: datetime.date = schema.Field(datetime.date(2020, 1, 1), description="when")):  # noqa: B008
        return at

    assert await later() == datetime.date(2020, 1, 1)
    assert await later("2021-02-03") == datetime.date(2021, 2, 3)
    assert later.__schema__["parameters"]["properties"]["at"]["description"] == "when"


@pytest.mark.parametrize("field", [schema.Field, pydantic.Field])
def test_fields(field):
    @schema.schema_function
    def function(
        a: int = field(description="needed"),
        b: int = field(2, description="not needed"),
        *,
        c=field(3),  # noqa: B008
    ):
        return a, b, c

    assert function(1) == (1, 2, 3)
    assert function(1, c=5) == (1, 2, 5)
    with pytest.raises(TypeError, match="'a'"):
        function()
    assert function.__schema__["parameters"] == {
        "additionalProperties": False,
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "needed"},
            "b": {"type": "integer", "description": "not needed", "default": 2},
            "c": {"default": 3},
        },
        "required": ["a"],
    }


def test_strict_mode():
    def fine(a: int = schema.Field(1, description="a")):
        "Do it."

    assert schema.schema_function(fine, schema_type="native:strict").__schema__["name"] == "fine"

    def no_doc(a: int = schema.Field(1, description="a")): ...

    def no_type(a):
        "Do it."

    def no_description(a: int):
        "Do it."

    for function, needs in [
        (no_doc, "a docstring"),
        (no_type, "needs a type"),
        (no_description, "needs a description"),
        (lambda: None, "lambda"),
    ]:
        with pytest.raises(ValueError, match=needs):
            schema.schema_function(function, schema_type="auto:strict")
        with pytest.warns(UserWarning, match=needs):
            assert schema.parse_schema_function(function) is function
        assert not hasattr(function, "__schema__")
    with pytest.raises(ValueError, match="'other'"):
        schema.schema_function(fine, schema_type="other")


def test_services():
    def add(a: int, b: int): ...

    service = schema.schema_service(id="calc", add=add, deep={"er": [add]}, number=3)
    assert (service["id"], service["number"]) == ("calc", 3)
    assert service["deep"]["er"][0].__schema__["parameters"]["required"] == ["a", "b"]


def test_coercion():
    @schema.schema_function
    def function(
        model: Model,
        *rest: Color,
        when: datetime.datetime | None = None,
        pair: tuple[int, str] = (0, ""),
        names: set[str] | None = None,
        schema: Point | None = None,
        data: dict[str, int] | None = None,
        context: Any = None,
        **more: uuid.UUID,
    ):
        return model, rest, when, pair, names, schema, data, more

    data = polyfn.ObjectProxy(a=1)
    model, rest, when, pair, names, point, same, more = function(
        polyfn.ObjectProxy(title="t", inner={"x": 1}),
        "red",
        "blue",
        when="2020-01-02T03:04:05Z",
        pair=[1, "a"],
        names=["x", "y"],
        schema={"x": "2"},
        data=data,
        u="12345678-1234-5678-1234-567812345678",
    )
    assert model == Model(title="t", inner=Point(1.0))
    assert rest == (Color.RED, Color.BLUE)
    assert when == datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    assert (pair, names, point) == ((1, "a"), {"x", "y"}, Point(2.0))
    assert same is data, "plain values are not copied"
    assert more == {"u": uuid.UUID("12345678-1234-5678-1234-567812345678")}
    with pytest.raises(polyfn.InvalidError, match=r"argument model\.title: .*; argument when: "):
        function({}, when="no date")
    with pytest.raises(TypeError, match="'model'"):
        function()


def test_without_pydantic():
    program = """
        import sys
        sys.modules["pydantic"] = None
        import dataclasses, datetime
        from polyfn import schema

        @schema.schema_function
        def function(at: datetime.date, n: int = schema.Field(3, description="how many")):
            return at, n

        assert function("2020-01-01") == ("2020-01-01", 3)
        assert function.__schema__["parameters"]["properties"]["at"]["format"] == "date"
        try:
            schema.schema_function(schema_type="pydantic")(print)
        except ImportError as error:
            assert "pip install pydantic" in str(error)
        else:
            raise AssertionError
        assert not any(name.startswith("pydantic") for name in sys.modules if sys.modules[name])
    """
    import textwrap

    path = str(pathlib.Path(polyfn.__file__).parents[1])
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, env={"PYTHONPATH": path})


async def test_every_function_of_a_service_is_described(owner, caller):
    class Deep:
        def er(self, x: float, *, loud: bool = False):
            """Go deeper.

            :param x: how deep
            """

    def add(a: int, b: int = 2):
        "Add two numbers."

    async def with_context(name: str, context=None): ...

    info = await owner.register_service(
        {
            "id": "described",
            "config": {"require_context": ["with_context"]},
            "add": add,
            "untyped": lambda x, y: 0,
            "with_context": with_context,
            "deep": Deep(),
            "list": [add, 3, None, "s", True],
        }
    )
    tree = info.service_schema
    assert tree["add"] == {"type": "function", "function": schema.describe(add)}
    assert tree["untyped"]["function"]["name"] == "untyped"
    assert tree["untyped"]["function"]["parameters"]["properties"] == {"x": {}, "y": {}}
    assert list(tree["with_context"]["function"]["parameters"]["properties"]) == ["name"]
    assert tree["deep"]["er"]["function"]["parameters"]["properties"]["x"]["description"] == "how deep"
    assert [leaf["type"] for leaf in tree["list"]] == ["function", "number", "null", "string", "boolean"]

    service = await caller.get_service(info.id)
    assert service.add.__schema__ == schema.describe(add)
    assert service.add.__doc__ == "Add two numbers."
    assert service.deep.er.__schema__["parameters"]["required"] == ["x"]
    listed = await caller.get_service_info(info.id)
    assert listed.service_schema == tree
    assert await owner.get_service_schema(owner.rpc.get_local_service("described")) == tree
    assert (await caller.get_service_schema(service))["add"] == tree["add"]


async def test_fields_of_functions_without_a_decorator(offer):
    def greet(name: str = schema.Field("you", description="whom")):
        return f"hello {name}"

    service = await offer(greet=greet)
    assert await service.greet() == "hello you"
    assert await service.greet("Ann") == "hello Ann"
    assert service.greet.__schema__["parameters"]["properties"]["name"]["default"] == "you"


async def test_models_over_the_wire(offer):
    @schema.schema_function
    def grow(model: Model, by: int = 1) -> Model:
        return Model(title=model.title, size=model.size + by)

    service = await offer(grow=grow)
    for given in ({"title": "t"}, Model(title="t")):
        grown = await service.grow(given, by=2)
        assert (grown.title, grown.size) == ("t", 3)
    for args, place in [(({"title": 7},), "title"), (({"title": "t"}, "much"), "by"), ((), "model")]:
        with pytest.raises(polyfn.InvalidError, match=place):
            await service.grow(*args)


async def test_arguments_by_position_in_any_number(offer):
    """Checked before the function runs: each that has a name, and the others where they have a type."""
    ran = []

    @schema.schema_function
    def typed(a: int, *rest: int, key: str = "k"):
        ran.append(a)
        return [a, *rest, key]

    @schema.schema_function
    async def more(*rest, **others):
        return [*rest, others]

    service = await offer(typed=typed, more=more)
    assert await service.typed(1, 2, 3.0, key="x") == [1, 2, 3, "x"]
    assert await service.typed(a=1) == [1, "k"]
    assert await service.more("x", None, q=2) == ["x", None, {"q": 2}]
    ran.clear()
    for args, kwargs, text in [
        (("x", 2), {}, "at args.0.: `a` of typed.a, .rest, key.: the value is not of type .integer."),
        ((1, 2), {"key": 5}, "at key: `key`"),
        ((1, 2, "x"), {}, "at args.2.: `.rest` of typed.*: the value is not of type .integer., found .x."),
        ((), {"key": "k"}, "needs .*a"),
        ((1, 2), {"a": 1}, "got `a` twice"),
    ]:
        with pytest.raises(polyfn.InvalidError, match=text):
            await service.typed(*args, **kwargs)
    assert ran == []


async def test_unknown_keywords_are_named(offer):
    """With the parameters that there are, and before what is missing: one may be the other, misspelt."""
    ran = []

    @schema.schema_function
    def book(day: str, seats: int = 1) -> None:
        ran.append(day)

    @schema.schema_function
    def tagged(day: str, *tags: str, context: Any = None) -> None:
        ran.append(day)

    @schema.schema_function
    async def dated(day: datetime.date) -> None:
        ran.append(day)

    functions = {"book": book, "tagged": tagged, "dated": dated}
    service = await offer({"id": "named", "config": {"require_context": ["tagged"]}, **functions})
    for name, args, kwargs, text in [
        ("book", ("mon",), {"seat": 2}, r"book\(day, seats\) takes no `seat`"),
        ("book", (), {"dya": "mon"}, r"book\(day, seats\) takes no `dya`"),
        ("tagged", ("mon", "a"), {"tags": "b"}, r"tagged\(day, \*tags\) takes no `tags`"),
        ("dated", (), {"day": "2024-01-02", "hour": 3}, r"dated\(day\) takes no `hour`"),
    ]:
        with pytest.raises(polyfn.InvalidError, match=text):
            await getattr(service, name)(*args, **kwargs)
    assert ran == []


async def test_keywords_that_a_schema_does_not_tell_of(offer):
    """A function may take any, and a schema that somebody wrote means what it says."""

    @schema.schema_function
    def any_other(day: str, **more: Any) -> Any:
        return more

    written = {"type": "object", "properties": {"day": {"type": "string"}}}

    @schema.schema_function(parameters=written)
    def untold(day: str, debug: bool = False) -> Any:
        return debug

    service = await offer(any_other=any_other, untold=untold)
    assert await service.any_other("mon", seat=2) == {"seat": 2}
    assert await service.untold("mon", debug=True) is True
    assert service.untold.__schema__["parameters"] == written
    with pytest.raises(TypeError, match="unexpected keyword argument 'dya'"):
        await service.untold(dya="mon")
