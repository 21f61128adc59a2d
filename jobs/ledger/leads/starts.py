"""When each conversion starts to count at each destination."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from jobs.ledger.leads import status_labels as labels_seen
from jobs.ledger.schema import DedupKey, Delivery, ExpectedValue, Start
from jobs.rules.model import ConversionRoute, CountingStarts


def load_counting_starts(session: Session, account: str) -> dict[tuple[str, str], CountingStarts]:
    """Return the stored starts, by conversion and destination."""
    found: defaultdict[tuple[str, str], dict[str, datetime]] = defaultdict(dict)
    for row in session.exec(select(Start).where(Start.account == account)):
        found[row.conversion, row.destination][row.label] = row.since
    names = current_names_by_old_label(session, account)
    return {place: CountingStarts(labels.pop(""), labels, names) for place, labels in found.items() if "" in labels}


def record_counting_starts(session: Session, account: str, routes: Sequence[ConversionRoute], *, now: datetime) -> None:
    """Store each route's start, and one for each label added to its stage.

    A start from the settings applies to every label and may change; one taken from the first run never changes. A
    renamed status keeps the start it had under its old name.
    """
    names = current_names_by_old_label(session, account)
    rows = session.exec(select(Start).where(Start.account == account)).all()
    on_record = {(row.conversion, row.destination, row.label): row for row in rows}
    for route in routes:
        key = (route.conversion, route.destination)
        # A route that no run has seen yet has no start under an old name either.
        old_names = names.items() if (*key, "") in on_record else ()
        before = {new: start.since for old, new in old_names if (start := on_record.get((*key, old))) is not None}
        for label in ("", *sorted(route.labels)):
            on_record[*key, label] = start = on_record.get((*key, label)) or Start(
                account=account,
                conversion=route.conversion,
                destination=route.destination,
                label=label,
                target=_conversion_target_text(route),
                since=before.get(label, now),
            )
            if not label:
                start.target = _conversion_target_text(route)
            start.since = route.since or start.since
            session.add(start)


def delete_counting_starts(session: Session, account: str, *, since: datetime) -> None:
    """Delete the starts that a run recorded at `since` by a wrong clock."""
    session.exec(delete(Start).where(col(Start.account) == account, col(Start.since) == since))


def rename_conversion(session: Session, account: str, *, old: str, new: str) -> None:
    """Rename a conversion in the ledger; delivery keys stay as they were sent."""
    for table in (Start, Delivery, DedupKey, ExpectedValue):
        session.exec(
            update(table).where(col(table.account) == account, col(table.conversion) == old).values(conversion=new)
        )


def known_places(session: Session, account: str) -> Sequence[Start]:
    """Return what each conversion on record goes to, at each destination."""
    return session.exec(
        select(Start)
        .where(Start.account == account, Start.label == "")
        .order_by(col(Start.conversion), col(Start.destination))
    ).all()


def possible_id_renames(
    known: Sequence[Start], routes: Sequence[ConversionRoute], kind: Literal["conversion", "destination"]
) -> list[tuple[str, str]]:
    """Return pairs of an id gone from the settings and a new id that may be its rename.

    A conversion may be renamed if the new one goes to the same destination and place; a destination, if the new one
    takes the same conversion to the same place.
    """
    other = "destination" if kind == "conversion" else "conversion"
    on_record = {getattr(row, kind) for row in known}
    current = {getattr(route, kind) for route in routes}
    return [
        (getattr(row, kind), getattr(route, kind))
        for row in known
        if getattr(row, kind) not in current
        for route in routes
        if getattr(route, kind) not in on_record
        and (getattr(route, other), _conversion_target_text(route)) == (getattr(row, other), row.target)
    ]


def recorded_conversion_ids(session: Session, account: str) -> set[str]:
    """Return the conversion ids in the ledger."""
    return set(session.exec(select(Start.conversion).where(Start.account == account).distinct()))


def current_names_by_old_label(session: Session, account: str) -> dict[str, str]:
    """Map each renamed status to its current name, following repeated renames."""
    steps = {row.before: row.after for row in labels_seen.renames_found(session, account)}
    found = {}
    for first in steps:
        last, passed = first, {first}
        while (following := steps.get(last)) is not None and following not in passed:
            last = following
            passed.add(last)
        found[first] = last
    return found


def _conversion_target_text(route: ConversionRoute) -> str:
    """Return where a conversion goes, whatever the transport; a route restricted to some ids is a separate place."""
    only = ",".join(sorted(route.only_with))
    return f"{route.target.owner}/{route.target.action}" + (f" for {only}" if only else "")
