"""What a connector raises, named by what the caller must do.

    ConnectorError              never raised itself
    ├── Transient               try again later: timeouts, 429, 5xx, cut connections
    │   └── Unreachable         nobody answers at the address: it is wrong, or the network is down
    │       └── UnknownHost     the host name does not exist: asking again at once does not help
    ├── Misconfigured           stop this source or destination and notify a human: wrong token, unknown shape
    │   └── KeyRefused          the key itself, or the way it is shown
    └── WrongClock              nobody knows what is too late: judge, send and keep nothing

What a platform says of a single row is data (`records.Outcome`), not an exception.
"""

from datetime import timedelta


class ConnectorError(Exception):
    """The platform could not be used as asked. Messages carry ids, codes and settings' names, never a value sent."""


class Transient(ConnectorError):
    """The platform may answer later."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        """Keep the platform's own delay, where it named one."""
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(Transient):
    """Nobody answers at an address, which the message names with its setting: no such host, or no connection."""


class UnknownHost(Unreachable):
    """A name server says that there is no such host; a night that meets it goes on tomorrow."""


class Misconfigured(ConnectorError):
    """Nothing will pass until a human changes something; the message says what."""


class KeyRefused(Misconfigured):
    """The platform does not take the key, or not as it is shown."""


class WrongClock(ConnectorError):
    """This machine's clock and a platform's are too far apart to know what is too late; the message shows both."""
