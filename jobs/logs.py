"""Loggers for what commands that only read load too: structlog is loaded with the first message, if there is one."""

import logging
import threading
from collections.abc import Callable


class Log:
    """A logger of structlog's, by the name of the module that writes.

    Loading structlog takes a fifth of the time of a command that only reads, and such a command seldom logs anything.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, event: str, **values: object) -> None:
        """Log what is worth knowing."""
        self._write("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        """Log what somebody should look at."""
        self._write("warning", event, values)

    def error(self, event: str, **values: object) -> None:
        """Log why something was not done."""
        self._write("error", event, values)

    def _write(self, level: str, event: str, values: dict[str, object]) -> None:
        import structlog  # noqa: PLC0415 - most commands end without a message

        for handler in logging.getLogger().handlers:
            if isinstance(handler, _StartingHandler):
                handler.start()
        getattr(structlog.stdlib.get_logger(self._name), level)(event, **values)


def start_logging_lazily(start: Callable[[], object]) -> None:
    """Have `start`, which replaces the root logger's handlers, called before the first message, also a library's."""
    logging.getLogger().handlers = [_StartingHandler(start)]


class _StartingHandler(logging.Handler):
    def __init__(self, start: Callable[[], object]) -> None:
        super().__init__()
        self._start = start
        self._is_started = False
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start logging, once; other threads wait, so that no message passes through what is half set up."""
        with self._starting:
            if not self._is_started:
                self._start()
                self._is_started = True

    def emit(self, record: logging.LogRecord) -> None:
        self.start()
        logging.getLogger().handle(record)
