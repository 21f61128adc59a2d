"""Status labels seen so far, leads whose label changed since the last complete reading, and detected renames."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Row, bindparam, delete, exists, func, or_, update
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import bulk
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import LabelMove, LeadRow, Run, StatusChange, StatusLabel, StatusRename, distinct_column_values
from jobs.rules.extraction import StorableLead
from jobs.rules.labels import APPOINTMENT_SET, normalise_label
from jobs.rules.model import StatusEntered, StatusTimeOrigin
from jobs.rules.status_changes import (
    FEWEST,
    EntryTimeSource,
    LabelChange,
    SeenLabels,
    are_distinct_statuses,
    as_change_not_rename,
    classify_entry_time,
    current_labels_by_other_name,
    dates_both_labels,
    detect_renamed_labels,
    positions_of_relabelled_entries,
    was_label_merged,
)

Meanings = Mapping[str, str]
"""Where the settings place each label they name."""

_NO_QUESTION = frozenset({StatusTimeOrigin.WEBHOOK, StatusTimeOrigin.RELABEL})
"""Origins of a change that is not to be asked whether it is a rename."""

_LABELS = sqlalchemy.select(col(LeadRow.id), col(LeadRow.label)).where(
    bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id))
)
_SHOWN_AS = (
    sqlalchemy.select(col(StatusChange.lead), func.min(col(StatusChange.seen_at)).label("first_seen_at"))
    .where(
        bulk.has_lead_among(col(StatusChange.account), col(StatusChange.lead)),
        col(StatusChange.label) == bindparam("label"),
    )
    .group_by(col(StatusChange.lead))
)
_HOLD = (
    update(bulk.table_of(LabelMove))
    .where(bulk.has_lead_among(col(LabelMove.account), col(LabelMove.lead)))
    .values(waits=True)
)
_NEW_MOVE = bulk.insert_into(LabelMove).excluded
_MOVE = bulk.upsert_with_values(
    LabelMove, {"after": _NEW_MOVE.after, "waits": or_(col(LabelMove.waits), _NEW_MOVE.waits)}
)


def record_labels(
    session: Session,
    account: str,
    readings: Sequence[StorableLead],
    *,
    on_record: Collection[LeadId],
    seen_at: datetime,
) -> None:
    """Record the labels of leads about to be stored, and which leads must wait until those labels are settled.

    A stored lead that shows a new label has either changed its status or had its status renamed; only a complete
    reading can decide which. The same applies to a lead that shows the new name of a renamed status.
    """
    fresh = _note_labels(session, account, readings, seen_at)
    before = {row.id: row.label or "" for row in bulk.select_rows(session, _LABELS, account, on_record)}
    undated = {}
    moves = {}
    for reading in readings:
        lead = reading.lead
        if lead.id in before:
            moves[lead.id] = move = LabelChange(before[lead.id], reading.label or "")
            if not dates_both_labels(lead.history, move):
                # A webhook reports a change of the lead's, not of a status' name.
                # Nor does a lead that shows a status under its other name: that is no question.
                observed = {each.label for each in reading.changes if each.origin not in _NO_QUESTION}
                undated[lead.id] = observed - {APPOINTMENT_SET}
    waits = {lead for lead, shown in undated.items() if not shown.isdisjoint(fresh)}
    for rename in renames_found(session, account) if undated else ():
        shows = [lead for lead, shown in undated.items() if rename.after in shown]
        waits |= _had_status_before_rename(session, rename, shows)
    rows = [
        {"account": account, "lead": lead, "before": move.before, "after": move.after, "waits": lead in waits}
        for lead, move in moves.items()
        if move.before != move.after or lead in waits
    ]
    bulk.write_rows(session, _MOVE, rows)


def record_other_names(session: Session, ledger: Ledger, readings: Sequence[StorableLead]) -> None:
    """Record as renamed the statuses on record that these readings call by another of their names, such as a text."""
    moved: Counter[LabelChange] = Counter()
    for reading in readings:
        new = {each.label for each in reading.changes if each.origin is StatusTimeOrigin.RELABEL}
        if new:
            names = current_labels_by_other_name(reading.lead)
            moved.update(LabelChange(name, label) for name, label in names.items() if label in new)
    for move, count in moved.items():
        if session.get(StatusLabel, (ledger.account, move.before)) is not None:
            _note_rename(session, ledger, move, count)


def waits_for_rename(lead: Mapped[str], account: str) -> ColumnElement[bool]:
    """Match leads waiting for a possible status rename to be settled."""
    return exists().where(col(LabelMove.account) == account, col(LabelMove.lead) == lead, col(LabelMove.waits))


def are_label_renames_settled(session: Session, account: str) -> bool:
    """Return whether a complete reading has settled every label and no lead is waiting."""
    unsettled = select(StatusLabel.label).where(StatusLabel.account == account, ~col(StatusLabel.settled))
    leads_waiting = select(LabelMove.lead).where(LabelMove.account == account, col(LabelMove.waits))
    return all(session.exec(each.limit(1)).first() is None for each in (unsettled, leads_waiting))


def labels_on_leads(session: Session, account: str) -> Iterator[str]:
    """Yield each label that leads currently have, in order."""
    return distinct_column_values(session, LeadRow.label, LeadRow.account == account)


def newest_possible_rename_time(session: Session, account: str) -> datetime | None:
    """Return when the newest unsettled label was first seen, or a waiting lead's move to a settled one, if any."""
    unsettled = (StatusLabel.account == account, ~col(StatusLabel.settled))
    waits = (LabelMove.account == account, col(LabelMove.waits))
    to_settled = col(LabelMove.after).not_in(select(StatusLabel.label).where(*unsettled))
    newest = (
        select(func.max(StatusLabel.seen_at)).where(*unsettled),
        select(func.max(_moved_at(account))).where(*waits, to_settled),
    )
    return max((at for each in newest if (at := session.exec(each).one()) is not None), default=None)


