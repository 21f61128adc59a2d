"""The contract of every `ConversionSink`, checked on each adapter over the wire and on each fake."""

import inspect
import re
import traceback
from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal

import pytest

from connectors.errors import ConnectorError
from connectors.ports import ConversionSink
from connectors.records import (
    AnswerLost,
    ConsentSignalValue,
    Contact,
    ContactIdentifierKind,
    EncodedEvent,
    ForgottenRequest,
    Identifier,
    Money,
    OutcomeClass,
    PartlyRefused,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
    StillPending,
)
from tests import suite
from tests.contract.sinks import BY_NUMBER, BY_ROW, CONTACT, EVERY, REAL, WHOLE, WHOLE_UNNAMED, Fake, Real, click_id

GOOD = {OutcomeClass.DONE, OutcomeClass.DUPLICATE}
SHA256 = re.compile(r"[0-9a-f]{64}")
FAILURES = {
    "nothing listens": (RequestNotSent,),
    "key refused": (Refused,),
    "401": (Refused, AnswerLost),
    "429": (Refused, AnswerLost),
    "503": (AnswerLost,),
    "502 that looks good": (AnswerLost,),
    "HTML": (AnswerLost,),
    "cut before": (AnswerLost,),
    "cut after": (AnswerLost,),
    "truncated": (AnswerLost,),
    "hang": (AnswerLost,),
}
"""The failures of a call, and the receipts each may yield."""
NEVER_ASKED = {"nothing listens", "key refused"}
PROCESSED = {"cut after", "truncated"}
"""Failures that come after the platform has processed the request."""
CHANGES = {
    "key": lambda event: replace(event, key="contract-other"),
    "owner": lambda event: replace(event, target=replace(event.target, owner="2345678901")),
    "action": lambda event: replace(event, target=replace(event.target, action="987654322")),
    "at": lambda event: replace(event, at=event.at + timedelta(seconds=1)),
    "click_id": lambda event: replace(event, click_id=click_id(event.click_id.kind, 0, event.at)),
    "no click_id": lambda event: replace(event, click_id=None),
    "identifiers": lambda event: replace(event, identifiers=(Identifier(ContactIdentifierKind.EMAIL, "e" * 64),)),
    "kind of identifier": lambda event: replace(
        event, identifiers=(Identifier(ContactIdentifierKind.PHONE, "0" * 64),)
    ),
    "no identifiers": lambda event: replace(event, identifiers=()),
    "amount": lambda event: replace(event, value=Money(Decimal("1250.51"), "EUR")),
    "currency": lambda event: replace(event, value=Money(event.value.amount, "CHF")),
    "no value": lambda event: replace(event, value=None),
    "ad_user_data": lambda event: replace(
        event, consent=replace(event.consent, ad_user_data=ConsentSignalValue.DENIED)
    ),
    "ad_personalization": lambda event: replace(event, consent=replace(event.consent, ad_personalization=None)),
}
"""One change each, which must change the event's bytes unless they do not carry that property."""


@pytest.fixture(params=EVERY)
def played(request, sandbox, closed_door):
    """One adapter or fake and its platform."""
    adapter = EVERY[request.param]
    return Real(adapter, sandbox, closed_door) if adapter.server else Fake(adapter)


def only(names):
    """Restrict a test to some of the adapters."""
    return pytest.mark.parametrize("played", names, indirect=True)


# ── interface ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["hash_contact", "encode", "submit", "fetch_request_outcomes"])
def test_signatures_match_the_port(played, method):
    """Parameters have the same names, kinds and order."""
    _self, *promised = inspect.signature(getattr(ConversionSink, method)).parameters.values()
    given = inspect.signature(getattr(played.sink, method)).parameters.values()

    assert [(each.name, each.kind) for each in promised] == [(each.name, each.kind) for each in given]


def test_limits_are_consistent(played):
    """Events can be sent, with a click id, within windows of positive length."""
    limits = played.sink.limits
    spans = (limits.click_window, limits.contact_window, *limits.source_windows.values())
    optional = [span for span in (limits.event_window, limits.replay_within) if span is not None]

    assert limits.batch > 0
    assert limits.click_ids
    assert len(limits.click_ids) == len(set(limits.click_ids))
    assert limits.contact_with | limits.interchangeable <= set(limits.click_ids)
    assert all(span > timedelta(0) for span in (*spans, *optional))
    assert timedelta(0) <= limits.opens_after_click < limits.click_window
    assert timedelta(0) <= limits.resolve_after


