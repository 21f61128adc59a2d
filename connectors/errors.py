"""What a connector raises, named by what the caller must do.

What a platform says of a single row is data (`records.Outcome`), not an exception.
"""

from datetime import timedelta


class ConnectorError(Exception):
    """Never raised itself. Messages carry ids, codes and settings' names, never a value that was sent."""


class Transient(ConnectorError):
    """The platform may answer later: a timeout, 429, 5xx or cut connection."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        """Keep the platform's own delay, where it named one."""
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(Transient):
    """Nobody answers at an address, which the message names with its setting: no such host, or no connection."""


class UnknownHost(Unreachable):
    """A name server says that there is no such host; a night that meets it goes on tomorrow."""


class Misconfigured(ConnectorError):
    """Stop this source or destination: nothing will pass until a human changes something; the message says what."""


class KeyRefused(Misconfigured):
    """The platform does not take the key, or not as it is shown."""


class WrongClock(ConnectorError):
    """Nobody knows what is too late, by this machine's clock or the platform's: judge, send and keep nothing."""
