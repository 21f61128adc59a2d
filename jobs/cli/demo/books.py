"""Compares what the platform has counted with what the ledger says, delivery by delivery."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from jobs.ledger.fates import Fate
from jobs.ledger.tables import Delivery


@dataclass(frozen=True, slots=True)
class Entry:
    """One counted conversion, as both sides write it down."""

    owner: str
    action: str
    at: datetime
    value: Decimal | None
    currency: str
    click_id_kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where two books differ; keys of deliveries."""

    alike: int
    differing: tuple[str, ...]
    missing_there: tuple[str, ...]
    """Accepted by the ledger, unknown to the platform."""
    missing_here: tuple[str, ...]
    """Counted by the platform, and the ledger claims they were not."""
    undecided: int
    """Counted by the platform; the ledger says truly that it was never told so (`unconfirmed`)."""
    twice: int
    """Counted more than once."""

    @property
    def agree(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.missing_there or self.missing_here or self.twice)


def compare(book: Iterable[Mapping[str, object]], sent: Iterable[Delivery]) -> Comparison:
    """Compare the sandbox's book with the deliveries that were sent and settled."""
    lines = list(book)
    there = {str(line["transaction_id"]): _line(line) for line in lines}
    rows = {row.key: row for row in sent}
    accepted = {key: _row(row) for key, row in rows.items() if row.fate == Fate.ACCEPTED}
    unconfirmed = {key for key, row in rows.items() if row.fate == Fate.UNCONFIRMED}
    both = accepted.keys() & there.keys()
    return Comparison(
        alike=sum(accepted[key] == there[key] for key in both),
        differing=tuple(sorted(key for key in both if accepted[key] != there[key])),
        missing_there=tuple(sorted(accepted.keys() - there.keys())),
        missing_here=tuple(sorted(there.keys() - accepted.keys() - unconfirmed)),
        undecided=len(there.keys() & unconfirmed),
        twice=len(lines) - len(there),
    )


def _line(line: Mapping[str, object]) -> Entry:
    value = line["value"]
    return Entry(
        owner=str(line["customer"]),
        action=str(line["action"]),
        at=datetime.fromisoformat(str(line["event_time"])).astimezone(UTC),
        value=None if value is None else Decimal(str(value)).quantize(Decimal("0.01")),
        currency=str(line["currency"]),
        click_id_kind=str(line["click_kind"]),
        digest=str(line["digest"]),
    )


def _row(row: Delivery) -> Entry:
    if row.at is None:
        raise ValueError("an accepted delivery has its time")
    return Entry(
        owner=row.owner or "",
        action=row.action or "",
        at=row.at,
        value=None if row.value is None else Decimal(row.value),
        currency=row.currency or "",
        click_id_kind=row.click_id_kind or "contact",
        digest=row.event_sha256 or "",
    )
