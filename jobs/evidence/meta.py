"""What Meta says of the assumptions: by reading alone, and by events to a dataset that was made for tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from connectors.evidence import Exchange, Tree
from connectors.language import _
from connectors.ports import ConversionSink
from connectors.records import (
    Consent,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    OutcomeClass,
    Receipt,
    Refused,
    RowOutcomes,
    Target,
)
from jobs.claims import ClaimId
from jobs.evidence.own_lead import NOBODY
from jobs.evidence.session import Session
from jobs.evidence.verdicts import Finding, confirmed, refuted, unclear
from jobs.settings.compile import META_TRANSPORT
from jobs.wiring.trials import meta_quality, meta_test_sink

_MAY_NOT_READ = frozenset({10, 200})

_TOO_OLD, _JUST_IN_TIME = timedelta(days=8), timedelta(days=6, hours=23)
_TOO_OLD_CODE = "100/2804003"
_PASSING = frozenset({OutcomeClass.RETRY, OutcomeClass.FIX_CONFIG, OutcomeClass.UNKNOWN})
"""What says nothing of an event."""
_NOBODY = replace(NOBODY, country="FR")
"""Enough for Meta to take an event; an address that cannot exist would not be hashed."""


def _dataset_quality(session: Session) -> Finding:
    answers = meta_quality(session.settings) if session.settings else []
    for one in answers:
        answered: Tree | None = {"error": {"code": str(one.code)}} if one.code else None
        session.recorder.add(
            Exchange("meta", "GET", "/dataset_quality", ("dataset_id", "fields"), one.status, (), None, answered)
        )
    codes = {one.code for one in answers if one.code}
    forms = {one.has_scores for one in answers if one.status == HTTPStatus.OK and one.code is None}
    if False in forms:
        return refuted(lambda: _("it is answered in another form"))
    if True in forms and codes & _MAY_NOT_READ:
        return confirmed(lambda: _("one token reads ratings in that form, another is refused with one of these codes"))
    if True in forms:
        return unclear(lambda: _("the form is as assumed; how a token is refused that may not read it was not seen"))
    if codes & _MAY_NOT_READ:
        return unclear(lambda: _("the token may not read it, and is told so as assumed; the form was not seen"))
    return unclear(lambda: _("nothing is rated yet, or nothing could be read"))


def _refusals(session: Session) -> Finding:
    ages = (_JUST_IN_TIME / 2, _TOO_OLD, _JUST_IN_TIME / 3)
    question = _("Send three events to the test dataset, of which one is too old, so that Meta refuses them?")
    receipt = _send(session, ages, question)
    match receipt:
        case Finding():
            return receipt
        case Refused(outcome, unasked=False) if outcome.code == _TOO_OLD_CODE:
            return confirmed(lambda: _("three events were refused together for one, with the code that was assumed"))
        case Refused(outcome, unasked=False) if outcome.kind not in _PASSING:
            code = outcome.code
            return refuted(lambda: _("an event that is too old is refused with another code ({code})", code=code))
        case RowOutcomes(outcomes) if all(one.kind is OutcomeClass.DONE for one in outcomes):
            return refuted(lambda: _("an event that is too old does not have its request refused"))
    return _not_answered()


def _seven_days(session: Session) -> Finding:
    question = _("Send one event of six days and 23 hours to the test dataset?")
    receipt = _send(session, (_JUST_IN_TIME,), question)
    match receipt:
        case Finding():
            return receipt
        case Refused(outcome, unasked=False) if outcome.kind is OutcomeClass.EXPIRED:
            return refuted(lambda: _("an event of six days and 23 hours is refused as too old"))
        case RowOutcomes(outcomes) if all(one.kind is OutcomeClass.DONE for one in outcomes):
            return confirmed(lambda: _("an event of six days and 23 hours was taken"))
    return _not_answered()


def _send(session: Session, ages: Sequence[timedelta], question: str) -> Receipt | Finding:
    """Send events of these ages to the test dataset, after a yes; say why if there is none to send to."""
    settings, dataset = session.settings, session.test_dataset
    if settings is None or dataset is None:
        return unclear(lambda: _("no dataset made for tests was named"))
    sink = meta_test_sink(settings, dataset)
    if sink is None:
        return unclear(lambda: _("the dataset for tests is no number, or one that nights send to: nothing was sent"))
    if not session.agrees(question):
        return unclear(lambda: _("nothing was sent, as nobody agreed"))
    target = Target(META_TRANSPORT, dataset, "OpleadSyncTest", "system_generated")
    events = [_event(session, sink, target, age) for age in ages]
    receipt = sink.submit(target, [EncodedEvent(one.key, sink.encode(one)) for one in events])
    session.recorder.add(_exchange(len(events), receipt))
    return receipt


def _event(session: Session, sink: ConversionSink, target: Target, age: timedelta) -> ConversionEvent:
    return ConversionEvent(
        key=DeliveryKey(f"oplead-sync-evidence-{int(age.total_seconds())}"),
        target=target,
        at=session.clock.now() - age,
        click_id=None,
        identifiers=sink.hash_contact(_NOBODY),
        value=None,
        consent=Consent(None, None),
    )


def _exchange(count: int, receipt: Receipt) -> Exchange:
    event = dict.fromkeys(("event_name", "event_time", "event_id", "action_source", "user_data"), "‹ours›")
    answered: Tree | None = None
    match receipt:
        case Refused(outcome, unasked=False):
            answered = {"error": {"code": outcome.code}}
        case RowOutcomes():
            answered = {"events_received": "integer"}
        case _:
            pass
    return Exchange("meta", "POST", "/{dataset}/events", asked={"data": (event,) * count}, answered=answered)


def _not_answered() -> Finding:
    return unclear(lambda: _("Meta did not say what this would show: the token, the dataset or the line is in the way"))


CHECKS: Mapping[ClaimId, Callable[[Session], Finding]] = {
    ClaimId("meta.dataset_quality"): _dataset_quality,
    ClaimId("meta.refusals"): _refusals,
    ClaimId("meta.seven_days"): _seven_days,
}
