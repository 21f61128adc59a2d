"""When a status change happened: as reported, or else between two observations, and only once."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import Moment, StatusEntry
from jobs.rules.model import StatusEntered, StatusTimeOrigin
from jobs.rules.status_changes import LeadReadTimes, happened_at, has_impossible_time, new_status_changes
from tests.builders import CREATED, PARIS, WON, at, facts, lead, reported
from tests.fakes import NIGHT

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
KEY = "0" * 39
NEXT = NIGHT + DAY


def seen(some, *, known=(), previously=None, pull=NIGHT, zone=PARIS):
    """The changes one reading adds."""
    when = LeadReadTimes(previously, started=pull, ended=pull, read_alike=previously)
    return new_status_changes(known, some, when, zone=zone)


def undated(label="Gagné", **over):
    """A lead with a status that Oplead does not date."""
    return lead(label=label, history=(), **over)


def entries(*pairs):
    """A history of (label, when)."""
    return tuple(StatusEntry(label, Moment(when)) for label, when in pairs)


# ── what a reading adds ──────────────────────────────────────────────────────────────────────────


def test_dated_history_is_taken_as_reported():
    """Every entry keeps its own time, and its label is normalised."""
    assert [reported("nouveau", CREATED), reported("gagne", WON)] == seen(lead())


def test_reported_time_is_kept_in_utc():
    """It may arrive in any zone."""
    local = datetime(2026, 9, 1, 14, 30, tzinfo=PARIS)

    assert UTC is seen(lead(history=entries(("Gagné", local))))[0].at.tzinfo


def test_reported_day_starts_at_midnight_in_the_account_zone():
    """The change is marked as known by its day only."""
    change = seen(lead(history=entries(("Gagné", date(2026, 9, 1)))))[0]

    assert reported("gagne", at("2026-08-31T22:00"), date_only=True) == change


def test_an_undated_status_at_first_sight_is_baseline():
    """The lead's creation is the observation before it."""
    change = seen(undated(updated_at=None))

    assert [StatusEntered("gagne", NIGHT, False, StatusTimeOrigin.BASELINE, NIGHT, CREATED)] == change


def test_new_undated_status_is_bounded_by_two_observations():
    """Its time is the start of the pull that found it."""
    known = [StatusEntered("nouveau", CREATED, False, StatusTimeOrigin.BASELINE, NIGHT, CREATED)]
    added = seen(undated(updated_at=None), known=known, previously=NIGHT, pull=NEXT)

    assert [StatusEntered("gagne", NEXT, False, StatusTimeOrigin.BOUNDED, NEXT, NIGHT)] == added


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
def test_last_update_dates_an_undated_change(updated, expected):
    """It must lie after the previous observation and not after this one; otherwise the pull's start applies."""
    known = [StatusEntered("nouveau", CREATED, False, StatusTimeOrigin.BASELINE, NIGHT, CREATED)]
    added = seen(undated(updated_at=updated), known=known, previously=NIGHT, pull=NEXT)

    assert [expected] == [change.at for change in added]


def test_undated_status_follows_a_dated_history():
    """The history's last entry is the observation before it."""
    partly = lead(history=entries(("Nouveau", CREATED), ("RDV", WON - DAY)), updated_at=None)
    added = seen(partly)

    assert ("gagne", StatusTimeOrigin.BASELINE, WON - DAY) == (added[-1].label, added[-1].origin, added[-1].after)


def test_unchanged_status_adds_nothing():
    """This also holds where another field changed."""
    known = [StatusEntered("gagne", NIGHT, False, StatusTimeOrigin.BASELINE, NIGHT, CREATED)]

    assert [] == seen(undated(updated_at=NEXT - HOUR), known=known, previously=NIGHT, pull=NEXT)


def test_label_in_another_spelling_is_the_same_status():
    """Accents, case and hyphens do not make a change."""
    known = [StatusEntered("rendez vous", NIGHT, False, StatusTimeOrigin.BASELINE, NIGHT, CREATED)]

    assert [] == seen(undated("RENDEZ-VOUS"), known=known, previously=NIGHT, pull=NEXT)


@pytest.mark.parametrize("history", [(), (StatusEntry("Gagné", Moment(WON), ("14",)),)], ids=["undated", "dated"])
def test_status_read_by_its_text_instead_of_its_code_is_no_change(history):
    """What is on record under the code only gets its new name, once, and at its old time."""
    known = [reported("nouveau", CREATED), reported("14", WON)]
    again = lead(label="Gagné", also_called=("14",), history=history)
    added = seen(again, known=known, previously=NIGHT, pull=NEXT)

    assert [reported("gagne", WON)._replace(origin=StatusTimeOrigin.RELABEL)] == added
    assert [] == seen(again, known=[*known, *added], previously=NEXT, pull=NEXT + DAY)


def test_lead_without_a_status_adds_nothing():
    """There is nothing to record."""
    assert [] == seen(undated(None))


def test_returning_undated_status_is_a_new_change():
    """Won, lost and won again are three changes."""
    known, previously, labels = [], None, ["Gagné", "Perdu", "Gagné", "Gagné"]
    for night, label in enumerate(labels):
        pull = NIGHT + night * DAY
        known += seen(undated(label, updated_at=None), known=known, previously=previously, pull=pull)
        previously = pull

    assert ["gagne", "perdu", "gagne"] == [change.label for change in known]


# ── a date that arrives later ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("when", [NIGHT, NIGHT + HOUR, NEXT, date(2026, 9, 10), date(2026, 9, 11)])
def test_date_arriving_later_does_not_add_a_change(when):
    """The time was fixed when the change was found, so a conversion does not move."""
    known = [
        StatusEntered("nouveau", CREATED, False, StatusTimeOrigin.BASELINE, NIGHT, CREATED),
        StatusEntered("gagne", NEXT, False, StatusTimeOrigin.BOUNDED, NEXT, NIGHT),
    ]
    dated = lead(history=entries(("Gagné", when)))

    assert [] == seen(dated, known=known, previously=NEXT, pull=NEXT + DAY)


