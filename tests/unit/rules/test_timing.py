"""When a status change happened: as reported, else between two observations, and never twice."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import Moment, StatusEntry
from jobs.rules.model import Origin, StatusEntered
from jobs.rules.status_changes import happened_at, implausible, observe
from tests.builders import CREATED, PARIS, WON, at, facts, lead, reported
from tests.fakes import NIGHT

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
KEY = "0" * 39
NEXT = NIGHT + DAY


def seen(some, *, known=(), previously=None, pull=NIGHT, zone=PARIS):
    """What a reading adds."""
    return observe(known, some, previously=previously, started=pull, ended=pull, zone=zone)


def undated(label="Gagné", **over):
    """A lead whose status Oplead does not date."""
    return lead(label=label, history=(), **over)


def entries(*pairs):
    """A history of (label, when)."""
    return tuple(StatusEntry(label, Moment(when)) for label, when in pairs)


# ── what a reading adds ──────────────────────────────────────────────────────────────────────────


def test_a_dated_history_is_taken_as_reported():
    """Every entry, with its own time, its label normalised."""
    assert [reported("nouveau", CREATED), reported("gagne", WON)] == seen(lead())


def test_a_reported_time_is_kept_in_utc():
    """Whatever zone it came in."""
    local = datetime(2026, 9, 1, 14, 30, tzinfo=PARIS)

    assert UTC is seen(lead(history=entries(("Gagné", local))))[0].at.tzinfo


def test_a_reported_day_starts_at_its_midnight_in_the_accounts_zone():
    """It is known to be a day only."""
    change = seen(lead(history=entries(("Gagné", date(2026, 9, 1)))))[0]

    assert reported("gagne", at("2026-08-31T22:00"), date_only=True) == change


def test_an_undated_status_at_first_sight_is_baseline():
    """The lead's creation is the observation before it."""
    change = seen(undated(updated_at=None))

    assert [StatusEntered("gagne", NIGHT, False, Origin.BASELINE, NIGHT, CREATED)] == change


def test_a_new_undated_status_lies_between_two_observations():
    """Its time is the start of the pull that found it."""
    known = [StatusEntered("nouveau", CREATED, False, Origin.BASELINE, NIGHT, CREATED)]
    added = seen(undated(updated_at=None), known=known, previously=NIGHT, pull=NEXT)

    assert [StatusEntered("gagne", NEXT, False, Origin.BOUNDED, NEXT, NIGHT)] == added


@pytest.mark.parametrize(
    ("updated", "expected"),
    [
        (NIGHT + HOUR, NIGHT + HOUR),
        (NEXT, NEXT),
        (NEXT + TICK, NEXT),
        (NIGHT, NEXT),
        (NIGHT - HOUR, NEXT),
        (None, NEXT),
    ],
)
def test_the_last_update_bounds_an_undated_change(updated, expected):
    """Where it lies after the previous observation and not after this one; else the pull's start."""
    known = [StatusEntered("nouveau", CREATED, False, Origin.BASELINE, NIGHT, CREATED)]
    added = seen(undated(updated_at=updated), known=known, previously=NIGHT, pull=NEXT)

    assert [expected] == [change.at for change in added]


def test_an_undated_status_beside_a_dated_history_came_after_it():
    """The history's last entry is the observation before it."""
    partly = lead(history=entries(("Nouveau", CREATED), ("RDV", WON - DAY)), updated_at=None)
    added = seen(partly)

    assert ("gagne", Origin.BASELINE, WON - DAY) == (added[-1].label, added[-1].origin, added[-1].after)


def test_a_status_that_did_not_change_adds_nothing():
    """Also where another field did."""
    known = [StatusEntered("gagne", NIGHT, False, Origin.BASELINE, NIGHT, CREATED)]

    assert [] == seen(undated(updated_at=NEXT - HOUR), known=known, previously=NIGHT, pull=NEXT)


def test_a_label_written_otherwise_is_the_same_status():
    """Accents, case and hyphens do not make a change."""
    known = [StatusEntered("rendez vous", NIGHT, False, Origin.BASELINE, NIGHT, CREATED)]

    assert [] == seen(undated("RENDEZ-VOUS"), known=known, previously=NIGHT, pull=NEXT)


