"""Exceptions raised by connectors, named for how the caller must react.

A platform's answer about a single row is data (`records.Outcome`), not an exception.
"""

from datetime import timedelta


class ConnectorError(Exception):
    """Base class, never raised itself; messages hold ids, codes and setting names, never a value that was sent."""


class Transient(ConnectorError):
    """Retrying later may succeed: a timeout, 429, 5xx or dropped connection."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        """Keep the delay requested by the platform, if any."""
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(Transient):
    """An address cannot be reached (no such host or no connection); the message names it and its setting."""


class UnknownHost(Unreachable):
    """DNS reports that the host does not exist; the night stops and resumes tomorrow."""


class OutOfTime(Transient):
    """A read has used all the time that it and its retries have together; retried in this night no more."""


class NothingSent(Exception):
    """An upload failed before its first byte left; the cause of what nobody foresaw says what it was."""


class Misconfigured(ConnectorError):
    """Stop this source or destination: nothing will work until a human makes the change the message asks for."""


class WrongFile(Misconfigured):
    """A file named on the command line is not what it has to be."""


class KeyRefused(Misconfigured):
    """The platform rejects the key, or the way it is presented."""

    is_known = False
    """Whether the platform knows the key, and only does not let it read this."""


class WrongClock(ConnectorError):
    """This machine's clock or the platform's is wrong, so no deadline can be judged: decide, send and store nothing."""
