"""Each consent answer stays on record from when it was first read, and each delivery names those it was sent on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import select

from connectors.records import LeadId
from jobs.ledger.outbox import consents
from jobs.ledger.outbox.consents import RecordedConsentAnswer
from jobs.ledger.schema import AssumedConsent, ConsentAnswerRow, Delivery
from jobs.rules.extraction import ConsentField
from tests import fakes
from tests.builders import ACCOUNT, changed, lead, read, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
LEAD = LeadId("L-1")
PERSONAL = ConsentField("personal", frozenset({"oui"}), frozenset({"non"}))


def answers(account):
    """Every answer on record: signal, answer, field, value, and nights after the first."""
    with account.hold() as ledger, ledger.read_transaction() as session:
        found = session.exec(select(ConsentAnswerRow).order_by(ConsentAnswerRow.id)).all()
        return [(row.signal, row.answer, row.field, row.value, (row.read_at - NIGHT).days) for row in found]


def evidence(account, name=LEAD):
    """What is kept of a lead's consent."""
    with account.hold() as ledger, ledger.read_transaction() as session:
        return consents.consent_evidence(session, ACCOUNT, name)


def say(account, **fields):
    """Have the lead say this from now on, and read it."""
    account.put(changed(lead(), fields=fields))
    with account.hold() as ledger:
        read(account.run(ledger))


def asks_for_personal_ads(account):
    """Have the settings name a field for personalisation too."""
    book = account.book
    account.book = replace(book, extraction=replace(book.extraction, ad_personalization=PERSONAL))


# ── which answers are kept ───────────────────────────────────────────────────────────────────────


def test_a_new_row_only_where_the_answer_changes(account):
    """Whatever else changes in the lead; a listed answer is kept as written, any other as its shape."""
    for fields in (
        {"consent": "Oui", "amount": 1},
        {"consent": "Oui", "amount": 2},
        {"consent": "non"},
        {"consent": "Jeanne Exemple"},
        {},
        {"consent": "Oui"},
    ):
        say(account, **fields)
        account.clock.time += DAY

    assert [
        ("ad_user_data", "granted", "consent", "Oui", 0),
        ("ad_user_data", "refused", "consent", "non", 2),
        ("ad_user_data", "unknown", "consent", "<text, 14 characters>", 3),
        ("ad_user_data", "missing", "consent", None, 4),
        ("ad_user_data", "granted", "consent", "Oui", 5),
    ] == answers(account)


def test_the_same_answer_in_another_field_is_another_answer(account):
    """It shows where it was read from."""
    asks_for_personal_ads(account)
    say(account, consent="oui", personal="non")
    book = account.book
    moved = replace(book.extraction, ad_user_data=replace(book.extraction.ad_user_data, path="other"))
    account.book = replace(book, extraction=moved)
    say(account, other="oui", personal="non")

    assert [
        ("ad_user_data", "granted", "consent", "oui", 0),
        ("ad_personalization", "refused", "personal", "non", 0),
        ("ad_user_data", "granted", "other", "oui", 0),
    ] == answers(account)


def test_a_signal_without_a_field_is_recorded_only_where_it_had_one(account):
    """Otherwise every lead would get a row that says nothing."""
    say(account, consent="oui")
    plain = account.book
    asks_for_personal_ads(account)
    say(account, consent="oui", personal="oui")
    account.book = plain
    say(account, consent="oui", personal="oui", amount=1)
    say(account, consent="oui", personal="oui", amount=2)

    personal = [row for row in answers(account) if row[0] == "ad_personalization"]
    assert [("granted", "personal"), ("not_asked", "")] == [row[1:3] for row in personal]


def test_an_unchanged_lead_is_not_read_for_it(account):
    """Even where the row is gone."""
    say(account, consent="oui")
    with account.hold() as ledger, ledger.write_transaction() as session:
        session.exec(update(ConsentAnswerRow).values(answer="changed"))
    say(account, consent="oui")

    assert ["changed"] == [row[1] for row in answers(account)]


