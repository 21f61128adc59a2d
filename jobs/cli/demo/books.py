"""Compares what the platforms have counted with what the ledger says, delivery by delivery."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from jobs.ledger.fates import Fate
from jobs.ledger.tables import Delivery

Line = Mapping[str, object]
"""One counted conversion as a sandbox's book tells it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One counted conversion, as both sides write it down."""

    owner: str
    action: str
    at: datetime
    """To the second, as platforms keep it."""
    value: Decimal | None
    currency: str
    click_id_kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What a platform has under one key."""

    key: str
    entry: Entry
    times: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where two books differ; keys of deliveries."""

    alike: int
    differing: tuple[str, ...]
    missing_there: tuple[str, ...]
    """Accepted by the ledger, unknown to the platform."""
    missing_here: tuple[str, ...]
    """Counted by the platform, and the ledger claims they were not."""
    undecided: Mapping[str, int]
    """Counted by the platform; the ledger says why it was never told so (`unconfirmed`), and how often."""
    flagged: int
    """Counted more than once, as the ledger says they may be."""
    twice: int
    """Counted more than once, and the ledger knows nothing of it."""

    @property
    def agree(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.missing_there or self.missing_here or self.twice)


def google_book(lines: Iterable[Line]) -> Iterator[Counted]:
    """What Google has counted, by either of its APIs."""
    for line in lines:
        entry = _entry(line, owner="customer", action="action", click=str(line["click_kind"]))
        yield Counted(str(line["transaction_id"]), entry, int(str(line["accepted"])))


def meta_book(lines: Iterable[Line]) -> Iterator[Counted]:
    """What Meta has counted."""
    for line in lines:
        entry = _entry(line, owner="dataset", action="event_name", click=str(line["click_kind"]))
        yield Counted(str(line["event_id"]), entry, int(str(line["accepted"])))


def compare(book: Iterable[Counted], sent: Iterable[Delivery]) -> Comparison:
    """Compare what platforms have counted with the deliveries that were sent and settled."""
    lines = list(book)
    there = {line.key: line.entry for line in lines}
    rows = {row.key: row for row in sent}
    accepted = {key: _row(row) for key, row in rows.items() if row.fate == Fate.ACCEPTED}
    # Whoever gives up must say why: without a reason nothing excuses what the platform has counted.
    unconfirmed = {key: row.code for key, row in rows.items() if row.fate == Fate.UNCONFIRMED and row.code}
    flagged = {key for key, row in rows.items() if row.may_count_twice}
    both = accepted.keys() & there.keys()
    repeated = [line.key for line in lines if line.times > 1]
    return Comparison(
        alike=sum(accepted[key] == there[key] for key in both),
        differing=tuple(sorted(key for key in both if accepted[key] != there[key])),
        missing_there=tuple(sorted(accepted.keys() - there.keys())),
        missing_here=tuple(sorted(there.keys() - accepted.keys() - unconfirmed.keys())),
        undecided=Counter(unconfirmed[key] for key in sorted(there.keys() & unconfirmed.keys())),
        flagged=sum(key in flagged for key in repeated),
        twice=sum(key not in flagged for key in repeated) + len(lines) - len(there),
    )


def _entry(line: Line, *, owner: str, action: str, click: str) -> Entry:
    value = line["value"]
    return Entry(
        owner=str(line[owner]),
        action=str(line[action]),
        at=_to_the_second(datetime.fromisoformat(str(line["event_time"]))),
        value=None if value is None else Decimal(str(value)).quantize(Decimal("0.01")),
        currency=str(line["currency"] or ""),
        click_id_kind=click,
        digest=str(line["digest"]),
    )


def _row(row: Delivery) -> Entry:
    if row.at is None:
        raise ValueError("an accepted delivery has its time")
    kind = row.click_id_kind or "contact"
    return Entry(
        owner=row.owner or "",
        action=row.action or "",
        at=_to_the_second(row.at),
        value=None if row.value is None else Decimal(row.value),
        currency=row.currency or "",
        click_id_kind="fbc" if kind == "fbclid" else kind,  # it travels as an fbc
        digest=row.event_sha256 or "",
    )


def _to_the_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
