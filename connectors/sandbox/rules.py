"""Every strict rule of the sandbox's servers: what it says, what it answers, and what it rests on.

`sandbox --rules` prints them. A refusal quotes the rule it comes from, so that its reader also learns how sure the
rule is. Evidence is one of: *documented* on the vendor page named, *observed* in answers that others published, *read
in the library* of the vendor, *inferred* from a neighbouring rule or API, *assumed* because the sandbox has to answer
something. Meta lists no 2804xxx subcode on any page: a rule that answers with one is at most *observed*, though the
rule itself may stand on the page named.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, Literal, TypeVar

Evidence = Literal["documented", "observed", "read in the library", "inferred", "assumed"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One strict rule of one server, and the page it rests on."""

    server: str
    rule: str
    """A sentence: what is refused, or guaranteed."""
    evidence: Evidence
    source: str
    """The vendor page's address; `assumed` where there is none."""


@dataclass(frozen=True, slots=True)
class DataManagerRule(Rule):
    """A rule of the Data Manager.

    `answer` is an `ErrorReason` where the request is refused at once, a `ProcessingErrorReason` where a row
    fails later, and empty for a rule that refuses nothing.
    """

    answer: str = ""


@dataclass(frozen=True, slots=True)
class AdsApiRule(Rule):
    """A rule of the Google Ads API.

    `family` is the field of `ErrorCode`, `answer` the name in it; both empty for a rule that refuses nothing.
    `status` is the gRPC code of a call that fails as a whole, empty where only a row fails. A rule with a
    status and no family fails without a GoogleAdsFailure.
    """

    family: str = ""
    answer: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class MetaRule(Rule):
    """A rule of Meta's; `code` is 0 for a rule that refuses nothing, `subcode` where there is none or none is known."""

    code: int = 0
    subcode: int = 0
    title: str = ""
    """The refusal's title, for an error that Meta words for people."""
    french: str = ""
    """The same title in French."""
    kind: str = "OAuthException"
    status: int = 400


def read_table(file: str) -> list[dict[str, str]]:
    """The rows of one of the sandbox's CSV files; lines with `#` are titles."""
    with (Path(__file__).parent / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


R = TypeVar("R", bound=Rule)


class RuleTable(Generic[R]):
    """The rules of one CSV file, by name; iterates in the file's order."""

    def __init__(self, file: str, kind: type[R], server: str) -> None:
        """Read the file; an empty cell is a field's default."""
        whole = {field.name for field in fields(kind) if isinstance(field.default, int)}
        self.by_id: dict[str, R] = {}
        for row in read_table(file):
            name = row.pop("id")
            cells = {column: int(cell) if column in whole else cell for column, cell in row.items() if cell}
            self.by_id[name] = kind(server, **cells)  # type: ignore[arg-type]  # the columns are the fields

    def __getattr__(self, name: str) -> R:
        if name not in self.by_id:
            raise AttributeError(f"no rule is called {name}")
        return self.by_id[name]

    def __iter__(self) -> Iterator[R]:
        return iter(self.by_id.values())


oplead_rules = RuleTable("oplead/rules.csv", Rule, "oplead")
oauth_rules = RuleTable("google/oauth_rules.csv", Rule, "oauth")
data_manager_rules = RuleTable("google/data_manager/rules.csv", DataManagerRule, "data_manager")
ads_api_rules = RuleTable("google/ads_api/rules.csv", AdsApiRule, "google_ads")
adjustment_rules = RuleTable("google/ads_api/adjustment_rules.csv", AdsApiRule, "google_ads")
meta_rules = RuleTable("meta/rules.csv", MetaRule, "meta")
RULES: tuple[Rule, ...] = (
    *oplead_rules,
    *oauth_rules,
    *data_manager_rules,
    *ads_api_rules,
    *adjustment_rules,
    *meta_rules,
)
"""Every rule that the sandbox enforces."""
