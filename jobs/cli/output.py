"""The output of a command: its logs, its exit code, and a sentence for each failure."""

import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import typer

from connectors.errors import ConnectorError
from connectors.language import _, in_english
from jobs.cancellation import StoppedBySignal, StopSignal, handle_stop_signals, stop_signals
from jobs.exit_codes import CommandError, Exit
from jobs.logs import Log, start_logging_lazily
from jobs.privacy.redaction import (
    Redaction,
    describe_shape,
    is_own_logger,
    redact_libraries,
    traceback_locations,
    without_exception_data,
)

if TYPE_CHECKING:
    from structlog.typing import Processor

Event = MutableMapping[str, Any]
"""An event as structlog's processors hand it on."""

# ── exit codes and failures ────────────────────────────────────────────────────────────────────────


_WORST_FIRST = (Exit.BUG, Exit.STOPPED, Exit.CONFIGURATION, Exit.HELD, Exit.ATTENTION, Exit.DONE)


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
        case typer.Abort():
            return CommandFailure(_("stopped; nothing was written"), signal_exit_code(signal.SIGINT))
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


# ── results and logs ───────────────────────────────────────────────────────────────────────────────

_SHOWN_TO_PEOPLE = "jobs.cli.accounts"
"""The logger that reports where secrets were found, which is shown at a terminal too."""


def is_interactive() -> bool:
    """Whether stdin and stdout are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stderr`, which a progress bar replaces while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say where a record could not be written; logging itself would print its arguments."""
        error = type(sys.exception()).__name__
        said = _("a log record of {logger} could not be written: {error}", logger=record.name, error=error)
        sys.stderr.write(f"{said}\n")


def start_logging(*, as_json: bool) -> Redaction:
    """Send all log records, including the libraries', to stderr without secrets.

    Of what libraries say, only the shape is shown, and only from WARNING up.

    Args:
        as_json: write one JSON object a line from INFO up; otherwise sentences for a person from WARNING up.
    """
    import structlog  # noqa: PLC0415 - commands that only read seldom log anything

    redact_libraries()
    redaction = Redaction()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    if as_json:
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else _sentence
    handler = _Stderr()
    # Below WARNING libraries say much, and none of their words remain.
    handler.addFilter(lambda record: is_own_logger(record.name) or record.levelno >= logging.WARNING)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                describe_shape,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                without_exception_data,
                *([_in_english] if as_json else []),
                redaction,
                _order_log_keys,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if as_json else logging.WARNING)
    logging.getLogger(_SHOWN_TO_PEOPLE).setLevel(logging.INFO)
    return redaction


def _in_english(_logger: object, _method: str, event: Event) -> Event:
    return {key: in_english(value) if isinstance(value, str) else value for key, value in event.items()}


def _order_log_keys(_logger: object, _method: str, event: Event) -> Event:
    first = ("timestamp", "level", "event", "account")
    return {**{key: event[key] for key in first if key in event}, **event}


def _sentence(_logger: object, _method: str, event: MutableMapping[str, object]) -> str:
    """Render an event as text for a person, with its trace on indented lines."""
    text = f"{event['event']}"
    if "account" in event:
        text = _("{name}: {text}", name=event["account"], text=text)
    trace = event.get("trace")
    lines = [f"  {line}" for line in trace] if isinstance(trace, list) else []
    return "\n".join([text, *lines])


_log = Log(__name__)


def run_guarded(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; report a failure on stderr and return the failure's code."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise StoppedBySignal(number)

    # Signals raise an exception, so that transactions and servers are closed.
    for each in stop_signals():
        signal.signal(each, stop)
    start_logging_lazily(partial(start_logging, as_json=False))
    try:
        return command()
    except (typer.BadParameter, typer.Exit):
        raise
    except StoppedBySignal as stopped:
        return log_failure(CommandFailure(_("stopped"), signal_exit_code(stopped.number)))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a person reads a sentence, never a traceback
        return log_failure(failure_from_error(error))


@contextmanager
def signals_and_logging() -> Iterator[tuple[StopSignal, Redaction]]:
    """Let signals request a stop while the block runs; log sentences to a terminal, JSON to anything else."""
    redaction = start_logging(as_json=not sys.stderr.isatty())
    with handle_stop_signals() as stop:
        try:
            yield stop, redaction
        except StoppedBySignal as stopped:
            raise typer.Exit(log_failure(failure_from_error(stopped))) from None


def log_failure(failure: CommandFailure) -> int:
    """Log a failure and return its exit code."""
    more = {"trace": list(failure.trace)} if failure.trace else {}
    _log.error(failure.message, exit_code=int(failure.exit_code), **more)
    return failure.exit_code
