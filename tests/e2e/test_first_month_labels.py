"""The first month's accidents with names: Oplead's labels renamed, mapped late or merged; a conversion renamed."""

from datetime import UTC, datetime

import pytest

from tests.e2e.support.month import DAY, QUIET, Month, expected
from tests.e2e.support.typed import type_in

DATES = ("history", "status_date", "none")
START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)


@pytest.fixture(params=DATES)
def month(company, request):
    """A company that has nothing but its settings yet; Oplead dates its statuses, or not."""
    return Month(company, request.param)


def past(month, label, first, count):
    """Leads of the weeks before the first night, in this status since."""
    numbers = range(first, first + count)
    month.create(*numbers, created=START - 30 * DAY)
    month.enter(label, *numbers, at=START - 25 * DAY)


def entering(month, label, first, count):
    """New leads that take a status on their first day; when."""
    numbers = range(first, first + count)
    month.create(*numbers)
    return month.enter(label, *numbers)


# ── renamed by Oplead's administrator ────────────────────────────────────────────────────────────


def test_a_mapped_label_is_renamed_to_one_nobody_knows(month):
    """A human is told the same night, both names in one sentence; nothing is sent for it, twice, or taken back.

    Once the new name is mapped, leads that take it go out as before.
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


def test_a_sale_that_waits_for_its_amount_while_its_label_is_renamed(month):
    """It is not lost: it goes out once, with its own time and amount, whatever its label is called by then."""
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


def test_an_unmapped_label_is_renamed_to_a_mapped_one(month):
    """Thirty leads seem to take the stage in one night: none of them goes out, a human is told; true ones do go out."""
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


def test_leads_that_truly_take_the_stage_in_the_night_of_the_renaming(month):
    """Two leads from another status are no part of it, and go out."""
    past(month, "RDV", 101, 30)
    past(month, "En cours", 201, 10)
    month.night()

    month.rename_label("RDV", "Rendez-vous")
    booked = month.enter("Rendez-vous", 201, 202)
    month.night().told("RDV", "Rendez.vous")
    month.night()

    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_an_unmapped_label_is_merged_into_a_mapped_one(month):
    """As a renaming, though other leads had the mapped label all the while."""
    past(month, "RDV", 101, 30)
    past(month, "Rendez-vous", 201, 10)
    month.night()

    month.rename_label("RDV", "Rendez-vous")

    month.night().told("RDV", "Rendez.vous")
    month.night()

    assert not month.uploaded()
    assert [] == month.arrivals()


def test_a_human_says_that_it_was_no_renaming(month):
    """The night tells what to write; once it is written, those that were held go out, once, and so do later ones."""
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


def test_an_ignored_status_whose_leads_all_take_a_stage(month):
    """The settings put the two apart, so this is no renaming: they go out, and nobody is called."""
    past(month, "En cours", 101, 12)
    month.night()

    booked = month.enter("Rendez-vous", *range(101, 113))

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_a_renaming_between_two_names_of_one_stage(month):
    """Both mapped to the stage: nothing enters it, nothing is sent again."""
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
def test_a_busy_day_is_no_renaming(month, movers, stayers):
    """Leads that go from one status to another by hand, the other ones staying, are sent; nobody is called."""
    past(month, "En cours", 101, movers + stayers)
    past(month, "Perdu", 201, 10)
    month.night()

    booked = month.enter("Rendez-vous", *range(101, 101 + movers))

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


# ── mapped late ──────────────────────────────────────────────────────────────────────────────────


def test_a_label_mapped_a_week_later(month):
    """Leads that had it before do not go out; those that take it from then on do, and other labels are not held up."""
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


def test_a_label_mapped_late_under_a_start_that_is_written(company):
    """`since` says for every label from when it counts: dated leads that took the new one after it go out, once."""
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


def test_a_label_nobody_mapped(company):
    """A human is told of it the first night that its leads carry click ids; a name listed as ignored is silent."""
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


# ── a conversion renamed ─────────────────────────────────────────────────────────────────────────


def test_a_conversion_renamed_in_the_second_week(company):
    """Refused until `was` says so, the words to write given; then nothing is sent again, and what was open goes out."""
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


def test_a_renaming_is_refused_by_a_rehearsal_too(company):
    """Whoever rehearses before the night sees the same words."""
    month = Month(company)
    past(month, "En cours", 101, 5)
    month.night()
    month.conversion("sale")["id"] = "vente"

    rehearsed = type_in(company, "run", "--dry-run")

    assert 2 == rehearsed.code
    assert "was: sale" in rehearsed.out + rehearsed.err
