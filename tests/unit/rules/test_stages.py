"""When a lead first reached a stage."""

from datetime import date, datetime, timedelta

import pytest

from jobs.rules.model import CountingStarts, StatusEntered, StatusTimeOrigin
from jobs.rules.status_changes import first_entry
from tests.builders import CREATED, PARIS, START, WON, facts, reported, route, starts
from tests.fakes import NIGHT

KEY = "0" * 40
DAY = timedelta(days=1)


def entered(*changes, after=None, labels=("gagne",)):
    """The first entry of a lead with these changes."""
    return first_entry(route(labels=frozenset(labels)), facts(changes=changes), CountingStarts(START), KEY, after=after)


def test_lead_that_never_reached_the_stage_has_no_entry():
    """Unmapped and ignored labels are outside every stage."""
    assert entered(reported("nouveau", CREATED), reported("nurserie", WON)) is None


def test_earliest_entry_counts():
    """Won, lost and won again is one conversion at the first time, in whatever order it is on record."""
    changes = [reported("gagne", WON), reported("perdu", WON + DAY), reported("gagne", NIGHT)]

    assert [WON, WON] == [entered(*changes).at, entered(*reversed(changes)).at]


def test_stage_left_again_still_counts_as_reached():
    """The history shows the entry."""
    assert WON == entered(reported("gagne", WON), reported("perdu", NIGHT)).at


def test_moving_between_labels_of_a_stage_enters_it_once():
    """Marketing may map two labels to one stage."""
    entry = entered(reported("rdv pris", WON), reported("rendez vous", NIGHT), labels=("rdv pris", "rendez vous"))

    assert (WON, "rdv pris") == (entry.at, entry.label)


def test_later_stage_implies_an_earlier_one_at_its_own_time():
    """A lead won without an appointment is taken to have had one at the sale."""
    labels = ("rdv pris", "gagne")

    assert (WON, "gagne") == (entered(reported("gagne", WON), labels=labels).at, "gagne")
    assert WON - DAY == entered(reported("rdv pris", WON - DAY), reported("gagne", WON), labels=labels).at


@pytest.mark.parametrize(
    ("after", "expected"), [(None, WON), (WON - timedelta(microseconds=1), WON), (WON, NIGHT), (NIGHT, None)]
)
def test_only_a_new_entry_counts_after_a_cancelled_one(after, expected):
    """The stage must be entered again."""
    entry = entered(reported("gagne", WON), reported("perdu", WON + DAY), reported("gagne", NIGHT), after=after)

    assert expected == (entry.at if entry else None)


def test_second_label_of_the_same_stage_is_no_new_entry():
    """Staying in the stage does not revive a cancelled entry."""
    labels = ("gagne", "vendu")

    assert entered(reported("gagne", WON), reported("vendu", NIGHT), after=WON, labels=labels) is None


def test_entry_at_the_same_instant_as_another_change_counts():
    """A change found later came later."""
    early = reported("perdu", WON, seen=NIGHT - DAY)
    late = reported("gagne", WON, seen=NIGHT)

    assert WON == entered(late, early).at


def test_date_only_change_sorts_at_noon():
    """A change that morning comes before it."""
    day = datetime.combine(date(2026, 9, 8), datetime.min.time(), PARIS)
    entry = entered(
        reported("gagne", day, date_only=True),
        reported("vendu", day + timedelta(hours=9)),
        labels=("gagne", "vendu"),
    )

    assert "vendu" == entry.label


def test_entry_keeps_the_observation_before_it():
    """That is the bound of an undated change, or else the lead's creation."""
    bounded = StatusEntered("gagne", NIGHT, False, StatusTimeOrigin.BOUNDED, NIGHT, NIGHT - DAY)

    assert [NIGHT - DAY, CREATED] == [entered(bounded).after, entered(reported("gagne", WON)).after]


def test_creation_is_entered_only_once():
    """Nothing brings it back after a cancelled delivery."""
    created = route(on_creation=True, labels=frozenset())
    first, again = (first_entry(created, facts(), CountingStarts(START), KEY, after=after) for after in (None, CREATED))

    assert (CREATED, None) == (first.at, again)


def test_label_added_later_is_outside_the_stage_before_its_start():
    """Such a lead enters by the next label it reaches; without one, the early entry is used."""
    added = starts(START, signe=WON + DAY)
    both = {"labels": frozenset({"gagne", "signe"})}
    first, later = reported("signe", WON), reported("gagne", WON + 2 * DAY)

    assert later.at == first_entry(route(**both), facts(changes=(first, later)), added, KEY, after=None).at
    assert first.at == first_entry(route(**both), facts(changes=(first,)), added, KEY, after=None).at