# ── what was sent on them ────────────────────────────────────────────────────────────────────────


def test_a_delivery_keeps_the_answers_that_it_was_sent_on(account):
    """What the lead says later changes nothing in that, nor does what it said within the same second."""
    asks_for_personal_ads(account)
    account.put(changed(lead(), fields={"consent": "oui", "personal": "non"}))
    account.night()
    say(account, consent="non", personal="oui")
    account.night()

    found = evidence(account)
    (sent,) = found.sent_on.values()
    assert 4 == len(found.answers)
    assert ["granted", "refused"] == [each.answer for each in sent.answers]
    assert sent.assumed is None
    assert RecordedConsentAnswer("ad_user_data", "granted", "consent", "oui", NIGHT) == sent.answers[0]


def test_what_was_never_sent_rests_on_nothing(account):
    """The answers are on record, and no delivery refers to them."""
    account.put(changed(lead(), fields={"consent": "non"}))
    account.night()

    found = evidence(account)
    assert ["refused"] == [each.answer for each in found.answers]
    assert {} == found.sent_on


def test_what_no_connection_carried_rests_on_nothing_either(account):
    """Its bytes were frozen, but none left."""
    account.put(lead())
    account.sink.script.extend([fakes.not_sent] * 9)
    account.night()

    assert {} == evidence(account).sent_on


def test_a_replay_rests_on_what_its_bytes_were_frozen_on(account):
    """The bytes carry the answer of that time, whatever the field has become."""
    account.put(lead())
    account.sink.script.extend([fakes.lost_after] * 9)
    account.night()
    account.sink.script.clear()
    lost = len(account.sink.calls)
    account.put(changed(lead(), fields={}))
    account.clock.time += DAY
    account.night()

    (sent,) = evidence(account).sent_on.values()
    assert ["granted", "missing"] == [row[1] for row in answers(account)]
    assert lost < len(account.sink.calls)
    assert ["granted"] == [each.answer for each in sent.answers]


def test_an_assumed_consent_is_looked_up_once_a_request(account, monkeypatch):
    """However many rows rest on it."""
    asked = []
    real = consents.record_consent_assumption
    monkeypatch.setattr(
        consents, "record_consent_assumption", lambda *args, **more: asked.append(args) or real(*args, **more)
    )
    account.book = rulebook(route(assume_consent=True, assumed_because="asked on the form"))
    account.put(*(changed(lead(f"M-{number}"), fields={}) for number in range(3)))
    account.night()

    assert [3] == [len(call.events) for call in account.sink.calls]
    assert 1 == len(asked)


def test_an_assumed_consent_stays_with_what_was_sent_on_it(account):
    """With its reason and since when; a new reason is a new row, and concerns what is sent from then on."""
    for number, because in enumerate(("the contract", "the contract", "another reason")):
        account.book = rulebook(route(assume_consent=True, assumed_because=because))
        account.put(lead(f"L-{number}", fields={}), lead(f"M-{number}"))
        account.night()
        account.clock.time += DAY

    told = [evidence(account, LeadId(f"L-{number}")).sent_on for number in range(3)]
    assumed = [each.assumed for sent in told for each in sent.values()]
    assert [("the contract", 0), ("the contract", 0), ("another reason", 2)] == [
        (each.because, (each.since - NIGHT).days) for each in assumed
    ]
    assert [None] == [each.assumed for each in evidence(account, LeadId("M-0")).sent_on.values()]
    with account.hold() as ledger, ledger.read_transaction() as session:
        assert 2 == len(session.exec(select(AssumedConsent)).all())


@pytest.mark.parametrize("answer", ["oui", "non", "Jeanne", ""])
def test_without_assuming_nothing_is_assumed(account, answer):
    """The reason is no evidence where it isn't needed."""
    account.put(lead(fields={"consent": answer}))
    account.night()

    with account.hold() as ledger, ledger.read_transaction() as session:
        assert [None] == session.exec(select(Delivery.assumed_consent)).all()
