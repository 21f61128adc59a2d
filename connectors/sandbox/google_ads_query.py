"""GAQL, as far as the sandbox has use for it: SELECT fields FROM resource [WHERE field = value AND …].

https://developers.google.com/google-ads/api/docs/query/grammar
"""

import re
from dataclasses import dataclass

from connectors.sandbox import google_ads_rules as rules

_TOKEN = re.compile(r"""\s*(?:([A-Za-z0-9_.]+)|('[^'\n]*'|"[^"\n]*")|(\S))""")
_FIELD = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")
_RESOURCE = re.compile(r"[a-z][a-z0-9_]*")
_VALUE = re.compile(r"""[A-Za-z0-9_.]+|'[^']*'|"[^"]*\"""")


class QueryRefusedError(Exception):
    """The query breaks a rule."""

    def __init__(self, rule: rules.Answered) -> None:
        super().__init__(rule.rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Condition:
    """A field that has one of these values, quotes taken away."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A query that is well formed; whether its fields exist is not known yet."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...]


def parse_query(text: str) -> Query:
    """Read a query, or raise `QueryRefusedError` with the rule that it breaks."""
    tokens = _Tokens(text)
    tokens.demand("SELECT", rules.GAQL_SELECT)
    fields = [tokens.take(_FIELD, rules.GAQL_SELECT)]
    while tokens.skip(","):
        fields.append(tokens.take(_FIELD, rules.GAQL_SELECT))
    tokens.demand("FROM", rules.GAQL_FROM)
    resource = tokens.take(_RESOURCE, rules.GAQL_FROM)
    conditions = []
    if tokens.skip("WHERE"):
        conditions.append(_condition(tokens))
        while tokens.skip("AND"):
            conditions.append(_condition(tokens))
    if tokens.left:
        raise QueryRefusedError(rules.GAQL_END)
    return Query(tuple(fields), resource, tuple(conditions))


class _Tokens:
    """A query's words, quoted strings and signs, from left to right."""

    def __init__(self, text: str) -> None:
        self.left = [str(next(filter(None, found.groups()))) for found in _TOKEN.finditer(text)]

    def skip(self, word: str) -> bool:
        """Whether this keyword or sign comes next; it is taken then."""
        if not self.left or self.left[0].upper() != word:
            return False
        del self.left[0]
        return True

    def demand(self, word: str, rule: rules.Answered) -> None:
        """Take this keyword or sign."""
        if not self.skip(word):
            raise QueryRefusedError(rule)

    def take(self, shape: re.Pattern[str], rule: rules.Answered) -> str:
        """Take a token of this shape."""
        if not self.left or not shape.fullmatch(self.left[0]):
            raise QueryRefusedError(rule)
        return self.left.pop(0)


def _condition(tokens: _Tokens) -> Condition:
    field = tokens.take(_FIELD, rules.GAQL_WHERE)
    if tokens.skip("="):
        return Condition(field, (_value(tokens),))
    tokens.demand("IN", rules.GAQL_WHERE)
    tokens.demand("(", rules.GAQL_WHERE)
    values = [_value(tokens)]
    while tokens.skip(","):
        values.append(_value(tokens))
    tokens.demand(")", rules.GAQL_WHERE)
    return Condition(field, tuple(values))


def _value(tokens: _Tokens) -> str:
    return tokens.take(_VALUE, rules.GAQL_VALUE).strip("'\"")
