"""What the program says about itself, without what it knows about people or may tell nobody.

Libraries log addresses, headers, bodies and tokens, and quote them in exceptions and warnings. None of their words
leaves here: of each record a `RedactedLogRecord` remains, which says where in the code it was made. That place is
enough to look the words up, and holds no data.
"""

import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from connectors.language import _
from connectors.text import strip_control_characters

_OWN = ("jobs", "connectors")
"""The packages that may say something in their own words."""
_HIDDEN = "[secret]"
_SHORTEST_SECRET = 4  # characters; a shorter one would blank out ordinary words


# ── exceptions ─────────────────────────────────────────────────────────────────────────────────────


def traceback_locations(error: BaseException) -> tuple[str, ...]:
    """Return an error's traceback as file, line and function, without messages or variables, which may hold data."""
    frames = traceback.extract_tb(error.__traceback__)
    own = tuple(_location(frame.filename, frame.lineno or 0, frame.name) for frame in frames)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return own if cause is None else (*traceback_locations(cause), f"then {type(error).__name__} at", *own)


def _location(file: str, line: int, function: str | None) -> str:
    """Return a place in the code, its file relative to `site-packages` or the project."""
    known = re.search(r"/site-packages/(.*)", file) or re.search(r".*/((jobs|connectors)/.*)", file)
    where = f"{known[1] if known else Path(file).name}:{line}"
    return f"{where} in {function}" if function else where


# ── libraries' records ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RedactedLogRecord:
    """What remains of a library's record: which logger made it, and places in the code."""

    library: str
    place: str
    error: str | None = None
    """The type of the exception that it reported."""
    trace: tuple[str, ...] = ()

    def as_log_record(self, level: int) -> logging.LogRecord:
        """Return a record that holds this and nothing else, for handlers to show."""
        record = logging.LogRecord(self.library, level, self.place, 0, self.as_sentence(), (), None)
        record.shape = self
        return record

    def as_sentence(self) -> str:
        """Say what is known."""
        if self.error is None:
            return _("{library} reported something at {place}", library=self.library, place=self.place)
        return _("{library} reported {error} at {place}", library=self.library, error=self.error, place=self.place)


def redact_log_record(record: logging.LogRecord) -> RedactedLogRecord:
    """Return what may be shown of a library's record."""
    place = _location(record.pathname, record.lineno, record.funcName)
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return RedactedLogRecord(record.name, place) if error is None else _shape_of_error(record.name, error, place)


def _shape_of_error(source: str, error: BaseException, place: str | None = None) -> RedactedLogRecord:
    trace = traceback_locations(error)
    return RedactedLogRecord(source, place or next(reversed(trace), "?"), type(error).__name__, trace)


def is_own_logger(logger: str) -> bool:
    """Return whether a logger belongs to this project."""
    return logger.partition(".")[0] in _OWN


_call_handlers = logging.Logger.callHandlers


def _call_handlers_without_data(self: logging.Logger, record: logging.LogRecord) -> None:
    as_is = is_own_logger(record.name) or _shape_in(record) is not None
    _call_handlers(self, record if as_is else redact_log_record(record).as_log_record(record.levelno))


def _shape_in(record: object) -> RedactedLogRecord | None:
    shape = getattr(record, "shape", None)
    return shape if isinstance(shape, RedactedLogRecord) else None


def redact_libraries() -> None:
    """From now on, hand nothing but shapes of libraries' records to handlers, whoever added those."""
    # Every record of every logger passes here on its way to the handlers, those made by hand and those with fields
    # added after the record factory included. Filters come before: the notifier reads apprise's status codes in one.
    logging.Logger.callHandlers = _call_handlers_without_data  # type: ignore[method-assign]


# ── what bypasses the loggers ──────────────────────────────────────────────────────────────────────


def redact_uncaught_errors() -> None:
    """Show uncaught errors, warnings and what gRPC writes by itself without their text; for the main program only.

    asyncio needs nothing of its own: it reports through a logger.
    """
    sys.excepthook = _show_uncaught
    threading.excepthook = _show_uncaught_in_thread
    sys.unraisablehook = _show_unraisable
    warnings.showwarning = _show_warning
    # gRPC's core writes metadata, tokens included, to the descriptor itself where these ask for it.
    os.environ.pop("GRPC_TRACE", None)
    os.environ["GRPC_VERBOSITY"] = "NONE"


def _show(level: int, shape: RedactedLogRecord) -> None:
    root = logging.getLogger()
    if root.handlers:
        root.handle(shape.as_log_record(level))
    else:  # nothing has set up logging yet
        sys.stderr.write("\n  ".join([shape.as_sentence(), *shape.trace]) + "\n")


def _show_uncaught(_kind: object, error: BaseException, _trace: object) -> None:
    _show(logging.CRITICAL, _shape_of_error("python", error))


def _show_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _show(logging.ERROR, _shape_of_error("python.threading", args.exc_value))


def _show_unraisable(args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        _show(logging.ERROR, _shape_of_error("python.unraisable", args.exc_value))


def _show_warning(  # noqa: PLR0917 - as `warnings` calls it
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del message, file, line
    _show(logging.WARNING, RedactedLogRecord("python.warnings", _location(filename, lineno, None), category.__name__))


# ── secrets ────────────────────────────────────────────────────────────────────────────────────────


class Redaction:
    """A structlog processor that removes known secrets and control characters from an event's texts."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()

    def register_secrets(self, secrets: Iterable[str]) -> None:
        """Redact these secrets from now on."""
        # Rebound, never mutated: another thread may be iterating over the set.
        self._secrets |= {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, object]) -> dict[str, object]:
        """Return the redacted event; line breaks are kept."""
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: object) -> object:
        match value:
            case str():
                for secret in self._secrets:
                    value = value.replace(secret, _HIDDEN)
                return strip_control_characters(value, keep="\n")
            case dict():
                return {key: self._clean(each) for key, each in value.items()}
            case tuple() if type(value) is not tuple:  # it knows what may be shown of it
                return self._clean(repr(value))
            case list() | tuple():
                return [self._clean(each) for each in value]
        return value


def describe_shape(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Structlog processor: show a library's record as its shape."""
    shape = _shape_in(event.get("_record"))
    if shape is None:
        return event
    shown = {**event, "event": shape.as_sentence(), "library": shape.library, "at": shape.place}
    return {**shown, "error": shape.error, "trace": list(shape.trace)} if shape.error else shown


def without_exception_data(
    _logger: object, _method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Structlog processor: reduce an exception to its type and code locations."""
    info = event.pop("exc_info", None)
    error = sys.exception() if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"], event["trace"] = type(error).__name__, list(traceback_locations(error))
    return event
