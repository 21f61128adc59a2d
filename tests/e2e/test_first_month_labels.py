"""The first month's incidents with names: Oplead labels renamed, mapped late or merged, and a renamed conversion."""

from datetime import UTC, datetime

import pytest

from tests.e2e.support.month import DAY, QUIET, Month, expected
from tests.e2e.support.typed import type_in

DATES = ("history", "status_date", "none")
START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)


@pytest.fixture(params=DATES)
def month(company, request):
    """A company with nothing but its settings; Oplead dates its statuses, or not."""
    return Month(company, request.param)


def past(month, label, first, count):
    """Create leads that have been in this status since weeks before the first night."""
    numbers = range(first, first + count)
    month.create(*numbers, created=START - 30 * DAY)
    month.enter(label, *numbers, at=START - 25 * DAY)


def entering(month, label, first, count):
    """Create leads that take a status on their first day; return when."""
    numbers = range(first, first + count)
    month.create(*numbers)
    return month.enter(label, *numbers)


# ── labels renamed in Oplead ──────────────────────────────────────────────────────────────────────


def test_mapped_label_renamed_to_unknown_one_is_reported(month):
    """One sentence names both labels the same night, and nothing is sent, duplicated or retracted for it.

    Once the new label is mapped, leads that take it are sent as before.
    """
    past(month, "Rendez-vous", 101, 24)
    past(month, "En cours", 201, 16)
    assert QUIET == month.night().said
    booked = entering(month, "Rendez-vous", 1, 6)
    assert QUIET == month.night().said

    month.rename_label("Rendez-vous", "Visite conseil")

    month.night().told("Rendez.vous", "Visite conseil")
    assert sorted(expected("appointment", booked)) == month.arrivals()

    month.night()
    month.settings["stages"]["appointment"].append("Visite conseil")

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()

    booked |= month.enter("Visite conseil", 201, 202) | entering(month, "Visite conseil", 11, 2)

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_sale_waiting_for_its_amount_survives_a_label_rename(month):
    """It goes out once, with its own time and amount."""
    past(month, "Gagné", 101, 12)
    past(month, "En cours", 201, 8)
    month.night()
    month.create(1, 2)
    sold = month.enter("Gagné", 1, 2, amount=None)
    assert QUIET == month.night().said

    month.rename_label("Gagné", "Vente")
    month.settings["stages"]["won"].append("Vente")
    month.night()
    month.edit(1, 2, amount="12 500,00 €")
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_unmapped_label_renamed_to_mapped_one_sends_nothing(month):
    """Thirty leads seem to enter the stage in one night: the run reports it, and later true entries are sent."""
    past(month, "RDV", 101, 30)
    past(month, "En cours", 201, 10)
    month.night()
    assert QUIET == month.night().said

    month.rename_label("RDV", "Rendez-vous")

    month.night().told("RDV", "Rendez.vous")
    assert [] == month.arrivals()
    assert not month.uploaded()

    booked = month.enter("Rendez-vous", 201, 202) | entering(month, "Rendez-vous", 1, 3)

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_true_entries_on_the_night_of_a_rename_are_sent(month):
    """Two leads from another status are no part of the rename."""
    past(month, "RDV", 101, 30)
    past(month, "En cours", 201, 10)
    month.night()

    month.rename_label("RDV", "Rendez-vous")
    booked = month.enter("Rendez-vous", 201, 202)
    month.night().told("RDV", "Rendez.vous")
    month.night()

    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_unmapped_label_merged_into_mapped_one_sends_nothing(month):
    """It is treated as a rename, although other leads already had the mapped label."""
    past(month, "RDV", 101, 30)
    past(month, "Rendez-vous", 201, 10)
    month.night()

    month.rename_label("RDV", "Rendez-vous")

    month.night().told("RDV", "Rendez.vous")
    month.night()

    assert not month.uploaded()
    assert [] == month.arrivals()


def test_suspected_rename_is_sent_once_a_human_overrules_it(month):
    """The notice says what to write; once written, the held conversions are sent once, and so are later ones."""
    past(month, "À rappeler", 101, 24)
    month.night()
    month.night()
    month.rename_label("À rappeler", "Rendez-vous")
    told = month.night()
    month.night()

    told.told("write 'À rappeler' under its own stage or `ignored_statuses`")
    assert [] == month.arrivals()

    month.settings["ignored_statuses"].append("À rappeler")
    month.nights(2)
    overruled = month.arrivals()
    month.enter("Rendez-vous", 101)
    booked = entering(month, "Rendez-vous", 1, 2)
    month.nights(2)

    assert (24, 26) == (len(overruled), len(month.arrivals()))
    assert sorted(expected("appointment", booked)) == sorted(set(month.arrivals()) - set(overruled))
    month.true_books()


