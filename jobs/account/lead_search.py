"""Looks for leads whose creation was never answered: in each night, and by `schedule` when it is due."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from connectors.errors import ConnectorError
from connectors.http import CancelToken
from connectors.language import N_, _
from connectors.ports import Clock, LeadSource
from jobs.exit_codes import CommandError, UsageError
from jobs.faults import ContainedFault
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.oplead_commands.creation.looking import leads_in_doubt, reference_path, search_outbox
from jobs.oplead_commands.creation.outbox import (
    LeadCreationRecord,
    OutboxUnusableError,
    lead_creation_outbox_path,
)
from jobs.rules.reasons import Message, MessageKind
from jobs.settings import Settings
from jobs.wiring.oplead import account_source
from jobs.wiring.state import folder_beside_state

_NOT_LOOKED_FOR = N_("leads whose creation was never answered could not be looked for")
_log = structlog.stdlib.get_logger()


def next_lead_search(settings: Settings) -> datetime | None:
    """Return when a lead in doubt is looked for next; None if there is none, or if the night has to tell of damage."""
    try:
        return min((one.next_look_at for one in leads_in_doubt(_path(settings))), default=None)
    except (UsageError, OSError):
        return None


@dataclass(slots=True)
class LeadSearch:
    """What came of looking for leads in doubt."""

    undecided: int = 0
    """On how many somebody must decide."""
    is_done: bool = False
    """Whether nothing kept it from looking."""
    damage: Message | None = None
    """What is to be said where the record of created leads cannot be used."""

    def count_undecided(self, doubtful: Sequence[LeadCreationRecord]) -> None:
        """Count on how many of these somebody must decide."""
        self.undecided = sum(one.is_for_humans for one in doubtful)


def search_leads_in_doubt(
    settings: Settings, clock: Clock, cancel_token: CancelToken, faults: list[str], *, every: bool = False
) -> LeadSearch:
    """Look for the leads in doubt whose look is due, or for all; never raises, so that nothing else depends on it."""
    done = LeadSearch()
    # A command that creates leads looks by itself.
    foreseen = (CommandError, ConnectorError)
    with ContainedFault(faults, _(_NOT_LOOKED_FOR), foreseen=foreseen), suppress(LeaseHeldError):
        try:
            _search(done, settings, clock, cancel_token, every=every)
        except OutboxUnusableError as error:
            done.damage = Message(MessageKind.CREATED_LEADS_UNUSABLE, {"file": error.file, "why": error.why})
            raise
    if done.undecided:
        _log.warning(
            _("leads whose creation was never answered were not found; somebody must decide"), leads=done.undecided
        )
    return done


def _path(settings: Settings) -> Path:
    return lead_creation_outbox_path(folder_beside_state(settings), settings.account)


def _search(done: LeadSearch, settings: Settings, clock: Clock, cancel_token: CancelToken, *, every: bool) -> None:
    def open_source(wanted: frozenset[str]) -> AbstractContextManager[LeadSource]:
        return account_source(settings, clock, wanted_fields=wanted, cancel_token=cancel_token)

    path, reference = _path(settings), reference_path(settings)
    doubtful = leads_in_doubt(path)
    done.count_undecided(doubtful)  # stands if they cannot be looked for
    search = search_outbox(path, doubtful, clock, reference, open_source, cancel_token=cancel_token, every=every)
    done.count_undecided(search.still_in_doubt)
    done.is_done = search.problem is None
    if search.found:
        _log.info("leads whose creation was never answered are in Oplead", leads=len(search.found))
    if search.problem is not None:
        _log.warning(_(_NOT_LOOKED_FOR), why=search.problem)