def test_a_lead_without_a_status_adds_none():
    """There is nothing to know."""
    assert [] == seen(undated(None))


def test_an_undated_status_that_comes_back_is_a_change():
    """Won, lost, won again: three changes."""
    known, previously, labels = [], None, ["Gagné", "Perdu", "Gagné", "Gagné"]
    for night, label in enumerate(labels):
        pull = NIGHT + night * DAY
        known += seen(undated(label, updated_at=None), known=known, previously=previously, pull=pull)
        previously = pull

    assert ["gagne", "perdu", "gagne"] == [change.label for change in known]


# ── a date that arrives later ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("when", [NIGHT, NIGHT + HOUR, NEXT, date(2026, 9, 10), date(2026, 9, 11)])
def test_a_date_that_arrives_later_for_a_known_change_is_the_same_change(when):
    """Its time was fixed when it was found: a conversion does not move."""
    known = [
        StatusEntered("nouveau", CREATED, False, Origin.BASELINE, NIGHT, CREATED),
        StatusEntered("gagne", NEXT, False, Origin.BOUNDED, NEXT, NIGHT),
    ]
    dated = lead(history=entries(("Gagné", when)))

    assert [] == seen(dated, known=known, previously=NEXT, pull=NEXT + DAY)


@pytest.mark.parametrize("when", [NIGHT - TICK, NEXT + TICK, date(2026, 9, 8), date(2026, 9, 12)])
def test_a_date_outside_what_was_observed_is_another_change(when):
    """The two observations exclude it."""
    known = [StatusEntered("gagne", NEXT, False, Origin.BOUNDED, NEXT, NIGHT)]
    dated = lead(history=entries(("Gagné", when)))

    assert 1 == len(seen(dated, known=known, previously=NEXT, pull=NEXT + 2 * DAY))


def test_a_history_that_lists_an_entry_twice_counts_it_once():
    """One entry is one change."""
    assert 1 == len(seen(lead(history=entries(("Gagné", WON), ("GAGNÉ", WON)))))


def test_of_entries_at_one_instant_the_one_listed_last_holds():
    """The lead's present status is then no other change."""
    history = entries(("Nouveau", WON), ("Gagné", WON))

    assert ["nouveau", "gagne"] == [change.label for change in seen(lead(history=history))]


DAYS = st.integers(0, 28).map(lambda days: (CREATED + days * DAY).date())
TIMES = st.integers(0, 28 * 24).map(lambda hours: CREATED + hours * HOUR)
LABELS = st.sampled_from(["Nouveau", "Gagné", "Perdu", "RDV"])
HISTORIES = st.lists(st.tuples(LABELS, TIMES | DAYS), max_size=5)
UPDATES = st.none() | st.integers(-24, 31 * 24).map(lambda hours: CREATED + hours * HOUR)
PULLS = st.lists(st.integers(0, 48).map(lambda hours: hours * HOUR), min_size=1, max_size=3)


def watched(some, pulls, zone):
    """What the first pull adds, and what every later one adds to that."""
    pull = NIGHT
    first = seen(some, zone=zone)
    known, later, previously = list(first), [], pull
    for gap in pulls:
        pull += gap
        later += seen(some, known=(*known, *later), previously=previously, pull=pull, zone=zone)
        previously = pull
    return first, later


@given(HISTORIES, st.none() | LABELS, UPDATES, PULLS)
def test_observing_the_same_lead_again_adds_nothing(history, label, updated, pulls):
    """Whatever it says, and however often it is read."""
    history = entries(*history)
    _, later = watched(lead(history=history, label=label, updated_at=updated), pulls, PARIS)

    assert [] == later


@given(HISTORIES, LABELS, UPDATES)
def test_the_present_status_is_always_among_the_changes(history, label, updated):
    """Dated or not, nothing of it is lost."""
    first, _ = watched(lead(history=entries(*history), label=label, updated_at=updated), [], PARIS)

    assert {"Nouveau": "nouveau", "Gagné": "gagne", "Perdu": "perdu", "RDV": "rdv"}[label] in {
        one.label for one in first
    }


