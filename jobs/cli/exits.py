"""Exit codes, and the one-sentence message for each failure."""

import signal
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from typer import Abort

from connectors.errors import ConnectorError
from jobs.cancellation import StoppedBySignal
from jobs.ledger.database import LedgerError
from jobs.ledger.runs import LeaseHeldError, LeaseLostError, NightDoneError
from jobs.nightly import RenamedError


class UsageError(Exception):
    """The command line, or a file it names, cannot be used; the message says what to do."""


class Exit(IntEnum):
    """Exit codes; a signal exits with 128 plus its number, as in shells."""

    DONE = 0
    ATTENTION = 1
    """Done, but a human is needed."""
    CONFIGURATION = 2
    """Wrong usage, settings, credentials or state; nothing works until someone corrects them."""
    STOPPED = 3
    """The source or a destination stopped."""
    BUG = 70
    """An unexpected failure (sysexits' EX_SOFTWARE)."""
    HELD = 75
    """Another run holds the account, and nothing was done (sysexits' EX_TEMPFAIL)."""


_WORST_FIRST = (Exit.BUG, Exit.STOPPED, Exit.CONFIGURATION, Exit.HELD, Exit.ATTENTION, Exit.DONE)


def worst(codes: Iterable[int]) -> Exit:
    """Return the exit code for several accounts: that of the one that needs a human soonest.

    Work that stopped halfway outranks work that never began.
    """
    return min((Exit(code) for code in codes), key=_WORST_FIRST.index, default=Exit.DONE)


def stopped_by(signal_number: int) -> int:
    """Return the exit code of a command stopped by a signal."""
    return 128 + signal_number


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed, in a sentence without personal data."""

    message: str
    exit_code: int
    trace: tuple[str, ...] = ()
    """The code locations of an unexpected failure, without values."""


def failure_of(error: BaseException) -> Failure:
    """Return the message and exit code for an error."""
    match error:
        case StoppedBySignal():
            message = "stopped; what was sent is on record, and the next run goes on from here"
            return Failure(message, stopped_by(error.number))
        case Abort():
            return Failure("stopped; nothing was written", stopped_by(signal.SIGINT))
        case NightDoneError():
            return Failure(str(error), Exit.DONE)
        case LeaseHeldError() | LeaseLostError():
            return Failure(str(error), Exit.HELD)
        case UsageError() | LedgerError() | RenamedError() | ConnectorError():
            return Failure(str(error), Exit.CONFIGURATION)
        case OSError(filename=str() as name):
            return Failure(f"{name}: {error.strerror}", Exit.CONFIGURATION)
    return Failure(
        f"this was not foreseen: {type(error).__name__}. Please report it with the lines below; "
        "they hold places in the code and no data. What was committed is safe.",
        Exit.BUG,
        places(error),
    )


def places(error: BaseException) -> tuple[str, ...]:
    """Return an error's traceback as file, line and function, without messages or variables, which may hold data."""
    frames = traceback.extract_tb(error.__traceback__)
    own = tuple(f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return own if cause is None else (*places(cause), f"then {type(error).__name__} at", *own)


def _short(file: str) -> str:
    """Return a file's path relative to `site-packages` or the project."""
    parts = Path(file).parts
    root = next((index for index, part in enumerate(parts) if part == "site-packages"), None)
    if root is not None:
        return "/".join(parts[root + 1 :])
    known = [index for index, part in enumerate(parts) if part in ("jobs", "connectors")]
    return "/".join(parts[known[-1] :]) if known else parts[-1]
