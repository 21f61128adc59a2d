"""What accounts need a human for, and which of them have the same problem."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from connectors.language import N_, _, in_english, translated
from jobs.exit_codes import Exit
from jobs.fleet.database import Connection
from jobs.fleet.status import LATE_AFTER
from jobs.fleet.work import DidTask, Problem, WorkResult
from jobs.ledger.incidents import incident_from_row, stored_incident_id
from jobs.ledger.schema import IncidentRow
from jobs.ledger.stored_values import values_to_json
from jobs.reporting.page.facts import Level, ResponsibleParty
from jobs.reporting.page.responsible import level_of_incident, who_mends_incident
from jobs.reporting.sentences import incident_notice
from jobs.rules.incident import Incident
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, DestinationScope, StopCause

FAILURE = "failure"
"""The cause of a problem that no incident tells of: a night that could not run, or one that only says why."""
_TOLD_BY_FAILURE = frozenset({Exit.ATTENTION, Exit.CONFIGURATION, Exit.STOPPED, Exit.BUG})
_FAILED = {
    Exit.CONFIGURATION: N_("Nights do not run: settings, secrets or state"),
    Exit.BUG: N_("Nights fail for a reason that nobody foresaw"),
}
"""What keeps nights from running."""
_NEEDED = N_("Somebody is needed")
_OF_ONE_ACCOUNT = re.compile(r"\d[\d-]{4,}|\b(?=\w*\d)(?=\w*[A-Za-z])\w[\w-]{11,}")
"""Numbers of customers and data sets, and ids of requests; not an answer's HTTP status."""
_SECRETS_PLACE = re.compile(r"\b(?=[A-Z0-9]*_)[A-Z_][A-Z0-9_]+\b|(?<![\w/])/[^\s:]+")
"""Variables and files: each account has its own, and all are missing where a machine was set up wrongly."""


# ── of one account ───────────────────────────────────────────────────────────────────────────────


def incident_problem(account: str, incident: Incident, open_for: timedelta, platforms: Mapping[str, str]) -> Problem:
    """Return an account's open incident as a problem; what is said of it must be English.

    Args:
        account: whose it is.
        incident: as its ledger has it.
        open_for: how long it has been open.
        platforms: the platform of each of its destinations, which may have names of their own.
    """
    # A lead's id is of no use outside the account.
    values = {name: value for name, value in incident.values.items() if name != "leads"}
    same = [incident.id.kind.value, *_what_it_is_about(incident, platforms)]
    if isinstance(why := incident.values.get("why"), StopCause):
        same += [why.kind, *(_without_ids(account, each) for each in why.answers)]
    title = incident_notice(incident).title
    return Problem(stored_incident_id(incident.id), _digest(same), values_to_json(values), title, open_for)


def _what_it_is_about(incident: Incident, platforms: Mapping[str, str]) -> list[str]:
    match incident.id.about:
        case DestinationScope() as scope:
            return [platforms.get(scope.destination, scope.destination)]
        case AnomalyIdentity() as anomaly:
            return [anomaly.kind, *(anomaly.about if anomaly.kind is AnomalyKind.STOPPED else ())]
        case str() as about:
            return [about]
    return []


def _failure(account: str, exit_code: int, why: str) -> Problem:
    english = in_english(why)
    details = json.dumps({"exit_code": exit_code, "why": english}, ensure_ascii=False)
    same = _SECRETS_PLACE.sub("…", _without_ids(account, english))
    return Problem(FAILURE, _digest([FAILURE, str(exit_code), same]), details)


def _without_ids(account: str, text: str) -> str:
    """Return a text without what only one account has."""
    return _OF_ONE_ACCOUNT.sub("…", re.sub(rf"(?<!\w){re.escape(account)}(?!\w)", "…", in_english(text)))


def _digest(parts: Sequence[str]) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()[:32]


def record_problems(connection: Connection, account: str, result: WorkResult, *, asked: bool) -> None:
    """Record what a result says of an account's problems, and whether somebody asked for the run.

    A run that looked knows all its incidents. A night that failed leaves its account without incidents to tell, so
    that its own reason is one more, until a night has run: that outcomes were asked for mends nothing. A night that is
    done again because somebody asked for it looks at what has changed since, so that what the first one told still
    holds, as in `load_fleet_status`.
    """
    found = list(result.problems or ())
    if not found and result.why and result.exit_code in _TOLD_BY_FAILURE:
        found = [_failure(account, result.exit_code, result.why)]
    if result.problems is not None:
        kept = [each.cause for each in found] + ([FAILURE] if result.task is not DidTask.NIGHT else [])
        only_again = asked and result.exit_code == Exit.DONE
        connection.execute(
            """
            DELETE FROM fleet_problem
            WHERE account = %s AND cause <> ALL(%s::text[])
                AND NOT (%s AND cause = %s AND (details::json ->> 'exit_code')::int = %s)
            """,
            [account, kept, only_again, FAILURE, int(Exit.ATTENTION)],
        )
    for each in found:
        connection.execute(
            """
            INSERT INTO fleet_problem AS known (account, cause, same_as, title, details, since)
            VALUES (%s, %s, %s, %s, %s, now() - %s::interval)
            ON CONFLICT (account, cause) DO UPDATE SET
                since = CASE WHEN known.same_as = excluded.same_as THEN known.since ELSE excluded.since END,
                same_as = excluded.same_as, title = excluded.title, details = excluded.details, seen_at = now()
            """,
            [account, each.cause, each.same_as, each.title, each.details, each.open_for],
        )


