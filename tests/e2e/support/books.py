"""What the platforms counted, beside what the ledger tells of it: delivery by delivery."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

TRANSPORTS = {"data_manager": "data_manager", "google_ads": "google_ads_api"}
"""What the settings call each of Google's APIs."""
META_KINDS = {"fbclid": "fbc"}
"""A click id is told to Meta as its cookie has it."""


@dataclass(frozen=True)
class Counted:
    """One line of a platform's book."""

    key: str
    times: int
    replays: int
    changes: int
    """How often it was counted, or told again, with other contents."""
    transport: str
    owner: str
    action: str
    at: datetime
    value: float | None
    currency: str
    click_kind: str
    digests: frozenset


def google(line):
    """A line of the book that both of Google's APIs write."""
    return Counted(
        key=line["transaction_id"],
        times=line["accepted"],
        replays=line["replays"],
        changes=line["restatements"] + line["changed_replays"],
        transport=TRANSPORTS[line["api"]],
        owner=line["customer"],
        action=line["action"],
        at=datetime.fromisoformat(line["event_time"]),
        value=line["value"],
        currency=line["currency"],
        click_kind=line["click_kind"],
        digests=frozenset({line["first_digest"], line["digest"]}),
    )


def meta(line):
    """A line of Meta's book."""
    return Counted(
        key=line["event_id"],
        times=line["accepted"],
        replays=line["replays"],
        changes=0,
        transport="conversions_api",
        owner=line["dataset"],
        action=line["event_name"],
        at=datetime.fromisoformat(line["event_time"]),
        value=line["value"],
        currency=line["currency"],
        click_kind=line["click_kind"],
        digests=frozenset({line["first_digest"], line["digest"]}),
    )


def disagreements(rows, lines, *, unheard=()):
    """Where books and ledger differ, a sentence each; none where every fate is told truly.

    Args:
        rows: the ledger's deliveries.
        lines: every `Counted` of every platform.
        unheard: fates that may stand for an event a platform has counted, nobody having told us.
    """
    counted = defaultdict(list)
    for line in lines:
        counted[line.key].append(line)
    ledger = {row.key: row for row in rows}
    for key, row in ledger.items():
        if row.fate == "accepted" and key not in counted:
            yield f"{_name(row)}: accepted by the ledger alone"
    for key, found in counted.items():
        row = ledger.get(key)
        if len(found) > 1:
            yield f"{row and _name(row)}: counted in {len(found)} places"
        elif row is None or row.fate not in ("accepted", *unheard):
            yield f"{row and _name(row)}: counted by the platform, {row and row.fate} in the ledger"
        else:
            yield from (f"{_name(row)}: {each}" for each in _differences(row, *found))


def _differences(row, line):
    """Where one delivery and the one line for it differ; only one that says so may count twice."""
    pairs = {
        "times counted": (line.times if row.may_count_twice else 1, line.times),
        "changes": (0, line.changes),
        "transport": (row.transport, line.transport),
        "owner": (row.owner, line.owner),
        "action": (row.action, line.action),
        "time": (row.at if line.transport == "data_manager" else row.at.replace(microsecond=0), line.at),
        "value": (None if row.value is None else float(row.value), line.value),
        "currency": (row.currency or "", "" if line.value is None else line.currency),
        "click id kind": (_told_kind(row, line), line.click_kind),
        "digests": ({row.event_sha256}, line.digests),
    }
    return [f"{what}: {ours} here, {theirs} there" for what, (ours, theirs) in pairs.items() if ours != theirs]


def _told_kind(row, line):
    kind = row.click_id_kind or "contact"
    return META_KINDS.get(kind, kind) if line.transport == "conversions_api" else kind


def _name(row):
    return f"{row.destination} {row.lead} {row.conversion}"
