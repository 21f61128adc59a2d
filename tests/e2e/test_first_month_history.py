"""The first month's accidents with what lies in the past: a history, a start too early, a list imported by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.support.month import DAY, QUIET, Month, expected, fbclid
from tests.e2e.support.typed import type_in

DATES = ("history", "status_date", "none")
START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)


@pytest.fixture
def month(company):
    """A company that has nothing but its settings yet."""
    return Month(company)


def sold_over_eighty_days(month, count):
    """Leads whose appointments and sales lie in the past, all of them dated; when each was."""
    appointments, sales = {}, {}
    for number in range(1, count + 1):
        created = START - number * 80 / count * DAY
        month.create(number, created=created)
        appointments |= month.enter("Rendez-vous", number, at=created + timedelta(hours=9))
        sales |= month.enter("Gagné", number, at=created + timedelta(hours=19))
    return expected("appointment", appointments) + expected("sale", sales)


def appointments(month, first, count):
    """So many new leads, each with an appointment on the same day; when."""
    numbers = range(first, first + count)
    month.create(*numbers)
    return month.enter("Rendez-vous", *numbers)


# ── a first run ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dates", DATES)
def test_a_first_run_on_ninety_days_of_history(company, dates):
    """Nothing of the past goes out and nobody is called; then the first real changes go out, old leads' and new."""
    month = Month(company, dates)
    month.history(240, days=85)

    assert QUIET == month.night().said
    assert [] == month.arrivals()
    assert QUIET == month.night().said

    in_work = [number for number, lead in month.leads.items() if lead.steps[-1][0] == "En cours"]
    sound = [number for number in in_work if number % 16 not in (3, 7) and number % 8 != 5][:9]
    booked = month.enter("Rendez-vous", *sound)
    month.create(1, 2, 3)
    booked |= month.enter("RDV pris", 1, 2, 3)

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()

    sold = month.enter("Gagné", 1, *sound[:2])

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked) + expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_a_first_run_says_how_to_look_at_what_it_did_not_send(month):
    """Of a lead that was sold before the first run, `explain` tells that this was before the start."""
    sold_over_eighty_days(month, 20)
    month.night()

    assert "start" in type_in(month.company, "explain", "L-7").lines


# ── a start written too early ────────────────────────────────────────────────────────────────────


def test_a_start_ninety_days_back_waits_for_a_human(month):
    """Nothing goes out night after night until somebody agrees; then all of it does, once, with its true times."""
    for conversion in month.settings["conversions"]:
        conversion["since"] = "2026-06-12"
    past = sold_over_eighty_days(month, 60)

    first = month.night()

    first.told("--accept-volume")
    assert not month.uploaded()

    month.nights(2)

    assert not month.uploaded()

    month.night("--accept-volume")

    assert sorted(past) == month.arrivals()

    later = appointments(month, 301, 6)

    assert QUIET == month.night().said
    assert sorted(past + expected("appointment", later)) == month.arrivals()
    month.true_books()


def test_a_few_dozen_conversions_of_the_past_go_out_by_themselves(month):
    """Twenty leads with an appointment and a sale since the start that somebody wrote are no surge."""
    for conversion in month.settings["conversions"]:
        conversion["since"] = "2026-06-12"
    past = sold_over_eighty_days(month, 20)

    assert QUIET == month.night().said
    assert sorted(past) == month.arrivals()
    month.true_books()


def test_what_is_held_back_is_withheld_from_one_platform_alone(month):
    """Google is held, having sixty conversions to hear of; Meta hears of its eight the same night."""
    month.company.use_meta(funnel={})
    month.conversion("appointment")["since"] = month.conversion("sale")["since"] = "2026-09-01"
    yesterday = START - DAY
    for number in range(1, 61):
        month.create(number, created=yesterday)
    month.create(*range(101, 109), created=yesterday, clicks=lambda number: f"fbclid={fbclid(number)}", utm="facebook")
    google = month.enter("Rendez-vous", *range(1, 61), at=yesterday + timedelta(hours=9))
    meta = month.enter("Rendez-vous", *range(101, 109), at=yesterday + timedelta(hours=9))

    night = month.night()

    night.told("google", "--accept-volume")
    assert not month.uploaded()
    assert sorted(expected("appointment", meta, owner="1234567890")) == month.meta_arrivals()

    month.night("--accept-volume")

    assert sorted(expected("appointment", google)) == month.arrivals()
    assert 8 == len(month.meta_arrivals())
    month.true_books()


