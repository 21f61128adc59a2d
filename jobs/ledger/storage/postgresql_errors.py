"""What an error of PostgreSQL, or of the way to it, means for an operator."""

import re
from typing import NamedTuple

from connectors.language import N_

_UNREACHABLE = N_(
    "the server cannot be reached, or takes no connections now; see that it runs and that its address is right"
)
_REFUSED = N_(
    "the server runs, and does not let this user into this database: check user, password and database in the address, "
    "and the server's pg_hba.conf"
)
_CUT = N_("the server ended the connection; run again: what was committed is safe")
_DEPLOY = N_("its tables are missing: run `oplead-sync fleet deploy` first")
_BUSY = N_("another program holds what this one needs; try again when that has ended")
_FULL = N_("the server has no room or no connection left; make room and run again: what was committed is safe")
_PAUSED = N_("this process paused too long in a transaction; nothing of it was kept")
_BY_STATE = {
    "08": _CUT,
    "25006": N_("the server is read-only for now, for example during a recovery or a failover; try again later"),
    "25P03": _PAUSED,
    "25P04": _PAUSED,
    "40": _BUSY,
    "42501": N_("this user may not do that; the tables are for the user who deployed them"),
    "42703": _DEPLOY,
    "42P01": _DEPLOY,
    "53": _FULL,
    "55P03": _BUSY,
    "57014": N_("a statement took too long and was ended; nothing of this transaction was kept"),
    "57P": _CUT,
    "XX": N_(
        "the database is damaged; restore it from a backup, and declare that by `oplead-sync state restored` for each "
        "account"
    ),
}
"""Advice by the beginning of an SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
UNEXPECTED = N_("this is unexpected; nothing of this transaction was kept")
_WITHOUT_STATE = ("OperationalError", "ConnectionTimeout")
"""The driver's errors where the server says no state, as while connecting."""
_AWAY = ("08", "25006", "40", "53", "55P03", "57P")
"""Beginnings of the SQLSTATEs of what passes by itself."""
_NO_CONNECTION_LEFT = re.compile(r"too many|connection slots|trop de|emplacements de connexion")
"""How a server refuses one more connection, for which the driver knows no state; in other languages it goes unnoticed.

https://www.postgresql.org/docs/current/libpq-status.html has no function for it. Only a trace of the wire shows the
state, with libpq 18 on Linux; that was tried, and is more machinery than a full server in a third language is worth.
"""
SEES_EVERY_ACCOUNT = "SELECT rolsuper OR rolbypassrls AS sees_all FROM pg_roles WHERE rolname = current_user"
"""Asks whether the server shows the user every account's rows, as it does to one for whom row-level security is off."""
_PING_SECONDS = 3
"""Short, since the driver lets no other thread of this process run meanwhile."""
_AGAIN_SECONDS = 5
"""How long the second attempt may take."""


class Diagnosis(NamedTuple):
    """What an error means."""

    name: str
    """The error's name, without its message, which may quote a row or an address."""
    advice: str
    is_away: bool
    """Whether the database may answer if it is asked again later: it is away, full or busy."""
    is_other_schema: bool = False
    """Whether a table or column is not there, as in a database of another version."""


def is_drivers(error: object) -> bool:
    """Return whether an error is of PostgreSQL's driver, which is not loaded to find out."""
    return type(error).__module__.partition(".")[0] == "psycopg"


def diagnose_error(error: object) -> Diagnosis:
    """Return what an error of the driver means; of one while connecting, the server is asked whether it is there."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        advice = next((advice for start, advice in _BY_STATE.items() if state.startswith(start)), UNEXPECTED)
        return Diagnosis(state, advice, state.startswith(_AWAY), advice == _DEPLOY)
    name = type(error).__name__
    if name not in _WITHOUT_STATE:
        return Diagnosis(name, UNEXPECTED, is_away=False)
    refusal = _refusal(error)
    if refusal is None:
        return Diagnosis(name, _UNREACHABLE, is_away=True)
    if _NO_CONNECTION_LEFT.search(refusal):
        return Diagnosis(name, _FULL, is_away=True)
    return Diagnosis(name, _REFUSED, is_away=False)


def _refusal(error: object) -> str | None:
    """Return why a server that takes connections does not take this one; None if it is away, or was just now."""
    attempt = getattr(error, "pgconn", None)
    if attempt is None:
        return None
    import psycopg  # noqa: PLC0415 - it is loaded where its errors are
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415
    from psycopg.pq import PGconn, Ping  # noqa: PLC0415

    options = {each.keyword.decode(): each.val.decode() for each in attempt.info if each.val}
    # The user as well: otherwise its name is looked up, which fails for one that has none.
    place = {name: options[name] for name in ("host", "hostaddr", "port", "user") if name in options}
    if PGconn.ping(make_conninfo(**place, connect_timeout=_PING_SECONDS).encode()) != Ping.OK:
        return None
    # The server may have come up since: only one that refuses again, now that it takes connections, does refuse.
    try:
        psycopg.connect(make_conninfo(**options | {"connect_timeout": _AGAIN_SECONDS})).close()
    except psycopg.errors.ConnectionTimeout:
        return None
    except psycopg.OperationalError as again:
        return str(again)
    return None
