"""From when each conversion counts at each destination, in this ledger and in those beside it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from jobs.ledger import status_labels as labels_seen
from jobs.ledger.database import FileKind, LedgerError, explained, look, read_only
from jobs.ledger.schema import Adjustment, DedupKey, Delivery, Start
from jobs.rules.model import Route, Starts


def load(session: Session, account: str) -> dict[tuple[str, str], Starts]:
    """The starts on record, by conversion and destination."""
    rows = session.exec(select(Start).where(Start.account == account)).all()
    own = {(row.conversion, row.destination): row.since for row in rows if not row.label}
    labels: dict[tuple[str, str], dict[str, datetime]] = {}
    for row in rows:
        if row.label:
            labels.setdefault((row.conversion, row.destination), {})[row.label] = row.since
    names = renamed(session, account)
    return {route: Starts(since, labels.get(route, {}), names) for route, since in own.items()}


def keep(session: Session, account: str, route: Route, *, now: datetime) -> None:
    """Give a route its start, and one to each label its stage has gained.

    A start written in the settings governs every label and may be moved; one that was taken from the first run
    stays as it was taken. The new name of a status the stage had before counts as long as that did.
    """
    identity, since = (account, route.conversion, route.destination), route.since
    own = session.get(Start, (*identity, ""))
    is_new = own is None
    row = own or _start(identity, "", _place(route), since or now)
    row.target = _place(route)
    if since is not None:
        row.since = since
    session.add(row)
    before = {} if is_new else _starts_before(session, identity)
    for label in sorted(route.labels):
        known = session.get(Start, (*identity, label))
        if known is None:
            known = _start(identity, label, _place(route), row.since if is_new else before.get(label, now))
        if since is not None:
            known.since = since
        session.add(known)


def take_back(session: Session, account: str, *, since: datetime) -> None:
    """Forget what a run took for a start that began at `since`, by a clock that was wrong."""
    session.exec(delete(Start).where(col(Start.account) == account, col(Start.since) == since))


def rename(session: Session, account: str, *, old: str, new: str) -> None:
    """Carry what is on record of a conversion over to its new id; keys stay as they were sent."""
    for table in (Start, Delivery, DedupKey, Adjustment):
        session.exec(
            update(table).where(col(table.account) == account, col(table.conversion) == old).values(conversion=new)
        )


def vanished_conversions(session: Session, account: str, routes: Sequence[Route]) -> list[tuple[str, str]]:
    """Conversion ids the settings no longer have, each beside a new one that goes to the same place."""
    known = _own(session, account)
    on_record = {row.conversion for row in known}
    current = {route.conversion for route in routes}
    return [
        (row.conversion, route.conversion)
        for row in known
        if row.conversion not in current
        for route in routes
        if route.conversion not in on_record and (route.destination, _place(route)) == (row.destination, row.target)
    ]


def vanished_destinations(session: Session, account: str, routes: Sequence[Route]) -> list[tuple[str, str]]:
    """Destinations the settings no longer have, each beside a new one that takes one of its conversions there."""
    known = _own(session, account)
    on_record = {row.destination for row in known}
    current = {route.destination for route in routes}
    return [
        (row.destination, route.destination)
        for row in known
        if row.destination not in current
        for route in routes
        if route.destination not in on_record and (route.conversion, _place(route)) == (row.conversion, row.target)
    ]


def ids_on_record(session: Session, account: str) -> set[str]:
    """The conversion ids the ledger knows."""
    return set(session.exec(select(Start.conversion).where(Start.account == account).distinct()))


def renamed(session: Session, account: str) -> dict[str, str]:
    """What each renamed status is called now, however often it was renamed."""
    steps = {row.before: row.after for row in labels_seen.renames_found(session, account)}
    found = {}
    for first in steps:
        last, passed = first, {first}
        while (following := steps.get(last)) is not None and following not in passed:
            last = following
            passed.add(last)
        found[first] = last
    return found


def _starts_before(session: Session, identity: tuple[str, str, str]) -> dict[str, datetime]:
    """The start of each present name of a status, as its old name had it on this route."""
    names = renamed(session, identity[0])
    old = {before: session.get(Start, (*identity, before)) for before in names}
    return {names[before]: start.since for before, start in old.items() if start is not None}


def _own(session: Session, account: str) -> Sequence[Start]:
    """The starts of conversions themselves, labels' aside."""
    return session.exec(
        select(Start)
        .where(Start.account == account, Start.label == "")
        .order_by(col(Start.conversion), col(Start.destination))
    ).all()


def _start(identity: tuple[str, str, str], label: str, target: str, since: datetime) -> Start:
    account, conversion, destination = identity
    return Start(
        account=account,
        conversion=conversion,
        destination=destination,
        label=label,
        target=target,
        since=since,
    )


def _place(route: Route) -> str:
    """Where a conversion lands, whatever carries it; a place of its own where it is only for leads with some ids."""
    only = ",".join(sorted(route.only_with))
    return f"{route.target.owner}/{route.target.action}" + (f" for {only}" if only else "")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A ledger beside another."""

    path: Path
    account: str
    owners: frozenset[str]
    """The Google customers and Meta datasets that its conversions have a start at."""


@dataclass(frozen=True, slots=True)
class UnreadableNeighbour:
    """A file or folder of which nobody can tell whether it is a ledger, or whose."""

    why: str
    """A sentence that names it."""


def neighbours(path: Path) -> Iterator[Neighbour | UnreadableNeighbour]:
    """The other ledgers in the folder of this one, by name, and what cannot be read there."""
    try:
        with explained(path.parent):
            files = sorted(path.parent.iterdir()) if path.parent.exists() else []
    except LedgerError as error:
        yield UnreadableNeighbour(str(error))
        return
    for file in files:
        if file != path:
            yield from _at(file)


def _at(file: Path) -> list[Neighbour] | list[UnreadableNeighbour]:
    try:
        with explained(file):
            return _in(file) if file.is_file() and look(file) is FileKind.LEDGER else []
    except LedgerError as error:
        return [UnreadableNeighbour(str(error))]


def _in(file: Path) -> list[Neighbour]:
    with closing(read_only(file)) as connection:
        accounts = [account for (account,) in connection.execute("SELECT account FROM lease")]
        starts = connection.execute("SELECT DISTINCT account, target FROM start").fetchall()
    return [
        Neighbour(file, each, frozenset(target.partition("/")[0] for account, target in starts if account == each))
        for each in accounts
    ]