# ── identify ─────────────────────────────────────────────────────────────────────────────────────


def test_identify_returns_encodable_hashes_without_duplicates(played):
    """Equal contacts give equal SHA-256 hashes in lower-case hex."""
    found = played.sink.hash_contact(CONTACT)

    assert found
    assert all(SHA256.fullmatch(each.sha256) for each in found)
    assert len(found) == len(set(found))
    assert found == played.sink.hash_contact(replace(CONTACT))
    assert played.sink.encode(played.event(identifiers=found))


@pytest.mark.parametrize("contact", [Contact(), Contact(emails=("",), phones=(" ",), last_name="  ")])
def test_identify_returns_nothing_for_an_empty_contact(played, contact):
    """Blank strings give no hash either."""
    assert () == played.sink.hash_contact(contact)


def test_identifiers_repr_shows_no_contact_data(played):
    """Neither the typed text nor its normalised form appears."""
    shown = repr(played.sink.hash_contact(CONTACT)).casefold()

    assert not [each for each in ("camille", "invente", "example", "612345678", "lyon", "69003") if each in shown]


# ── encode ───────────────────────────────────────────────────────────────────────────────────────


def test_equal_events_have_the_same_bytes(played):
    """Identifier order, time zone and sink instance make no difference."""
    event = played.event(
        identifiers=(*played.sink.hash_contact(CONTACT), Identifier(ContactIdentifierKind.EMAIL, "0" * 64))
    )
    elsewhere = event.at.astimezone(timezone(timedelta(hours=2)))
    bodies = [
        played.sink.encode(event),
        played.sink.encode(replace(event, identifiers=event.identifiers[::-1])),
        played.sink.encode(replace(event, at=elsewhere)),
        type(played)(*played.made_of).sink.encode(event),
    ]

    assert [bodies[0]] * 4 == bodies


@pytest.mark.parametrize("change", CHANGES)
def test_changing_any_encoded_property_changes_the_bytes(played, change):
    """Exempt are properties carried by the request or unknown to the platform."""
    event = played.event(identifiers=(Identifier(ContactIdentifierKind.EMAIL, "0" * 64),))
    differs = played.sink.encode(event) != played.sink.encode(CHANGES[change](event))

    assert differs is (change not in played.adapter.unsaid)


def test_changing_the_source_changes_the_bytes(played):
    """The source is where the conversion happened."""
    event = played.event()
    other = replace(event, target=replace(event.target, source=played.adapter.other_source))

    assert played.sink.encode(event) != played.sink.encode(other)


def test_kind_and_value_of_a_click_id_change_the_bytes(played):
    """Even the same value under two kinds yields different bytes."""
    kinds = played.sink.limits.click_ids
    event = played.event()
    alike = [replace(click_id(kind, 1, event.at), value="100000000000001") for kind in kinds]
    unlike = [click_id(kind, number, event.at) for kind in kinds for number in (2, 3)]

    assert 3 * len(kinds) == len({played.sink.encode(replace(event, click_id=click)) for click in (*alike, *unlike)})


@only(REAL)
def test_creating_a_sink_and_encoding_open_no_connection(played, doorstep, tmp_path):
    """The first submit opens one."""
    event = played.event()
    key_file = tmp_path / "key.json"
    key_file.write_text(played.key_file_naming(doorstep.address))
    played.open(key_file=key_file, addresses=dict.fromkeys(played.addresses, doorstep.address), timeout=0.2)
    played.sink.hash_contact(CONTACT)
    batch = played.freeze(event)

    assert played.sink.limits.batch
    assert not doorstep.knocked

    if played.has_timeout:
        played.submit(batch)

        assert doorstep.knocked


# ── submit ───────────────────────────────────────────────────────────────────────────────────────


def test_one_event_is_one_call_and_counts_once(played):
    """The platform books it under the intended account and action."""
    event = played.event()
    before = played.calls
    receipt = played.submit(played.freeze(event))
    calls = played.calls - before

    assert 1 == calls
    assert isinstance(receipt, ReceivedForProcessing) == played.adapter.answers_later
    assert [OutcomeClass.DONE] == [each.kind for each in played.settle(receipt, 1).outcomes]
    assert 1 == played.counted(event.key)
    [line] = played.lines(event.key)
    assert (event.target.owner, event.target.action) == (
        line.get("customer") or line["dataset"],
        line.get("action") or line["event_name"],
    )


