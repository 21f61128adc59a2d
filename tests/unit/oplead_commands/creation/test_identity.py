"""What makes two leads one, however they are spelled."""

from functools import partial

import pytest

from connectors.crm import LeadToWrite
from connectors.records import ClickId, ClickIdKind, Contact
from jobs.oplead_commands.creation import identity
from jobs.oplead_commands.creation.identity import RecognitionMarkParts

SALT = bytes(32)
MADE = (identity.lead_content_hash, identity.creation_key_of, identity.lead_fingerprint)
content_hash, key_of, mark_of = (partial(each, salt=SALT) for each in MADE)

GCLID = ClickId(ClickIdKind.GCLID, "Cj0KCQjwAbC-dEf_123456")
TYPED = Contact(("Jeanne@Example.com",), ("06 12 34 56 78",), last_name="Léxemple ")
SHOWN = Contact(("jeanne@example.com",), ("+33612345678",), "Jeanne", "LEXEMPLE", city="Lyon")


def test_a_lead_has_one_mark_as_typed_and_as_oplead_shows_it():
    """Spelling, accents and what else is on record make no difference."""
    assert mark_of([GCLID], TYPED) == mark_of([GCLID], SHOWN)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (Contact(phones=("0470 12 34 56",), country="BE"), Contact(phones=("0470123456",))),
        (Contact(phones=("02 123 45 67",), country="Belgique"), Contact(phones=("+32 2 123 45 67",))),
        (Contact(("a@example.com",), last_name="D'Arc"), Contact(("a@example.com",), last_name="D’Arc")),
    ],
)
def test_a_phone_number_without_its_country_and_another_apostrophe_change_no_mark(typed, shown):
    """Oplead may not give back how they were typed."""
    assert mark_of([], typed) == mark_of([], shown)


def test_a_reference_is_one_with_and_without_leading_zeros():
    """A field for numbers shows none; with a reference nothing else decides."""
    typed = mark_of([GCLID], TYPED, reference="00123 ")

    assert typed.matches_fingerprint(mark_of([], Contact(("other@example.com",)), reference="123"))
    assert not typed.matches_fingerprint(mark_of([GCLID], TYPED, reference="124"))
    assert not typed.matches_fingerprint(mark_of([GCLID], TYPED))
    assert mark_of([GCLID], TYPED).matches_fingerprint(mark_of([GCLID], TYPED, reference="124"))


def test_another_click_address_number_or_name_is_another_lead():
    """Each of the four counts."""
    others = [
        mark_of([], TYPED),
        mark_of([GCLID], Contact(("j@example.com",), TYPED.phones, last_name=TYPED.last_name)),
        mark_of([GCLID], Contact(TYPED.emails, ("0612345679",), last_name=TYPED.last_name)),
        mark_of([GCLID], Contact(TYPED.emails, TYPED.phones, last_name="Autre")),
    ]

    assert 5 == len({mark_of([GCLID], TYPED), *others})


def test_a_mark_says_of_what_it_is_made():
    """Its reference, where it has one, or else all the rest."""
    whole, bare = mark_of([GCLID], TYPED), mark_of([], Contact(TYPED.emails))
    referred = mark_of([GCLID], TYPED, reference="R-1")

    assert (
        whole.recognition_parts
        == RecognitionMarkParts.CLICK_ID
        | RecognitionMarkParts.EMAIL
        | RecognitionMarkParts.PHONE
        | RecognitionMarkParts.NAME
    )
    assert (RecognitionMarkParts.EMAIL, RecognitionMarkParts.REFERENCE) == (
        bare.recognition_parts,
        referred.recognition_parts,
    )


def test_a_name_alone_marks_nobody():
    """Many are called Durand."""
    assert mark_of([], Contact(last_name="Durand")) is None
    assert mark_of([], Contact()) is None


def test_a_lead_is_known_by_its_reference_or_else_by_its_whole_content():
    """Whatever else is typed with the reference."""
    one, other = LeadToWrite(contact=TYPED), LeadToWrite(contact=SHOWN)

    assert key_of("R-1", content_hash(one)) == key_of("R-1", content_hash(other))
    assert key_of(None, content_hash(one)) != key_of(None, content_hash(other))
    assert content_hash(one) == content_hash(LeadToWrite(contact=TYPED, fields={}))


def test_hashes_of_one_outbox_say_nothing_beside_another_file():
    """Each is made with that outbox's own salt."""
    lead, other = LeadToWrite(contact=TYPED), bytes(31) + b"1"
    content = content_hash(lead)

    assert content != identity.lead_content_hash(lead, other)
    assert key_of("R-1", content) != identity.creation_key_of("R-1", content, other)
    assert not mark_of([GCLID], TYPED).hashes & identity.lead_fingerprint([GCLID], TYPED, other).hashes
