"""Asks a person whether what was shown may be done; nobody is waited for long."""

import select
import sys
import time

from connectors.bounded import Heed
from jobs.cli.exits import UnansweredError
from jobs.reporting.terminal import results

PATIENCE_SECONDS = 600
"""How long an answer is waited for: meanwhile the account is held, and no night can be done."""
_LOOK_EVERY = 0.5


def somebody_must_answer(*, yes: bool, dry_run: bool, json_wanted: bool) -> None:
    """Refuse to begin what nobody could agree to.

    Raises:
        UnansweredError: nobody is there, and neither `--yes` nor `--dry-run` is written.
    """
    if yes or dry_run:
        return
    if json_wanted:
        raise UnansweredError("--json asks nobody: write --yes to agree, or --dry-run to look only")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UnansweredError("nobody is there to agree: write --yes to agree, or --dry-run to look only")


def agrees(question: str, *, yes: bool, heed: Heed) -> bool:
    """Whether a person says yes; anything else is no.

    Raises:
        UnansweredError: nobody answered for ten minutes.
    """
    if yes:
        return True
    results().out(f"{question} [y/N]: ", end="", highlight=False)
    sys.stdout.flush()
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_EVERY)
        heed()
        if ready:
            return sys.stdin.readline().strip().casefold() in {"y", "yes", "o", "oui"}
    raise UnansweredError("nobody answered for ten minutes: nothing was done; write --yes to agree beforehand")
