"""Opens and clears incidents, and notifies each address of each incident once; undelivered notices are kept."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product

from sqlmodel import Session

from connectors.ports import Notifies
from connectors.text import strip_control_characters
from jobs.alerts.incidents import (
    NIGHTS,
    DestinationHistory,
    NightFacts,
    detect_incidents,
    is_incident_over,
)
from jobs.alerts.incidents import numbers_by_night as by_night
from jobs.ledger import incidents, nights, runs
from jobs.ledger.leads import reported_leads
from jobs.ledger.outbox import outbox
from jobs.ledger.report import queries
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import IncidentRow
from jobs.rules.incident import Incident, Notice, OpenIncident
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, DestinationScope
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook, Sinks
from jobs.settings.schema import NotificationThresholds

_CODES = 3
"""Maximum number of platform codes in a notice."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address that receives notices, without the address itself, which is a secret."""

    place: str
    """Its path in the settings, for messages."""
    by: Notifies
    is_mailbox: bool = False
    """Whether it can hold a file to be opened later."""


Recipients = Mapping[str, Recipient]
"""Keyed by a fingerprint that identifies an address without revealing it."""


def update_incidents(
    ledger: Ledger,
    book: Rulebook,
    sinks: Sinks,
    summary: RunSummary,
    when: NotificationThresholds,
    *,
    now: datetime,
) -> tuple[OpenIncident, ...]:
    """Open and clear incidents according to what tonight did; return those now open.

    Args:
        ledger: holds the incidents on record.
        book: the account's rules.
        sinks: the account's destinations.
        summary: what tonight did.
        when: the thresholds at which incidents open.
        now: the current time.
    """
    with ledger.write_transaction() as session:
        facts = gather_night_facts(session, ledger, book, sinks, summary, now=now)
        found = {cause.id: cause for cause in detect_incidents(facts, when)}
        on_record = incidents.recorded_incidents(session, ledger.account)
        new = {
            each
            for each, incident in found.items()
            if incidents.record_incident(session, ledger.account, incident, on_record.get(each), now=now)
        }
        if summary.pulled.webhooks.missing:
            # With the incident, not before it: whatever ends a run between the two, the next one tells them.
            reported_leads.mark_missing_leads_told(session, ledger.account)
        for each, row in on_record.items():
            if each not in found and row.cleared_at is None and is_incident_over(each, facts, when):
                row.cleared_at = now
                session.add(row)
        session.flush()
        return incidents.open_incidents(session, ledger.account, new)


def send_undelivered_notices(
    ledger: Ledger, recipients: Recipients, *, notice_of: Callable[[Incident, IncidentRow], Notice], now: datetime
) -> list[tuple[str, str]]:
    """Send each recipient its undelivered notices; return the place and title of those to retry on later runs.

    After one failure, a recipient is skipped for the rest of the run, so that a night waits for it only once.
    """
    with ledger.write_transaction() as session:
        owed = incidents.update_owed_notices(session, ledger.account, recipients.keys())
    failed = []
    for mark, recipient in recipients.items():
        is_up = True
        for row in [row for row in owed if mark in incidents.undelivered_addresses(row)]:
            notice = notice_of(incidents.incident_from_row(row), row)
            title, text = (
                strip_control_characters(f"{ledger.account}: {notice.title}"),
                strip_control_characters(notice.text, keep="\n"),
            )
            is_up = is_up and recipient.by.send_message(title, text)
            if not is_up:
                failed.append((recipient.place, notice.title))
                continue
            with ledger.write_transaction() as session:
                incidents.mark_notice_accepted(session, ledger.account, row.cause, mark, now=now)
    return failed


