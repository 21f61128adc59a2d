"""Looks for leads whose creation was never answered: in each night, and by `schedule` when it is due."""

from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import structlog

from connectors.errors import ConnectorError
from connectors.http import CancelToken
from connectors.language import N_, _
from connectors.ports import Clock, LeadSource
from jobs.exit_codes import CommandError, UsageError
from jobs.faults import ContainedFault
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.oplead_commands.creation.looking import reference_path, search_outbox
from jobs.oplead_commands.creation.outbox import LeadCreationRecord, lead_creation_outbox_path, open_outbox
from jobs.settings import Settings
from jobs.wiring.oplead import account_source
from jobs.wiring.state import folder_beside_state

_NOT_LOOKED_FOR = N_("leads whose creation was never answered could not be looked for")
_log = structlog.stdlib.get_logger()


def next_lead_search(settings: Settings) -> datetime | None:
    """Return when a lead in doubt is looked for next; None if there is none, or if the night has to tell of damage."""
    try:
        return min((one.next_look_at for one in _in_doubt(settings)), default=None)
    except (UsageError, OSError, ValueError):
        return None


class LeadSearch(NamedTuple):
    """What came of looking for leads in doubt."""

    undecided: int
    """On how many somebody must decide."""
    is_done: bool
    """Whether nothing kept it from looking."""


def search_leads_in_doubt(
    settings: Settings, clock: Clock, cancel_token: CancelToken, faults: list[str], *, every: bool = False
) -> LeadSearch:
    """Look for the leads in doubt whose look is due, or for all; never raises, so that nothing else depends on it."""
    undecided, is_done = 0, False
    with ContainedFault(faults, _(_NOT_LOOKED_FOR), foreseen=(CommandError, ConnectorError)):
        try:
            with suppress(LeaseHeldError):  # a command that creates leads looks by itself
                is_done = not _in_doubt(settings) or _search(settings, clock, cancel_token, every=every)
        finally:
            undecided = sum(one.is_for_humans for one in _in_doubt(settings))
    if undecided:
        _log.warning(_("leads whose creation was never answered were not found; somebody must decide"), leads=undecided)
    return LeadSearch(undecided, is_done)


def _in_doubt(settings: Settings) -> list[LeadCreationRecord]:
    with open_outbox(_path(settings)) as outbox:
        return outbox.in_doubt() if outbox else []


def _path(settings: Settings) -> Path:
    return lead_creation_outbox_path(folder_beside_state(settings), settings.account)


def _search(settings: Settings, clock: Clock, cancel_token: CancelToken, *, every: bool) -> bool:
    def open_source(wanted: frozenset[str]) -> AbstractContextManager[LeadSource]:
        return account_source(settings, clock, wanted_fields=wanted, cancel_token=cancel_token)

    reference = reference_path(settings)
    search = search_outbox(_path(settings), clock, reference, open_source, cancel_token=cancel_token, every=every)
    if search is None:
        return True
    if search.found:
        _log.info("leads whose creation was never answered are in Oplead", leads=len(search.found))
    if search.problem is not None:
        _log.warning(_(_NOT_LOOKED_FOR), why=search.problem)
    return search.problem is None
