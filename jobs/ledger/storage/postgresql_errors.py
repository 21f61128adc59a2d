"""What an error of PostgreSQL, or of the way to it, means for an operator."""

from connectors.language import N_

_UNREACHABLE = N_(
    "the server cannot be reached, or does not let this user into this database; see that it runs and that the address "
    "and the password are right"
)
_CUT = N_("the server ended the connection; run again: what was committed is safe")
_DEPLOY = N_("its tables are missing: run `oplead-sync fleet deploy` first")
_BUSY = N_("another program holds what this one needs; try again when that has ended")
_PAUSED = N_("this process paused too long in a transaction; nothing of it was kept")
_BY_STATE = {
    "08": _CUT,
    "25P03": _PAUSED,
    "25P04": _PAUSED,
    "40": _BUSY,
    "42501": N_("this user may not do that; the tables are for the user who deployed them"),
    "42703": _DEPLOY,
    "42P01": _DEPLOY,
    "53": N_("the server has no room or no connection left; make room and run again: what was committed is safe"),
    "55P03": _BUSY,
    "57014": N_("a statement took too long and was ended; nothing of this transaction was kept"),
    "57P": _CUT,
    "XX": N_("the database is damaged; restore it from a backup"),
}
"""Advice by the beginning of an SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
_WITHOUT_STATE = {"OperationalError": _UNREACHABLE, "ConnectionTimeout": _UNREACHABLE}
"""Advice by the driver's error where the server says no state, as while connecting."""
UNEXPECTED = N_("this is unexpected; nothing of this transaction was kept")


_AWAY = ("08", "40", "53", "55P03", "57P")
"""Beginnings of the SQLSTATEs of what passes by itself."""


def is_away(error: object) -> bool:
    """Return whether the database may answer if it is asked again later: it is away, full or busy."""
    state = getattr(error, "sqlstate", None)
    return state.startswith(_AWAY) if isinstance(state, str) else type(error).__name__ in _WITHOUT_STATE


def is_drivers(error: object) -> bool:
    """Return whether an error is of PostgreSQL's driver, which is not loaded to find out."""
    return type(error).__module__.partition(".")[0] == "psycopg"


def name_and_advice(error: object) -> tuple[str, str]:
    """Return an error's name and what to do, without its message, which may quote a row or an address."""
    state = getattr(error, "sqlstate", None)
    kind = type(error).__name__
    if not isinstance(state, str):
        return kind, _WITHOUT_STATE.get(kind, UNEXPECTED)
    return state, next((advice for start, advice in _BY_STATE.items() if state.startswith(start)), UNEXPECTED)
