"""Test leads: counted and not stored; those on record are kept back until they are none any more."""

from dataclasses import replace
from datetime import timedelta

from connectors.records import Contact, UnreadableLead
from jobs.ledger.schema import LeadRow, UnreadableLeadRow
from jobs.rules.extraction import Exclusion
from tests.builders import changed, lead, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
OURS = Contact(emails=("claire@maison-durand.fr",))


def excluding(book, domain="maison-durand.fr", digest="e2"):
    """The rules with test leads of that domain."""
    wanted = replace(book.extraction, exclude=Exclusion(email_domains=frozenset({domain})))
    return replace(book, extraction=wanted, extraction_digest=digest, rules_digest=digest)


def waiting(name="L-1", **more):
    """A lead that can be sent from tomorrow on."""
    return lead(name, created_at=NIGHT - timedelta(hours=1), **more)


def test_a_test_lead_is_counted_and_not_stored(account):
    """Every night it is there."""
    account.book = excluding(account.book)
    account.put(lead("L-1", contact=OURS), lead("L-2"))
    first, second = account.night(), account.night()

    assert (2, 1, 1) == (first.pulled.seen, first.pulled.changed, first.pulled.excluded)
    assert (2, 0, 1) == (second.pulled.seen, second.pulled.changed, second.pulled.excluded)
    assert ["L-2"] == [row.id for row in account.rows(LeadRow)]
    assert b"maison-durand" not in account.path.read_bytes()


def test_an_open_delivery_of_what_becomes_a_test_lead_is_kept_back(account):
    """With its contact hashes gone; taken off the list it goes out, once."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead("L-1", contact=OURS, fields={"consent": "bof"}), lead("L-2"))
    account.night()
    account.book = excluding(account.book)
    account.put(changed(account.source.leads["L-1"], fields={"consent": "oui"}))
    kept_back = account.night()
    held, hashed = account.reasons["L-1"], account.hashed
    account.book = excluding(account.book, "example.com", "e3")
    account.night()

    assert ("excluded", 1) == (held, kept_back.pulled.excluded)
    assert "L-1" not in hashed
    assert {"L-1": "submitted", "L-2": "submitted"} == account.states


def test_a_pending_delivery_of_a_test_lead_is_not_sent(account):
    """Neither tonight nor later; the count goes on while the lead is there unchanged."""
    account.put(lead(contact=OURS, click_ids=(), fields={"consent": "oui"}))
    account.book = rulebook(route(contact_only=True, limits=account.sink.limits))
    account.sink.script.append(lambda *_: (_ for _ in ()).throw(AssertionError("nothing may be sent")))
    account.prepare()
    pending = account.states
    account.book = excluding(account.book)
    account.night()
    again = account.night()

    assert ({"L-1": "pending"}, {"L-1": "withheld"}) == (pending, account.states)
    assert 1 == again.pulled.excluded
    assert set() == account.hashed


def test_what_a_test_lead_on_record_does_meanwhile_is_kept(account):
    """So that the time of a change is known once it is released."""
    old = lead("L-1", label="Nouveau", history=(), contact=OURS, fields={"consent": "oui"})
    account.put(old)
    account.night()
    account.book = excluding(account.book)
    account.clock.time += DAY
    account.put(changed(old, label="Gagné", updated_at=account.clock.now() - timedelta(hours=2)))
    account.night()
    won = account.clock.now() - timedelta(hours=2)
    account.clock.time += DAY
    account.book = excluding(account.book, "example.com", "e3")
    account.night()
    (delivery,) = account.rows()

    assert ("submitted", won) == (delivery.state, delivery.at)


def test_no_delivery_is_begun_for_a_test_lead_on_record(account):
    """Whatever it reaches."""
    old = lead("L-1", label="Nouveau", history=(), contact=OURS)
    account.put(old)
    account.night()
    account.book = excluding(account.book)
    account.put(changed(old, label="Gagné"))
    account.night()

    assert {} == account.states


def test_a_test_lead_that_could_not_be_read_before_is_forgotten(account):
    """It is read now, and left out."""
    account.source.unreadable = (UnreadableLead("L-1", "createdAt is no date"),)
    account.night()
    account.source.unreadable = ()
    account.book = excluding(account.book)
    account.put(lead("L-1", contact=OURS))
    account.night()

    assert [] == account.rows(UnreadableLeadRow)
