"""Keeps a failure that nobody foresaw to the part in which it happened: the others go on, and the end is 70."""

from types import TracebackType
from typing import Self

from connectors.errors import NothingSent
from jobs.ledger.storage.state_file import LedgerError
from jobs.logs import Log

_log = Log(__name__)


class ContainedFault:
    """A block whose unforeseen failure ends that block alone: it is logged with its places, and noted in `faults`.

    What is `foreseen` is no fault: it is only logged, and why. A stop passes, and so does a ledger that cannot be used
    where that is not foreseen: nothing can go on then.
    """

    def __init__(
        self, faults: list[str], said: str, *, foreseen: tuple[type[Exception], ...] = (), **values: object
    ) -> None:
        """Say what failed in a log line of these values, if it does."""
        self._faults, self._said, self._foreseen, self._values = faults, said, foreseen, values
        self.error: Exception | None = None
        """What the block raised."""

    @property
    def name(self) -> str:
        """The kind of error; its text may hold what was sent."""
        return type(self._cause).__name__

    @property
    def _cause(self) -> BaseException | None:
        return self.error.__cause__ if isinstance(self.error, NothingSent) else self.error

    def __enter__(self) -> Self:
        """Begin the block."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> bool:
        """End the block; return whether what comes after it goes on although it failed."""
        if isinstance(error, self._foreseen):
            why = error.strerror if isinstance(error, OSError) else next(iter(error.args), None)
            _log.warning(self._said, **self._values, why=why or type(error).__name__)
            return True
        if not isinstance(error, Exception) or isinstance(error, LedgerError):
            return False
        self.error = error
        self._faults.append(self.name)
        _log.error(self._said, exc_info=self._cause, **self._values)
        return True