def test_accepts_every_kind_of_click_id(played):
    """One request carries them all, with contact data where the limits allow it; outcomes keep the order."""
    limits = played.sink.limits
    events = [
        played.event(kind=kind, **({} if kind in limits.contact_with else {"identifiers": ()}))
        for kind in limits.click_ids
    ]
    told = played.settle(played.submit(played.freeze(*events)), len(events))

    assert [OutcomeClass.DONE] * len(events) == [each.kind for each in told.outcomes]
    assert [1] * len(events) == [played.counted(event.key) for event in events]


@only(suite.mostly_exhaustive(EVERY, *(name for name in EVERY if not name.startswith("google by "))))
def test_accepts_a_full_batch_and_refuses_a_larger_one(played):
    """The limit is the platform's own, and nothing of the larger batch counts."""
    batch = played.freeze(*(played.event(identifiers=()) for _ in range(played.sink.limits.batch + 1)))

    before = played.calls
    refused = played.submit(batch)

    assert isinstance(refused, Refused)
    assert refused.unasked == (played.calls == before)
    assert {OutcomeClass.DONE} == {
        each.kind for each in played.settle(played.submit(batch[:-1]), len(batch) - 1).outcomes
    }
    assert (1, 0) == (played.counted(batch[0].key), played.counted(batch[-1].key))


@only(REAL)
@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"not an event"], ids=repr)
def test_never_sends_bytes_it_cannot_decode(played, body):
    """After an update they may come from an older version: a bug of ours that is known not to have counted."""
    event = played.event()
    before = played.calls
    told = played.submit([*played.freeze(event), EncodedEvent(event.key, body)])

    assert isinstance(told, Refused)
    assert (OutcomeClass.BUG, True, before) == (told.outcome.kind, told.unasked, played.calls)
    assert 0 == played.counted(event.key)


@pytest.mark.parametrize(
    ("played", "way"), [(name, way) for name in EVERY for way in EVERY[name].ways], indirect=["played"]
)
def test_reports_a_refused_row_as_precisely_as_the_platform_does(played, way):
    """The other rows that count are reported correctly too."""
    events = [played.event() for _ in range(4)]
    played.refuse(events[2].key, way)
    before = played.calls
    told = played.settle(played.submit(played.freeze(*events)), 4)
    counted = [played.counted(event.key) for event in events]

    match way:
        case _ if way in (WHOLE, WHOLE_UNNAMED):
            assert isinstance(told, Refused)
            assert ((2,) if way == WHOLE else ()) == told.rows
            assert told.outcome.kind not in GOOD
            assert [0, 0, 0, 0] == counted
        case _ if way == BY_ROW:
            assert isinstance(told, RowOutcomes)
            assert [True, True, False, True] == [each.kind in GOOD for each in told.outcomes]
            assert [1, 1, 0, 1] == counted
        case _:
            assert way == BY_NUMBER
            assert isinstance(told, PartlyRefused)
            assert (1, 4, 1) == (told.refused, told.total, len(told.codes))
            assert [1, 1, 0, 1] == counted
    assert 1 <= played.calls - before <= 2  # one to submit, one to resolve


@pytest.mark.parametrize("failure", FAILURES)
def test_failed_call_yields_a_receipt_and_a_replay_settles_it(played, failure):
    """The receipt claims no more than is known after one attempt."""
    event = played.event()
    batch = played.freeze(event)
    played.suffer(failure)
    before = played.calls
    receipt = played.submit(batch)
    calls = played.calls - before
    after_failure = played.counted(event.key)

    assert isinstance(receipt, FAILURES[failure])
    assert calls <= 1 if failure in NEVER_ASKED else calls == 1
    assert not isinstance(receipt, Refused) or receipt.unasked == (calls == 0)
    assert after_failure == (failure in PROCESSED)

    played.mend()
    [outcome] = played.settle(played.submit(batch), 1).outcomes

    assert outcome.kind in (GOOD if after_failure else {OutcomeClass.DONE})
    assert played.counted(event.key) == (1 if played.sink.limits.replay_within is None else 1 + after_failure)


def test_replay_counts_again_only_if_the_limits_allow_it(played):
    """After a good answer it counts twice only where the limits set a time for replays."""
    event = played.event()
    batch = played.freeze(event)
    first, second = (played.settle(played.submit(batch), 1).outcomes[0].kind for _ in range(2))

    assert OutcomeClass.DONE == first
    assert second in GOOD
    assert (1 if played.sink.limits.replay_within is None else 2) == played.counted(event.key)


