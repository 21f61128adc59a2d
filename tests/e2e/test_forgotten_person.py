"""A planted person is forgotten: no marker, no click id and no hash of them is left in any file, nor comes back."""

import json
from dataclasses import dataclass, replace

import pytest

from tests.e2e.support.company import fbclid, gclid
from tests.e2e.support.planted import DAY, HOUR, PEOPLE, PlantedYear, person
from tests.e2e.support.typed import type_in
from tests.e2e.support.webhook_receiver import ReceiverProcess

LEADS = (1, 2, 3, 4)
KEPT_UNTIL_THEN = {
    "campaign": "campagne-plivorenda",
    "source": "source-drulomar",
    "agency": "agence-trolimonde",
    "answer": "oui-grumelosca",
    **{f"gclid of {number}": gclid(number) for number in LEADS},
    **{f"fbclid of {number}": fbclid(number) for number in LEADS},
}
"""What may be kept of a person as long as nobody asks to be forgotten."""
CLICK_IDS = {name: {text} for name, text in KEPT_UNTIL_THEN.items() if "clid of" in name}
ALL = replace(PEOPLE, words=PEOPLE.words | KEPT_UNTIL_THEN, hashed=PEOPLE.hashed | CLICK_IDS)
pytestmark = pytest.mark.exhaustive


def told(company, number, *steps, **more):
    """Return a lead of the person, with what may be kept planted too."""
    one = person(company, number, *steps, agency=KEPT_UNTIL_THEN["agency"], **more)
    one["leadData"] |= {
        "consent": KEPT_UNTIL_THEN["answer"],
        "utm_source": KEPT_UNTIL_THEN["source"],
        "utm_campaign": KEPT_UNTIL_THEN["campaign"],
    }
    return one


@pytest.fixture(scope="module")
def year(companies):
    """A company that knows four leads of the person, each in another state, and one of somebody else."""
    company = companies()
    folder = company.directory / "run"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, ReceiverProcess(folder) as receiver:
        year = PlantedYear(company, receiver, patch)
        company.settings["consent"]["ad_user_data"]["granted"] = ["oui", KEPT_UNTIL_THEN["answer"]]
        won = ("Gagné", company.START - DAY)
        company.serve(
            told(company, 1, won),
            told(company, 2, won, amount=""),
            told(company, 3, ("RDV pris", company.START - DAY)),
            company.lead(9, won),
        )
        company.night()
        company.later()
        company.serve(told(company, 4, ("Gagné", company.START - HOUR)))
        company.fail("data_manager", "cut_after", path="/v1/events:ingest", count=9)
        company.later(12 * HOUR)
        company.heal()
        year.webhook(1, "Gagné")
        assert -9 == company.killed("page committed", command=("run", "--dry-run"))
        type_in(company, "report")
        yield year


def forget(year):
    """Forget every lead of the person; return what the command said."""
    said = [year.company.command("forget", "--lead", f"L-{number}") for number in LEADS]
    assert {0} == {code for code, _, _ in said}, said
    return "".join(out + err for _, out, err in said)


def found(year):
    """Return where something planted stands."""
    return {name: names for name, data in year.files().items() if (names := ALL.found_in(data))}


@pytest.fixture(scope="module")
def forgotten(year):
    """The same company, once the person is forgotten: what was there before and after, and what was said."""
    before = set().union(*found(year).values())
    evidence = year.company.rows_of("consent_answer")
    said = forget(year)
    return Forgotten(year, before, evidence, said, found(year))


@dataclass(frozen=True)
class Forgotten:
    """What forgetting did."""

    year: PlantedYear
    before: set
    evidence: list
    """The consent answers on record before."""
    said: str
    left: dict
    """What is found in which file right after it."""


@pytest.mark.xdist_group("forgotten")
def test_nothing_is_left_in_any_file(forgotten):
    """State, journals, inbox, page, metrics and the copy of a killed rehearsal."""
    assert {"agency", "answer", "campaign", "source", "gclid of 1", "fbclid of 4"} <= forgotten.before
    assert {"hash of e-mail", "hash of phone", "hash of city", "hash of key of phone"} <= forgotten.before
    assert set() == ALL.found_in(forgotten.said.encode())
    assert {} == forgotten.left
    assert {"pages/maison-test-report.html", "state.db"} <= forgotten.year.files().keys()


@pytest.mark.xdist_group("forgotten")
def test_no_evidence_of_consent_is_left(forgotten):
    """It ends with the person: about nobody there is nothing to prove."""
    assert {"L-1", "L-2", "L-3", "L-4", "L-9"} == {row[2] for row in forgotten.evidence}
    assert {"L-9"} == {row[2] for row in forgotten.year.company.rows_of("consent_answer")}


@pytest.mark.xdist_group("forgotten")
@pytest.mark.parametrize("number", LEADS)
def test_explain_says_only_that_and_when(forgotten, number):
    """One sentence."""
    company = forgotten.year.company
    (said,) = type_in(company, "explain", f"L-{number}", "--json").objects
    text = type_in(company, "explain", f"L-{number}").out

    assert {"account": "maison-test", "lead": f"L-{number}", "forgotten_on": "2026-09-10"} == said
    assert 1 == len(text.strip().splitlines())
    assert set() == ALL.found_in((text + json.dumps(said)).encode())


@pytest.mark.xdist_group("forgotten")
def test_nothing_comes_back(forgotten):
    """Oplead has the leads still, tells of them by webhook, and platforms answer late about what was sent."""
    year = forgotten.year
    for hours in (1, 24):
        year.webhook(1, "Gagné")
        year.company.later(hours * HOUR)
        type_in(year.company, "report")
        assert {} == found(year)

    assert {"L-9"} == {lead for lead, _ in year.company.states()}
    assert "accepted" == year.company.states()["L-9", "sale"]
