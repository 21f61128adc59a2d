"""Whether a lead whose answer was lost is in Oplead: found, not there, or not known."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.records import LeadId
from jobs.oplead_commands.creation.identity import LeadFingerprint, RecognitionMarkParts
from jobs.oplead_commands.creation.outbox import LeadCreationRecord, LeadCreationState
from jobs.oplead_commands.creation.recognition import NotFound, SeenLead, recognise_created_leads

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
SKEW = timedelta(hours=2)


ALL = (
    RecognitionMarkParts.CLICK_ID | RecognitionMarkParts.EMAIL | RecognitionMarkParts.PHONE | RecognitionMarkParts.NAME
)


def mark_of(text, parts=ALL):
    """The mark of somebody whose values all begin with one text."""
    return LeadFingerprint(frozenset(f"{part.name}:{text}" for part in parts))


def creation(key, state=LeadCreationState.IN_DOUBT, *, mark=None, lead=None, sent=NOW, parts=ALL):
    """One lead on record."""
    known = LeadId(lead) if lead else None
    by = mark_of(mark or f"mark of {key}", parts) if parts is not None else None
    return LeadCreationRecord(key, "content", state, by, known, "", sent, None, has_provider_url=False)


def seen(lead, mark, at=NOW, parts=ALL):
    """One lead in Oplead."""
    return SeenLead(LeadId(lead), at, mark_of(mark, parts))


def judged(marked, leads, *, claimed=()):
    """What is said of each."""
    return dict(recognise_created_leads(marked, leads, claimed={LeadId(one) for one in claimed}, skew=SKEW))


def test_a_lead_with_its_mark_is_the_one():
    """The only one with all of its parts, created since it was sent."""
    assert {"a": "L-2"} == judged([creation("a")], [seen("L-2", "mark of a")])


@pytest.mark.parametrize(
    "leads",
    [
        [],
        [seen("L-2", "mark of another")],
        [seen("L-2", "mark of a", NOW - timedelta(hours=3))],
    ],
)
def test_a_lead_that_does_not_show_is_not_seen_and_no_more(leads):
    """Whatever else shows: Oplead may still be at work on it."""
    assert {"a": NotFound.NOT_SEEN} == judged([creation("a")], leads)


@pytest.mark.parametrize(
    ("marked", "leads", "claimed"),
    [
        ([creation("a")], [seen("L-2", "mark of a"), seen("L-3", "mark of a")], ()),
        ([creation("a")], [seen("L-2", "mark of a", parts=RecognitionMarkParts.EMAIL)], ()),
    ],
)
def test_a_lead_that_may_be_any_of_several_or_shares_a_part_is_ambiguous(marked, leads, claimed):
    """A human looks."""
    assert {"a": NotFound.AMBIGUOUS} == judged(marked, leads, claimed=claimed)


def test_another_leads_id_is_not_taken():
    """It belongs to one that was created."""
    assert {"a": NotFound.NOT_SEEN} == judged([creation("a")], [seen("L-2", "mark of a")], claimed=("L-2",))


def test_two_of_ours_with_one_mark_are_not_told_apart():
    """One was created without an id, the other is in doubt, and one shows."""
    created = creation("b", LeadCreationState.CREATED, mark="mark of a")

    assert {"a": NotFound.AMBIGUOUS} == judged([creation("a"), created], [seen("L-2", "mark of a")])
