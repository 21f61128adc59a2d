"""What failed, in a sentence, and the exit code for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.errors import ConnectorError
from connectors.language import _
from jobs.cancellation import StoppedBySignal
from jobs.exit_codes import CommandError, Exit
from jobs.logs import Log
from jobs.privacy.redaction import traceback_locations

_WORST_FIRST = (Exit.BUG, Exit.STOPPED, Exit.CONFIGURATION, Exit.HELD, Exit.ATTENTION, Exit.DONE)
_log = Log(__name__)


def worst_exit_code(codes: Iterable[int]) -> Exit:
    """Return the exit code for several accounts: that of the one that needs a human soonest.

    Work that stopped halfway outranks work that never began.
    """
    return min((Exit(code) for code in codes), key=_WORST_FIRST.index, default=Exit.DONE)


def signal_exit_code(signal_number: int) -> int:
    """Return the exit code of a command stopped by a signal."""
    return 128 + signal_number


@dataclass(frozen=True, slots=True)
class CommandFailure:
    """Why a command failed, in a sentence without personal data."""

    message: str
    exit_code: int
    trace: tuple[str, ...] = ()
    """The code locations of an unexpected failure, without values."""


def failure_from_error(error: BaseException) -> CommandFailure:
    """Return the message and exit code for an error."""
    match error:
        case StoppedBySignal():
            message = _("stopped; what was sent is on record, and the next run goes on from here")
            return CommandFailure(message, signal_exit_code(error.number))
        case CommandError():
            return CommandFailure(_as_said(error), error.exit_code)
        case ConnectorError():
            return CommandFailure(str(error), Exit.CONFIGURATION)
        case OSError(filename=str() as name):
            return CommandFailure(f"{name}: {error.strerror}", Exit.CONFIGURATION)
    return CommandFailure(
        _(
            "this was not foreseen: {error}. Please report it with the lines below; they hold places in the code and "
            "no data. What was committed is safe.",
            error=type(error).__name__,
        ),
        Exit.BUG,
        traceback_locations(error),
    )


def _as_said(error: CommandError) -> str:
    """Return an error's text; unlike `str`, this keeps its English for logs."""
    said = error.args[0] if error.args else ""
    return said if isinstance(said, str) else str(error)


def log_failure(failure: CommandFailure) -> int:
    """Log a failure and return its exit code."""
    more = {"trace": list(failure.trace)} if failure.trace else {}
    _log.error(failure.message, exit_code=int(failure.exit_code), **more)
    return failure.exit_code
