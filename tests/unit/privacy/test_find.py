"""A person is found by whatever hash is still held, as each platform makes it."""

from pathlib import Path

import pytest

from connectors.contact import addresses_of
from connectors.records import Contact, ContactIdentifierKind
from jobs.ledger.schema import ContactHash, DedupKey, LeadRow
from jobs.ledger.storage.forgotten_place import ForgottenPlace
from jobs.privacy.find import leads_of_person, leads_sharing_marks
from jobs.rules.eligibility import person_dedup_key
from jobs.wiring.account import identifiers_of_person
from tests.builders import ACCOUNT, lead
from tests.fakes import NIGHT

TYPED = Contact(emails=("Jeanne.Martin@gmail.com",), phones=("06 12 34 56 78",))


@pytest.fixture
def account(account):
    """An account with three leads, of which nothing is hashed."""
    account.put(*(lead(f"L-{number}", contact=Contact()) for number in range(1, 4)))
    account.night()
    return account


def hashes(kind):
    """Return the person's hashes of a kind."""
    return sorted(each.sha256 for each in identifiers_of_person(TYPED) if each.kind is kind)


def find(account, *rows):
    """Add rows; return the leads found."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        session.add_all(rows)
        session.flush()
        return leads_of_person(session, ACCOUNT, identifiers_of_person(TYPED))


def test_each_platforms_hash_is_known():
    """Google drops the dots of Gmail addresses, and Meta the plus of numbers."""
    assert 2 == len(hashes(ContactIdentifierKind.EMAIL))
    assert 2 == len(hashes(ContactIdentifierKind.PHONE))


def test_leads_are_found_by_their_contact_hashes(account):
    """Whichever platform's, of a destination that is in the settings or was."""
    rows = [
        ContactHash(account=ACCOUNT, lead=f"L-{number}", destination="once", kind="EMAIL", sha256=each)
        for number, each in enumerate(hashes(ContactIdentifierKind.EMAIL), 1)
    ]

    assert ["L-1", "L-2"] == find(account, *rows)


def test_leads_are_found_by_their_deduplication_keys(account):
    """They outlive the contact hashes."""
    phone = next(each for each in identifiers_of_person(TYPED) if each.kind is ContactIdentifierKind.PHONE)
    row = DedupKey(
        account=ACCOUNT,
        conversion="sale",
        destination="google_ads",
        dedup_key=person_dedup_key(phone),
        lead="L-3",
        at=NIGHT,
    )

    assert ["L-3"] == find(account, row)


def test_nobody_is_found_by_another_persons_hash(account):
    """Nothing is guessed."""
    row = ContactHash(account=ACCOUNT, lead="L-1", destination="google_ads", kind="EMAIL", sha256="0" * 64)

    assert [] == find(account, row)


def test_leads_without_a_click_are_found_by_their_marks(account):
    """Made under the key of the second place; whoever shares one is named before either is forgotten."""
    mark = ForgottenPlace(Path("place"), ACCOUNT, "salt").mark_contact
    with account.hold() as ledger, ledger.write_transaction() as session:
        for name, address in (("L-1", "jeanne.martin@gmail.com"), ("L-2", "+33612345678"), ("L-3", "+33612345678")):
            session.get_one(LeadRow, (ACCOUNT, name)).contact_mark = mark(address)
        session.flush()

        assert ["L-1", "L-2", "L-3"] == leads_of_person(session, ACCOUNT, (), list(map(mark, addresses_of(TYPED))))
        assert ["L-3"] == leads_sharing_marks(session, ACCOUNT, ["L-2"])
