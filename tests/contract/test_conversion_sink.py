"""What every `ConversionSink` promises: kept by each adapter over the wire and by each fake, so that none drifts."""

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
    Answered,
    Contact,
    EncodedEvent,
    Forgotten,
    Identifier,
    IdentifierKind,
    Lost,
    Money,
    NotSent,
    OutcomeClass,
    PartlyRefused,
    Received,
    Refused,
    Signal,
    StillPending,
)
from tests.contract.sinks import BY_NUMBER, BY_ROW, CONTACT, EVERY, REAL, WHOLE, WHOLE_UNNAMED, Fake, Real, click_id

GOOD = {OutcomeClass.DONE, OutcomeClass.DUPLICATE}
SHA256 = re.compile(r"[0-9a-f]{64}")
FAILURES = {
    "nothing listens": (NotSent,),
    "key refused": (Refused,),
    "401": (Refused, Lost),
    "429": (Refused, Lost),
    "503": (Lost,),
    "502 that looks good": (Lost,),
    "HTML": (Lost,),
    "cut before": (Lost,),
    "cut after": (Lost,),
    "truncated": (Lost,),
    "hang": (Lost,),
}
"""What may happen to a call, and what may then be said of it."""
NEVER_ASKED = {"nothing listens", "key refused"}
PROCESSED = {"cut after", "truncated"}
"""Where the platform has done its work before the call fails."""
CHANGES = {
    "key": lambda event: replace(event, key="contract-other"),
    "owner": lambda event: replace(event, target=replace(event.target, owner="2345678901")),
    "action": lambda event: replace(event, target=replace(event.target, action="987654322")),
    "at": lambda event: replace(event, at=event.at + timedelta(seconds=1)),
    "click_id": lambda event: replace(event, click_id=click_id(event.click_id.kind, 0, event.at)),
    "no click_id": lambda event: replace(event, click_id=None),
    "identifiers": lambda event: replace(event, identifiers=(Identifier(IdentifierKind.EMAIL, "e" * 64),)),
    "kind of identifier": lambda event: replace(event, identifiers=(Identifier(IdentifierKind.PHONE, "0" * 64),)),
    "no identifiers": lambda event: replace(event, identifiers=()),
    "amount": lambda event: replace(event, value=Money(Decimal("1250.51"), "EUR")),
    "currency": lambda event: replace(event, value=Money(event.value.amount, "CHF")),
    "no value": lambda event: replace(event, value=None),
    "ad_user_data": lambda event: replace(event, consent=replace(event.consent, ad_user_data=Signal.DENIED)),
    "ad_personalization": lambda event: replace(event, consent=replace(event.consent, ad_personalization=None)),
}
"""One change each; none alone may leave an event's bytes as they were, unless they are not where it is said."""


@pytest.fixture(params=EVERY)
def played(request, sandbox, closed_door):
    """One adapter or fake, and its platform."""
    adapter = EVERY[request.param]
    return Real(adapter, sandbox, closed_door) if adapter.server else Fake(adapter)


def only(names):
    """Take some of the adapters instead of all."""
    return pytest.mark.parametrize("played", names, indirect=True)


# ── its form ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["identify", "encode", "submit", "resolve"])
def test_it_is_called_as_the_port_says(played, method):
    """By the same names, in the same order."""
    _self, *promised = inspect.signature(getattr(ConversionSink, method)).parameters.values()
    given = inspect.signature(getattr(played.sink, method)).parameters.values()

    assert [(each.name, each.kind) for each in promised] == [(each.name, each.kind) for each in given]


def test_its_limits_are_possible(played):
    """Something can be sent, with a click id, in windows that are open."""
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


def test_contact_data_becomes_hashes(played):
    """The same contact gives the same SHA-256s in lower-case hex, each once, which it can also encode."""
    found = played.sink.identify(CONTACT)

    assert found
    assert all(SHA256.fullmatch(each.sha256) for each in found)
    assert len(found) == len(set(found))
    assert found == played.sink.identify(replace(CONTACT))
    assert played.sink.encode(played.event(identifiers=found))


@pytest.mark.parametrize("contact", [Contact(), Contact(emails=("",), phones=(" ",), last_name="  ")])
def test_of_nobody_nothing_is_known(played, contact):
    """An empty contact, and an empty string that was typed, give no hash."""
    assert () == played.sink.identify(contact)


def test_identifiers_do_not_show_whom_they_identify(played):
    """What was typed, and what became of it before it was hashed, is not in their representation."""
    shown = repr(played.sink.identify(CONTACT)).casefold()

    assert not [each for each in ("camille", "invente", "example", "612345678", "lyon", "69003") if each in shown]


# ── encode ───────────────────────────────────────────────────────────────────────────────────────


