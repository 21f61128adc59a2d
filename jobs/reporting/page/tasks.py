"""What needs doing, the worst first: open incidents, and what `status` shows beside them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlmodel import Session

from connectors.language import _, _n, format_rough_duration, format_round_money, format_time
from jobs.alerts.review import current_anomalies, unknown_labels
from jobs.exit_codes import Exit
from jobs.ledger.incidents import incident_from_row, recorded_incidents
from jobs.ledger.leads import status_labels
from jobs.ledger.report import deliveries as report_deliveries
from jobs.ledger.report import leads as report_leads
from jobs.ledger.schema import Run
from jobs.reporting.page.facts import EXPIRES_WITHIN, ActionItem, Level, RecoverableConversions, ResponsibleParty
from jobs.reporting.page.responsible import level_of_incident, who_mends_anomaly, who_mends_incident
from jobs.reporting.page.words import why_held_back
from jobs.reporting.sentences import incident_notice, message_in_words
from jobs.reporting.wording.messages import ANOMALY_TITLES, FINDING_TITLES
from jobs.rules.incident import IncidentKind
from jobs.rules.labels import normalise_label
from jobs.rules.reasons import Anomaly, MessageKind
from jobs.settings.compile import Rulebook

_URGENCY = (Level.RED, Level.AMBER, Level.GREEN)
_READ_FROM_LEADS = tuple(
    f"{kind}"
    for kind in (
        *(MessageKind.UNREADABLE, MessageKind.UNKNOWN_STATUSES),
        *(MessageKind.RENAMED_TO_UNKNOWN, MessageKind.RENAMED_BETWEEN_UNKNOWN),
    )
)
"""Findings whose task is read from the leads on record, under the same title: it ends as soon as they are mended."""
_ENDED_WELL = (Exit.DONE, Exit.ATTENTION)


def tasks_for_humans(
    session: Session,
    book: Rulebook,
    *,
    run: Run | None,
    now: datetime,
    recoverable: Sequence[RecoverableConversions] = (),
    currency: str = "",
    anomalies: Sequence[Anomaly] | None = None,
    refusal: str | None = None,
) -> tuple[ActionItem, ...]:
    """Return what needs doing.

    Args:
        session: reads the ledger.
        book: the account's rules.
        run: the account's last one.
        now: the current time.
        recoverable: what expires soon but can be saved, the most valuable first.
        currency: the currency of its values.
        anomalies: those on record now, from a caller that knows them; None looks for them.
        refusal: why the next run would refuse the state, if it would.
    """
    found = [*_incidents(session, book, run, anomalies), *_last_night(session, book, now), *_leads(session, book, now)]
    found.sort(key=lambda task: (task.since, task.title))
    # What is about to be lost comes before what may wait.
    found = [*(_save(each, book, currency, now) for each in recoverable), *found]
    if refusal is not None:
        title = _("The next run will refuse this state")
        found.insert(0, ActionItem(Level.RED, ResponsibleParty.OPERATOR, title, refusal, now))
    return tuple(sorted(found, key=lambda task: _URGENCY.index(task.level)))


def _save(what: RecoverableConversions, book: Rulebook, currency: str, now: datetime) -> ActionItem:
    words, moment = why_held_back(what.reason), format_time(what.first_expiry.astimezone(book.zone))
    left = format_rough_duration(what.first_expiry - now)
    if what.value:
        text = _n(
            "{count} conversion worth {value} expires in {left}, on {moment}.",
            "{count} conversions worth {value} expire within seven days, the first in {left}, on {moment}.",
            what.count,
            value=format_round_money(what.value, currency),
            moment=moment,
            left=left,
        )
    else:
        text = _n(
            "{count} conversion expires in {left}, on {moment}.",
            "{count} conversions expire within seven days, the first in {left}, on {moment}.",
            what.count,
            moment=moment,
            left=left,
        )
    return ActionItem(
        Level.AMBER,
        what.who,
        _("About to be lost: {why}", why=words.short),
        f"{text} {words.todo}",
        what.first_expiry - EXPIRES_WITHIN,
    )


def _incidents(
    session: Session, book: Rulebook, run: Run | None, anomalies: Sequence[Anomaly] | None
) -> Iterator[ActionItem]:
    known = set()
    for cause, row in recorded_incidents(session, book.account).items():
        is_read_from_leads = cause.kind is IncidentKind.FINDING and str(cause.about).startswith(_READ_FROM_LEADS)
        if row.cleared_at is None and not is_read_from_leads:
            known.add(cause.about)
            notice = incident_notice(incident_from_row(row))
            who = who_mends_incident(cause)
            yield ActionItem(level_of_incident(cause.kind), who, notice.title, notice.text, row.first_seen_at)
    if run is None:
        return
    if anomalies is None:
        anomalies = current_anomalies(session, book, run=run.id or 0, now=run.started_at)
    for anomaly in anomalies:
        if anomaly.cause not in known:
            text, title = message_in_words(anomaly.message), _(ANOMALY_TITLES[anomaly.message.id])
            yield ActionItem(
                Level.AMBER,
                who_mends_anomaly(anomaly.cause),
                title,
                f"{text[0].upper()}{text[1:]}",
                run.started_at,
            )


def _last_night(session: Session, book: Rulebook, now: datetime) -> Iterator[ActionItem]:
    """Yield a task if there was no night yet, or the last one ended in a way that leaves no incident."""
    night = report_deliveries.last_night(session, book.account)
    if night is None:
        yield ActionItem(
            Level.AMBER,
            ResponsibleParty.OPERATOR,
            _("No night has run yet"),
            _("Nothing has been read from Oplead, so nothing can be said: `oplead-sync run` begins, or `schedule`."),
            now,
        )
        return
    if night.exit_code in (*_ENDED_WELL, Exit.STOPPED):
        return
    if night.night is not None:
        yield ActionItem(
            Level.RED,
            ResponsibleParty.OPERATOR,
            _("A part of the last night failed"),
            _("Nobody foresaw why; the other parts went on. Please report it with the lines of the log."),
            night.started_at,
        )
        return
    if night.exit_code == Exit.CONFIGURATION:
        yield ActionItem(
            Level.RED,
            ResponsibleParty.OPERATOR,
            _("The last night was refused"),
            _("Nothing was done. At a terminal, the same `oplead-sync run` says why, and what to type."),
            night.started_at,
        )
        return
    yield ActionItem(
        Level.RED,
        ResponsibleParty.OPERATOR,
        _("The last night did not end"),
        _("It was broken off, or it is still at work. Its log says more; the next run fixes what it left."),
        night.started_at,
    )


def _leads(session: Session, book: Rulebook, now: datetime) -> Iterator[ActionItem]:
    seen = report_leads.label_first_seen(session, book.account)
    unknown = unknown_labels(session, book.account, book.meanings.keys())
    if unknown:
        count = sum(each.leads for each in unknown)
        names = ", ".join(each.label for each in unknown)
        yield ActionItem(
            Level.AMBER,
            ResponsibleParty.MARKETING,
            _(FINDING_TITLES[MessageKind.UNKNOWN_STATUSES]),
            _n(
                "{count} lead has such a status: {names}.",
                "{count} leads have such a status: {names}.",
                count,
                names=names,
            )
            + " "
            + _("Put each under `stages` or `ignored_statuses`."),
            min((seen.get(normalise_label(each.label), now) for each in unknown), default=now),
        )
    for rename in status_labels.renames_found(session, book.account):
        if rename.after not in book.meanings:
            before, after = (
                status_labels.oplead_spelling(session, book.account, label) for label in (rename.before, rename.after)
            )
            yield ActionItem(
                Level.AMBER,
                ResponsibleParty.MARKETING,
                _(FINDING_TITLES[MessageKind.RENAMED_TO_UNKNOWN]),
                _(
                    "“{before}” seems to be called “{after}” now: write the new name in the settings.",
                    before=before,
                    after=after,
                ),
                seen.get(rename.after, now),
            )
    unreadable = report_leads.unreadable_leads(session, book.account)
    if unreadable:
        count = sum(map(len, unreadable.values()))
        yield ActionItem(
            Level.AMBER,
            ResponsibleParty.OPLEAD_USERS,
            _(FINDING_TITLES[MessageKind.UNREADABLE]),
            _n(
                "{count} lead could not be read. Correct it in Oplead; the report says which one and why, under "
                "“Coverage”.",
                "{count} leads could not be read. Correct them in Oplead; the report says which ones and why, under "
                "“Coverage”.",
                count,
            ),
            report_leads.first_told_of_unreadable(session, book.account) or now,
        )
