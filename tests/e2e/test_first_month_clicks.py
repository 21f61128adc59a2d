"""The first month's incidents with click ids: bare, missing, damaged or repeated."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.support.month import QUIET, Month, expected, gclid

START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)


@pytest.fixture
def month(company):
    """A company with nothing but its settings."""
    return Month(company)


def organic(_):
    """No click id, as for a lead that no ad brought."""
    return ""


def lower_cased(number):
    """A labelled click id from a form that lower-cases everything."""
    return f"gclid={gclid(number)}".lower()


def lower_cased_and_bare(number):
    """The same without its label."""
    return gclid(number).lower()


def cut_short(number):
    """A click id cut off by a column of 64 characters."""
    return gclid(number)[:64]


def cut_short_with_its_label(number):
    """The same, with the label taking its part of the column."""
    return f"gclid={gclid(number)}"[:60]


def booked_today(month, first, count, **more):
    """Create leads that take an appointment on their first day; return when."""
    numbers = range(first, first + count)
    month.create(*numbers, **more)
    return month.enter("Rendez-vous", *numbers)


# ── bare click ids ────────────────────────────────────────────────────────────────────────────────


def test_bare_ids_without_a_source_are_withheld_until_configured(month):
    """The run reports them; once `click_ids.bare` is set, their conversions go out with their own times."""
    month.history(40)
    month.night()
    known = booked_today(month, 1, 4, clicks=gclid)
    bare = booked_today(month, 11, 8, clicks=gclid, utm=None)

    month.night().told("click")

    assert sorted(expected("appointment", known)) == month.arrivals()

    month.nights(2)
    assert sorted(expected("appointment", known)) == month.arrivals()

    month.settings["click_ids"] = {"bare": "gclid"}

    assert QUIET == month.night().said
    assert sorted(expected("appointment", known | bare)) == month.arrivals()
    assert QUIET == month.night().said
    assert sorted(expected("appointment", known | bare)) == month.arrivals()
    month.true_books()


def test_bare_id_with_another_source_is_not_a_gclid(month):
    """An id with Facebook as its source is not Google's, and one from a newsletter belongs to no platform."""
    month.history(20)
    month.night()
    known = booked_today(month, 1, 5, clicks=gclid)
    booked_today(month, 11, 1, clicks=lambda number: f"IwAR{number:060d}", utm="facebook")
    booked_today(month, 12, 1, clicks=gclid, utm="newsletter")

    assert QUIET == month.night().said
    assert sorted(expected("appointment", known)) == month.arrivals()


def test_few_bare_ids_without_a_source_raise_no_notice(month):
    """Two in twelve are no reason to alert a human."""
    month.history(40)
    month.night()
    known = booked_today(month, 1, 10, clicks=gclid)
    booked_today(month, 11, 2, clicks=gclid, utm=None)

    assert QUIET == month.night().said
    assert sorted(expected("appointment", known)) == month.arrivals()


# ── missing click ids ────────────────────────────────────────────────────────────────────────────────────


def arrivals_of_a_day(month, night, broken):
    """Create twenty leads, two without an ad; where capture is broken, none has a click id."""
    first = 1 + night * 20
    month.create(*range(first, first + 18), clicks=organic if broken else None)
    month.create(first + 18, first + 19, clicks=organic, utm=None)