def test_equal_events_have_the_same_bytes(played):
    """Whatever the order of the identifiers, the zone of the time and the sink that encodes."""
    event = played.event(identifiers=(*played.sink.identify(CONTACT), Identifier(IdentifierKind.EMAIL, "0" * 64)))
    elsewhere = event.at.astimezone(timezone(timedelta(hours=2)))
    bodies = [
        played.sink.encode(event),
        played.sink.encode(replace(event, identifiers=event.identifiers[::-1])),
        played.sink.encode(replace(event, at=elsewhere)),
        type(played)(*played.made_of).sink.encode(event),
    ]

    assert [bodies[0]] * 4 == bodies


@pytest.mark.parametrize("change", CHANGES)
def test_other_events_have_other_bytes(played, change):
    """Each thing an event says is in its bytes, but for what its request says or its platform cannot be told."""
    event = played.event(identifiers=(Identifier(IdentifierKind.EMAIL, "0" * 64),))
    differs = played.sink.encode(event) != played.sink.encode(CHANGES[change](event))

    assert differs is (change not in played.adapter.unsaid)


def test_another_source_has_other_bytes(played):
    """Where a conversion is said to have happened."""
    event = played.event()
    other = replace(event, target=replace(event.target, source=played.adapter.other_source))

    assert played.sink.encode(event) != played.sink.encode(other)


def test_every_kind_of_click_id_it_takes_has_bytes_of_its_own(played):
    """Kind and id are said."""
    kinds = played.sink.limits.click_ids
    event = played.event()
    alike = [replace(click_id(kind, 1, event.at), value="100000000000001") for kind in kinds]
    unlike = [click_id(kind, number, event.at) for kind in kinds for number in (2, 3)]

    assert 3 * len(kinds) == len({played.sink.encode(replace(event, click_id=click)) for click in (*alike, *unlike)})


@only(REAL)
def test_neither_making_a_sink_nor_encoding_speaks_to_anybody(played, doorstep, tmp_path):
    """No connection is opened before something is submitted; then the first one is."""
    event = played.event()
    key_file = tmp_path / "key.json"
    key_file.write_text(played.key_file_naming(doorstep.address))
    played.open(key_file=key_file, addresses=dict.fromkeys(played.addresses, doorstep.address), timeout=0.2)
    played.sink.identify(CONTACT)
    batch = played.freeze(event)

    assert played.sink.limits.batch
    assert not doorstep.knocked

    if played.has_timeout:
        played.submit(batch)

        assert doorstep.knocked


# ── submit ───────────────────────────────────────────────────────────────────────────────────────


def test_one_event_is_one_call_and_counts_once(played):
    """It is taken, and the platform has it where it was meant to be."""
    event = played.event()
    before = played.calls
    receipt = played.submit(played.freeze(event))
    calls = played.calls - before

    assert 1 == calls
    assert isinstance(receipt, Received) == played.adapter.answers_later
    assert [OutcomeClass.DONE] == [each.kind for each in played.settle(receipt, 1).outcomes]
    assert 1 == played.counted(event.key)
    [line] = played.lines(event.key)
    assert (event.target.owner, event.target.action) == (
        line.get("customer") or line["dataset"],
        line.get("action") or line["event_name"],
    )


def test_every_kind_of_click_id_is_taken(played):
    """With contact data where the limits say that it may stand beside; as one request, whose rows are told in order."""
    limits = played.sink.limits
    events = [
        played.event(kind=kind, **({} if kind in limits.contact_with else {"identifiers": ()}))
        for kind in limits.click_ids
    ]
    told = played.settle(played.submit(played.freeze(*events)), len(events))

    assert [OutcomeClass.DONE] * len(events) == [each.kind for each in told.outcomes]
    assert [1] * len(events) == [played.counted(event.key) for event in events]


def test_a_full_batch_is_taken_and_no_larger_one(played):
    """The limit is the platform's own: one row more is refused, and nothing of it counts."""
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
def test_bytes_that_are_no_event_are_never_sent(played, body):
    """As after an update that cannot read what an older version froze: a bug of ours, and known not to have counted."""
    event = played.event()
    before = played.calls
    told = played.submit([*played.freeze(event), EncodedEvent(event.key, body)])

    assert isinstance(told, Refused)
    assert (OutcomeClass.BUG, True, before) == (told.outcome.kind, told.unasked, played.calls)
    assert 0 == played.counted(event.key)


@pytest.mark.parametrize(
    ("played", "way"), [(name, way) for name in EVERY for way in EVERY[name].ways], indirect=["played"]
)
def test_a_refused_row_is_told(played, way):
    """By its place where the platform names it, else by what is known; what else counts, is told truly too."""
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
            assert isinstance(told, Answered)
            assert [True, True, False, True] == [each.kind in GOOD for each in told.outcomes]
            assert [1, 1, 0, 1] == counted
        case _:
            assert way == BY_NUMBER
            assert isinstance(told, PartlyRefused)
            assert (1, 4, 1) == (told.refused, told.total, len(told.codes))
            assert [1, 1, 0, 1] == counted
    assert 1 <= played.calls - before <= 2  # one to submit, one to resolve


