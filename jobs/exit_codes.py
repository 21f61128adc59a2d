"""What a command ends with, and the errors that say so."""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes; a signal exits with 128 plus its number, as in shells."""

    DONE = 0
    ATTENTION = 1
    """Done, but a human is needed."""
    CONFIGURATION = 2
    """Wrong usage, settings, credentials or state; nothing works until someone corrects them."""
    STOPPED = 3
    """The source or a destination stopped."""
    BUG = 70
    """An unexpected failure (sysexits' EX_SOFTWARE)."""
    HELD = 75
    """Another run holds the account, or its database is away; it can be tried again (sysexits' EX_TEMPFAIL)."""


class CommandError(Exception):
    """Why a command cannot go on; the message says what to do, and holds no personal data."""

    exit_code: ClassVar[Exit] = Exit.CONFIGURATION


class UsageError(CommandError):
    """The command line, or a file it names, cannot be used; the message says what to do."""