def settle_renames(
    session: Session, ledger: Ledger, meanings: Meanings, *, since: datetime, moved_since: datetime
) -> None:
    """Conclude a complete reading begun at `since`: detect renamed statuses and release leads with settled labels.

    Runs between complete readings move leads too: all that moved since `moved_since` are judged together.
    """
    account = ledger.account
    seen = _load_seen_labels(session, account, since)
    _find_merges(session, ledger, meanings, since=moved_since, in_use=seen.last)
    renames, undecided = detect_renamed_labels(seen, meanings)
    for move in renames:
        _note_rename(session, ledger, move, seen.moves[move])
    session.flush()
    waiting = session.exec(select(LabelMove).where(LabelMove.account == account, col(LabelMove.waits))).all()
    for row in renames_found(session, account):
        if row.before not in seen.last or seen.last[row.before] < seen.fresh.get(row.after, since):
            move = LabelChange(row.before, row.after)
            _mark_relabelled_entries(
                session, account, move, {each.lead: LabelChange(each.before, each.after) == move for each in waiting}
            )
    settled = (col(StatusLabel.account) == account, col(StatusLabel.label).not_in(undecided))
    session.exec(update(StatusLabel).where(*settled).values(settled=True))
    is_undecided = exists().where(
        col(StatusChange.account) == account,
        col(StatusChange.lead) == col(LabelMove.lead),
        col(StatusChange.label).in_(undecided),
    )
    session.exec(
        delete(LabelMove)
        .where(col(LabelMove.account) == account, ~is_undecided)
        .execution_options(synchronize_session=False)
    )


def settle_label_merges(session: Session, ledger: Ledger, meanings: Meanings, *, moved_since: datetime) -> None:
    """Conclude a reading that did not show all leads: detect merged labels, and judge no move twice.

    Where a label is unsettled, the moves are left for a complete reading.
    """
    account = ledger.account
    in_use = {label for label in labels_on_leads(session, account) if _leads_with(session, account, label)}
    _find_merges(session, ledger, meanings, since=moved_since, in_use=in_use)
    if are_label_renames_settled(session, account):
        session.exec(delete(LabelMove).where(col(LabelMove.account) == account))


