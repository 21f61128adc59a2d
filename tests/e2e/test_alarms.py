"""The guards of the first month: what would flood bidding is held, what starves it is told."""

from datetime import timedelta

import pytest

DAY = timedelta(days=1)


def appointments(company, count, first=1):
    """So many leads, each of which has an appointment."""
    return [company.lead(number, ("Rendez-vous", _at(company, 7))) for number in range(first, first + count)]


def _at(company, days):
    return company.CREATED + timedelta(days=days, hours=1)


# ── more than usual ──────────────────────────────────────────────────────────────────────────────


def test_a_first_night_with_months_of_history_is_held_until_a_human_agrees(company):
    """Nothing goes out, nothing is lost, and the sentence names what to type; then all of it goes, once."""
    company.serve(*appointments(company, 60))
    first = company.night()
    held = set(company.fates().values())
    second = company.night(accept_surge=True)
    company.later()

    assert (1, {"pending"}, 0) == (first.exit_code, held, first.delivered.requests)
    assert ["google_ads: 60 conversions are due and one night may send 50"] == [
        sentence.partition(" (")[0] for sentence in first.attention
    ]
    assert (0, 60) == (second.exit_code, len(company.taken()))
    assert [] == company.disagreements()


def test_one_destination_is_held_and_the_other_goes_on(company):
    """Each has its own usual number."""
    company.use_meta(funnel={})
    company.settings["meta"]["max_per_run"] = 60
    company.settings["google_ads"]["max_per_run"] = 5
    company.serve(
        *[
            company.lead(number, ("Rendez-vous", _at(company, 7)), clicks=company.both(number))
            for number in range(1, 13)
        ]
    )
    summary = company.night()

    assert (["google_ads"], 0, 12) == (list(summary.held), len(company.taken()), len(company.taken("meta")))


def test_the_command_tells_it_shows_it_and_takes_the_agreement(company):
    """`run --dry-run`, `run`, `status`, `explain` and `run --accept-surge` say one thing."""
    company.settings["google_ads"]["max_per_run"] = 5
    company.serve(*appointments(company, 6))
    tried = company.command("run", "--dry-run")
    run = company.command("run")
    status = company.command("status")
    explained = company.command("explain", "L-1")
    agreed = company.command("run", "--accept-surge")

    assert [1, 1, 0, 0, 0] == [code for code, _, _ in (tried, run, status, explained, agreed)]
    for _, out, _ in (tried, run):
        assert "6 conversions are due and one night may send 5" in " ".join(out.split())
    assert "6 are held as far more than usual, until `run --accept-surge`" in " ".join(status[1].split())
    assert "6 waiting" not in status[1]
    assert "Far more conversions are due" in " ".join(explained[1].split())
    assert {"submitted"} == set(company.fates().values())


# ── a status that is renamed ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("told", ["history", "date", "label"])
def test_a_renamed_status_floods_nothing_and_is_told_once(company, told):
    """Leads that all have a mapped name of a sudden have not all been won, however Oplead dates it."""
    numbers = range(1, 9)
    company.serve(*renaming(company, numbers, "En cours", told))
    company.night()
    company.serve(*renaming(company, numbers, "Gagné", told))
    found = company.night(company.START + DAY)
    again = company.night(company.START + 2 * DAY)

    assert ({}, [], []) == (company.fates(), company.ingests, company.taken())
    assert (1, 0) == (found.exit_code, again.exit_code)
    assert ["status 'en cours' seems to be called 'gagne' now on 8 leads"] == [
        sentence.partition(":")[0] for sentence in found.attention
    ]


def test_a_stage_whose_label_was_renamed_goes_on_where_it_stood(company):
    """The new name is written in the old one's place days later: what entered meanwhile goes out, nothing twice."""
    numbers = range(1, 9)
    company.settings["conversions"] = [company.conversion("appointment")]
    company.serve(*renaming(company, numbers, "Rendez-vous", "history"))
    company.night()
    company.serve(*renaming(company, numbers, "RDV fixé", "history"))
    company.night(company.START + DAY)
    between = company.lead(20, ("RDV fixé", company.START + 2 * DAY - timedelta(hours=2)))
    company.serve(between)
    company.night(company.START + 2 * DAY)
    status = company.command("status")
    company.settings["stages"]["appointment"] = ["RDV fixé"]
    company.night(company.START + 3 * DAY)
    company.later()

    assert "rendez vous seems to be called rdv fixe now: seen on 8 leads" in " ".join(status[1].split())
    assert [f"L-{number}" for number in (*numbers, 20)] == sorted(
        (lead for lead, _ in company.taken()), key=lambda name: int(name.partition("-")[2])
    )
    assert [] == company.disagreements()


def renaming(company, numbers, label, told):
    """Leads under a label since the same moment, with what Oplead tells of it."""
    for number in numbers:
        lead = company.lead(number, (label, _at(company, 7)))
        if told != "history":
            lead.pop("statusHistory")
        if told == "label":
            lead.pop("statusDate")
        yield lead
