"""The contract of every sink that `AdjustmentSink`, checked on each adapter over the wire and on each fake."""

import inspect
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from decimal import Decimal

import pytest

from connectors.ports import AdjustmentSink
from connectors.records import (
    Adjustment,
    AdjustmentKind,
    AnswerLost,
    EncodedEvent,
    Money,
    OutcomeClass,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
)
from tests.contract.sinks import EVERY, Fake, Real

GOOD = {OutcomeClass.DONE, OutcomeClass.DUPLICATE}
FAILURES = {
    "nothing listens": (RequestNotSent,),
    "key refused": (Refused,),
    "401": (Refused, AnswerLost),
    "429": (Refused, AnswerLost),
    "503": (AnswerLost,),
    "HTML": (AnswerLost,),
    "cut before": (AnswerLost,),
    "cut after": (AnswerLost,),
    "truncated": (AnswerLost,),
    "hang": (AnswerLost,),
}
"""The failures of a call, and the receipts each may yield."""
NEVER_ASKED = {"nothing listens", "key refused"}
PROCESSED = {"cut after", "truncated"}
RESTATED, RETRACTED = AdjustmentKind.RESTATEMENT, AdjustmentKind.RETRACTION
CORRECTING = [name for name in EVERY if name != "meta"]
RETRACTING = ["google by ads_api", "google by data_manager", "fake", "fake at once"]
RESENDING = ["google by data_manager", "fake"]
EVEN_BY = {"google by data_manager": "google_ads_api", "fake": "google_ads_api", "fake at once": "google_ads_api"}
"""Sinks that send retractions by another transport than conversions."""


@dataclass
class Play:
    """One adapter or fake with its platform, and the transport that carries its corrections."""

    world: object
    transport: str

    @property
    def sink(self):
        """The current sink."""
        return self.world.sink

    @property
    def target(self):
        """The target of corrections."""
        return replace(self.world.adapter.target, transport=self.transport)

    @property
    def correction(self):
        """The capabilities of the transport."""
        return self.sink.limits.corrects[self.transport]

    def converted(self, **over):
        """A conversion the platform has counted."""
        event = self.world.event(**over)
        receipt = self.world.submit(self.world.freeze(event))

        assert {OutcomeClass.DONE} == {each.kind for each in self.world.settle(receipt, 1).outcomes}
        return event

    def adjustment(self, sent, value="700", **over):
        """A restatement of an event, half a day later."""
        plain = Adjustment(
            key=sent.key,
            target=self.target,
            kind=RESTATED,
            at=sent.at + timedelta(hours=12),
            value=Money(Decimal(value), "EUR"),
            event=replace(sent, target=self.target) if self.correction.by_resending else None,
        )
        return replace(plain, **over)

    def retraction(self, sent, **over):
        """A retraction of an event."""
        return replace(self.adjustment(sent), kind=RETRACTED, value=None, event=None, **over)

    def freeze(self, *adjustments):
        """Encode corrections as they are stored and sent."""
        return [EncodedEvent(each.key, self.sink.encode_adjustment(each)) for each in adjustments]

    def adjust(self, batch):
        """Send frozen corrections and return the outcome of each, resolved where it comes later."""
        receipt = self.sink.adjust(self.target, batch)
        return [each.kind for each in self.world.settle(receipt, len(batch)).outcomes]


@pytest.fixture(params=CORRECTING)
def played(request, sandbox, closed_door):
    """One adapter or fake that corrects, over the transport of its conversions."""
    adapter = EVERY[request.param]
    world = Real(adapter, sandbox, closed_door) if adapter.server else Fake(adapter)
    return Play(world, adapter.target.transport)


@pytest.fixture(params=RETRACTING)
def retracting(request, sandbox, closed_door):
    """One that also retracts, over another transport than its conversions if need be."""
    adapter = EVERY[request.param]
    world = Real(adapter, sandbox, closed_door) if adapter.server else Fake(adapter)
    return Play(world, EVEN_BY.get(request.param, adapter.target.transport))


# ── interface ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", EVERY)
def test_sink_implements_adjusts_if_its_limits_allow_corrections(name, sandbox, closed_door):
    """Exactly the sinks that correct something have the port."""
    adapter = EVERY[name]
    sink = (Real(adapter, sandbox, closed_door) if adapter.server else Fake(adapter)).sink

    assert (name in CORRECTING) == isinstance(sink, AdjustmentSink) == bool(sink.limits.corrects)


@pytest.mark.parametrize("method", ["encode_adjustment", "adjust"])
def test_signatures_match_the_port(played, method):
    """Parameters have the same names, kinds and order."""
    _self, *promised = inspect.signature(getattr(AdjustmentSink, method)).parameters.values()
    given = inspect.signature(getattr(played.sink, method)).parameters.values()

    assert [(each.name, each.kind) for each in promised] == [(each.name, each.kind) for each in given]