def _find_merges(
    session: Session, ledger: Ledger, meanings: Meanings, *, since: datetime, in_use: Collection[str]
) -> None:
    """Detect labels that were merged into a label in use, by the leads that moved since then."""
    account = ledger.account
    for move, moved in _moves_from_unused_labels(session, account, meanings, since, in_use=in_use).items():
        # A label that was merged before and came back into use is a status of its own.
        if not _note_rename(session, ledger, move, len(moved)):
            continue
        shown = select(StatusChange.lead).where(
            StatusChange.account == account, StatusChange.label == move.after, StatusChange.seen_at >= since
        )
        _mark_relabelled_entries(
            session, account, move, {lead: lead in moved for lead in session.exec(shown.distinct())}
        )


def labels_most_leads_kept(session: Session, account: str) -> set[str]:
    """Return the labels that more leads have than have left since every label was last settled."""
    left = select(LabelMove.before, func.count()).where(LabelMove.account == account).group_by(col(LabelMove.before))
    return {
        label for label, moved in session.exec(left) if _leads_with(session, account, label, up_to=moved + 1) > moved
    }


def _leads_with(session: Session, account: str, label: str, *, up_to: int = 1) -> int:
    """Count the leads not deleted that have a label, up to so many."""
    having = select(LeadRow.id).where(LeadRow.account == account, LeadRow.label == label)
    return len(session.exec(having.where(col(LeadRow.deleted_at).is_(None)).limit(up_to)).all())


def hold_leads_of_merged_labels(
    session: Session, account: str, meanings: Meanings, *, since: datetime, in_use: Collection[str] = ()
) -> None:
    """After an incomplete reading, make leads wait that moved since then and whose label seems to have been merged."""
    moves = _moves_from_unused_labels(session, account, meanings, since, in_use=in_use)
    moved = {lead for leads in moves.values() for lead in leads}
    bulk.change_rows(session, _HOLD, account, moved)


def renames_found(session: Session, account: str) -> list[StatusRename]:
    """Return the renames that are not void, ordered by old name."""
    of_account = (StatusRename.account == account, ~col(StatusRename.void))
    wanted = select(StatusRename).where(*of_account).order_by(col(StatusRename.before), col(StatusRename.after))
    return list(session.exec(wanted))


def void_overruled_renames(session: Session, account: str, meanings: Meanings) -> bool:
    """Void the renames that the settings contradict, and return whether there were any.

    Settings that place the two labels differently overrule what a reading concluded: the entries into the new label
    become real changes again, as observed.
    """
    found = renames_found(session, account)
    overruled = [row for row in found if are_distinct_statuses(LabelChange(row.before, row.after), meanings)]
    for row in overruled:
        row.void = True
        session.add(row)
        others = {other.before for other in found if not other.void and other.after == row.after}
        _restore_entries(session, account, LabelChange(row.before, row.after), others)
    return bool(overruled)


def oplead_spelling(session: Session, account: str, label: str, *, else_as: str | None = None) -> str:
    """Return a label in Oplead's spelling; if that is unknown, `else_as`, or the normalised label."""
    row = session.get(StatusLabel, (account, label))
    return (row.written if row else None) or else_as or label


def take_unreported(session: Session, account: str, with_click: Mapping[str, int], *, run: int) -> set[str]:
    """Mark as reported by this run, and return, the labels not yet reported or reported with fewer clicked leads."""
    rows = session.exec(
        select(StatusLabel).where(StatusLabel.account == account, col(StatusLabel.label).in_(with_click))
    )
    new = set()
    for row in rows:
        if row.reported_in == run or with_click[row.label] > row.reported:
            row.reported, row.reported_in = with_click[row.label], run
            session.add(row)
            new.add(row.label)
    return new


