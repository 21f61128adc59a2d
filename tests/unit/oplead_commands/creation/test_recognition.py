"""Whether a lead whose answer was lost is in Oplead: found, not there, or not known."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.records import LeadId
from jobs.oplead_commands.creation.identity import LeadFingerprint, RecognitionMarkParts
from jobs.oplead_commands.creation.outbox import LeadCreationRecord, LeadCreationState
from jobs.oplead_commands.creation.recognition import LeadNotFoundReason, SeenLead, recognise_created_leads

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


PROOF = creation("proof", LeadCreationState.CREATED, lead="L-1")
PROVEN = seen("L-1", "mark of proof")


def judged(marked, leads, *, claimed=("L-1",), is_whole=True):
    """What is said of each."""
    return dict(
        recognise_created_leads(marked, leads, claimed={LeadId(one) for one in claimed}, is_whole=is_whole, skew=SKEW)
    )


def test_a_lead_with_its_mark_is_the_one():
    """Also where nothing else proves that marks are seen."""
    assert {"a": "L-2"} == judged([creation("a")], [seen("L-2", "mark of a")])


def test_a_lead_is_missing_only_where_a_created_one_shows():
    """A reading in which none of ours is recognised says nothing of those it lacks."""
    assert {"a": LeadNotFoundReason.NOT_THERE} == judged([creation("a"), PROOF], [PROVEN])
    assert {"a": LeadNotFoundReason.UNPROVEN} == judged([creation("a"), PROOF], [])
    assert {"a": LeadNotFoundReason.UNPROVEN} == judged([creation("a"), PROOF], [seen("L-1", "another mark")])
    assert {"a": LeadNotFoundReason.UNPROVEN} == judged([creation("a")], [])


def test_an_unfinished_reading_proves_no_absence():
    """The lead may be among those that were not read."""
    assert {"a": LeadNotFoundReason.UNPROVEN} == judged([creation("a"), PROOF], [PROVEN], is_whole=False)
    assert {"a": "L-2"} == judged([creation("a")], [seen("L-2", "mark of a")], is_whole=False)


def test_several_leads_with_its_mark_are_left_to_a_human():
    """Any of them may be it."""
    leads = [PROVEN, seen("L-2", "mark of a"), seen("L-3", "mark of a")]

    assert {"a": LeadNotFoundReason.AMBIGUOUS} == judged([creation("a"), PROOF], leads)


def test_two_of_ours_with_one_mark_are_left_to_a_human():
    """One lead was found, and nobody knows whose it is."""
    marked = [creation("a", mark="m"), creation("b", mark="m"), PROOF]

    assert {"a": LeadNotFoundReason.AMBIGUOUS, "b": LeadNotFoundReason.AMBIGUOUS} == judged(
        marked, [PROVEN, seen("L-2", "m")]
    )


def test_a_lead_that_is_another_of_ours_is_not_it():
    """Two rows of one person: the one that was answered has its own."""
    marked = [creation("a", mark="m"), creation("b", LeadCreationState.CREATED, mark="m", lead="L-2"), PROOF]

    assert {"a": LeadNotFoundReason.NOT_THERE} == judged(marked, [PROVEN, seen("L-2", "m")], claimed=("L-1", "L-2"))


def test_a_lead_of_before_the_attempt_is_not_it():
    """Somebody who wrote last year is somebody's lead of last year; clocks may differ by two hours."""
    early, late = NOW - timedelta(hours=2, seconds=1), NOW - timedelta(hours=1, minutes=59)

    assert {"a": LeadNotFoundReason.NOT_THERE} == judged(
        [creation("a"), PROOF], [PROVEN, seen("L-2", "mark of a", at=early)]
    )
    assert {"a": "L-2"} == judged([creation("a"), PROOF], [PROVEN, seen("L-2", "mark of a", at=late)])


def test_a_created_lead_whose_answer_did_not_name_it_gets_its_id():
    """So that what is heard of it can be told."""
    nameless = creation("a", LeadCreationState.CREATED)

    assert {"a": "L-2"} == judged([nameless], [seen("L-2", "mark of a")])
    assert {} == judged([nameless], [])


@pytest.mark.parametrize(
    ("doubtful", "proof", "absence"),
    [
        (ALL, ALL, LeadNotFoundReason.NOT_THERE),
        (RecognitionMarkParts.EMAIL, ALL, LeadNotFoundReason.NOT_THERE),
        (ALL, RecognitionMarkParts.EMAIL, LeadNotFoundReason.UNPROVEN),
        (RecognitionMarkParts.REFERENCE, ALL, LeadNotFoundReason.UNPROVEN),
        (None, ALL, LeadNotFoundReason.UNPROVEN),
    ],
)
def test_a_lead_proves_only_what_is_recognised_by_no_more_than_itself(doubtful, proof, absence):
    """Oplead may show addresses and no click ids; what has no mark is never known to be missing."""
    created = creation("proof", LeadCreationState.CREATED, lead="L-1", parts=proof)

    assert {"a": absence} == judged(
        [creation("a", parts=doubtful), created], [seen("L-1", "mark of proof", parts=proof)]
    )


def test_a_lead_of_earlier_proves_nothing_of_a_later_one():
    """The list may not have come so far yet."""
    doubtful = creation("a", sent=NOW + timedelta(seconds=1))

    assert {"a": LeadNotFoundReason.UNPROVEN} == judged([doubtful, PROOF], [PROVEN])


def test_one_lead_with_the_marks_of_two_of_ours_is_left_to_a_human():
    """It cannot be both: one of them may not be there."""
    other = LeadFingerprint(mark_of("mark of b").hashes | {"REFERENCE:mark of a"})
    marked = [creation("a", parts=RecognitionMarkParts.REFERENCE), creation("b"), PROOF]

    assert {"a": LeadNotFoundReason.AMBIGUOUS, "b": LeadNotFoundReason.AMBIGUOUS} == judged(
        marked, [PROVEN, SeenLead(LeadId("L-2"), NOW, other)]
    )


@pytest.mark.parametrize(
    "part", [RecognitionMarkParts.CLICK_ID, RecognitionMarkParts.EMAIL, RecognitionMarkParts.PHONE]
)
def test_a_lead_that_shares_one_value_is_left_to_a_human(part):
    """It may be ours, of which Oplead shows the rest in another form."""
    near = SeenLead(
        LeadId("L-2"), NOW, LeadFingerprint(mark_of("mark of a", part).hashes | mark_of("b", ALL & ~part).hashes)
    )

    assert {"a": LeadNotFoundReason.AMBIGUOUS} == judged([creation("a"), PROOF], [PROVEN, near])


def test_a_lead_that_shares_a_name_only_is_another():
    """Many are called Durand."""
    named = SeenLead(
        LeadId("L-2"),
        NOW,
        LeadFingerprint(
            mark_of("mark of a", RecognitionMarkParts.NAME).hashes | mark_of("b", RecognitionMarkParts.EMAIL).hashes
        ),
    )

    assert {"a": LeadNotFoundReason.NOT_THERE} == judged([creation("a"), PROOF], [PROVEN, named])


def test_a_lead_that_is_another_of_ours_may_share_values():
    """Of two in doubt with one address, the one that is there is found, and the other is not it."""
    marked = [creation("a", parts=RecognitionMarkParts.EMAIL), creation("b", mark="mark of a"), PROOF]

    assert {"a": LeadNotFoundReason.NOT_THERE, "b": "L-2"} == judged(marked, [PROVEN, seen("L-2", "mark of a")])
