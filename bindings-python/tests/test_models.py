"""Models of pydantic over the wire: as arguments, as results, and as part of what is sent."""

from __future__ import annotations

import datetime
import sys
from typing import Any

import polyfn
import pytest
from polyfn import maker, models, schema
from pydantic import AliasChoices, AliasPath, BaseModel, Field, RootModel, computed_field
from pydantic.dataclasses import dataclass


class Tree(BaseModel):
    name: str
    since: datetime.date | None = None
    children: list[Tree] = []
    named: dict[str, Tree] = {}


class Left(BaseModel):
    right: Right | None = None


class Right(BaseModel):
    left: Left | None = None
    size: int = 0


class Numbers(RootModel[list[int]]):
    pass


class Word(RootModel[str]):
    pass


class Forest(RootModel[dict[str, Tree]]):
    pass


class Only(RootModel[Tree]):
    pass


class Nested(RootModel["int | list[Nested]"]):
    pass


@dataclass
class Side:
    long: int = Field(validation_alias="in_long", serialization_alias="out_long")


class Renamed(BaseModel):
    x: int = Field(validation_alias="in_x", serialization_alias="out_x")
    sent: int = Field(2, serialization_alias="outSent")
    chosen: int = Field(3, validation_alias=AliasChoices(AliasPath("deep", 0), "first", "second"))
    # each by the other's name
    a: int = Field(4, validation_alias="b", serialization_alias="a")
    b: int = Field(5, validation_alias="a", serialization_alias="b")
    hidden: str = Field("secret", exclude=True)

    @computed_field(alias="twiceX")
    @property
    def twice(self) -> int:
        return 2 * self.x


class Holder(BaseModel):
    one: Renamed
    many: list[Renamed] = []
    pair: tuple[Renamed, int] | None = None
    named: dict[int, Renamed] = {}
    numbers: Numbers = Numbers([1])
    side: Side | None = None


class Stored(BaseModel):
    key: str = Field(alias="_id")
    id: int = 0


def renamed(x: int) -> Renamed:
    return Renamed(in_x=x, first=x)


TREE = Tree(name="a", children=[Tree(name="b", since="2024-01-02", children=[Tree(name="c")])])
MODELS = [
    Tree(name="r", children=[TREE, TREE], named={"x": TREE}),
    Left(right=Right(left=Left(right=Right(size=3)))),
    Numbers([1, 2]),
    Word("hello"),
    Forest({"a": TREE}),
    Only(TREE),
    Nested([1, [2, [3]]]),
    renamed(1),
    Holder(
        one=renamed(1), many=[renamed(2)], pair=(renamed(3), 4), named={5: renamed(5)}, side=Side(in_long=6)
    ),
    Stored(_id="five", id=6),
]
by_class = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)


def taker(kind: Any, declared: Any = schema.schema_function) -> Any:
    """A function that takes one of a class, and some in lists and maps; it gives back what it was given."""

    async def take(one, some):
        taken = [one, *some["list"], *some["map"].values()]
        assert [type(each) for each in taken] == [kind] * 3
        assert taken[0] == taken[1] == taken[2]
        return {"one": one, "some": some}

    take.__annotations__ = {"one": kind, "some": dict[str, list[kind] | dict[str, kind]]}
    return declared(take)


@by_class
async def test_what_a_declared_function_gets_is_one_of_its_class(offer, model):
    service = await offer(take=taker(type(model)))
    answer = await service.take(model, {"list": [model], "map": {"k": model}})
    for made in (answer["one"], answer["some"]["list"][0], answer["some"]["map"]["k"]):
        assert isinstance(made, BaseModel)
        assert type(made).__name__ == type(model).__name__
    # what was made of a result is taken as well, and so are its values alone
    for given in (answer["one"], models.encode(model)["_rvalue"]):
        again = await service.take(one=given, some={"list": [given], "map": {"k": given}})
        assert again["one"] == answer["one"]


@by_class
async def test_what_another_function_gets_is_made_of_the_schema(offer, model):
    seen = []
    service = await offer(take=lambda one: seen.append(one) or one)
    for made in (await service.take(model), seen[0]):
        assert type(made).__name__ == type(model).__name__
        assert isinstance(made, RootModel) == isinstance(model, RootModel)
        # and it makes one of the class again
        assert type(model).model_validate(models.values_of(made)) == model


async def test_the_fields_of_what_is_made(offer):
    service = await offer(take=lambda one: one)
    tree = await service.take(MODELS[0])
    inner = tree.children[1].children[0]
    assert type(inner) is type(tree) is type(tree.named["x"])
    assert inner.since == datetime.date(2024, 1, 2)
    assert (await service.take(Numbers([1, 2]))).root == [1, 2]
    made = await service.take(renamed(1))
    assert (made.in_x, made.sent, made.first, made.b, made.a) == (1, 2, 1, 4, 5)
    stored = await service.take(Stored(_id="five", id=6))
    assert (stored.id_, stored.id) == ("five", 6)


def test_what_is_sent_of_a_model_has_the_names_of_its_schema():
    form = models.encode(MODELS[-2])
    one = {"in_x": 1, "sent": 2, "first": 1, "b": 4, "a": 5, "twiceX": 2}
    assert form["_rvalue"]["one"] == one
    assert form["_rvalue"]["pair"] == [{**one, "in_x": 3, "first": 3, "twiceX": 6}, 4]
    assert (form["_rvalue"]["numbers"], form["_rvalue"]["side"]) == ([1], {"in_long": 6})
    # hypha-rpc knows no references at the top
    assert models.encode(TREE)["_rschema"]["properties"].keys() == TREE.model_dump().keys()
    assert models.encode(Word("hello"))["_rvalue"] == "hello"


@pytest.mark.parametrize("count", [maker.MOST_IN_CIRCLES, maker.MOST_CLASSES])
def test_what_would_take_too_many_classes_stays_a_map(count):
    definitions = {f"D{number}": {"properties": {"t": {"$ref": "#/$defs/T"}}} for number in range(count)}
    top = {"title": "T", "properties": {name: {"$ref": f"#/$defs/{name}"} for name in definitions}}
    schema = {**top, "$defs": {"T": top, **definitions}}
    form = {"_rtype": models.FORM, "_rvalue": {}, "_rschema": schema}
    assert models.decode(form) is form


def test_what_has_no_model_stays_what_it_is():
    given = {"list": [1, (2, [3])], "map": {"items": 5}}
    assert models.values_of(given) is given
    form = {"_rtype": "pydantic_model", "_rvalue": {"x": 1}, "_rschema": {"properties": 3}}
    assert models.decode(form) is form
    assert models.values_of([form, given]) == [{"x": 1}, given]


def test_without_pydantic_a_model_is_its_values(monkeypatch):
    form = models.encode(Tree(name="only here"))
    monkeypatch.setitem(sys.modules, "pydantic", None)
    assert models.decode({**form, "_rschema": {"title": "not met before"}}) == form["_rvalue"]


async def test_values_that_do_not_fit_are_refused(offer):
    service = await offer(take=taker(Tree))
    with pytest.raises(polyfn.InvalidError, match=r"children\[0\].name"):
        await service.take({"name": "r", "children": [{"name": 5}]}, {"list": [], "map": {}})
