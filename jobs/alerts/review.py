"""Collects what to report to a human: what starves bidding, renamed statuses, unreadable leads, unknown statuses."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from sqlmodel import Session

from jobs.alerts.detectors import (
    BEFORE,
    ConfiguredFields,
    collapsed_share,
    damaged_ids,
    empty_fields,
    filtered_out,
    stopped_clicks,
    stopped_tonight,
    windows,
)
from jobs.ledger import leads, queries, status_labels
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import StatusRename
from jobs.plan.planner import Planned, hold_missing_values
from jobs.rules.reasons import Anomaly, Message, MessageId
from jobs.run_summary import Labels, Review
from jobs.settings.compile import Rulebook


def review(session: Session, ledger: Ledger, book: Rulebook, planned: Planned, *, now: datetime) -> Review:
    """Return what this run reports; record what is reported only once, so that the next run doesn't repeat it."""
    unreadable, unreadable_before = leads.take_unreported_unreadable(session, ledger.account, run=ledger.run)
    found = status_labels.renames_found(session, ledger.account)
    unknown = _unknown(session, ledger.account, book.known_labels)
    tonight = [row for row in found if row.run == ledger.run]
    new = status_labels.take_unreported(
        session, ledger.account, {label: clicks for label, _, clicks in unknown}, run=ledger.run
    )
    # A new name is reported as a rename, not as an unknown status.
    new -= {each.after for each in tonight}
    stopped = list(anomalies(session, book, run=ledger.run, now=now))
    out = filtered_out(planned.filtered_out, queries.let_in(session, ledger.account, planned.filtered_out))
    alarms = _each_once([*stopped, *out])
    return Review(
        anomalies=[each.message for each in alarms],
        alarms=alarms,
        renames=[_renamed(session, ledger.account, each, book.meanings) for each in tonight],
        unreadable=unreadable,
        unreadable_before=unreadable_before,
        labels=_as_written(session, ledger.account, (each for each in unknown if each[0] in new)),
        labels_before=_as_written(session, ledger.account, (each for each in unknown if each[0] not in new)),
    )


def anomalies(session: Session, book: Rulebook, *, run: int, now: datetime) -> Iterator[Anomaly]:
    """Yield the causes that keep conversions from being sent, as the ledger shows them up to this run."""
    account, wanted = book.account, book.extraction
    tonight = queries.begun(session, run=run, since=now - BEFORE)
    before = queries.begun_before(session, account, run=run, since=now - BEFORE)
    yield from stopped_tonight(tonight, before)
    valued = {route.conversion for route in book.routes if route.field_value is not None}
    fields = ConfiguredFields(
        ad_user_data=wanted.ad_user_data.path,
        ad_personalization=wanted.ad_personalization.path if wanted.ad_personalization else None,
        where=wanted.where,
        amounts=wanted.amounts,
        never_seen={value.path for route in book.routes if (value := route.field_value) and value.never_seen},
    )
    yield from empty_fields(queries.newest(session, account), queries.entered(session, account, valued), fields)
    yield from stopped_clicks(queries.newest_clicked(session, account, since=windows(now)[1][0]))
    yield from collapsed_share(*(queries.share(session, account, span) for span in windows(now)))
    yield from damaged_ids(queries.ids(session, account))


def standing_anomalies(session: Session, book: Rulebook, *, run: int, now: datetime) -> list[Message]:
    """Return the anomalies on record now, one message per cause."""
    book = hold_missing_values(session, book)
    return [each.message for each in _each_once(anomalies(session, book, run=run, now=now))]


def _each_once(found: Iterable[Anomaly]) -> list[Anomaly]:
    return list({each.cause: each for each in found}.values())


def unknown_labels(session: Session, account: str, known: frozenset[str]) -> Labels:
    """Return labels that leads have now and no setting names, except names replaced by a rename."""
    return _as_written(session, account, _unknown(session, account, known))


def _as_written(session: Session, account: str, found: Iterable[tuple[str, int, int]]) -> Labels:
    return [(status_labels.as_oplead_writes(session, account, label), count, clicks) for label, count, clicks in found]


def _unknown(session: Session, account: str, known: frozenset[str]) -> list[tuple[str, int, int]]:
    """Return the same labels, normalised."""
    old = {row.before for row in status_labels.renames_found(session, account)}
    return leads.labels(session, account, but=known | old)


def _renamed(session: Session, account: str, relabel: StatusRename, meanings: Mapping[str, str]) -> Message:
    before, after = (
        status_labels.as_oplead_writes(session, account, label) for label in (relabel.before, relabel.after)
    )
    message = _RENAMED[relabel.before in meanings, relabel.after in meanings]
    return Message(message, {"before": before, "after": after, "leads": relabel.leads})


_RENAMED = {
    (True, True): MessageId.RENAMED_WITHIN_STAGE,
    (False, True): MessageId.RENAMED_TO_KNOWN,
    (True, False): MessageId.RENAMED_TO_UNKNOWN,
    (False, False): MessageId.RENAMED_BETWEEN_UNKNOWN,
}
"""Keyed by whether the settings name the old label, and the new one."""