def _note_labels(session: Session, account: str, readings: Sequence[StorableLead], seen_at: datetime) -> set[str]:
    """Record new labels, and return which of these leads' labels are not settled by a complete reading."""
    shown = {change.label for reading in readings for change in reading.changes} - {APPOINTMENT_SET}
    shown |= {reading.label for reading in readings if reading.label}
    if not shown:
        return set()
    known = session.exec(
        select(StatusLabel.label, StatusLabel.settled).where(
            StatusLabel.account == account, col(StatusLabel.label).in_(shown)
        )
    ).all()
    new = shown - {label for label, _ in known}
    if new:
        texts = (text for each in readings for text in (each.lead.label, *(entry.label for entry in each.lead.history)))
        written: dict[str, str] = {}
        for text in filter(None, texts):
            written.setdefault(normalise_label(text), text.strip())
        rows = [
            {"account": account, "label": label, "written": written.get(label), "seen_at": seen_at}
            for label in sorted(new)
        ]
        bulk.add_rows(session, StatusLabel, rows)
    return new | {label for label, settled in known if not settled}


def _had_status_before_rename(session: Session, relabel: StatusRename, leads: Collection[LeadId]) -> set[LeadId]:
    """Return which leads had a status before its rename was found; a later one of that name is a new status."""
    if not leads:
        return set()
    later = (Run.account == relabel.account, col(Run.id) > relabel.run)
    next_run = session.exec(select(func.min(Run.started_at)).where(*later)).one()
    rows = bulk.select_rows(session, _SHOWN_AS, relabel.account, leads, label=relabel.before)
    return {LeadId(row.lead) for row in rows if next_run is None or row.first_seen_at < next_run}


def _moves_from_unused_labels(
    session: Session, account: str, meanings: Meanings, since: datetime, *, in_use: Collection[str]
) -> dict[LabelChange, set[str]]:
    """Return the leads that moved since a time from an unused to a settled label, as a merge would move them.

    Whoever moved before another lead was read and still showed the old label moved by itself.
    """
    moved_at = _moved_at(account)
    lately = select(LabelMove, moved_at).where(
        LabelMove.account == account, LabelMove.before != LabelMove.after, moved_at >= since
    )
    last_shown: dict[str, datetime | None] = {}
    unsettled = select(StatusLabel.label).where(StatusLabel.account == account, ~col(StatusLabel.settled))
    fresh = set(session.exec(unsettled))
    leads: defaultdict[LabelChange, list[str]] = defaultdict(list)
    left: Counter[str] = Counter()
    for row, at in session.exec(lately):
        if row.before in in_use:
            continue
        if row.before not in last_shown:
            shown = select(func.max(LeadRow.seen_at)).where(LeadRow.account == account, LeadRow.label == row.before)
            last_shown[row.before] = session.exec(shown.where(col(LeadRow.deleted_at).is_(None))).one()
        if (last := last_shown[row.before]) is not None and at < last:
            continue
        left[row.before] += 1
        if row.before and row.after and row.after not in fresh:
            leads[LabelChange(row.before, row.after)].append(row.lead)
    found = {}
    for move, movers in leads.items():
        if len(movers) < FEWEST or are_distinct_statuses(move, meanings):
            continue
        entries = _entries(session, account, move, movers)
        dated = {lead: classify_entry_time(status_entries(entries.get(lead, ())), move, since=since) for lead in movers}
        if was_label_merged(Counter(dated.values()), left[move.before]):
            found[move] = {lead for lead, how in dated.items() if how is not EntryTimeSource.BY_ITSELF}
    return found


def _moved_at(account: str) -> sqlalchemy.ScalarSelect[datetime]:
    """When a lead that moved was last found changed."""
    its = (col(StatusChange.account) == account, col(StatusChange.lead) == col(LabelMove.lead))
    return select(func.max(StatusChange.seen_at)).where(*its).correlate(LabelMove).scalar_subquery()