@pytest.mark.parametrize(
    ("busiest", "is_held"),
    [pytest.param(15, False, id="within five times the busiest night"), pytest.param(4, True, id="far beyond it")],
)
def test_sixty_conversions_in_a_night(month, busiest, is_held):
    """Whether that is a surge is told by the nights before it."""
    month.history(20)
    month.night()
    seen = appointments(month, 1, busiest)

    assert QUIET == month.night().said

    seen |= appointments(month, 101, 60)
    night = month.night()

    if is_held:
        night.told("--accept-volume")
        assert busiest == len(month.arrivals())
        month.night("--accept-volume")
    else:
        assert QUIET == night.said
    assert sorted(expected("appointment", seen)) == month.arrivals()
    month.true_books()


@pytest.mark.parametrize(("tonight", "is_held"), [(20, False), (21, True)])
def test_a_bound_that_somebody_wrote(month, tonight, is_held):
    """`max_per_run: 20` holds twenty-one and lets twenty pass."""
    month.settings["google_ads"]["max_per_run"] = 20
    month.history(20)
    month.night()
    seen = appointments(month, 1, tonight)

    night = month.night()

    if is_held:
        night.told("--accept-volume")
        assert not month.uploaded()
        month.night("--accept-volume")
    else:
        assert QUIET == night.said
    assert sorted(expected("appointment", seen)) == month.arrivals()


def test_a_rehearsal_tells_of_the_surge_and_releases_nothing(month):
    """`--dry-run` on a start too early: a human sees it before the first night; nothing is sent or held by it."""
    month.conversion("appointment")["since"] = "2026-06-12"
    sold_over_eighty_days(month, 60)

    night = month.night("--dry-run")

    assert "accept-volume" in night.printed
    assert not month.uploaded()

    month.night().told("--accept-volume")

    assert not month.uploaded()


# ── a list imported by hand before ───────────────────────────────────────────────────────────────


def test_a_list_that_was_imported_by_hand_until_a_date(month):
    """Each conversion starts on the day after its own last import: nothing of before goes out, all of since then does.

    A day begins at midnight in the account's zone.
    """
    month.conversion("appointment")["since"] = "2026-09-06"
    month.conversion("sale")["since"] = "2026-09-08"
    paris = timedelta(hours=2)
    eve, day = datetime(2026, 9, 5, 23, 59, tzinfo=UTC) - paris, datetime(2026, 9, 6, 0, 1, tzinfo=UTC) - paris
    eve_of_sales, day_of_sales = eve + 2 * DAY, day + 2 * DAY
    month.create(*range(1, 31), created=START - 30 * DAY)
    month.enter("Rendez-vous", *range(1, 11), at=eve)  # imported by hand
    booked = month.enter("Rendez-vous", *range(11, 21), at=day)
    month.enter("Gagné", *range(1, 6), *range(11, 14), at=eve_of_sales)  # imported by hand
    sold = month.enter("Gagné", *range(6, 11), *range(14, 16), at=day_of_sales)

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked) + expected("sale", sold)) == month.arrivals()

    booked |= month.enter("Rendez-vous", 21, 22)
    sold |= month.enter("Gagné", 16)

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked) + expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_a_start_moved_forward_after_the_first_night_takes_nothing_back(month):
    """Somebody remembers a second import on the third day: what went out stays, what is older and open never goes."""
    month.conversion("sale")["since"] = "2026-08-20"
    month.create(*range(1, 7), created=START - 20 * DAY)
    told = month.enter("Gagné", 1, 2, 3, at=START - 9 * DAY)
    month.enter("Gagné", 4, 5, at=START - 2 * DAY, amount="sur devis")

    month.night()
    month.conversion("sale")["since"] = "2026-09-10"
    month.edit(4, 5, amount="900,00 €")
    told |= month.enter("Gagné", 6, at=START + timedelta(hours=8))

    month.nights(2)

    assert sorted(expected("sale", told)) == month.arrivals()
    month.true_books()