@pytest.mark.parametrize("when", [NIGHT - TICK, NEXT + TICK, date(2026, 9, 8), date(2026, 9, 12)])
def test_date_outside_the_observed_bounds_is_another_change(when):
    """The two observations rule it out for the known change."""
    known = [StatusEntered("gagne", NEXT, False, StatusTimeOrigin.BOUNDED, NEXT, NIGHT)]
    dated = lead(history=entries(("Gagné", when)))

    assert 1 == len(seen(dated, known=known, previously=NEXT, pull=NEXT + 2 * DAY))


def test_duplicate_history_entry_counts_once():
    """Two spellings of one label at one time are one change."""
    assert 1 == len(seen(lead(history=entries(("Gagné", WON), ("GAGNÉ", WON)))))


def test_last_listed_entry_of_one_instant_is_current():
    """The lead's present status then adds no further change."""
    history = entries(("Nouveau", WON), ("Gagné", WON))

    assert ["nouveau", "gagne"] == [change.label for change in seen(lead(history=history))]


DAYS = st.integers(0, 28).map(lambda days: (CREATED + days * DAY).date())
TIMES = st.integers(0, 28 * 24).map(lambda hours: CREATED + hours * HOUR)
LABELS = st.sampled_from(["Nouveau", "Gagné", "Perdu", "RDV"])
HISTORIES = st.lists(st.tuples(LABELS, TIMES | DAYS), max_size=5)
UPDATES = st.none() | st.integers(-24, 31 * 24).map(lambda hours: CREATED + hours * HOUR)
PULLS = st.lists(st.integers(0, 48).map(lambda hours: hours * HOUR), min_size=1, max_size=3)


def watched(some, pulls, zone):
    """What the first pull adds, and what every later pull adds."""
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
    """This holds for any lead, however often it is read."""
    history = entries(*history)
    _, later = watched(lead(history=history, label=label, updated_at=updated), pulls, PARIS)

    assert [] == later


@given(HISTORIES, LABELS, UPDATES)
def test_present_status_is_always_among_the_changes(history, label, updated):
    """No status is lost, dated or not."""
    first, _ = watched(lead(history=entries(*history), label=label, updated_at=updated), [], PARIS)

    assert {"Nouveau": "nouveau", "Gagné": "gagne", "Perdu": "perdu", "RDV": "rdv"}[label] in {
        one.label for one in first
    }


def test_observing_again_west_of_greenwich_adds_nothing():
    """A day begins later there than in UTC."""
    odd = lead(history=entries(("Nouveau", date(2026, 9, 9))), updated_at=at("2026-09-09T01:00"))
    _, later = watched(odd, [DAY], ZoneInfo("America/Martinique"))

    assert [] == later


def test_future_dated_history_adds_nothing_when_seen_again():
    """The time is withheld, and the lead does not change status every night."""
    ahead = lead(history=entries(("Nouveau", NIGHT + 9 * DAY)), label="Gagné", updated_at=None)
    _, later = watched(ahead, [DAY, DAY], PARIS)

    assert [] == later


# ── the instant sent to a platform ───────────────────────────────────────────────────────────────


def on(day, **over):
    """A change known only by its day."""
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
def test_date_only_change_is_sent_as_noon_in_the_account_zone(day, noon):
    """This holds in summer, in winter and on days the clocks change."""
    lead_then = facts(created_at=at("2026-01-01"))

    assert at(noon) == happened_at(on(day), lead_then, KEY + "0", PARIS)


def test_conversions_of_one_day_stay_distinct():
    """Each key adds an offset under a minute that is the same on every run."""
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
def test_date_only_change_on_creation_day_follows_the_creation(created, expected):
    """It is noon where the lead existed by then, otherwise just after its creation."""
    lead_then = facts(created_at=at(created))

    assert at(expected) == happened_at(on(date(2026, 9, 1)), lead_then, KEY + "0", PARIS)


def test_full_timestamp_is_sent_unchanged():
    """It is exact to the microsecond."""
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
def test_time_before_the_lead_or_ahead_of_the_pull_is_implausible(when, expected):
    """Clocks may differ by five minutes, but not by more."""
    assert expected == has_impossible_time(reported("gagne", when), when, facts())


def test_only_reported_times_can_be_implausible():
    """All other times are our own."""
    bounded = reported("gagne", NEXT)._replace(origin=StatusTimeOrigin.BOUNDED)

    assert not has_impossible_time(bounded, NEXT + DAY, facts())


def test_a_day_before_the_creation_is_implausible():
    """A lead cannot be won the day before it was created."""
    change = on((CREATED - DAY).date())

    assert has_impossible_time(change, happened_at(change, facts(), KEY + "0", PARIS), facts())


def test_date_only_change_read_before_noon_is_plausible():
    """Noon only stands in for the day, so a sale won this morning is not in the future."""
    morning = at("2026-09-10T07:00")
    change = on(date(2026, 9, 10), seen=morning)

    assert not has_impossible_time(change, happened_at(change, facts(), KEY + "0", PARIS), facts())


def test_a_day_that_a_rename_explains_is_known_when_it_is_read_again():
    """The entry has no earlier bound, and a day has none either."""
    known = [reported("gagne", at("2026-08-31T22:00"), date_only=True)._replace(origin=StatusTimeOrigin.RELABEL)]

    assert [] == seen(lead(history=entries(("Gagné", date(2026, 9, 1)))), known=known, previously=NIGHT, pull=NEXT)
