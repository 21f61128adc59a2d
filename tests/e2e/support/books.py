"""What the platforms counted compared with the ledger, delivery by delivery."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

TRANSPORTS = {"data_manager": "data_manager", "google_ads": "google_ads_api"}
"""The settings' name for each of Google's APIs."""
META_KINDS = {"fbclid": "fbc"}
"""Meta receives a click id in the form of its cookie."""


@dataclass(frozen=True)
class Counted:
    """One line of a platform's book."""

    key: str
    times: int
    replays: int
    changes: int
    """How often it was counted or sent again with other contents."""
    retracted: bool
    """Whether it was retracted and no longer counts."""
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
        retracted=line["retracted"],
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
        retracted=False,
        transport="conversions_api",
        owner=line["dataset"],
        action=line["event_name"],
        at=datetime.fromisoformat(line["event_time"]),
        value=line["value"],
        currency=line["currency"],
        click_kind=line["click_kind"],
        digests=frozenset({line["first_digest"], line["digest"]}),
    )


def disagreements(rows, lines, *, corrections=(), unanswered=()):
    """Where books and ledger differ, one sentence each; empty if every state is true.

    Args:
        rows: the ledger's deliveries.
        lines: every `Counted` of every platform.
        corrections: the ledger's corrections of them.
        unanswered: states allowed for an event that a platform counted without an answer.
    """
    made = defaultdict(list)
    for each in sorted(corrections, key=lambda one: one.number):
        if each.state == "accepted":
            made[each.key].append(each)
    counted = defaultdict(list)
    for line in lines:
        counted[line.key].append(line)
    ledger = {row.key: row for row in rows}
    for key, row in ledger.items():
        if row.state == "accepted" and key not in counted:
            yield f"{_name(row)}: accepted by the ledger alone"
    for key, found in counted.items():
        row = ledger.get(key)
        if len(found) > 1:
            yield f"{row and _name(row)}: counted in {len(found)} places"
        elif row is None or row.state not in ("accepted", *unanswered):
            yield f"{row and _name(row)}: counted by the platform, {row and row.state} in the ledger"
        else:
            yield from (f"{_name(row)}: {each}" for each in _differences(row, *found, made[key]))


def _differences(row, line, made):
    """Where one delivery and its line differ; only one flagged as a possible duplicate may count twice.

    The value of a corrected delivery is that of its last correction, or 0 if it was retracted.
    """
    value, currency = (
        (made[-1].value or "0.00", made[-1].currency or row.currency) if made else (row.value, row.currency)
    )
    pairs = {
        "times counted": (line.times if row.may_count_twice else 1, line.times),
        "changes": (sum(each.kind == "restatement" for each in made), line.changes),
        "taken back": (any(each.kind == "retraction" for each in made), line.retracted),
        "transport": (row.transport, line.transport),
        "owner": (row.owner, line.owner),
        "action": (row.action, line.action),
        "time": (row.at if line.transport == "data_manager" else row.at.replace(microsecond=0), line.at),
        "value": (None if value is None else float(value), line.value),
        "currency": (currency or "", "" if line.value is None else line.currency),
        "click id kind": (_told_kind(row, line), line.click_kind),
        "digests": ({row.event_sha256, *_last_sent_anew(made)}, line.digests),
    }
    return [f"{what}: {ours} here, {theirs} there" for what, (ours, theirs) in pairs.items() if ours != theirs]


def _last_sent_anew(made):
    """The digest of the last correction that was a whole event."""
    return [each.event_sha256 for each in made if each.transport == "data_manager"][-1:]


def _told_kind(row, line):
    kind = row.click_id_kind or "contact"
    return META_KINDS.get(kind, kind) if line.transport == "conversions_api" else kind


def _name(row):
    return f"{row.destination} {row.lead} {row.conversion}"