def test_limits_are_consistent(played):
    """Corrections are possible for some time, and only click ids that are sent are excluded."""
    for correction in played.sink.limits.corrects.values():
        assert correction.kinds
        assert correction.batch > 0
        assert correction.within > timedelta(0)
        assert correction.except_by < set(played.sink.limits.click_ids)


# ── encode_adjustment ────────────────────────────────────────────────────────────────────────────


def test_encoding_does_not_depend_on_the_time_zone(played):
    """The same instant in another zone yields the same bytes."""
    adjustment = played.adjustment(played.world.event())
    zone = timezone(timedelta(hours=2))
    elsewhere = replace(adjustment, at=adjustment.at.astimezone(zone))

    assert played.sink.encode_adjustment(adjustment) == played.sink.encode_adjustment(elsewhere)


@pytest.mark.parametrize("change", ["value", "currency", "action", "key"])
def test_different_corrections_have_different_bytes(played, change):
    """Nothing is lost; where the whole event is resent, the request carries the action instead."""
    event = played.world.event()
    other = {
        "value": lambda: played.adjustment(event, "701"),
        "currency": lambda: replace(played.adjustment(event), value=Money(Decimal(700), "CHF")),
        "action": lambda: played.adjustment(event, target=replace(played.target, action="987654322"), event=None),
        "key": lambda: played.adjustment(played.world.event()),
    }
    if change == "action" and played.correction.by_resending:
        with pytest.raises(ValueError, match="event"):
            played.sink.encode_adjustment(other[change]())
    else:
        assert played.sink.encode_adjustment(played.adjustment(event)) != played.sink.encode_adjustment(other[change]())


def test_rejects_corrections_it_cannot_express(played):
    """Examples are a restatement without a value, an unsupported kind and a missing original event."""
    event = played.world.event()
    bad = [replace(played.adjustment(event), value=None)]
    if RETRACTED in played.correction.kinds:
        bad.append(replace(played.retraction(event), value=Money(Decimal(1), "EUR")))
    else:
        bad.append(replace(played.retraction(event), event=event))
    if played.correction.by_resending:
        bad += [
            replace(played.adjustment(event), event=None),
            replace(played.adjustment(event), event=replace(event, key="contract-other")),
        ]
    for adjustment in bad:
        with pytest.raises(ValueError, match=r"\w"):
            played.sink.encode_adjustment(adjustment)


# ── adjust ───────────────────────────────────────────────────────────────────────────────────────


def test_restated_conversion_has_its_new_value_and_counts_once(played):
    """The restatement gives the new total, in one wire call."""
    event = played.converted()
    before = played.world.calls
    receipt = played.sink.adjust(played.target, played.freeze(played.adjustment(event)))

    assert 1 == played.world.calls - before
    assert {OutcomeClass.DONE} == {each.kind for each in played.world.settle(receipt, 1).outcomes}
    assert [(1, 700.0)] == played.world.worth(event.key)


def test_later_restatement_replaces_an_earlier_one(played):
    """The time of the adjustment decides."""
    event = played.converted()
    played.adjust(played.freeze(played.adjustment(event)))
    later = played.adjustment(event, "650.5", at=event.at + timedelta(hours=13))

    assert [OutcomeClass.DONE] == played.adjust(played.freeze(later))
    assert [(1, 650.5)] == played.world.worth(event.key)


def test_replaying_a_restatement_changes_nothing(played):
    """The replay is done, or a duplicate of our own upload."""
    event = played.converted()
    batch = played.freeze(played.adjustment(event))
    played.adjust(batch)

    assert set(played.adjust(batch)) <= GOOD
    assert [(1, 700.0)] == played.world.worth(event.key)


def test_several_corrections_go_in_one_request(played):
    """Each has its own outcome, in the order sent."""
    events = [played.converted() for _ in range(3)]
    batch = played.freeze(*(played.adjustment(event, str(100 + row)) for row, event in enumerate(events)))

    assert [OutcomeClass.DONE] * 3 == played.adjust(batch)
    assert [[(1, 100.0)], [(1, 101.0)], [(1, 102.0)]] == [played.world.worth(event.key) for event in events]


def test_retracted_conversion_no_longer_counts(retracting):
    """Retracting it again is a duplicate."""
    event = retracting.converted()
    batch = retracting.freeze(retracting.retraction(event))
    first, again = retracting.adjust(batch), retracting.adjust(batch)

    assert ([OutcomeClass.DONE], [OutcomeClass.DUPLICATE]) == (first, again)
    assert [(0, 0.0)] == retracting.world.worth(event.key)


