"""When a lead first reached a stage."""

from datetime import date, datetime, timedelta

import pytest

from jobs.rules.model import Origin, Starts, StatusEntered
from jobs.rules.status_changes import first_entry
from tests.builders import CREATED, PARIS, START, WON, facts, reported, route, starts
from tests.fakes import NIGHT

KEY = "0" * 40
DAY = timedelta(days=1)


def entered(*changes, after=None, labels=("gagne",)):
    """The first entry of a lead with these changes."""
    return first_entry(route(labels=frozenset(labels)), facts(changes=changes), Starts(START), KEY, after=after)


def test_a_lead_that_never_was_there_has_no_entry():
    """Unmapped and ignored labels are outside every stage."""
    assert entered(reported("nouveau", CREATED), reported("nurserie", WON)) is None


def test_the_earliest_entry_decides():
    """Won, lost, won again is one conversion, at the first time; the order on record does not matter."""
    changes = [reported("gagne", WON), reported("perdu", WON + DAY), reported("gagne", NIGHT)]

    assert [WON, WON] == [entered(*changes).at, entered(*reversed(changes)).at]


def test_a_stage_left_again_was_reached():
    """The history shows it."""
    assert WON == entered(reported("gagne", WON), reported("perdu", NIGHT)).at


def test_moving_between_labels_of_a_stage_enters_it_once():
    """Two of marketing's labels, one stage."""
    entry = entered(reported("rdv pris", WON), reported("rendez vous", NIGHT), labels=("rdv pris", "rendez vous"))

    assert (WON, "rdv pris") == (entry.at, entry.label)


def test_an_implying_stage_gives_its_own_time():
    """From new to won without an appointment: the appointment is taken to be at the sale."""
    labels = ("rdv pris", "gagne")

    assert (WON, "gagne") == (entered(reported("gagne", WON), labels=labels).at, "gagne")
    assert WON - DAY == entered(reported("rdv pris", WON - DAY), reported("gagne", WON), labels=labels).at


@pytest.mark.parametrize(
    ("after", "expected"), [(None, WON), (WON - timedelta(microseconds=1), WON), (WON, NIGHT), (NIGHT, None)]
)
def test_only_entries_after_a_cancelled_one_count_for_it(after, expected):
    """The stage must be entered again."""
    entry = entered(reported("gagne", WON), reported("perdu", WON + DAY), reported("gagne", NIGHT), after=after)

    assert expected == (entry.at if entry else None)


def test_staying_is_not_entering_again():
    """A second label of the stage after a cancelled entry is no new one."""
    labels = ("gagne", "vendu")

    assert entered(reported("gagne", WON), reported("vendu", NIGHT), after=WON, labels=labels) is None


def test_changes_at_one_instant_stand_in_the_order_they_were_found():
    """An entry found later came later."""
    early = reported("perdu", WON, seen=NIGHT - DAY)
    late = reported("gagne", WON, seen=NIGHT)

    assert WON == entered(late, early).at


def test_a_day_stands_at_its_noon_among_the_others():
    """A change that morning came before it."""
    day = datetime.combine(date(2026, 9, 8), datetime.min.time(), PARIS)
    entry = entered(
        reported("gagne", day, date_only=True),
        reported("vendu", day + timedelta(hours=9)),
        labels=("gagne", "vendu"),
    )

    assert "vendu" == entry.label


def test_the_observation_before_an_entry_is_kept():
    """What bounded an undated change, else the lead's creation."""
    bounded = StatusEntered("gagne", NIGHT, False, Origin.BOUNDED, NIGHT, NIGHT - DAY)

    assert [NIGHT - DAY, CREATED] == [entered(bounded).after, entered(reported("gagne", WON)).after]


def test_a_creation_is_entered_once_and_never_again():
    """A lead is created once: after a cancelled delivery nothing brings it back."""
    created = route(on_creation=True, labels=frozenset())
    first, again = (first_entry(created, facts(), Starts(START), KEY, after=after) for after in (None, CREATED))

    assert (CREATED, None) == (first.at, again)


def test_a_label_added_later_counts_as_outside_before_its_own_start():
    """A lead that was there then enters the stage by the label it reaches next; without one, that entry is all."""
    added = starts(START, signe=WON + DAY)
    both = {"labels": frozenset({"gagne", "signe"})}
    first, later = reported("signe", WON), reported("gagne", WON + 2 * DAY)

    assert later.at == first_entry(route(**both), facts(changes=(first, later)), added, KEY, after=None).at
    assert first.at == first_entry(route(**both), facts(changes=(first,)), added, KEY, after=None).at
