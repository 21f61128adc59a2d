"""Every strict rule of the sandbox's two Google APIs: what it says, what it answers, and what it rests on.

`sandbox --rules` prints them. A refusal quotes the rule it comes from, so that its reader also learns how sure the
rule is. Evidence is one of: *documented* on the vendor page named, *observed* in answers that others published, *read
in the library* `google-ads-datamanager` or `google-ads`, *inferred* from a neighbouring rule or API, *assumed* because
the sandbox has to answer something.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from connectors.sandbox.rules import Rule, named, read_rules


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


R = TypeVar("R", bound=Rule)


class RuleTable(Generic[R]):
    """The rules of one CSV file, by name; iterates in the file's order."""

    def __init__(self, file: str, kind: type[R], server: str) -> None:
        self._rules = read_rules(Path(__file__).parent / file, kind, server)

    def __getattr__(self, name: str) -> R:
        return named(self._rules, name)

    def __getitem__(self, name: str) -> R:
        return self._rules[name]

    def __iter__(self) -> Iterator[R]:
        return iter(self._rules.values())


data_manager_rules = RuleTable("data_manager/rules.csv", DataManagerRule, "data_manager")
ads_api_rules = RuleTable("ads_api/rules.csv", AdsApiRule, "google_ads")
adjustment_rules = RuleTable("ads_api/adjustment_rules.csv", AdsApiRule, "google_ads")
