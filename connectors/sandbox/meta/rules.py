"""Every strict rule of the sandbox's Meta: its text, its error and its source.

`sandbox --rules` prints `RULES`, and a refusal quotes the rule that caused it. Meta lists no 2804xxx subcode on
any page: a rule that answers with one is at most *observed*, in answers that others published, though the rule
itself may stand on the page named. Evidence words: *documented* on that page, *observed*, *read in the library*
`facebook-business`, *inferred* from a neighbouring promise, *assumed* because the sandbox has to answer something.
"""

from dataclasses import dataclass
from pathlib import Path

from connectors.sandbox.rules import Rule, named, read_rules

INVALID = 100
GRAPH = "GraphMethodException"


@dataclass(frozen=True, slots=True)
class MetaRule(Rule):
    """A rule of Meta's, with what its refusal goes by; `code` is 0 for a rule that refuses nothing."""

    code: int = 0
    subcode: int = 0
    """0 where the answer has none, or none is known."""
    title: str = ""
    """The refusal's title, for an error that Meta words for people."""
    french: str = ""
    """The same title in French."""
    kind: str = "OAuthException"
    status: int = 400


_TABLE = read_rules(Path(__file__).with_suffix(".csv"), MetaRule, "meta")
RULES: tuple[MetaRule, ...] = tuple(_TABLE.values())
"""All of them, in the order of the table."""


def __getattr__(name: str) -> MetaRule:
    """A rule by its name in the table."""
    return named(_TABLE, name)
