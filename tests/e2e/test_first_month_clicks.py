"""The first month's accidents with click ids: nothing says whose they are, they stop, they are spoiled, they repeat."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.support.month import QUIET, Month, expected, gclid

START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)


@pytest.fixture
def month(company):
    """A company that has nothing but its settings yet."""
    return Month(company)


def organic(_):
    """No click id, as a lead has that nobody's advertisement brought."""
    return ""


def lower_cased(number):
    """What a form leaves that writes everything small."""
    return f"gclid={gclid(number)}".lower()


def lower_cased_and_bare(number):
    """The same without its label."""
    return gclid(number).lower()


def cut_short(number):
    """What a column of 64 characters leaves of it."""
    return gclid(number)[:64]


def cut_short_with_its_label(number):
    """The same where the label takes its part of the column."""
    return f"gclid={gclid(number)}"[:60]


def booked_today(month, first, count, **more):
    """New leads that take an appointment on their first day; when."""
    numbers = range(first, first + count)
    month.create(*numbers, **more)
    return month.enter("Rendez-vous", *numbers)


# ── nothing says whose they are ──────────────────────────────────────────────────────────────────


def test_bare_ids_of_leads_without_a_source(month):
    """Withheld, a human told of the night's half; once the settings say what they are, they go out with their time."""
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


def test_a_bare_id_is_not_given_to_the_wrong_platform(month):
    """A bare id with Facebook's source is no gclid, one of a newsletter nobody's."""
    month.history(20)
    month.night()
    known = booked_today(month, 1, 5, clicks=gclid)
    booked_today(month, 11, 1, clicks=lambda number: f"IwAR{number:060d}", utm="facebook")
    booked_today(month, 12, 1, clicks=gclid, utm="newsletter")

    assert QUIET == month.night().said
    assert sorted(expected("appointment", known)) == month.arrivals()


def test_a_few_bare_ids_without_a_source(month):
    """Two in twelve call nobody."""
    month.history(40)
    month.night()
    known = booked_today(month, 1, 10, clicks=gclid)
    booked_today(month, 11, 2, clicks=gclid, utm=None)

    assert QUIET == month.night().said
    assert sorted(expected("appointment", known)) == month.arrivals()


# ── they stop ────────────────────────────────────────────────────────────────────────────────────


def arrivals_of_a_day(month, night, broken):
    """Twenty new leads, two of them without an advertisement; where capture is broken, none of them has an id."""
    first = 1 + night * 20
    month.create(*range(first, first + 18), clicks=organic if broken else None)
    month.create(first + 18, first + 19, clicks=organic, utm=None)


def test_capture_breaks_and_ids_stop(month):
    """Told on the first night that the new leads have none, before any of them reaches a stage; older leads go on."""
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

    month.enter("Rendez-vous", *range(81, 86))  # of the broken day: there is nothing to send them by
    booked |= month.enter("Rendez-vous", 21)
    month.night()
    assert sorted(expected("appointment", booked)) == month.arrivals()

    # The ids come in from the form's own log, and the form is mended.
    month.create(121, 122)
    for number in range(81, 86):
        month.edit(number, externalID=f"gclid={gclid(number)}")
    month.night()
    sold = month.enter("Gagné", 81, 82, 121)
    month.nights(2)

    # The appointments lie before their leads had any id; the sales do not.
    assert sorted(expected("appointment", booked) + expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_capture_that_breaks_during_the_first_weeks_of_a_small_company(month):
    """Five leads a day: told within three days of none having an id."""
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
def test_a_night_with_fewer_ids_than_usual(month, with_id, without):
    """Chance, not an accident: nobody is called."""
    month.history(40)
    month.night()
    for night in range(3):
        arrivals_of_a_day(month, night, broken=False)
        month.night()

    month.create(*range(201, 201 + with_id))
    month.create(*range(231, 231 + without), clicks=organic, utm=None)

    assert QUIET == month.night().said


# ── they are spoiled ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        pytest.param(lower_cased, "lower|small|case", id="lower-cased"),
        pytest.param(lower_cased_and_bare, "lower|small|case", id="lower-cased, bare"),
        pytest.param(cut_short, "cut|truncat|short|length", id="cut short"),
        pytest.param(cut_short_with_its_label, "cut|truncat|short|length", id="cut short with its label"),
    ],
)
def test_ids_spoiled_from_a_date_on(month, spoiled, words):
    """Told on the first night; what the platform counts is of sound ids only, and sound leads go on as before."""
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


# ── they repeat ──────────────────────────────────────────────────────────────────────────────────


def twice_by_one_click(month):
    """Two leads of one click, sold three days apart, and one that clicked by itself; when each was sold."""
    month.history(20)
    month.night()
    month.create(1, 3)
    month.create(2, clicks=lambda _: f"gclid={gclid(1)}", email="other@example.com")
    sold = month.enter("Gagné", 1, 3)
    month.nights(3)
    sold |= month.enter("Gagné", 2)
    month.nights(2)
    return sold


def test_one_click_two_leads_and_nothing_said(month):
    """By default each lead counts."""
    sold = twice_by_one_click(month)

    assert sorted(sold.values()) == sorted(one.at for one in month.arrivals())


def test_one_sale_a_click(month):
    """`count_once_per: click`: the second lead of the click is not told, now or later; others are."""
    month.conversion("sale")["count_once_per"] = "click"
    sold = twice_by_one_click(month)

    assert sorted(expected("sale", {1: sold[1], 3: sold[3]})) == month.arrivals()
    assert 2 == sum(month.uploaded().values())
    month.true_books()


def test_one_sale_a_click_within_some_days(month):
    """`within` says for how long: a sale after it counts again."""
    month.conversion("sale")["count_once_per"] = "click"
    month.conversion("sale")["within"] = "2 d"
    sold = twice_by_one_click(month)

    assert sorted(sold.values()) == sorted(one.at for one in month.arrivals())


def test_two_sales_of_one_click_in_one_night(month):
    """The earlier one is told, whichever lead Oplead lists first."""
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
def test_one_sale_a_person(month, first, second):
    """`count_once_per: person`: who asks twice by two clicks and is sold to twice in a month counts once."""
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


def test_persons_cannot_be_told_apart_without_contact_data(month):
    """Where no contact data is kept, the settings are refused before anything is read; the missing key is named."""
    month.settings["google_ads"]["contact_data"] = "none"
    month.conversion("sale")["count_once_per"] = "person"

    assert "contact_data" in month.refused_night()
    assert [] == month.company.asked("oplead")