def test_drops_a_restatement_of_a_retracted_conversion(retracting):
    """It is not a duplicate: the restatement never took effect."""
    event = retracting.converted()
    later = retracting.adjustment(event, at=event.at + timedelta(hours=13))
    retracting.adjust(retracting.freeze(retracting.retraction(event)))

    assert [OutcomeClass.DROP] == retracting.adjust(retracting.freeze(later))
    assert [(0, 0.0)] == retracting.world.worth(event.key)


def test_defers_a_correction_of_a_conversion_never_sent(retracting):
    """Its code is CONVERSION_NOT_FOUND; the other row in the request is corrected."""
    event, unsent = retracting.converted(), retracting.world.event()
    batch = retracting.freeze(retracting.retraction(unsent), retracting.retraction(event))
    receipt = retracting.sink.adjust(retracting.target, batch)

    assert [(OutcomeClass.DEFER, "CONVERSION_NOT_FOUND"), OutcomeClass.DONE] == [
        (receipt.outcomes[0].kind, receipt.outcomes[0].code),
        receipt.outcomes[1].kind,
    ]


def test_drops_an_older_restatement(retracting):
    """The latest value stays."""
    event = retracting.converted()
    retracting.adjust(retracting.freeze(retracting.adjustment(event)))
    older = retracting.adjustment(event, "1", at=event.at + timedelta(hours=11))

    assert [OutcomeClass.DROP] == retracting.adjust(retracting.freeze(older))
    assert [(1, 700.0)] == retracting.world.worth(event.key)


@pytest.mark.parametrize("played", RESENDING, indirect=True)
def test_resent_conversion_yields_a_ticket_to_resolve(played):
    """It is processed like any upload of conversions."""
    event = played.converted()

    assert isinstance(played.sink.adjust(played.target, played.freeze(played.adjustment(event))), ReceivedForProcessing)


@pytest.mark.parametrize("failure", FAILURES)
def test_failed_call_is_never_reported_as_success(played, failure):
    """It is not sent, refused or lost; a replay afterwards gives the conversion its right value."""
    if failure == "hang" and not getattr(played.world, "has_timeout", False):
        pytest.skip("its waits are its interfaces' own")
    event = played.converted()
    batch = played.freeze(played.adjustment(event))
    before = played.world.calls
    played.world.suffer(failure)
    receipt = played.sink.adjust(played.target, batch)
    asked = played.world.calls - before
    played.world.mend()

    assert isinstance(receipt, FAILURES[failure])
    assert asked == (0 if failure in NEVER_ASKED and isinstance(played.world, Real) else 1)
    assert set(played.adjust(batch)) <= GOOD
    assert [(1, 700.0)] == played.world.worth(event.key)


@pytest.mark.parametrize("failure", sorted(PROCESSED))
def test_replaying_a_retraction_with_a_lost_answer_is_a_duplicate(retracting, failure):
    """The sender learns from it that the retraction took effect."""
    if retracting.world.adapter.server == "data_manager":
        pytest.skip("failures are planted in the interface of its conversions")
    event = retracting.converted()
    batch = retracting.freeze(retracting.retraction(event))
    retracting.world.suffer(failure)
    lost = retracting.sink.adjust(retracting.target, batch)
    retracting.world.mend()

    assert isinstance(lost, AnswerLost)
    assert [OutcomeClass.DUPLICATE] == retracting.adjust(batch)
    assert [(0, 0.0)] == retracting.world.worth(event.key)


def test_rejects_the_bytes_of_a_conversion_as_a_correction(retracting):
    """A row of the wrong table is never sent by mistake."""
    if isinstance(retracting.world, Fake):
        pytest.skip("a fake reads whatever it encoded")
    event = retracting.world.event()
    before = retracting.world.calls
    conversion = EncodedEvent(event.key, retracting.sink.encode(event))
    receipt = retracting.sink.adjust(retracting.target, [conversion])

    assert (OutcomeClass.BUG, True) == (receipt.outcome.kind, receipt.unasked)
    assert before == retracting.world.calls


def test_validate_only_corrects_nothing(played):
    """A correction that would be accepted is reported as done at once."""
    if isinstance(played.world, Fake):
        pytest.skip("a fake validates nothing")
    event = played.converted()
    played.world.open(validate_only=True)
    receipt = played.sink.adjust(played.target, played.freeze(played.adjustment(event)))

    assert isinstance(receipt, RowOutcomes)
    assert {OutcomeClass.DONE} == {each.kind for each in receipt.outcomes}
    assert [(1, 1250.5)] == played.world.worth(event.key)