@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_a_call_meets_it_gives_a_receipt(played, failure):
    """One that says no more than is known, after one try; and the same bytes, sent again, settle it."""
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


def test_a_replay_counts_as_often_as_the_limits_say(played):
    """The same bytes again after a good answer: once for good, or twice where the limits name a time for replays."""
    event = played.event()
    batch = played.freeze(event)
    first, second = (played.settle(played.submit(batch), 1).outcomes[0].kind for _ in range(2))

    assert OutcomeClass.DONE == first
    assert second in GOOD
    assert (1 if played.sink.limits.replay_within is None else 2) == played.counted(event.key)


# ── resolve ──────────────────────────────────────────────────────────────────────────────────────


@only([name for name in EVERY if EVERY[name].answers_later])
def test_an_unfinished_request_is_still_pending(played):
    """Asked too early it says so, and later tells as many outcomes as there were rows."""
    events = [played.event() for _ in range(3)]
    receipt = played.submit(played.freeze(*events))
    played.stay_busy()

    assert StillPending() == played.sink.resolve(receipt.ticket, rows=3)
    assert 3 == len(played.settle(receipt, 3).outcomes)


@only([name for name in EVERY if EVERY[name].answers_later])
def test_asking_is_one_call_and_can_be_done_again(played):
    """It changes nothing, and the answer stays."""
    event = played.event()
    receipt = played.submit(played.freeze(event))
    first = played.settle(receipt, 1)
    before = played.calls
    again = played.sink.resolve(receipt.ticket, rows=1)
    calls = played.calls - before

    assert first == again
    assert calls == (1 if played.adapter.server else 0)  # a fake's calls are those that send
    assert 1 == played.counted(event.key)


@pytest.mark.parametrize("ticket", ["request-of-nobody", "", "../é\n"], ids=repr)
def test_of_an_unknown_ticket_nothing_is_invented(played, ticket):
    """It is forgotten, or cannot be asked about."""
    try:
        told = played.sink.resolve(ticket, rows=2)
    except ConnectorError:
        return

    assert isinstance(told, Forgotten)


@only([name for name in REAL if REAL[name].answers_later])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_question_that_fails_leaves_the_truth_for_later(played, failure):
    """An error of the connectors' own, after one try; nothing is called forgotten or done."""
    event = played.event()
    receipt = played.submit(played.freeze(event))
    played.wait(played.sink.limits.resolve_after)
    played.suffer(failure)
    before = played.calls
    with pytest.raises(ConnectorError):
        played.sink.resolve(receipt.ticket, rows=1)

    assert played.calls - before == (0 if failure in NEVER_ASKED else 1)

    played.mend()

    assert [OutcomeClass.DONE] == [each.kind for each in played.settle(receipt, 1).outcomes]


# ── to validate only ─────────────────────────────────────────────────────────────────────────────


@only(REAL)
def test_what_is_only_validated_counts_nowhere(played):
    """Every row is answered, none is in the book, and nothing is left to be asked for."""
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


# ── what it says of itself and of what failed ────────────────────────────────────────────────────


@only(REAL)
@pytest.mark.parametrize("failure", [None, *FAILURES])
def test_nothing_it_says_holds_a_secret_or_what_was_sent(played, failure):
    """Neither sink, options, receipt nor error, whatever happens."""
    event = played.event()
    batch = played.freeze(event)
    secrets = [*played.secrets, event.click_id.value, *(each.sha256 for each in event.identifiers), "1250.5"]
    if failure:
        played.suffer(failure)
    said = [repr(played.options), repr(played.sink), repr(played.submit(batch))]
    if failure:
        played.suffer(failure)
    try:
        said.append(repr(played.sink.resolve("request-1", rows=1)))
    except ConnectorError as error:
        said += traceback.format_exception(error)

    assert [] == [(secret, text) for secret in secrets for text in said if secret in text]


@pytest.mark.parametrize(
    ("played", "way"), [(name, way) for name in EVERY for way in EVERY[name].ways], indirect=["played"]
)
def test_no_refusal_quotes_what_was_sent(played, way):
    """Nor the platform's own words about it."""
    events = [played.event() for _ in range(2)]
    played.refuse(events[1].key, way)
    said = repr(played.settle(played.submit(played.freeze(*events)), 2))
    secrets = [event.click_id.value for event in events] + [each.sha256 for each in events[0].identifiers]

    assert [] == [secret for secret in secrets if secret in said]
