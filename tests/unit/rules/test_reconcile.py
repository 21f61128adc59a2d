"""What a fresh decision does to a delivery that stands somewhere already."""

import pytest

from connectors.records import OutcomeClass
from jobs.rules.decision import (
    CallOff,
    Expire,
    NotConcerned,
    Send,
    Skip,
    Standing,
    Wait,
    Withhold,
    reason_of,
    reconcile,
)
from jobs.rules.delivery_state import ENTRY, MOVES, Fate
from tests.fakes import NIGHT

# Only their kind and reason count here.
DECISIONS = {
    "nothing": NotConcerned("stage_not_reached"),
    "another's": NotConcerned("another_platform", "only fbclid"),
    "skip": Skip("before_since", None),
    "withhold": Withhold("no_click_id", None, None),
    "refused": Withhold("consent_refused", None, None),
    "expire": Expire("window_closed", None, NIGHT),
    "call off": CallOff("undone", None, NIGHT),
    "wait": Wait("value_awaited", NIGHT, None, NIGHT),
    "send": Send(None, None, NIGHT, None),
}
ALONE = dict.fromkeys(DECISIONS)
TABLE = {
    None: {
        "nothing": None,
        "another's": None,
        "skip": Fate.SKIPPED,
        "withhold": Fate.WITHHELD,
        "refused": Fate.WITHHELD,
        "expire": Fate.EXPIRED,
        "call off": Fate.CANCELLED,
        "wait": Fate.PENDING,
        "send": Fate.PENDING,
    },
    Fate.SKIPPED: {
        "nothing": None,
        "another's": Fate.SKIPPED,
        "skip": Fate.SKIPPED,
        "withhold": Fate.WITHHELD,
        "refused": Fate.WITHHELD,
        "expire": Fate.EXPIRED,
        "call off": None,
        "wait": Fate.PENDING,
        "send": Fate.PENDING,
    },
    Fate.PENDING: {
        "nothing": Fate.WITHHELD,
        "another's": Fate.SKIPPED,
        "skip": Fate.WITHHELD,
        "withhold": Fate.WITHHELD,
        "refused": Fate.CANCELLED,
        "expire": Fate.EXPIRED,
        "call off": Fate.CANCELLED,
        "wait": Fate.PENDING,
        "send": Fate.PENDING,
    },
    Fate.WITHHELD: {
        "nothing": Fate.WITHHELD,
        "another's": Fate.SKIPPED,
        "skip": Fate.WITHHELD,
        "withhold": Fate.WITHHELD,
        "refused": Fate.WITHHELD,
        "expire": Fate.EXPIRED,
        "call off": Fate.CANCELLED,
        "wait": Fate.PENDING,
        "send": Fate.PENDING,
    },
    Fate.CANCELLED: ALONE | {"wait": Fate.PENDING, "send": Fate.PENDING},
    Fate.IN_DOUBT: ALONE | {"refused": Fate.UNCONFIRMED},
    Fate.REJECTED: ALONE,
    Fate.IN_FLIGHT: ALONE,
    Fate.SUBMITTED: ALONE,
    Fate.ACCEPTED: ALONE,
    Fate.EXPIRED: ALONE,
    Fate.UNCONFIRMED: ALONE,
}
CELLS = [(fate, name) for fate in TABLE for name in DECISIONS]


def test_the_table_below_forgets_no_fate():
    """A new fate asks for a new row."""
    assert {None, *Fate} == set(TABLE)


@pytest.mark.parametrize(("fate", "name"), CELLS)
def test_what_each_decision_does_to_each_fate(fate, name):
    """Written out by hand, cell by cell."""
    standing = None if fate is None else Standing(fate, withdrawn=name == "refused")

    assert TABLE[fate][name] == reconcile(standing, DECISIONS[name])


@pytest.mark.parametrize(("fate", "name"), CELLS)
def test_every_decision_is_a_move_the_ledger_takes(fate, name):
    """Or leaves the delivery where it is."""
    to = reconcile(None if fate is None else Standing(fate, withdrawn=name == "refused"), DECISIONS[name])
    allowed = ENTRY if fate is None else {fate, *MOVES[fate]}

    assert to is None or to in allowed


@pytest.mark.parametrize("fate", [Fate.PENDING, Fate.WITHHELD])
def test_what_is_another_platforms_is_not_told_as_too_late(fate):
    """It never was this one's; and what a human says the platform has by other means stays so."""
    assert Fate.SKIPPED == reconcile(Standing(fate, closed=True), DECISIONS["another's"])
    assert None is reconcile(Standing(Fate.SKIPPED, told_by_others=True), DECISIONS["another's"])


@pytest.mark.parametrize("kind", list(OutcomeClass))
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("name", list(DECISIONS))
def test_a_rejected_delivery_returns_only_when_its_data_has_changed(kind, same, name):
    """Only one whose data was at fault, only with other data, and only when it may go out."""
    mended = kind is OutcomeClass.FIX_DATA and not same and name in {"send", "wait"}

    assert (Fate.PENDING if mended else None) == reconcile(
        Standing(Fate.REJECTED, kind, mended=not same), DECISIONS[name]
    )


def test_everything_but_a_send_has_a_reason():
    """`explain` has something to say."""
    assert {"send"} == {name for name, decision in DECISIONS.items() if reason_of(decision) is None}