# ── resolve ──────────────────────────────────────────────────────────────────────────────────────


@only([name for name in EVERY if EVERY[name].answers_later])
def test_unfinished_request_is_still_pending(played):
    """A later call returns as many outcomes as there were rows."""
    events = [played.event() for _ in range(3)]
    receipt = played.submit(played.freeze(*events))
    played.stay_busy()

    assert StillPending() == played.sink.fetch_request_outcomes(receipt.ticket, rows=3)
    assert 3 == len(played.settle(receipt, 3).outcomes)


@only([name for name in EVERY if EVERY[name].answers_later])
def test_resolve_is_one_repeatable_call(played):
    """It changes nothing, and the answer stays the same."""
    event = played.event()
    receipt = played.submit(played.freeze(event))
    first = played.settle(receipt, 1)
    before = played.calls
    again = played.sink.fetch_request_outcomes(receipt.ticket, rows=1)
    calls = played.calls - before

    assert first == again
    assert calls == (1 if played.adapter.server else 0)  # a fake counts only calls that send
    assert 1 == played.counted(event.key)


@pytest.mark.parametrize("ticket", ["request-of-nobody", "", "../é\n"], ids=repr)
def test_unknown_ticket_is_forgotten_or_an_error(played, ticket):
    """No outcome is invented for it."""
    try:
        told = played.sink.fetch_request_outcomes(ticket, rows=2)
    except ConnectorError:
        return

    assert isinstance(told, ForgottenRequest)


@only([name for name in REAL if REAL[name].answers_later])
@pytest.mark.parametrize("failure", FAILURES)
def test_failed_resolve_raises_and_can_be_repeated(played, failure):
    """After one attempt it raises our own error; nothing is reported as forgotten or done."""
    event = played.event()
    receipt = played.submit(played.freeze(event))
    played.wait(played.sink.limits.resolve_after)
    played.suffer(failure)
    before = played.calls
    with pytest.raises(ConnectorError):
        played.sink.fetch_request_outcomes(receipt.ticket, rows=1)

    assert played.calls - before == (0 if failure in NEVER_ASKED else 1)

    played.mend()

    assert [OutcomeClass.DONE] == [each.kind for each in played.settle(receipt, 1).outcomes]


# ── validate only ────────────────────────────────────────────────────────────────────────────────


@only(REAL)
def test_validate_only_counts_nowhere(played):
    """Every row is answered, none is booked, and nothing is left to resolve."""
    events = [played.event() for _ in range(3)]
    batch = played.freeze(*events)
    played.open(validate_only=True)
    before = played.calls
    told = played.submit(batch)

    assert played.calls - before <= 1
    assert [OutcomeClass.DONE] * 3 == [each.kind for each in told.outcomes]
    assert [0] * 3 == [played.counted(event.key) for event in events]

    played.open()

    assert [OutcomeClass.DONE] * 3 == [each.kind for each in played.settle(played.submit(batch), 3).outcomes]


# ── reprs and error messages ─────────────────────────────────────────────────────────────────────


@only(REAL)
@pytest.mark.parametrize("failure", [None, *FAILURES])
def test_reprs_and_errors_hold_no_secret_or_event_data(played, failure):
    """The rule covers sink, options, receipts and errors, whatever happens."""
    event = played.event()
    batch = played.freeze(event)
    secrets = [*played.secrets, event.click_id.value, *(each.sha256 for each in event.identifiers), "1250.5"]
    if failure:
        played.suffer(failure)
    said = [repr(played.options), repr(played.sink), repr(played.submit(batch))]
    if failure:
        played.suffer(failure)
    try:
        said.append(repr(played.sink.fetch_request_outcomes("request-1", rows=1)))
    except ConnectorError as error:
        said += traceback.format_exception(error)

    assert [] == [(secret, text) for secret in secrets for text in said if secret in text]


@pytest.mark.parametrize(
    ("played", "way"), [(name, way) for name in EVERY for way in EVERY[name].ways], indirect=["played"]
)
def test_no_refusal_quotes_what_was_sent(played, way):
    """The platform's own wording is not repeated either."""
    events = [played.event() for _ in range(2)]
    played.refuse(events[1].key, way)
    said = repr(played.settle(played.submit(played.freeze(*events)), 2))
    secrets = [event.click_id.value for event in events] + [each.sha256 for each in events[0].identifiers]

    assert [] == [secret for secret in secrets if secret in said]
