"""Tells the fleet's own addresses what accounts need a human for: one message for a cause, however many it hits.

Before a message is sent, a worker claims it in the database, so that of any number of workers one sends it. One that
dies in between leaves its claim, which runs out: then another sends the message, a second time if the first had got
through. So a crash costs at most one repeat, and never silences anything.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog

from connectors.language import _, _n, format_list, format_time
from connectors.text import strip_control_characters
from jobs.alerts.notify import Recipients
from jobs.fleet.database import Connection, FleetDatabase
from jobs.fleet.problems import FleetCause, read_fleet_problems
from jobs.reporting.page.words import RESPONSIBLE

GROWN = 2
"""A cause that hits so many times the accounts that were told of is told again …"""
GROWN_AFTER = timedelta(hours=1)
"""… but not sooner than so long after: nights come one after the other."""
REMIND_AFTER = timedelta(days=1)
QUIET_AFTER_END = timedelta(hours=1)
"""What comes back so soon after its end was told is told again only then: it may come and go all day."""
CLAIM = timedelta(minutes=10)
"""How long a worker may take to send a message, far more than it does."""
MOST_AN_HOUR = 20
"""Messages that an address has in an hour, the worst first, good news last: nobody reads more, whatever is wrong."""
_MOST_AT_ONCE = 50
MOST_TRIES_WHEN_OVER = 8
"""What is over is worth so many tries, in four hours; what is open is tried for as long as it is."""
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
_FORGET_AFTER = timedelta(days=30)
_NAMED = 5
_LOCK = 0x6F70_6C65_6164_03
"""Key of the advisory lock under which one worker at a time claims a message."""
_log = structlog.stdlib.get_logger()


class MessageDueReason(StrEnum):
    """Why a message is due."""

    NEW = "new"
    GROWN = "grown"
    STILL = "still"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Told:
    """What an address was told of a cause, and when."""

    next_try_at: datetime
    told_at: datetime | None = None
    """None if no message was taken yet."""
    accounts: int = 0
    title: str = ""
    failures: int = 0
    """How often in a row no message was taken while it was open."""
    over_at: datetime | None = None
    """When it was told that it is over; None if that was not told, or it was told of since."""
    over_failures: int = 0
    """How often it was not taken that it is over."""


def message_due_reason(told: Told | None, accounts: int, now: datetime) -> MessageDueReason | None:
    """Return why an address is to be told of a cause that so many accounts have now; None if it is not."""
    if told is None:
        return MessageDueReason.NEW if accounts else None
    if now < told.next_try_at:
        return None
    if told.told_at is None:
        return MessageDueReason.NEW if accounts else None
    if told.over_at is not None:
        return MessageDueReason.NEW if accounts and now >= told.over_at + QUIET_AFTER_END else None
    if not accounts:
        return MessageDueReason.OVER
    if accounts >= GROWN * told.accounts and now >= told.told_at + GROWN_AFTER:
        return MessageDueReason.GROWN
    return MessageDueReason.STILL if now >= told.told_at + REMIND_AFTER else None


@dataclass(frozen=True, slots=True)
class Message:
    """A message that this worker has claimed."""

    same_as: tuple[str, ...]
    """The cause that it is about; several if they are over."""
    address: str
    """The mark of who is to have it."""
    why: MessageDueReason
    title: str
    text: str
    cause_title: str
    accounts: int
    tries: int
    """How often it was not taken."""


def send_due_notices(database: FleetDatabase, recipients: Recipients, should_stop: Callable[[], bool]) -> None:
    """Send what is due, one message after the other; an address that refuses one is left alone until the next look.

    Raises:
        FleetDatabaseError: the database cannot be used.
    """
    reachable = dict(recipients)
    for _number in range(_MOST_AT_ONCE):
        if should_stop():
            return
        with database.connect() as connection:
            message = claim_next_notice(connection, list(reachable))
        if message is None:
            return
        recipient = reachable[message.address]
        title, text = strip_control_characters(message.title), strip_control_characters(message.text, keep="\n")
        is_taken = recipient.by.send_message(title, text, urgent=message.why is not MessageDueReason.OVER)
        with database.connect() as connection:
            (_record_taken if is_taken else _record_refused)(connection, message)
        if not is_taken:
            _log.warning(
                "a notice of the fleet was not taken, and is tried again",
                address=recipient.place,
                tries=message.tries + 1,
            )
            del reachable[message.address]


def claim_next_notice(connection: Connection, addresses: Sequence[str]) -> Message | None:
    """Claim the worst message that is due to one of these addresses; None if none is, or another worker is at it."""
    locked = connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS mine, now() AS now", [_LOCK]).fetchone()
    if locked is None or not locked["mine"]:
        return None
    now: datetime = locked["now"]
    causes, told = read_fleet_problems(connection), _read_told(connection, addresses)
    _forget_old(connection, causes)
    sent = _count_sent(connection)
    found = next(_due(causes, told, [each for each in addresses if sent[each] < MOST_AN_HOUR], now), None)
    if found is not None:
        connection.execute(
            """
            INSERT INTO fleet_notice (same_as, address, next_try_at)
            SELECT same_as, %s, now() + %s FROM unnest(%s::text[]) AS same_as
            ON CONFLICT (same_as, address) DO UPDATE SET next_try_at = excluded.next_try_at
            """,
            [found.address, CLAIM, list(found.same_as)],
        )
    return found


def _due(
    causes: Sequence[FleetCause], told: Mapping[tuple[str, str], Told], addresses: Sequence[str], now: datetime
) -> Iterator[Message]:
    for cause in causes:
        for address in addresses:
            known = told.get((cause.same_as, address))
            if why := message_due_reason(known, len(cause.accounts), now):
                yield _open_message(cause, address, why, known)
    are_open = {cause.same_as for cause in causes}
    for address in addresses:
        over = {
            same_as: known
            for (same_as, told_address), known in told.items()
            if told_address == address and same_as not in are_open and message_due_reason(known, 0, now)
        }
        if over:
            yield _over_message(address, over)


def _read_told(connection: Connection, addresses: Sequence[str]) -> dict[tuple[str, str], Told]:
    rows = connection.execute(
        "SELECT * FROM fleet_notice WHERE address = ANY(%s) ORDER BY same_as, address", [list(addresses)]
    )
    return {
        (row["same_as"], row["address"]): Told(
            row["next_try_at"],
            row["told_at"],
            row["accounts"] or 0,
            row["title"] or "",
            row["failures"],
            row["over_at"],
            row["over_failures"],
        )
        for row in rows
    }


def _forget_old(connection: Connection, causes: Sequence[FleetCause]) -> None:
    """Forget what is over: told long enough ago, or before any message was taken, or to addresses no longer used.

    Also the messages that no bound counts any more.
    """
    connection.execute(
        """
        DELETE FROM fleet_notice
        WHERE next_try_at <= now() AND same_as <> ALL(%s::text[])
            AND (told_at IS NULL OR told_at < now() - %s OR over_at <= now() - %s)
        """,
        [[each.same_as for each in causes], _FORGET_AFTER, QUIET_AFTER_END],
    )
    connection.execute("DELETE FROM fleet_message WHERE sent_at <= now() - interval '1 hour'")


def _count_sent(connection: Connection) -> Counter[str]:
    """Return how many messages each address has taken within the hour."""
    rows = connection.execute("SELECT address, count(*) AS sent FROM fleet_message GROUP BY address")
    return Counter({row["address"]: row["sent"] for row in rows})


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _open_message(cause: FleetCause, address: str, why: MessageDueReason, told: Told | None) -> Message:
    count, since = len(cause.accounts), f"{format_time(cause.since.astimezone(UTC))} (UTC)"
    title = _n("{count} account: {title}", "{count} accounts: {title}", count, title=cause.title)
    lines = [
        cause.text,
        _("Accounts: {names}", names=_names(cause.accounts)),
        " · ".join(
            (
                _("Who can do it: {who}", who=_(RESPONSIBLE[cause.who])),
                _("since {moment}", moment=since),
            )
        ),
    ]
    if why is MessageDueReason.GROWN and told is not None:
        lines.insert(0, _n("Before, it was {count} account.", "Before, it was {count} accounts.", told.accounts))
    elif why is MessageDueReason.STILL:
        lines.insert(0, _("It still needs a human."))
    lines.append(_("`oplead-sync fleet status` shows all of them."))
    tries = told.failures if told else 0
    return Message((cause.same_as,), address, why, title, "\n".join(lines), cause.title, count, tries)


def _over_message(address: str, over: Mapping[str, Told]) -> Message:
    """Return the message that causes are over; one for all of them, since what was mended at once ends at once."""
    titles = list(dict.fromkeys(each.title for each in over.values()))
    if len(over) == 1:
        (known,) = over.values()
        title = _("Resolved: {title}", title=known.title)
        text = _n(
            "No account needs a human for this any more; {count} did.",
            "No account needs a human for this any more; {count} did.",
            known.accounts,
        )
    else:
        title = _n("{count} problem is resolved", "{count} problems are resolved", len(over))
        more = len(titles) - _NAMED
        lines = [_("No account needs a human for these any more:"), *(f"- {each}" for each in titles[:_NAMED])]
        text = "\n".join([*lines, *([_n("{count} more", "{count} more", more)] if more > 0 else [])])
    tries = max(each.over_failures for each in over.values())
    return Message(tuple(over), address, MessageDueReason.OVER, title, text, "", 0, tries)


def _names(accounts: Sequence[str]) -> str:
    more = len(accounts) - _NAMED
    named = list(accounts[:_NAMED])
    return format_list(named) if more <= 0 else ", ".join([*named, _n("{count} more", "{count} more", more)])


# ── what became of it ────────────────────────────────────────────────────────────────────────────


def _record_taken(connection: Connection, message: Message) -> None:
    connection.execute("INSERT INTO fleet_message (address) VALUES (%s)", [message.address])
    if message.why is MessageDueReason.OVER:
        _record_over(connection, message)
        return
    connection.execute(
        """
        UPDATE fleet_notice SET
            told_at = now(), over_at = NULL, next_try_at = now(), failures = 0, over_failures = 0,
            title = %s, accounts = %s
        WHERE same_as = ANY(%s) AND address = %s
        """,
        [message.cause_title, message.accounts, list(message.same_as), message.address],
    )


def _record_refused(connection: Connection, message: Message) -> None:
    wait = min(_FIRST_WAIT * 2 ** min(message.tries, 10), _LONGEST_WAIT)
    is_over = message.why is MessageDueReason.OVER
    connection.execute(
        """
        UPDATE fleet_notice SET
            next_try_at = now() + %s, failures = failures + %s, over_failures = over_failures + %s
        WHERE same_as = ANY(%s) AND address = %s
        """,
        [wait, int(not is_over), int(is_over), list(message.same_as), message.address],
    )
    if is_over:
        _record_over(connection, message, tries=MOST_TRIES_WHEN_OVER)


def _record_over(connection: Connection, message: Message, *, tries: int = 0) -> None:
    """Record that nothing is left to tell of what was tried so often: each cause of a message has its own tries.

    The row stays for a while, so that what comes back soon is recognised.
    """
    connection.execute(
        """
        UPDATE fleet_notice SET over_at = now(), next_try_at = now(), failures = 0, over_failures = 0
        WHERE same_as = ANY(%s) AND address = %s AND over_failures >= %s
        """,
        [list(message.same_as), message.address, tries],
    )
