"""The output of a command: its logs, and how it ends when it fails or a signal stops it."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import typer

from connectors.language import _, in_english
from jobs.account.failures import CommandFailure, failure_from_error, log_failure, signal_exit_code
from jobs.cancellation import StoppedBySignal, StopSignal, handle_stop_signals, stop_signals
from jobs.logs import start_logging_lazily
from jobs.privacy.redaction import Redaction, describe_shape, is_own_logger, redact_libraries, without_exception_data

if TYPE_CHECKING:
    from structlog.typing import Processor

Event = MutableMapping[str, Any]
"""An event as structlog's processors hand it on."""

_SHOWN_TO_PEOPLE = "jobs.account.files"
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
    except typer.Abort:
        return log_failure(CommandFailure(_("stopped; nothing was written"), signal_exit_code(signal.SIGINT)))
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
