"""What a command says on stderr: sentences for a person, or one line of JSON per event for a machine."""

import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

from connectors.plain_text import plain
from jobs.cli.exits import places

_HIDDEN = "[secret]"
_SHORTEST_SECRET = 4  # characters; a shorter one would blank out ordinary words
_LOUD_LIBRARIES = ("alembic", "apscheduler", "google", "httpcore", "httpx", "requests", "sqlalchemy", "urllib3")
"""They log addresses, headers or bodies below WARNING."""
_TOLD_TO_PEOPLE = "jobs.cli.accounts"
"""It says where the settings' secrets were found: whoever sits at a terminal wants to know that, too."""


class Redaction:
    """A structlog processor that takes known secrets out of every text of an event."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these from now on."""
        # Made anew, never changed: another thread may be going through it.
        self._secrets |= {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """The event without secrets."""
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: object) -> object:
        match value:
            case str():
                for secret in self._secrets:
                    value = value.replace(secret, _HIDDEN)
                return value
            case dict():
                return {key: self._clean(each) for key, each in value.items()}
            case list() | tuple():
                return [self._clean(each) for each in value]
        return value


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at that moment: a progress bar stands in for it while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def start_logging(*, as_json: bool) -> Redaction:
    """Send every log record of ours and of the libraries to stderr, without secrets.

    Args:
        as_json: one JSON object a line, from INFO on; else sentences for a person, from WARNING on.
    """
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
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_exception_data,
                redaction,
                _plainly,
                _what_matters_first,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if as_json else logging.WARNING)
    logging.getLogger(_TOLD_TO_PEOPLE).setLevel(logging.INFO)
    for name in _LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    return redaction


def _without_exception_data(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Leave an exception's kind and place: its message and variables may hold anyone's data."""
    told = event.pop("exc_info", None)
    error = sys.exception() if told is True else told[1] if isinstance(told, tuple) else told
    if isinstance(error, BaseException):
        event["error"], event["trace"] = type(error).__name__, list(places(error))
    return event


def _plainly(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The event without control characters, the line ends of our own sentences aside."""
    return {key: _plain(value) for key, value in event.items()}


def _plain(value: object) -> object:
    match value:
        case str():
            return plain(value, keep="\n")
        case list() | tuple():
            return [_plain(each) for each in value]
    return value


def _what_matters_first(_logger: object, _method: str, event: EventDict) -> EventDict:
    """When, how grave and what: the order in which a line is read."""
    first = ("timestamp", "level", "event", "account")
    return {key: event[key] for key in (*(key for key in first if key in event), *event)}


def _sentence(_logger: object, _method: str, event: MutableMapping[str, object]) -> str:
    """How a person reads an event: what it says, line by line."""
    account = f"{event['account']}: " if "account" in event else ""
    trace = event.get("trace")
    lines = [f"  {line}" for line in trace] if isinstance(trace, list) else []
    return "\n".join([f"{account}{event['event']}", *lines])
