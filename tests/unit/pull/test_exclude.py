"""Test leads are counted but not stored; deliveries of those already stored are withheld while they are excluded."""

from dataclasses import replace
from datetime import timedelta

from connectors.records import Contact, UnreadableLead
from jobs.ledger.schema import LeadRow, UnreadableLeadRow
from jobs.rules.extraction import ExclusionCriteria
from tests.builders import changed, lead, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
OURS = Contact(emails=("claire@maison-durand.fr",))


def excluding(book, domain="maison-durand.fr", digest="e2"):
    """Return these rules with test leads of that domain excluded."""
    wanted = replace(book.extraction, exclude=ExclusionCriteria(email_domains=frozenset({domain})))
    return replace(book, extraction=wanted, extraction_digest=digest, rules_digest=digest)


def waiting(name="L-1", **more):
    """Return a lead that can be sent from tomorrow on."""
    return lead(name, created_at=NIGHT - timedelta(hours=1), **more)


def test_excluded_lead_is_counted_but_not_stored(account):
    """It is counted every night that it is listed."""
    account.book = excluding(account.book)
    account.put(lead("L-1", contact=OURS), lead("L-2"))
    first, second = account.night(), account.night()

    assert (2, 1, 1) == (first.pulled.seen, first.pulled.changed, first.pulled.excluded)
    assert (2, 0, 1) == (second.pulled.seen, second.pulled.changed, second.pulled.excluded)
    assert ["L-2"] == [row.id for row in account.rows(LeadRow)]
    assert b"maison-durand" not in account.path.read_bytes()


def test_open_delivery_of_a_lead_that_becomes_excluded_is_withheld(account):
    """Its contact hashes are erased; no longer excluded, it is sent once."""
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


def test_pending_delivery_of_a_test_lead_is_not_sent(account):
    """It stays withheld on later nights, and the unchanged lead is still counted."""
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


def test_changes_of_a_stored_test_lead_are_recorded(account):
    """The time of a change is then known once the lead is no longer excluded."""
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


def test_stored_test_lead_gets_no_new_delivery(account):
    """This holds for whatever stage it reaches."""
    old = lead("L-1", label="Nouveau", history=(), contact=OURS)
    account.put(old)
    account.night()
    account.book = excluding(account.book)
    account.put(changed(old, label="Gagné"))
    account.night()

    assert {} == account.states


def test_excluded_lead_is_removed_from_the_unreadable_leads(account):
    """It can be read now, and is excluded."""
    account.source.unreadable = (UnreadableLead("L-1", "createdAt is no date"),)
    account.night()
    account.source.unreadable = ()
    account.book = excluding(account.book)
    account.put(lead("L-1", contact=OURS))
    account.night()

    assert [] == account.rows(UnreadableLeadRow)
