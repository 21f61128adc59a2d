"""The first month's incidents with the past: a history, a start date too early, a list imported by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.support.month import DAY, QUIET, Month, expected, fbclid
from tests.e2e.support.typed import type_in

DATES = ("history", "status_date", "none")
START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)


@pytest.fixture
def month(company):
    """A company with nothing but its settings."""
    return Month(company)


def sold_over_eighty_days(month, count):
    """Create leads whose appointments and sales lie in the past, all dated; return what should arrive."""
    appointments, sales = {}, {}
    for number in range(1, count + 1):
        created = START - number * 80 / count * DAY
        month.create(number, created=created)
        appointments |= month.enter("Rendez-vous", number, at=created + timedelta(hours=9))
        sales |= month.enter("Gagné", number, at=created + timedelta(hours=19))
    return expected("appointment", appointments) + expected("sale", sales)


def appointments(month, first, count):
    """Create this many leads, each with an appointment on the same day; return when."""
    numbers = range(first, first + count)
    month.create(*numbers)
    return month.enter("Rendez-vous", *numbers)


# ── a first run ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dates", DATES)
def test_first_run_sends_nothing_of_the_past(company, dates):
    """It raises no notice; afterwards the first real changes are sent, of old and new leads alike."""
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


def test_explain_says_a_sale_was_before_the_start(month):
    """The lead was sold before the first run."""
    sold_over_eighty_days(month, 20)
    month.night()

    assert "start" in type_in(month.company, "explain", "L-7").lines


# ── an early start date ──────────────────────────────────────────────────────────────────────────


def test_start_ninety_days_back_is_held_until_accepted(month):
    """Nothing goes out until a human accepts it; then everything does, once, with its true times."""
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


def test_few_past_conversions_pass_the_volume_guard(month):
    """Twenty leads with an appointment and a sale since the configured start are no surge."""
    for conversion in month.settings["conversions"]:
        conversion["since"] = "2026-06-12"
    past = sold_over_eighty_days(month, 20)

    assert QUIET == month.night().said
    assert sorted(past) == month.arrivals()
    month.true_books()


def test_volume_guard_holds_google_while_meta_is_sent(month):
    """Google has sixty conversions due and is held; Meta gets its eight the same night."""
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
def test_volume_guard_compares_with_previous_nights(month, busiest, is_held):
    """Sixty conversions pass within five times the busiest night and are held beyond that."""
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
def test_max_per_run_holds_one_conversion_more(month, tonight, is_held):
    """`max_per_run: 20` lets twenty pass and holds twenty-one."""
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


def test_dry_run_reports_a_surge_and_sends_nothing(month):
    """With a start date too early, a human sees the surge before the first run; the dry run holds and sends nothing."""
    month.conversion("appointment")["since"] = "2026-06-12"
    sold_over_eighty_days(month, 60)

    night = month.night("--dry-run")

    assert "accept-volume" in night.printed
    assert not month.uploaded()

    month.night().told("--accept-volume")

    assert not month.uploaded()


# ── a list imported by hand ───────────────────────────────────────────────────────────────────────


def test_since_excludes_what_was_imported_by_hand(month):
    """Each conversion starts on the day after its own last import, and everything from then on is sent.

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


def test_moving_since_forward_takes_nothing_back(month):
    """What was sent stays, and what is older and still open is never sent."""
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