def test_all_leads_of_an_ignored_status_may_enter_a_stage(month):
    """The settings list both labels, so this is no rename: the leads are sent without a notice."""
    past(month, "En cours", 101, 12)
    month.night()

    booked = month.enter("Rendez-vous", *range(101, 113))

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_rename_within_one_stage_sends_nothing_again(month):
    """Both labels are mapped to the stage, so no lead enters it."""
    past(month, "RDV pris", 101, 12)
    past(month, "En cours", 201, 8)
    month.night()
    booked = entering(month, "RDV pris", 1, 4)
    month.night()

    month.rename_label("RDV pris", "Rendez-vous")
    month.nights(2)
    booked |= month.enter("Rendez-vous", 201)
    month.nights(2)

    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


@pytest.mark.parametrize(
    ("movers", "stayers"),
    [pytest.param(12, 6, id="others stay behind"), pytest.param(4, 0, id="too few to be a renaming")],
)
def test_busy_day_is_not_taken_for_a_rename(month, movers, stayers):
    """Leads moved by hand are sent without a notice if others stay behind, or if they are few."""
    past(month, "En cours", 101, movers + stayers)
    past(month, "Perdu", 201, 10)
    month.night()

    booked = month.enter("Rendez-vous", *range(101, 101 + movers))

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


# ── mapped late ──────────────────────────────────────────────────────────────────────────────────


def test_label_mapped_late_counts_only_new_entries(month):
    """Leads that had it before are not sent, and other labels are not held up."""
    month.settings["ignored_statuses"].append("Visite")
    past(month, "Visite", 101, 10)
    month.night()
    for first in (111, 121):
        entering(month, "Visite", first, 6)
        assert QUIET == month.night().said
    booked = entering(month, "RDV pris", 1, 2)

    month.settings["ignored_statuses"].remove("Visite")
    month.settings["stages"]["appointment"].append("Visite")

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()

    booked |= entering(month, "Visite", 11, 3) | entering(month, "Rendez-vous", 21, 2)

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_label_mapped_late_counts_from_since(company):
    """`since` applies to every label: dated leads that took the new one after it are sent once."""
    month = Month(company)
    month.conversion("appointment")["since"] = "2026-09-08"
    month.settings["ignored_statuses"].append("Visite")
    past(month, "Visite", 101, 10)
    month.create(*range(1, 7), created=START - 20 * DAY)
    booked = month.enter("Visite", *range(1, 7), at=START - DAY)
    month.nights(3)
    assert [] == month.arrivals()

    month.settings["ignored_statuses"].remove("Visite")
    month.settings["stages"]["appointment"].append("Visite")
    month.nights(2)

    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_unmapped_label_with_click_ids_is_reported(company):
    """The first such night reports it; an ignored label is silent."""
    month = Month(company)
    past(month, "En cours", 101, 10)
    assert QUIET == month.night().said

    month.create(1, 2, 3)
    month.enter("Métré fait", 1, 2, 3)
    night = month.night()
    explained = type_in(company, "explain", "L-1", "--json").objects[0]

    night.told("status|label|nobody|unknown")
    assert not month.uploaded()
    assert '{"label": "Métré fait", "leads": 3, "with_click_id": 3}' in night.printed
    assert "Métré fait: 3 leads" in type_in(company, "status").out
    assert ("Métré fait", ["Nouveau", "Métré fait"]) == (
        explained["label"],
        [change["label"] for change in explained["changes"]],
    )

    month.settings["ignored_statuses"].append("métré  fait")

    assert QUIET == month.night().said


# ── a renamed conversion ─────────────────────────────────────────────────────────────────────────


def test_renamed_conversion_needs_was_and_keeps_its_keys(company):
    """The run is refused with the line to write; afterwards nothing is sent again, and what was open goes out."""
    month = Month(company)
    past(month, "En cours", 101, 10)
    month.night()
    month.create(*range(1, 9))
    sold = month.enter("Gagné", *range(1, 7))
    sold |= month.enter("Gagné", 7, 8, amount=None)
    month.nights(2)
    assert 6 == len(month.arrivals())
    keys = {row.lead: row.key for row in company.deliveries().values()}

    month.conversion("sale")["id"] = "vente"
    asked = len(company.asked("oplead"))

    assert "was: sale" in month.refused_night()
    assert asked == len(company.asked("oplead"))

    month.conversion("vente")["was"] = "sale"
    month.edit(1, 2, amount="12 600,00 €")
    month.edit(7, 8, amount="12 500,00 €")

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("sale", sold)) == month.arrivals()
    assert keys == {row.lead: row.key for row in company.deliveries().values()}

    month.create(11)
    sold |= month.enter("Gagné", 11)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_dry_run_refuses_a_renamed_conversion(company):
    """It prints the same message as a run."""
    month = Month(company)
    past(month, "En cours", 101, 5)
    month.night()
    month.conversion("sale")["id"] = "vente"

    rehearsed = type_in(company, "run", "--dry-run")

    assert 2 == rehearsed.code
    assert "was: sale" in rehearsed.out + rehearsed.err