# ── of the fleet ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FleetCause:
    """A problem that one or more accounts have, in words."""

    same_as: str
    level: Level
    who: ResponsibleParty
    title: str
    text: str
    since: datetime
    """Since when the first of them has had it."""
    accounts: Sequence[str]
    """The one that has had it longest comes first."""


@dataclass(frozen=True, slots=True)
class _Row:
    account: str
    cause: str
    same_as: str
    details: str
    since: datetime


def read_fleet_problems(connection: Connection) -> list[FleetCause]:
    """Return what accounts need a human for, the worst first, in the current language.

    Of accounts that are paused or were removed, nothing is expected.
    """
    found = connection.execute(
        """
        SELECT p.account, p.cause, p.same_as, p.details, p.since
        FROM fleet_problem p JOIN fleet_account a ON a.name = p.account
        WHERE a.removed_at IS NULL AND NOT a.paused AND p.seen_at >= a.added_at
        ORDER BY p.since, p.account, p.cause
        """
    )
    by_cause = defaultdict[str, list[_Row]](list)
    for row in found:
        by_cause[row["same_as"]].append(_Row(**row))
    causes = [*map(_in_words, by_cause.values()), *_late_nights(connection)]
    return sorted(causes, key=_worst_first)


def _late_nights(connection: Connection) -> Iterator[FleetCause]:
    """Yield what makes nights late for no reason that an account has told of: too few workers, or a database away."""
    late = connection.execute(
        """
        SELECT name, coalesce(night_at, due_at) AS due_at FROM fleet_account
        WHERE removed_at IS NULL AND NOT paused AND coalesce(night_at, due_at) < now() - %s
            AND NOT EXISTS (
                SELECT 1 FROM fleet_problem
                WHERE account = name AND cause = %s AND (details::json ->> 'exit_code')::int = ANY(%s)
                    AND seen_at >= added_at
            )
        ORDER BY 2, 1
        """,
        [LATE_AFTER, FAILURE, [int(code) for code in _FAILED]],
    ).fetchall()
    if late:
        text = _(
            "They were due more than an hour ago, and are not done: are enough workers alive, and their databases? "
            "`oplead-sync fleet status` says what is being retried, and why."
        )
        names = [row["name"] for row in late]
        yield FleetCause(
            "late", Level.RED, ResponsibleParty.OPERATOR, _("Nights are late"), text, late[0]["due_at"], names
        )


_URGENCY = (Level.RED, Level.AMBER, Level.GREEN)


def _worst_first(cause: FleetCause) -> tuple[int, int, datetime, str]:
    return _URGENCY.index(cause.level), -len(cause.accounts), cause.since, cause.same_as


def _in_words(rows: Sequence[_Row]) -> FleetCause:
    first, accounts = rows[0], list(dict.fromkeys(each.account for each in rows))
    level, who, title, text = (
        _failure_in_words(first) if first.cause == FAILURE else _incident_in_words(first, accounts)
    )
    if len({each.details for each in rows}) > 1:
        text = _("{account}, for example: {text}", account=first.account, text=text)
    return FleetCause(first.same_as, level, who, title, text, first.since, accounts)


def _failure_in_words(row: _Row) -> tuple[Level, ResponsibleParty, str, str]:
    told = json.loads(row.details)
    level = Level.AMBER if told["exit_code"] == Exit.ATTENTION else Level.RED
    title = _(_FAILED.get(told["exit_code"], _NEEDED))
    return level, ResponsibleParty.OPERATOR, title, translated(told["why"])


def _incident_in_words(row: _Row, accounts: Sequence[str]) -> tuple[Level, ResponsibleParty, str, str]:
    incident = incident_from_row(
        IncidentRow(account=row.account, cause=row.cause, details=row.details, first_seen_at=row.since)
    )
    identity = incident.id
    if len(accounts) > 1 and isinstance(identity.about, DestinationScope):
        # A conversion action is one account's.
        identity = replace(identity, about=replace(identity.about, action=""))
    notice = incident_notice(replace(incident, id=identity))
    return level_of_incident(identity.kind), who_mends_incident(identity), notice.title, notice.text
