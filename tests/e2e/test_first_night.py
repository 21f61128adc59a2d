"""The first night sends nothing of what came before; later nights send only what changed since."""

from datetime import timedelta

import pytest

from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from tests.builders import leads_at_time
from tests.e2e.support import company as invented
from tests.e2e.support.typed import type_in

NIGHTS = (FIRST_NIGHT, FIRST_NIGHT + timedelta(days=1), FIRST_NIGHT + timedelta(days=12))
STAGES = {
    "appointment": {"Rendez-vous", "RDV pris", "Gagné"},  # a sale implies the appointment
    "quote": {"Devis à relancer"},
    "sale": {"Gagné"},
}


@pytest.fixture(scope="module")
def population():
    """A generated CRM with ten weeks of history."""
    return InventedLeads.generate(seed=11, leads=200)


def googles(population):
    """The readable leads, except those that carry only another platform's click ids."""
    return {
        lead: truth
        for lead, truth in population.ground_truth().items()
        if truth.kinds["shape"] == "sound"
        and (not truth.trace.readable or {"gclid", "gbraid", "wbraid"} & {kind for kind, _ in truth.trace.readable})
    }


def entries_by_history(population):
    """The conversions first reached between the first and the last night, by the history of leads still present."""
    found = set()
    for lead, truth in googles(population).items():
        for conversion, labels in STAGES.items():
            first = next((change.at for change in truth.changes if change.status in labels), None)
            seen = next((night for night in NIGHTS if first and first <= night), None)
            if seen and first >= NIGHTS[0] and (truth.deleted is None or truth.deleted > seen):
                found.add((lead, conversion))
    return found


def entries_by_label(population):
    """The conversions of leads first seen in a stage on a night after the first."""
    seen = [leads_at_time(population, night) for night in NIGHTS]
    found = set()
    for lead in googles(population):
        for conversion, labels in STAGES.items():
            nights = [number for number, leads in enumerate(seen) if lead in leads and leads[lead]["status"] in labels]
            if nights and nights[0] > 0:
                found.add((lead, conversion))
    return found


@pytest.mark.parametrize(
    ("dates", "entries"),
    [
        pytest.param("history", entries_by_history, id="a dated history"),
        pytest.param("status_date", entries_by_label, id="a dated status", marks=pytest.mark.exhaustive),
        pytest.param("none", entries_by_label, id="no dates", marks=pytest.mark.exhaustive),
    ],
)
def test_sends_exactly_what_changes_after_the_first_night(population, companies, dates, entries):
    """This holds however Oplead dates its statuses."""
    company = companies(start=FIRST_NIGHT, population=population)
    company.use_demo_settings()
    company.sandbox.oplead.set_switch("status_dates", dates)

    summary = company.night()

    assert len(leads_at_time(population, FIRST_NIGHT)) == summary.pulled.seen + len(summary.pulled.unreadable)
    assert [] == company.ingests
    assert {"skipped"} == set(company.states().values())

    for night in NIGHTS[1:]:
        company.night(night)

    concerned = {name for name, state in company.states().items() if state != "skipped"}
    assert entries(population) == concerned

    company.later()

    assert set(company.taken()) <= concerned
    assert 1 <= len(company.taken()) == len(set(company.taken()))
    assert [] == company.disagreements()


def test_before_any_night_nothing_is_said_to_be_all_right(company):
    """A state that no night has used yet, on every screen; the first night ends it."""
    company.settings["report"] = {"folder": str(company.directory / "pages")}

    def screens():
        assert 0 == type_in(company, "report").code
        page = (company.directory / "pages" / "maison-test-report.html").read_text(encoding="utf-8")
        return [type_in(company, "status").out, page]

    before = screens()
    company.night()

    assert [(False, True)] * 2 == [("all right" in said, "No night has run yet" in said) for said in before]
    assert [(True, False)] * 2 == [("all right" in said, "No night has run yet" in said) for said in screens()]


def test_a_reason_is_explained_by_the_first_night_that_meets_it(companies):
    """Later nights only count it, and explain what is new."""
    company, said = companies(), []
    for number, answer in enumerate(("", "", "non")):
        one = invented.lead(number, ("Rendez-vous", invented.START - timedelta(days=2)))
        company.serve({**one, "leadData": {**one["leadData"], "consent": answer}})
        company.clock.advance(invented.START + timedelta(days=number))
        said.append(type_in(company, "run", width=220).lines)

    meanings = ("The lead's consent field is empty", "The lead refused the use of its data")
    assert [(True, False), (False, False), (False, True)] == [tuple(each in one for each in meanings) for one in said]
    assert ["consent_missing", "consent_missing", "consent_refused"] == [
        one.partition("CODE is one of ")[2].split()[0] for one in said
    ]
