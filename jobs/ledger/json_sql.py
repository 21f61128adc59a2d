"""JSON in statements: one construct for what SQLite and PostgreSQL each write in their own way."""

import json
from typing import Any

import sqlalchemy
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Integer,
    String,
    TableValuedAlias,
    TypeDecorator,
    literal_column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


class _Listed(FunctionElement[Any]):
    """The items of a JSON list of texts."""

    inherit_cache = True
    name = "listed"
    value = "value"
    """PostgreSQL's expression for an item."""


class _ListedIds(_Listed):
    """The items of a JSON list of row ids."""

    inherit_cache = True
    value = "CAST(value AS BIGINT)"


@compiles(_Listed)
def _each(element: _Listed, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **more)})"


@compiles(_Listed, "postgresql")
def _elements(element: _Listed, compiler: SQLCompiler, **more: Any) -> str:
    items = f"jsonb_array_elements_text(CAST({compiler.process(element.clauses, **more)} AS JSONB))"
    named = f"{items} WITH ORDINALITY AS item (value, place)"
    return f"(SELECT place - 1 AS key, {element.value} AS value FROM {named})"  # noqa: S608 -- all of it ours


def json_list_table(texts: str | BindParameter[str]) -> TableValuedAlias:
    """Return a table of the texts in a JSON list: each as `value`, and its place as `key`."""
    return _Listed(texts).table_valued("key", "value")


def json_id_list_table(ids: str | BindParameter[str]) -> TableValuedAlias:
    """Return a table of the row ids in a JSON list, as `json_list_table` does of texts."""
    return _ListedIds(ids).table_valued("key", "value")


class ListOf(TypeDecorator[list[Any]]):
    """The type of a list that is one parameter."""

    impl = String
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        """Take the type of what is in it."""
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return an array where there are any, and JSON elsewhere."""
        return dialect.type_descriptor(ARRAY(self.item) if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        """Return the list as the database takes it."""
        return value if dialect.name == "postgresql" else json.dumps(value)


class _IsAmong(FunctionElement[bool]):
    """Whether a value is in a list."""

    inherit_cache = True
    name = "is_among"
    type = Boolean()

    def self_group(self, against: object = None) -> "_IsAmong":  # noqa: ARG002 - whatever it stands in
        """Return it as it is: SQLAlchemy would compare it with 1, behind which SQLite sees no index."""
        return self


@compiles(_IsAmong)
def _in_json(element: _IsAmong, compiler: SQLCompiler, **more: Any) -> str:
    value, values = (compiler.process(each, **more) for each in element.clauses)
    listed = f"SELECT value FROM json_each({values})"  # noqa: S608 -- all of it ours
    return f"({value} IN ({listed}))"


@compiles(_IsAmong, "postgresql")
def _in_array(element: _IsAmong, compiler: SQLCompiler, **more: Any) -> str:
    # Not by JSON, whose items PostgreSQL takes for a hundred: to find one lead's rows, it would read its account's.
    value, values = (compiler.process(each, **more) for each in element.clauses)
    return f"({value} = ANY ({values}))"


def is_among(value: Mapped[Any] | Column[Any], values: BindParameter[list[Any]]) -> ColumnElement[bool]:
    """Match values that are in a list, which is a parameter of type `ListOf`."""
    return _IsAmong(value, values)


class _Item(FunctionElement[str]):
    """What JSON text has at a place in its list, or at a name in its object, as text."""

    inherit_cache = True
    name = "item"
    type = String()


@compiles(_Item)
def _item(element: _Item, compiler: SQLCompiler, **more: Any) -> str:
    text, place = (compiler.process(each, **more) for each in element.clauses)
    return f"({text} ->> {place})"


@compiles(_Item, "postgresql")
def _item_of_jsonb(element: _Item, compiler: SQLCompiler, **more: Any) -> str:
    text, place = (compiler.process(each, **more) for each in element.clauses)
    return f"(CAST({text} AS JSONB) ->> {place})"


def json_text_at(text: ColumnElement[Any] | Mapped[str], place: int | str) -> ColumnElement[str]:
    """Return the text at a place in a JSON list, or at a plain name in a JSON object."""
    if isinstance(place, int):
        return _Item(text, literal_column(str(place), Integer))
    if not place.isidentifier():
        raise ValueError(f"not a plain name: {place}")
    return _Item(text, sqlalchemy.literal_column(f"'{place}'", String))
