"""Every strict rule of the sandbox's Data Manager: what it says, what it answers, and what it rests on.

`sandbox --rules` prints `RULES`. A refusal quotes the rule that caused it, so that whoever reads the answer
also knows how sure the rule is. Evidence words: *documented* on the vendor page named, *observed* in answers
that others published, *read in the library* `google-ads-datamanager`, *inferred* from a neighbouring API,
*assumed* because the sandbox has to answer something.
"""

from dataclasses import dataclass
from pathlib import Path

from connectors.sandbox.rules import Rule, named, read_rules


@dataclass(frozen=True, slots=True)
class DataManagerRule(Rule):
    """A rule of the Data Manager, with the name its refusal goes by.

    `answer` is an `ErrorReason` where the request is refused at once, a `ProcessingErrorReason` where a row
    fails later, and empty for a rule that refuses nothing.
    """

    answer: str = ""


_TABLE = read_rules(Path(__file__).with_suffix(".csv"), DataManagerRule, "data_manager")
RULES: tuple[DataManagerRule, ...] = tuple(_TABLE.values())
"""All of them, in the order of the table."""


def __getattr__(name: str) -> DataManagerRule:
    """A rule by its name in the table."""
    return named(_TABLE, name)
