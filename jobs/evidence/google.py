"""What Google says of the assumptions: by queries that read, and by conversions that are only validated."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus

from connectors.evidence import Exchange, Tree
from connectors.language import _, _n
from connectors.records import (
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    Money,
    Receipt,
    Refused,
    RowOutcomes,
)
from jobs.claims import ClaimId
from jobs.evidence.receipts import refused_for_a_row, took_all
from jobs.evidence.session import Session
from jobs.evidence.verdicts import Finding, confirmed, refuted, unclear
from jobs.wiring.trials import GoogleTrial, google_trials

_DEFAULT_WINDOW = 90
"""The days of a click window that are assumed where the settings do not say."""
_YES = Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.GRANTED)
_MALFORMED: Mapping[str, Callable[[ConversionEvent], ConversionEvent]] = {
    "EVENT_TIME_INVALID": lambda one: replace(one, at=one.at + timedelta(days=2)),
    "INVALID_NUMBER_FORMAT": lambda one: replace(one, value=replace(_value(one), amount=Decimal(-1))),
    "REQUIRED_FIELD_MISSING": lambda one: replace(one, value=replace(_value(one), currency="")),
}
"""A row that is wrong in one way, by the code with which the sandbox refuses it."""
_ROWS, _BAD_ROW = 3, 1
_NAMED_ROW = re.compile(r"\bevents\.events\[(\d+)\]")
_STATUS = re.compile(r"\bHTTP (\d{3})\b")
_FIELDS = re.compile(r"\bevents\b[\w.\[\]]*")
_NO_CONSENT = "UNKNOWN_CONSENT"

Try = Callable[[Sequence[ConversionEvent]], Receipt]


def _on_good_rows(judge: Callable[[Try, Sequence[ConversionEvent]], Finding]) -> Callable[[Session], Finding]:
    """Return a check that judges the first destination by which good conversions are validated.

    Whatever is refused afterwards differs from them in one thing only.
    """

    def check(session: Session) -> Finding:
        if session.settings is None or not session.settings.google_ads:
            return _no_google()
        code = ""
        for trial in google_trials(session.settings):
            attempt = _attempts(session, trial)
            good = _conversions(session, trial)
            receipt = attempt(good)
            if took_all(receipt):
                return judge(attempt, good)
            if isinstance(receipt, Refused):
                code = receipt.outcome.code
        if code:
            return unclear(lambda: _("Google validates no conversion of this account ({code})", code=code))
        return unclear(lambda: _("no conversion could be validated at Google"))

    return check


def _attempts(session: Session, trial: GoogleTrial) -> Try:
    """Return what has conversions validated, and tells the session's recorder of it."""

    def attempt(events: Sequence[ConversionEvent]) -> Receipt:
        encoded = [EncodedEvent(one.key, trial.sink.encode(one)) for one in events]
        receipt = trial.sink.submit(events[0].target, encoded)
        session.recorder.add(_exchange(encoded, receipt))
        return receipt

    return attempt


def _exchange(sent: Sequence[EncodedEvent], receipt: Receipt) -> Exchange:
    asked: Tree = {
        "events": tuple(dict.fromkeys(json.loads(one.body), "‹ours›") for one in sent),
        "validateOnly": "boolean",
    }
    status: int | None = None
    answered: Tree | None = None
    match receipt:
        case RowOutcomes():
            status, answered = HTTPStatus.OK.value, {}
        case Refused(outcome, unasked=False):
            found = _STATUS.search(outcome.message)
            status = int(found[1]) if found else None
            fields = tuple({"field": path} for path in _FIELDS.findall(outcome.message))
            answered = {"error": {"reason": outcome.code, "fieldViolations": fields}}
        case _:
            pass
    return Exchange("google", "POST", "/v1/events:ingest", status=status, asked=asked, answered=answered)


def _conversions(session: Session, trial: GoogleTrial) -> Sequence[ConversionEvent]:
    """Return well-formed conversions of the account's first action; nothing else of them exists."""
    first = trial.expected[0]
    one = ConversionEvent(
        key=DeliveryKey(""),
        target=first.target,
        at=session.clock.now() - timedelta(days=1),
        click_id=ClickId(ClickIdKind.GCLID, "oplead-sync-evidence"),
        identifiers=(),
        value=Money(Decimal(1), first.currency),
        consent=_YES,
    )
    return [replace(one, key=DeliveryKey(f"oplead-sync-evidence-{number}")) for number in range(_ROWS)]