def test_west_of_greenwich_observing_again_adds_nothing():
    """A day begins later there than in UTC."""
    odd = lead(history=entries(("Nouveau", date(2026, 9, 9))), updated_at=at("2026-09-09T01:00"))
    _, later = watched(odd, [DAY], ZoneInfo("America/Martinique"))

    assert [] == later


def test_a_history_dated_ahead_adds_nothing_when_seen_again():
    """Its time is withheld, and its lead does not change status every night."""
    ahead = lead(history=entries(("Nouveau", NIGHT + 9 * DAY)), label="Gagné", updated_at=None)
    _, later = watched(ahead, [DAY, DAY], PARIS)

    assert [] == later


# ── the instant told to a platform ───────────────────────────────────────────────────────────────


def on(day, **over):
    """A change known by its day."""
    start = datetime.combine(day, datetime.min.time(), PARIS).astimezone(UTC)
    return reported("gagne", start, date_only=True, **over)


@pytest.mark.parametrize(
    ("day", "noon"),
    [
        (date(2026, 9, 1), "2026-09-01T10:00"),
        (date(2026, 12, 1), "2026-12-01T11:00"),
        (date(2026, 10, 25), "2026-10-25T11:00"),
        (date(2026, 3, 29), "2026-03-29T10:00"),
    ],
)
def test_a_day_without_a_time_is_its_noon_in_the_accounts_zone(day, noon):
    """In summer, in winter, and on the days the clocks change."""
    lead_then = facts(created_at=at("2026-01-01"))

    assert at(noon) == happened_at(on(day), lead_then, KEY + "0", PARIS)


def test_conversions_of_one_day_stay_distinct():
    """An offset under a minute from the key, the same on every run."""
    offsets = {
        happened_at(on(date(2026, 9, 1)), facts(), f"{key:040x}", PARIS) - at("2026-09-01T10:00") for key in range(600)
    }

    assert 60 == len(offsets)
    assert timedelta(0) <= min(offsets) <= max(offsets) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-09-01T14:30:15.5", "2026-09-01T14:30:16"),
        ("2026-09-01T10:00", "2026-09-01T10:00:01"),
        ("2026-09-01T09:59", "2026-09-01T10:00"),
        ("2026-09-01T21:59:58", "2026-09-01T21:59:59"),
    ],
)
def test_on_the_day_of_creation_it_lies_after_the_creation(created, expected):
    """Noon where the lead existed by then, else just after its creation."""
    lead_then = facts(created_at=at(created))

    assert at(expected) == happened_at(on(date(2026, 9, 1)), lead_then, KEY + "0", PARIS)


def test_a_full_time_is_told_as_it_is():
    """To the microsecond."""
    exact = WON + timedelta(microseconds=7)

    assert exact == happened_at(reported("gagne", exact), facts(), KEY + "5", PARIS)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (CREATED, False),
        (CREATED - TICK, True),
        (NIGHT + 5 * timedelta(minutes=1), False),
        (NIGHT + 5 * timedelta(minutes=1) + TICK, True),
    ],
)
def test_a_reported_time_before_the_lead_or_ahead_of_the_pull_is_none(when, expected):
    """Clocks differ by five minutes, not by more."""
    assert expected == implausible(reported("gagne", when), when, facts())


def test_only_reported_times_can_be_implausible():
    """The others are our own."""
    bounded = replace(reported("gagne", NEXT), origin=Origin.BOUNDED)

    assert not implausible(bounded, NEXT + DAY, facts())


def test_a_day_before_the_creation_is_implausible():
    """It cannot have been won the day before it was created."""
    change = on((CREATED - DAY).date())

    assert implausible(change, happened_at(change, facts(), KEY + "0", PARIS), facts())


def test_a_day_read_before_its_noon_is_not_ahead():
    """What was won this morning is won today; its noon is only our way to tell it."""
    morning = at("2026-09-10T07:00")
    change = on(date(2026, 9, 10), seen=morning)

    assert not implausible(change, happened_at(change, facts(), KEY + "0", PARIS), facts())
