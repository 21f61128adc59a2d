"""Whether a status was renamed or its leads moved to a new one."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import Moment, StatusEntry
from jobs.rules.model import StatusEntered, StatusTimeOrigin
from jobs.rules.status_changes import (
    EntryTimeSource,
    LabelChange,
    SeenLabels,
    classify_entry_time,
    dates_both_labels,
    detect_renamed_labels,
    positions_of_relabelled_entries,
    was_label_merged,
)
from tests.builders import CREATED, WON, reported
from tests.fakes import NIGHT

EARLIER, LATER = NIGHT - timedelta(minutes=5), NIGHT + timedelta(minutes=5)
RENAME = LabelChange("devis", "devis fait")


@pytest.mark.parametrize(
    ("moved", "left", "last", "found", "undecided"),
    [
        (5, 5, None, True, False),
        (4, 4, None, False, False),
        (43, 50, None, True, False),
        (40, 50, None, True, False),
        (39, 50, None, False, False),
        (43, 43, LATER, False, False),
        (43, 43, NIGHT, False, False),
        (43, 43, EARLIER, True, False),
        (4, 4, EARLIER, False, True),
        (39, 50, EARLIER, False, True),
    ],
)
def test_rename_moves_nearly_all_of_enough_leads(moved, left, last, found, undecided):
    """The old name must not appear after the new one; if the switch came mid-read, the next reading decides."""
    renames, unsettled = detect_renamed_labels(
        SeenLabels(
            fresh={"devis fait": NIGHT},
            moves={RENAME: moved},
            left={"devis": left},
            last={} if last is None else {"devis": last},
        ),
        {},
    )

    assert (found, undecided) == (bool(renames), "devis fait" in unsettled)
    assert renames in ([], [RENAME])


def test_known_label_is_not_a_rename_target():
    """Leads that all go from one known status to another have really moved."""
    renames, unsettled = detect_renamed_labels(
        SeenLabels(fresh={}, moves={RENAME: 43}, left={"devis": 43}, last={}), {}
    )

    assert ([], frozenset()) == (renames, unsettled)


@pytest.mark.parametrize(
    ("meanings", "found"),
    [
        ({"devis": "quote", "devis fait": "won"}, False),
        ({"devis": "", "devis fait": "won"}, False),
        ({"devis": "won", "devis fait": ""}, False),
        ({"devis": "won", "devis fait": "won"}, True),
        ({"devis": "", "devis fait": ""}, True),
        ({"devis": "quote"}, True),
        ({"devis fait": ""}, True),
    ],
)
def test_labels_the_settings_map_apart_are_no_rename(meanings, found):
    """A human wrote that, so leads may all move between them; an empty meaning is `ignored_statuses`."""
    seen = SeenLabels({"devis fait": NIGHT}, {RENAME: 43}, {"devis": 43}, {})
    renames, unsettled = detect_renamed_labels(seen, meanings)

    assert (found, frozenset()) == (bool(renames), unsettled)


def test_labels_the_settings_map_apart_are_never_undecided():
    """This holds however little the reading shows."""
    seen = SeenLabels({"devis fait": NIGHT}, {RENAME: 4}, {"devis": 4}, {"devis": EARLIER})

    assert frozenset() == detect_renamed_labels(seen, {"devis": "", "devis fait": "won"})[1]


def test_two_statuses_may_be_renamed_to_one():
    """Both old names disappear, and the new one stands for both."""
    moves = {LabelChange("rdv 1", "rdv"): 6, LabelChange("rdv 2", "rdv"): 9}
    renames, _ = detect_renamed_labels(SeenLabels({"rdv": NIGHT}, moves, {"rdv 1": 6, "rdv 2": 9}, {}), {})

    assert ["rdv 1", "rdv 2"] == [each.before for each in renames]


def test_splitting_one_status_in_two_is_no_rename():
    """Someone chose the new status lead by lead."""
    moves = {LabelChange("devis", "devis a"): 20, LabelChange("devis", "devis b"): 20}
    renames, _ = detect_renamed_labels(SeenLabels({"devis a": NIGHT, "devis b": NIGHT}, moves, {"devis": 40}, {}), {})

    assert [] == renames


@given(st.integers(1, 100), st.integers(0, 100), st.sampled_from([None, EARLIER, NIGHT, LATER]))
def test_fresh_label_is_never_both_renamed_and_undecided(moved, elsewhere, last):
    """A rename needs five leads, 80 % of those that left, and no later sighting of the old name."""
    seen = SeenLabels(
        {"devis fait": NIGHT}, {RENAME: moved}, {"devis": moved + elsewhere}, {"devis": last} if last else {}
    )
    renames, unsettled = detect_renamed_labels(seen, {})

    assert not (renames and unsettled)
    assert not renames or (moved >= 5 and moved >= 0.8 * (moved + elsewhere) and last in (None, EARLIER))


@pytest.mark.parametrize(
    ("steps", "apart"),
    [
        ([("Nouveau", CREATED), ("Devis", EARLIER), ("Devis fait", NIGHT)], True),
        ([("Nouveau", CREATED), ("Devis fait", EARLIER)], False),
        ([("Nouveau", CREATED), ("Devis", EARLIER)], False),
        ([("Devis", EARLIER), ("Devis fait", EARLIER)], False),
        ([("Devis fait", NIGHT)], False),
        ([], False),
    ],
)
def test_history_dating_both_labels_shows_two_statuses(steps, apart):
    """A rename leaves only one of them, or gives both the same time."""
    history = [StatusEntry(label, Moment(when)) for label, when in steps]

    assert apart == dates_both_labels(history, RENAME)


def bounded(label, when):
    """A change without a reported date."""
    return StatusEntered(label, when, date_only=False, origin=StatusTimeOrigin.BOUNDED, seen_at=NIGHT, after=CREATED)


@pytest.mark.parametrize(
    ("changes", "moved", "found"),
    [
        ([reported("devis", WON), reported("devis fait", WON)], True, [1]),
        ([reported("devis", WON), reported("devis fait", WON)], False, [1]),
        ([reported("devis", WON), bounded("devis fait", NIGHT)], True, [1]),
        ([reported("devis", WON), bounded("devis fait", NIGHT)], False, []),
        ([bounded("devis", WON), reported("devis fait", WON - timedelta(hours=1))], False, [1]),
        ([reported("devis", WON), reported("devis fait", WON), reported("devis fait", NIGHT)], True, [1]),
        ([reported("nouveau", CREATED), reported("devis fait", NIGHT)], False, []),
        ([reported("devis", WON), reported("devis fait", NIGHT)], True, [1]),
    ],
)
def test_old_entry_under_the_new_name_is_no_change(changes, moved, found):
    """At the old instant that always holds, otherwise only where the lead went straight from one to the other."""
    assert found == list(positions_of_relabelled_entries(changes, RENAME, moved=moved))


# ── merged into a label already in use ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("as_before", "undated", "by_itself", "elsewhere", "merged"),
    [
        (5, 0, 0, 0, True),
        (4, 0, 0, 0, False),
        (19, 0, 0, 1, True),
        (18, 0, 0, 2, False),
        (19, 0, 1, 0, True),
        (18, 0, 2, 0, False),
        (0, 20, 0, 0, True),
        (0, 19, 0, 0, False),
        (4, 16, 0, 0, True),
        (0, 20, 0, 2, False),
        (0, 0, 30, 0, False),
        (0, 0, 0, 0, False),
    ],
)
def test_merge_moves_nearly_all_leads_without_new_dates(as_before, undated, by_itself, elsewhere, merged):
    """A small company may sell to every lead in one day, but leads that keep the old date did nothing."""
    moved = Counter(
        {EntryTimeSource.AS_BEFORE: as_before, EntryTimeSource.NOT: undated, EntryTimeSource.BY_ITSELF: by_itself}
    )

    assert merged == was_label_merged(moved, moved.total() + elsewhere)


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ([reported("devis", WON), reported("devis fait", WON)], EntryTimeSource.AS_BEFORE),
        ([reported("devis", WON), reported("devis fait", EARLIER)], EntryTimeSource.BY_ITSELF),
        (
            [reported("devis", WON, date_only=True), reported("devis fait", WON, date_only=True)],
            EntryTimeSource.BY_ITSELF,
        ),
        ([reported("devis", WON), bounded("devis fait", NIGHT)], EntryTimeSource.NOT),
        ([reported("devis", WON), reported("devis fait", WON, seen=EARLIER)], EntryTimeSource.BY_ITSELF),
        ([reported("devis", WON)], EntryTimeSource.BY_ITSELF),
    ],
)
def test_classifies_how_a_lead_dates_its_new_label(changes, how):
    """Two changes on one day may both be real, and a change on record before this reading proves nothing."""
    assert how == classify_entry_time(changes, RENAME, since=NIGHT)
