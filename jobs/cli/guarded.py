"""Runs a command so that whatever goes wrong ends in a sentence and an exit code."""

from collections.abc import Callable

import structlog

from jobs.cli.exits import Failure, failure_of, stop_by_signal
from jobs.cli.logs import start_logging
from jobs.stopping import StoppedBySignal

_log = structlog.stdlib.get_logger()


def guarded(command: Callable[[], int]) -> int:
    """The command's exit code, or that of its failure, which is told on stderr."""
    stop_by_signal()
    start_logging(as_json=False)
    try:
        return command()
    except StoppedBySignal as stop:
        return report(Failure("stopped", 128 + stop.number))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a person reads a sentence, never a traceback
        return report(failure_of(error))


def report(failure: Failure) -> int:
    """Say why a command could not do its work; its exit code."""
    more = {"trace": list(failure.trace)} if failure.trace else {}
    _log.error(failure.message, exit_code=int(failure.exit_code), **more)
    return failure.exit_code
