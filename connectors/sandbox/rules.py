"""Every strict rule of the sandbox's servers: its sentence, its error and its evidence.

`sandbox --rules` prints them. A refusal quotes its rule, so that readers can look up how certain the rule is.
Evidence is one of: *documented* on the vendor page named, *observed* in responses that others published, *read in
the library* of the vendor, *inferred* from a neighbouring rule or API, *assumed* because the sandbox has to answer
something. Meta documents no 2804xxx subcode: a rule that answers with one is at most *observed*, even if the page
named documents the rule itself.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Generic, Literal, TypeVar

Evidence = Literal["documented", "observed", "read in the library", "inferred", "assumed"]


@dataclass(frozen=True, slots=True)
class SandboxRule:
    """One strict rule of one server, and its source."""

    server: str
    rule: str
    """One sentence: what is refused, or guaranteed."""
    evidence: Evidence
    source: str
    """The vendor page's URL, or `assumed` if there is none."""
    claim: str = ""
    """Of an assumed rule: the claim in `claims.toml` that it plays, or `sandbox` for what only a sandbox does."""


@dataclass(frozen=True, slots=True)
class DataManagerRule(SandboxRule):
    """A rule of the Data Manager.

    `answer` is an `ErrorReason` if the request is refused immediately, a `ProcessingErrorReason` if a row fails in
    processing, and empty for a rule that refuses nothing.
    """

    answer: str = ""


@dataclass(frozen=True, slots=True)
class AdsApiRule(SandboxRule):
    """A rule of the Google Ads API.

    `family` is the field of `ErrorCode` and `answer` the name in it; both are empty for a rule that refuses nothing.
    `status` is the gRPC code if the whole call fails, empty if only a row does. A rule with a status but no family
    fails without a GoogleAdsFailure.
    """

    family: str = ""
    answer: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class MetaRule(SandboxRule):
    """A rule of Meta; `code` is 0 if it refuses nothing, `subcode` is 0 if there is none or it is unknown."""

    code: int = 0
    subcode: int = 0
    title: str = ""
    """The error's user-facing title, if Meta gives it one."""
    french: str = ""
    """The same title in French."""
    kind: str = "OAuthException"
    status: int = 400


def read_sandbox_csv(file: str) -> list[dict[str, str]]:
    """Read one of the sandbox's CSV files, skipping lines that start with `#`."""
    with (Path(__file__).parent / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


R = TypeVar("R", bound=SandboxRule)


class VendorRuleTable(Generic[R]):
    """The rules of one CSV file as attributes by id; iterates in file order."""

    def __init__(self, file: str, kind: type[R], server: str) -> None:
        """Read the file; an empty cell means the field's default."""
        whole = {field.name for field in fields(kind) if isinstance(field.default, int)}
        self.by_id: dict[str, R] = {}
        for row in read_sandbox_csv(file):
            name = row.pop("id")
            cells = {column: int(cell) if column in whole else cell for column, cell in row.items() if cell}
            self.by_id[name] = kind(server, **cells)  # type: ignore[arg-type]  # the columns are the fields

    def __getattr__(self, name: str) -> R:
        if name not in self.by_id:
            raise AttributeError(f"no rule is called {name}")
        return self.by_id[name]

    def __iter__(self) -> Iterator[R]:
        return iter(self.by_id.values())


Place = TypeVar("Place")


def broken_rules(*checks: tuple[object, R, Place]) -> Iterator[tuple[R, Place]]:
    """Yield the rule and field of each check, `(whether the rule is broken, rule, field)`, that finds it broken."""
    return ((rule, field) for is_broken, rule, field in checks if is_broken)


oplead_rules = VendorRuleTable("oplead/rules.csv", SandboxRule, "oplead")
oauth_rules = VendorRuleTable("google/oauth_rules.csv", SandboxRule, "oauth")
data_manager_rules = VendorRuleTable("google/data_manager/rules.csv", DataManagerRule, "data_manager")
ads_api_rules = VendorRuleTable("google/ads_api/rules.csv", AdsApiRule, "google_ads")
adjustment_rules = VendorRuleTable("google/ads_api/adjustment_rules.csv", AdsApiRule, "google_ads")
meta_rules = VendorRuleTable("meta/rules.csv", MetaRule, "meta")
RULES: tuple[SandboxRule, ...] = tuple(
    chain(oplead_rules, oauth_rules, data_manager_rules, ads_api_rules, adjustment_rules, meta_rules)
)