def test_broken_capture_is_reported_on_its_first_night(month):
    """The notice comes before any affected lead reaches a stage, and older leads are still sent."""
    month.history(40)
    nights = [month.night()]
    for night in range(4):
        arrivals_of_a_day(month, night, broken=False)
        nights.append(month.night())
    assert {QUIET} == {night.said for night in nights}

    arrivals_of_a_day(month, 4, broken=True)
    booked = month.enter("Rendez-vous", 1, 2, 3)

    month.night().told("click")
    assert sorted(expected("appointment", booked)) == month.arrivals()

    month.enter("Rendez-vous", *range(81, 86))  # created on the broken day, so they have no click id to send
    booked |= month.enter("Rendez-vous", 21)
    month.night()
    assert sorted(expected("appointment", booked)) == month.arrivals()

    # The ids are recovered from the form's log, and the form is fixed.
    month.create(121, 122)
    for number in range(81, 86):
        month.edit(number, externalID=f"gclid={gclid(number)}")
    month.night()
    sold = month.enter("Gagné", 81, 82, 121)
    month.nights(2)

    # The appointments happened before their leads had a click id; the sales did not.
    assert sorted(expected("appointment", booked) + expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_broken_capture_is_reported_within_three_days_at_low_volume(month):
    """The company gets five leads a day."""
    month.history(40)
    month.night()
    for night in range(5):
        month.create(*range(1 + night * 5, 6 + night * 5))
        assert QUIET == month.night().said

    told = []
    for night in range(5, 8):
        month.create(*range(1 + night * 5, 6 + night * 5), clicks=organic)
        told.append(month.night())

    assert 1 in {night.code for night in told}
    next(night for night in told if night.code == 1).told("click")


@pytest.mark.parametrize(
    ("with_id", "without"),
    [pytest.param(12, 6, id="a third without"), pytest.param(0, 3, id="three organic leads"), (0, 0)],
)
def test_fewer_click_ids_by_chance_raise_no_notice(month, with_id, without):
    """A third of eighteen leads without an id, or three organic leads, can be chance."""
    month.history(40)
    month.night()
    for night in range(3):
        arrivals_of_a_day(month, night, broken=False)
        month.night()

    month.create(*range(201, 201 + with_id))
    month.create(*range(231, 231 + without), clicks=organic, utm=None)

    assert QUIET == month.night().said


# ── damaged click ids ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        pytest.param(lower_cased, "lower|small|case", id="lower-cased"),
        pytest.param(lower_cased_and_bare, "lower|small|case", id="lower-cased, bare"),
        pytest.param(cut_short, "cut|truncat|short|length", id="cut short"),
        pytest.param(cut_short_with_its_label, "cut|truncat|short|length", id="cut short with its label"),
    ],
)
def test_damaged_click_ids_are_reported_on_their_first_night(month, spoiled, words):
    """The platform counts only intact click ids, and leads that have one are sent as before."""
    month.history(60)
    booked = {}
    nights = [month.night()]
    for night in range(3):
        booked |= booked_today(month, 1 + night * 20, 4)
        month.create(*range(11 + night * 20, 19 + night * 20))
        nights.append(month.night())
    assert {QUIET} == {night.said for night in nights}

    month.create(*range(101, 116), clicks=spoiled)
    booked |= booked_today(month, 201, 2)

    month.night().told("click", words)

    month.enter("Rendez-vous", *range(101, 104))
    booked |= month.enter("Rendez-vous", 11, 31)
    month.nights(2)

    assert sorted(expected("appointment", booked)) == month.arrivals()
    assert all(state != "accepted" for (lead, _), state in month.company.states().items() if lead in ("L-101", "L-102"))


# ── repeated click ids ──────────────────────────────────────────────────────────────────────────────────


def twice_by_one_click(month):
    """Two leads of one click, sold three days apart, and one with its own click; return when each was sold."""
    month.history(20)
    month.night()
    month.create(1, 3)
    month.create(2, clicks=lambda _: f"gclid={gclid(1)}", email="other@example.com")
    sold = month.enter("Gagné", 1, 3)
    month.nights(3)
    sold |= month.enter("Gagné", 2)
    month.nights(2)
    return sold


def test_each_lead_of_one_click_counts_by_default(month):
    """Without `count_once_per`, one click may bring several sales."""
    sold = twice_by_one_click(month)

    assert sorted(sold.values()) == sorted(one.at for one in month.arrivals())


def test_count_once_per_click_sends_only_the_first_sale(month):
    """The click's second lead is never sent, and other leads are."""
    month.conversion("sale")["count_once_per"] = "click"
    sold = twice_by_one_click(month)

    assert sorted(expected("sale", {1: sold[1], 3: sold[3]})) == month.arrivals()
    assert 2 == sum(month.uploaded().values())
    month.true_books()


def test_count_once_per_click_counts_again_after_within(month):
    """A sale later than `within` counts again."""
    month.conversion("sale")["count_once_per"] = "click"
    month.conversion("sale")["within"] = "2 d"
    sold = twice_by_one_click(month)

    assert sorted(sold.values()) == sorted(one.at for one in month.arrivals())


def test_count_once_per_click_keeps_the_earlier_of_one_night(month):
    """The order in which Oplead lists the leads does not matter."""
    month.conversion("sale")["count_once_per"] = "click"
    month.history(20)
    month.night()
    month.create(1)
    month.create(2, clicks=lambda _: f"gclid={gclid(1)}")
    late, early = START + timedelta(hours=9), START + timedelta(hours=8)
    month.enter("Gagné", 1, at=late)
    month.enter("Gagné", 2, at=early)
    month.nights(3)

    assert [early] == [one.at for one in month.arrivals()]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"email": "Anne.Durand@example.com"}, {"email": "anne.durand@example.com "}, id="one address"),
        pytest.param(
            {"phone": "06 12 34 56 78", "email": "a@example.com"},
            {"phone": "+33 6 12 34 56 78", "email": "b@example.com"},
            id="one phone",
        ),
    ],
)
def test_count_once_per_person_counts_one_sale(month, first, second):
    """Two leads with two clicks but one email address or phone number, sold to twice in a month, count once."""
    month.conversion("sale")["count_once_per"] = "person"
    month.history(20)
    month.night()
    month.create(1, contact=first)
    month.create(2, contact=second)
    month.create(3)
    sold = month.enter("Gagné", 1, 3)
    month.nights(3)
    month.enter("Gagné", 2)

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("sale", sold)) == month.arrivals()


def test_count_once_per_person_requires_contact_data(month):
    """Without contact data the settings are refused before anything is read, and the message names the key."""
    month.settings["google_ads"]["contact_data"] = "none"
    month.conversion("sale")["count_once_per"] = "person"

    assert "contact_data" in month.refused_night()
    assert [] == month.company.asked("oplead")