def _value(one: ConversionEvent) -> Money:
    assert one.value is not None  # noqa: S101 - every conversion of ours has one
    return one.value


# ── judgements ───────────────────────────────────────────────────────────────────────────────────


def _judge_field_violations(attempt: Try, good: Sequence[ConversionEvent]) -> Finding:
    """Send a bad row between good ones."""
    rows = [*good]
    rows[_BAD_ROW] = _MALFORMED["INVALID_NUMBER_FORMAT"](rows[_BAD_ROW])
    receipt = attempt(rows)
    if refusal := refused_for_a_row(receipt):
        named = {int(row) for row in _NAMED_ROW.findall(refusal.message)}
        if named == {_BAD_ROW}:
            return confirmed(lambda: _("of three rows the bad one was named so"))
        return refuted(lambda: _("of three rows the bad one was not named so"))
    if took_all(receipt):
        return unclear(lambda: _("a bad row is not refused when it is only validated"))
    return unclear(lambda: _("a bad row among good ones was not refused as one"))


def _judge_refusals(attempt: Try, good: Sequence[ConversionEvent]) -> Finding:
    """Send rows that are malformed in some ways; those that are malformed in others are not seen."""
    receipts = {expected: attempt([spoil(good[0])]) for expected, spoil in _MALFORMED.items()}
    refusals = {expected: refusal for expected, each in receipts.items() if (refusal := refused_for_a_row(each))}
    if others := {refusal.code for expected, refusal in refusals.items() if refusal.code != expected}:
        listed = ", ".join(sorted(others))
        return refuted(lambda: _("a malformed row is refused otherwise than assumed ({codes})", codes=listed))
    if not refusals:
        return unclear(lambda: _("no malformed row was refused as one when it was only validated"))
    return unclear(
        lambda: _n(
            "{count} malformed row was refused with the assumed code; rows with other faults were not seen",
            "{count} malformed rows were refused with the assumed codes; rows with other faults were not seen",
            len(refusals),
        )
    )


def _judge_consent(attempt: Try, good: Sequence[ConversionEvent]) -> Finding:
    receipt = attempt([replace(good[0], consent=Consent(None, None))])
    if isinstance(receipt, Refused) and receipt.outcome.code.endswith(_NO_CONSENT):
        return confirmed(lambda: _("it was refused so when it was only validated"))
    if refusal := refused_for_a_row(receipt):
        return refuted(lambda: _("it is refused with another code ({code})", code=refusal.code))
    if took_all(receipt):
        return unclear(lambda: _("validating does not judge it: only an upload that counts would show it"))
    return unclear(lambda: _("what was validated without consent was refused for another reason, or not answered"))


def _click_window(session: Session) -> Finding:
    if session.settings is None or not session.settings.google_ads:
        return _no_google()
    days, asked = list[int](), 0
    for trial in google_trials(session.settings):
        windows = trial.click_windows() or {}
        session.recorder.add(
            Exchange("google", "POST", "/GoogleAdsService/SearchStream", ("click_through_lookback_window_days",))
        )
        unset = {one.target.action for one in trial.expected if one.click_window is None}
        asked += len(unset)
        days += [windows[action] for action in unset if windows.get(action)]
    if any(one != _DEFAULT_WINDOW for one in days):
        return refuted(lambda: _("an action without click_window_days has another: write it there"))
    if not asked:
        return unclear(lambda: _("the settings name no action without click_window_days"))
    if len(days) < asked:
        return unclear(
            lambda: _n(
                "the window of {count} action without click_window_days could not be read",
                "{read} of the {count} windows of actions without click_window_days could be read",
                asked,
                read=len(days),
            )
        )
    return confirmed(lambda: _("every action without click_window_days has it ({count})", count=asked))


def _no_google() -> Finding:
    return unclear(lambda: _("the settings do not name Google Ads yet, or are not complete"))


CHECKS: Mapping[ClaimId, Callable[[Session], Finding]] = {
    ClaimId("google.click_window"): _click_window,
    ClaimId("google.field_violations"): _on_good_rows(_judge_field_violations),
    ClaimId("google.refusals"): _on_good_rows(_judge_refusals),
    ClaimId("google.consent_unspecified"): _on_good_rows(_judge_consent),
}