def gather_night_facts(
    session: Session, ledger: Ledger, book: Rulebook, sinks: Sinks, summary: RunSummary, *, now: datetime
) -> NightFacts:
    """Collect what tonight and earlier nights did, as input for finding incidents."""
    passes = runs.earlier_webhook_inbox_runs(session, ledger.account, ledger.run)
    tonight = queries.conversions_qualified_since(
        session, *passes, ledger.run, since=summary.started_at - NIGHTS * timedelta(days=1)
    )
    return NightFacts(
        now=now,
        zone=book.zone,
        summary=summary,
        reached=frozenset(_reached_destination_scopes(session, ledger)),
        configured=frozenset(_configured_destination_scopes(book, sinks)),
        destinations=tuple(_destinations(session, ledger, book, sinks, summary)),
        waiting=_blocked_expiry_times(session, ledger, book, {*summary.held, *summary.stopped_scopes}),
        begun=tuple(tonight),
        let_in=frozenset(
            queries.pairs_with_deliveries(session, ledger.account, _recorded_filter_incidents(session, ledger.account))
        ),
        versions=frozenset(sink.limits.version for sink in sinks.values() if sink.limits.version is not None),
    )


def _recorded_filter_incidents(session: Session, account: str) -> set[tuple[str, str]]:
    """Return conversions and destinations recorded as excluding every lead; `let_in` is only queried for these."""
    return {
        (cause.about.about[0], cause.about.about[1])
        for cause in incidents.recorded_incidents(session, account)
        if isinstance(cause.about, AnomalyIdentity) and cause.about.kind is AnomalyKind.WHERE
    }


def _destinations(
    session: Session, ledger: Ledger, book: Rulebook, sinks: Sinks, summary: RunSummary
) -> Iterator[DestinationHistory]:
    # Two extra days, because local dates don't start and end at the current time of day.
    since = summary.started_at - timedelta(days=NIGHTS + 2)
    dates = nights.night_dates_by_run(session, ledger, book.zone, since=since)
    tonight = dates[ledger.run]
    did = nights.night_numbers(session, ledger.account, dates)
    in_doubt = outbox.count_in_doubt(session, ledger.account)
    of_sinks = (
        DestinationScope(destination, corrections) for destination, corrections in product(sinks, (False, True))
    )
    for scope in sorted({*of_sinks, *in_doubt}, key=lambda scope: (scope.corrections, scope.destination)):
        now, before, that_weekday = by_night(dates, did.get(scope, {}), tonight)
        rejected = [(lead, code) for lead, _, place, code in summary.rejected if place == scope]
        yield DestinationHistory(
            scope,
            now,
            before,
            that_weekday,
            in_doubt=in_doubt[scope].in_message(book.zone) if scope in in_doubt else {},
            asks_a_human=scope.destination in book.ask_when_lost,
            rejected_leads=tuple(dict.fromkeys(lead for lead, _ in rejected)),
            is_to_correct=scope in summary.to_correct,
            rejected_codes=tuple(code for code, _ in Counter(code for _, code in rejected).most_common(_CODES)),
        )


def _configured_destination_scopes(book: Rulebook, sinks: Sinks) -> Iterator[DestinationScope]:
    """Yield each destination and action, and the same for corrections if it has any."""
    for destination in sinks:
        yield DestinationScope(destination)
        for route in book.routes_to_destination(destination):
            yield DestinationScope(destination, action=route.target.action)
            if route.undo is not None or route.field_value is not None:
                yield DestinationScope(destination, corrections=True)
                yield DestinationScope(destination, corrections=True, action=route.target.action)


def _reached_destination_scopes(session: Session, ledger: Ledger) -> Iterator[DestinationScope]:
    for scope in nights.scopes_with_received_deliveries(session, ledger):
        yield from (scope, replace(scope, action=""))


def _blocked_expiry_times(
    session: Session, ledger: Ledger, book: Rulebook, blocked: Collection[DestinationScope]
) -> dict[DestinationScope, list[datetime]]:
    """Return when what waits in blocked scopes expires, each delivery in one scope."""
    found: defaultdict[DestinationScope, list[datetime]] = defaultdict(list)
    for destination in sorted({scope.destination for scope in blocked}):
        actions = {route.conversion: route.target.action for route in book.routes_to_destination(destination)}
        for conversion, expires_at in nights.pending_expiries(session, ledger.account, destination):
            scopes = (DestinationScope(destination), DestinationScope(destination, action=actions.get(conversion, "")))
            if (scope := next((each for each in scopes if each in blocked), None)) is not None:
                found[scope].append(expires_at)
    return found
