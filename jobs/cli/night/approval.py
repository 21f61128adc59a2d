"""Asks whoever is at the terminal before anything is sent."""

import select
import sys
import termios
import time
from dataclasses import dataclass, field

from connectors.http import CancelToken
from connectors.language import _
from jobs.cli.output import is_interactive
from jobs.exit_codes import UsageError
from jobs.reporting.console import results_console

PATIENCE_SECONDS = 600
"""How long to wait for an answer; the account is held meanwhile, and no night can run."""
_LOOK_EVERY = 0.5


@dataclass(slots=True)
class ApprovalOptions:
    """How what is sent is approved and reported."""

    yes: bool = False
    dry_run: bool = False
    json_wanted: bool = False
    is_given: bool = field(default=False, init=False)
    """Whether somebody has agreed."""

    def require_approver(self) -> None:
        """Check that somebody can approve, or that no approval is needed.

        Raises:
            UsageError: approval is needed and nobody is at the terminal, or `--json` is given.
        """
        if not (self.yes or self.dry_run) and (self.json_wanted or not is_interactive()):
            why = _("--json asks nobody") if self.json_wanted else _("nobody is there to agree")
            raise UsageError(_("{why}: write --yes to agree, or --dry-run to look only", why=why))

    def ask_approval(self, question: str, cancel_token: CancelToken) -> bool:
        """Whether somebody agrees, now or beforehand with `--yes`; any other answer means no.

        Raises:
            UsageError: nobody answered within `PATIENCE_SECONDS`.
        """
        self.is_given = self.yes or self._is_answered_with_yes(question, cancel_token)
        return self.is_given

    def _is_answered_with_yes(self, question: str, cancel_token: CancelToken) -> bool:
        answer = is_answered_with_yes(question, cancel_token)
        if answer is None:
            raise UsageError(_("nobody answered for ten minutes: nothing was done; write --yes to agree beforehand"))
        return answer


def is_answered_with_yes(question: str, cancel_token: CancelToken) -> bool | None:
    """Whether whoever is at the terminal answers with yes; None if nobody answers within `PATIENCE_SECONDS`."""
    if sys.stdin.isatty():
        termios.tcflush(sys.stdin, termios.TCIFLUSH)  # whatever was typed before is no answer to this question
    results_console().out(f"{question} [y/N]: ", end="", highlight=False)
    sys.stdout.flush()
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        ready, _writable, _failed = select.select([sys.stdin], [], [], _LOOK_EVERY)
        cancel_token()
        if ready:
            return sys.stdin.readline().strip().casefold() in {"y", "yes", "o", "oui"}
    return None
