"""Every assumption is written once, says what rests on it, and is named by each sandbox rule that plays it."""

import csv
import tomllib
from datetime import date
from pathlib import Path

import pytest

from connectors.language import Language, using_language
from connectors.sandbox.rules import RULES
from jobs.claims import all_claims, count_confirmed, parse_claims

ROOT = Path(__file__).parents[3]
OF_THE_SANDBOX = "sandbox"
"""The claim of rules that no live platform could break: faults planted, and what is not played."""
WRITTEN = {
    "id": "oplead.rate",
    "platform": "oplead",
    "how": "word",
    "claim": "a",
    "claim_fr": "b",
    "settled_by": "c",
    "settled_by_fr": "d",
    "rests_on": ["README.md"],
}


def test_every_assumed_rule_names_its_claim():
    """And no other rule does: what is documented is no assumption."""
    known = {*all_claims(), OF_THE_SANDBOX}

    assert [] == [rule.rule for rule in RULES if (rule.evidence == "assumed") != (rule.claim in known)]
    assert [] == [rule.rule for rule in RULES if rule.evidence != "assumed" and rule.claim]


def test_only_what_a_sandbox_alone_does_is_no_claim():
    """A new rule of this kind is named here, so that no assumption about a platform hides among them."""
    own = set()
    for file in (ROOT / "connectors" / "sandbox").rglob("*rules.csv"):
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(line for line in lines if not line.startswith("#"))
            own |= {row["id"] for row in rows if row["claim"] == OF_THE_SANDBOX}

    planted = {"PLANTED", "RECEIVED_NONE", "LOST", "SUMMARY_LOST", "ANSWER_LOST"}
    assert own == planted | {"WEBHOOK_OUTSIDE", "NOT_PLAYED", "NO_ENCRYPTION", "GAQL_END"}


def test_what_rests_on_a_claim_exists():
    """A file that was moved is followed."""
    assert [] == [
        (claim.id, file) for claim in all_claims().values() for file in claim.rests_on if not (ROOT / file).is_file()
    ]
    assert [] == [claim.id for claim in all_claims().values() if not claim.rests_on]


def test_a_claim_stands_once():
    """One of Meta's stood twice on the page."""
    for language in Language:
        with using_language(language):
            said = [claim.words[0] for claim in all_claims().values()]
        assert len(said) == len(set(said))


@pytest.mark.parametrize(
    "wrong",
    [
        [WRITTEN, WRITTEN],
        [{**WRITTEN, "hwo": "read"}],
        [{**WRITTEN, "how": "guessing"}],
        [{**WRITTEN, "platform": "bing"}],
        [{**WRITTEN, "platform": "meta"}],
        [{key: value for key, value in WRITTEN.items() if key != "claim_fr"}],
    ],
)
def test_an_ill_written_claim_is_refused(wrong):
    """Twice the same id, an unknown key or word, another platform's id, or nothing in French."""
    assert parse_claims({"claim": [WRITTEN]})
    with pytest.raises(ValueError, match=r"."):
        parse_claims({"claim": wrong})


def test_the_latest_day_of_what_is_confirmed_is_told():
    """As the file writes a day."""
    days = {"a": "confirmed = 2026-12-02", "b": "confirmed = 2027-01-15", "c": ""}
    written = [WRITTEN | {"id": f"oplead.{name}"} | tomllib.loads(line) for name, line in days.items()]

    assert (2, date(2027, 1, 15)) == count_confirmed(parse_claims({"claim": written}).values())


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("README.md", "{confirmed} of {count} assumptions confirmed"),
        ("docs/not-verified.md", "{confirmed} of {count} assumptions confirmed"),
        ("README.fr.md", "Hypothèses confirmées : {confirmed} sur {count}"),
        ("docs/fr/non-verifie.md", "Hypothèses confirmées : {confirmed} sur {count}"),
    ],
)
def test_how_much_is_confirmed_stands_where_people_look(page, said):
    """`make docs` writes it; whoever takes it out is told here."""
    confirmed, _day = count_confirmed(all_claims().values())
    text = (ROOT / page).read_text(encoding="utf-8")

    assert 1 == text.count(said.format(confirmed=confirmed, count=len(all_claims())))
