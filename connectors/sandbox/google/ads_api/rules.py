"""Every strict rule of the sandbox's Google Ads API: what it says, what it answers, and what it rests on.

`sandbox --rules` prints `RULES`. A refusal quotes the rule that caused it. Evidence words: *documented* on the
vendor page named, *observed* in answers that others published, *read in the library* `google-ads`, *inferred*
from a neighbouring rule, *assumed* because the sandbox has to answer something.
"""

from dataclasses import dataclass
from pathlib import Path

from connectors.sandbox.rules import Rule, named, read_rules


@dataclass(frozen=True, slots=True)
class AdsApiRule(Rule):
    """A rule of the Google Ads API, with the error its breach is told by.

    `family` is the field of `ErrorCode`, `answer` the name in it; both empty for a rule that refuses nothing.
    `status` is the gRPC code of a call that fails as a whole, empty where only a row fails. A rule with a
    status and no family fails without a GoogleAdsFailure.
    """

    family: str = ""
    answer: str = ""
    status: str = ""


_TABLE = read_rules(Path(__file__).with_suffix(".csv"), AdsApiRule, "google_ads")
RULES: tuple[AdsApiRule, ...] = tuple(_TABLE.values())
"""All of them, in the order of the table."""


def __getattr__(name: str) -> AdsApiRule:
    """A rule by its name in the table."""
    return named(_TABLE, name)