def _load_seen_labels(session: Session, account: str, since: datetime) -> SeenLabels:
    fresh = session.exec(
        select(StatusLabel.label, StatusLabel.seen_at).where(StatusLabel.account == account, ~col(StatusLabel.settled))
    )
    moved = (col(LabelMove.before), col(LabelMove.after), col(LabelMove.waits))
    # More columns than SQLModel's own `select` is typed for.
    rows = session.connection().execute(
        sqlalchemy.select(*moved, func.count())
        .where(col(LabelMove.account) == account, col(LabelMove.before) != col(LabelMove.after))
        .group_by(*moved)
    )
    moves: dict[LabelChange, int] = {}
    left: Counter[str] = Counter()
    for before, after, waits, count in rows:
        left[before] += count
        if waits and before and after:
            moves[LabelChange(before, after)] = count
    last = session.exec(
        select(LeadRow.label, func.max(LeadRow.seen_at))
        .where(LeadRow.account == account, col(LeadRow.label).is_not(None), LeadRow.seen_at >= since)
        .group_by(col(LeadRow.label))
    )
    return SeenLabels(
        fresh=dict(fresh.all()), moves=moves, left=left, last={label: at for label, at in last if label is not None}
    )


def _note_rename(session: Session, ledger: Ledger, move: LabelChange, leads: int) -> bool:
    """Record a rename; return False if it is already recorded, even as void."""
    if session.get(StatusRename, (ledger.account, move.before, move.after)) is not None:
        return False
    session.add(StatusRename(account=ledger.account, before=move.before, after=move.after, leads=leads, run=ledger.run))
    return True


def _restore_entries(session: Session, account: str, move: LabelChange, others: Collection[str]) -> None:
    """Make entries explained by a rename count again, unless another rename still explains them."""
    had = select(StatusChange.lead).where(StatusChange.account == account)
    leads = session.exec(had.where(StatusChange.label == move.before)).all()
    elsewhere = session.exec(had.where(col(StatusChange.label).in_(others))).all()
    for rows in _entries(session, account, move, {*leads} - {*elsewhere}).values():
        changes = status_entries(rows)
        for row, change in zip(rows, changes, strict=True):
            if row.label == move.after and change.origin is StatusTimeOrigin.RELABEL:
                observed = as_change_not_rename(change, changes, move)
                row.origin, row.at, row.date_only = observed.origin, observed.at, observed.date_only
                session.add(row)


def _mark_relabelled_entries(session: Session, account: str, relabel: LabelChange, moved: Mapping[str, bool]) -> None:
    """Mark these leads' entries that only show a status under its new name, so that they don't count as changes.

    `moved` is whether each lead went directly from the old name to the new one.
    """
    for lead, rows in _entries(session, account, relabel, moved).items():
        for position in positions_of_relabelled_entries(status_entries(rows), relabel, moved=moved[lead]):
            rows[position].origin = StatusTimeOrigin.RELABEL
            session.add(rows[position])


def _entries(
    session: Session, account: str, move: LabelChange, leads: Collection[str]
) -> dict[str, list[StatusChange]]:
    """Return these leads' entries into either label, in the order they were found."""
    found: dict[str, list[StatusChange]] = {}
    theirs = bulk.has_lead_among(col(StatusChange.account), col(StatusChange.lead))
    entries = select(StatusChange).where(theirs, col(StatusChange.label).in_((move.before, move.after)))
    for part in bulk.lead_batch_parameters(session, account, leads):
        for row in session.exec(entries.order_by(col(StatusChange.id)), params=part):
            found.setdefault(row.lead, []).append(row)
    return found


def status_entries(rows: Iterable[StatusChange | Row[Any]]) -> list[StatusEntered]:
    """Convert rows to status changes."""
    return [
        StatusEntered(row.label, row.at, row.date_only, StatusTimeOrigin(row.origin), row.seen_at, row.after)
        for row in rows
    ]
