"""How the command ends: its exit codes, and what each failure means in a sentence."""

import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from types import FrameType


class Exit(IntEnum):
    """What a scheduler is told; 75 is sysexits' "try again later", 70 its "internal software error"."""

    DONE = 0
    ATTENTION = 1
    """Done, and a human is needed."""
    CONFIGURATION = 2
    """Wrong usage, settings, credentials or state: nothing passes until someone mends them."""
    STOPPED = 3
    """The source or a destination stopped."""
    BUG = 70
    """Something nobody foresaw."""
    HELD = 75
    """Another run holds the account; nothing was done."""


_WORST_FIRST = (Exit.BUG, Exit.CONFIGURATION, Exit.STOPPED, Exit.HELD, Exit.ATTENTION, Exit.DONE)


def worst(codes: Iterable[int]) -> int:
    """The code to end with after several accounts: the one that needs a human soonest."""
    return min(codes, key=lambda code: _WORST_FIRST.index(Exit(code)), default=Exit.DONE)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command could not do its work, in a sentence without data of anyone."""

    message: str
    exit_code: Exit
    trace: str | None = None
    """Where it broke, for a failure nobody foresaw: files, lines and functions, no values."""


class StoppedError(Exception):
    """A person or the system asked the command to stop."""

    def __init__(self, number: int) -> None:
        """Keep which signal it was."""
        super().__init__("stopped; what was sent is on record, and the next run goes on from here")
        self.number = number


def stop_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end the command by an exception, so that files, locks and connections are closed."""

    def _stop(number: int, _frame: FrameType | None) -> None:
        raise StoppedSignal(number)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _stop)
