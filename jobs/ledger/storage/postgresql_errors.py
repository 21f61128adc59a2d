"""What an error of PostgreSQL, or of the way to it, means for an operator."""

import os
import re
import select
import time
from functools import lru_cache
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
    "XX": N_("the database is damaged; restore it from a backup"),
}
"""Advice by the beginning of an SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
UNEXPECTED = N_("this is unexpected; nothing of this transaction was kept")
_WITHOUT_STATE = ("OperationalError", "ConnectionTimeout")
"""The driver's errors where the server says no state, as while connecting."""
_AWAY = ("08", "40", "53", "55P03", "57P")
"""Beginnings of the SQLSTATEs of what passes by itself."""
_AWAY_ON_CONNECTING = {"53": _FULL, "57P": _UNREACHABLE}
"""Advice on what passes by itself of that with which a server refuses a connection; poolers say 08 of anything."""
_STATE_ON_THE_WIRE = re.compile(rb'^B\t\d+\tErrorResponse\t S "[^"]*" V "[^"]*" C "(\w{5})"', re.MULTILINE)
SEES_EVERY_ACCOUNT = "SELECT rolsuper OR rolbypassrls AS sees_all FROM pg_roles WHERE rolname = current_user"
"""Asks whether the server shows the user every account's rows, as it does to one for whom row-level security is off."""
_PING_SECONDS = 3
"""Short, since the driver lets no other thread of this process run meanwhile."""
_AGAIN_SECONDS = 5
"""How long the second attempt may take."""
_REMEMBERED_SECONDS = 60
"""How long an answer holds: a full server is not asked more often, and each trace costs some memory for good."""


class Diagnosis(NamedTuple):
    """What an error means."""

    name: str
    """The error's name, without its message, which may quote a row or an address."""
    advice: str
    is_away: bool
    """Whether the database may answer if it is asked again later: it is away, full or busy."""


def is_drivers(error: object) -> bool:
    """Return whether an error is of PostgreSQL's driver, which is not loaded to find out."""
    return type(error).__module__.partition(".")[0] == "psycopg"


def diagnose(error: object) -> Diagnosis:
    """Return what an error of the driver means; of one while connecting, the server is asked whether it is there."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        advice = next((advice for start, advice in _BY_STATE.items() if state.startswith(start)), UNEXPECTED)
        return Diagnosis(state, advice, state.startswith(_AWAY))
    name = type(error).__name__
    if name not in _WITHOUT_STATE:
        return Diagnosis(name, UNEXPECTED, is_away=False)
    refusal = _refusal(error)
    if refusal is None:
        return Diagnosis(name, _UNREACHABLE, is_away=True)
    for start, advice in _AWAY_ON_CONNECTING.items():
        if refusal.startswith(start):
            return Diagnosis(name, advice, is_away=True)
    return Diagnosis(name, _REFUSED, is_away=False)


def _refusal(error: object) -> str | None:
    """Return the state with which a server that takes connections does not take this one, empty if it says none.

    None if it is away, or was just now.
    """
    attempt = getattr(error, "pgconn", None)
    if attempt is None:
        return None
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - it is loaded where its errors are
    from psycopg.pq import PGconn, Ping  # noqa: PLC0415

    options = {each.keyword.decode(): each.val.decode() for each in attempt.info if each.val}
    # The user as well: otherwise its name is looked up, which fails for one that has none.
    place = {name: options[name] for name in ("host", "hostaddr", "port", "user") if name in options}
    if PGconn.ping(make_conninfo(**place, connect_timeout=_PING_SECONDS).encode()) != Ping.OK:
        return None
    # The server may have come up since: only one that refuses again, now that it takes connections, does refuse.
    return _state_of_refusal(make_conninfo(**options), int(time.monotonic() // _REMEMBERED_SECONDS))


@lru_cache(maxsize=8)
def _state_of_refusal(address: str, _now: int) -> str | None:
    """Connect, and return the SQLSTATE with which the server refuses, empty without one; None if it does not.

    The driver's error has none, and its text is in the server's language. It goes over the wire, of which libpq can
    write a trace (https://www.postgresql.org/docs/current/libpq-control.html#LIBPQ-PQTRACE); in memory, since that may
    show a password.
    """
    from psycopg.pq import ConnStatus, PGconn, PollingStatus, Trace  # noqa: PLC0415

    with os.fdopen(os.memfd_create("connecting"), "rb") as wire:
        attempt = PGconn.connect_start(address.encode())
        try:
            attempt.trace(wire.fileno())
            attempt.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
            until, waits_for = time.monotonic() + _AGAIN_SECONDS, PollingStatus.WRITING
            while waits_for in (PollingStatus.READING, PollingStatus.WRITING):
                waiting = select.poll()
                waiting.register(
                    attempt.socket, select.POLLIN if waits_for is PollingStatus.READING else select.POLLOUT
                )
                if not waiting.poll(max(0.0, until - time.monotonic()) * 1_000):
                    return None
                waits_for = PollingStatus(attempt.connect_poll())
            attempt.untrace()
            is_refused = attempt.status == ConnStatus.BAD
        finally:
            attempt.finish()
        wire.seek(0)
        states = _STATE_ON_THE_WIRE.findall(wire.read())
    return (states[-1].decode() if states else "") if is_refused else None
