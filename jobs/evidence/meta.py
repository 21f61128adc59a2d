"""What Meta says of the assumptions: by reading alone, and by events to a dataset that was made for tests."""

from collections.abc import Callable, Mapping
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
    Receipt,
    Refused,
    RowOutcomes,
    Target,
)
from jobs.claims import ClaimId
from jobs.evidence.own_lead import NOBODY
from jobs.evidence.receipts import refused_for_a_row, took_all
from jobs.evidence.session import Session
from jobs.evidence.verdicts import Finding, confirmed, refuted, unclear
from jobs.settings.compile import META_TRANSPORT
from jobs.wiring.trials import meta_quality, meta_test_sink

_MAY_NOT_READ = frozenset({10, 200})

_RECENT, _JUST_IN_TIME = timedelta(hours=1), timedelta(days=6, hours=23)
_JUST_TOO_LATE, _TOO_OLD = timedelta(days=7, hours=1), timedelta(days=8)
_TOO_OLD_CODE = "100/2804003"
_NOBODY = replace(NOBODY, country="FR")
"""Enough for Meta to take an event; an address that cannot exist would not be hashed."""

Send = Callable[..., Receipt]
"""Sends events of these ages to the test dataset."""


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
        return confirmed(
            lambda: _("one dataset's ratings were read in that form; reading another's is refused with such a code")
        )
    if True in forms:
        return unclear(lambda: _("the form is as assumed; no token that may not read it was seen refused"))
    if codes & _MAY_NOT_READ:
        return unclear(lambda: _("the token may not read it, and is told so as assumed; the form was not seen"))
    if codes:
        listed = ", ".join(map(str, sorted(codes)))
        return unclear(
            lambda: _("no rating was seen, and Meta's error {codes} may be about something else", codes=listed)
        )
    return unclear(lambda: _("nothing is rated yet, or nothing could be read"))


def _on_test_dataset(ask: Callable[[str], str], judge: Callable[[Send], Finding]) -> Callable[[Session], Finding]:
    """Return a check that judges the test dataset, after a yes, once it has taken an event that is surely good.

    Whatever is refused afterwards differs from it in its age only.
    """

    def check(session: Session) -> Finding:
        settings, dataset = session.settings, session.test_dataset
        if dataset is None:
            return unclear(lambda: _("no dataset made for tests was named"))
        sink = meta_test_sink(settings, dataset) if settings else None
        if sink is None:
            return unclear(lambda: _("the settings do not name Meta yet, or not completely: nothing was sent"))
        if not session.agrees(ask(dataset)):
            return unclear(lambda: _("nothing was sent, as nobody agreed"))
        send = _sends(session, sink, dataset)
        receipt = send(_RECENT)
        if took_all(receipt):
            return judge(send)
        if isinstance(receipt, Refused):
            code = receipt.outcome.code
            return unclear(lambda: _("the test dataset takes no event from this account ({code})", code=code))
        return _not_answered()

    return check


def _judge_refusals(send: Send) -> Finding:
    receipt = send(_RECENT, _TOO_OLD, _RECENT * 2)
    if refusal := refused_for_a_row(receipt):
        code = refusal.code
        if code == _TOO_OLD_CODE:
            return unclear(
                lambda: _(
                    "three events were refused together for one, with the code that was assumed ({code}); other "
                    "refusals, and which of them name the event, were not seen",
                    code=code,
                )
            )
        return refuted(lambda: _("an event that is too old is refused with another code ({code})", code=code))
    if took_all(receipt):
        return unclear(lambda: _("an event of eight days was taken: no refusal was seen"))
    return _not_answered()


def _judge_seven_days(send: Send) -> Finding:
    in_time = send(_JUST_IN_TIME)
    if refused_for_a_row(in_time):
        return refuted(lambda: _("an event of six days and 23 hours is refused"))
    if not took_all(in_time):
        return _not_answered()
    late = send(_JUST_TOO_LATE)
    if took_all(late):
        return refuted(lambda: _("an event of seven days and one hour is taken, too"))
    if refused_for_a_row(late):
        return confirmed(
            lambda: _("an event of six days and 23 hours was taken, and one of seven days and one hour refused")
        )
    return unclear(
        lambda: _("an event of six days and 23 hours was taken; Meta did not say whether it takes an older one")
    )


def _sends(session: Session, sink: ConversionSink, dataset: str) -> Send:
    target = Target(META_TRANSPORT, dataset, "OpleadSyncTest", "system_generated")

    def send(*ages: timedelta) -> Receipt:
        events = [_event(session, sink, target, age) for age in ages]
        receipt = sink.submit(target, [EncodedEvent(one.key, sink.encode(one)) for one in events])
        session.recorder.add(_exchange(len(events), receipt))
        return receipt

    return send


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
    return unclear(lambda: _("Meta's answer does not show it: the token, the dataset or the connection is in the way"))


CHECKS: Mapping[ClaimId, Callable[[Session], Finding]] = {
    ClaimId("meta.dataset_quality"): _dataset_quality,
    ClaimId("meta.refusals"): _on_test_dataset(
        lambda dataset: _(
            "Send invented events to the test dataset {dataset}: a recent one, then three of which one is too old, so "
            "that Meta refuses them?",
            dataset=dataset,
        ),
        _judge_refusals,
    ),
    ClaimId("meta.seven_days"): _on_test_dataset(
        lambda dataset: _(
            "Send three invented events to the test dataset {dataset}: a recent one, one of six days and 23 hours, one "
            "of seven days and one hour?",
            dataset=dataset,
        ),
        _judge_seven_days,
    ),
}
