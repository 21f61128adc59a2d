"""Looks for leads whose creation was never answered: in each night, and by `schedule` when it is due."""

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import structlog

from connectors.http import CancelToken
from connectors.language import _
from connectors.ports import Clock, LeadSource
from jobs.exit_codes import UsageError
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.oplead_commands.creation.looking import reference_path, search_outbox
from jobs.oplead_commands.creation.outbox import LeadCreationRecord, lead_creation_outbox_path, open_outbox
from jobs.settings import Settings
from jobs.wiring.oplead import account_source
from jobs.wiring.state import folder_beside_state

_log = structlog.stdlib.get_logger()


def next_lead_search(settings: Settings) -> datetime | None:
    """Return when a lead in doubt is looked for next; None if there is none."""
    return min((one.next_look_at for one in _in_doubt(settings)), default=None)


def search_leads_in_doubt(settings: Settings, clock: Clock, cancel_token: CancelToken, *, every: bool = False) -> int:
    """Look for the leads in doubt whose look is due, or for all, and return on how many somebody must decide.

    Never raises, so that nothing else depends on it.
    """
    try:
        if _in_doubt(settings):
            _search(settings, clock, cancel_token, every=every)
    except LeaseHeldError:
        pass  # a command that creates leads looks by itself
    except Exception:  # noqa: BLE001
        _log.warning(_("leads whose creation was never answered could not be looked for"), exc_info=True)
    undecided = sum(one.is_for_humans for one in _in_doubt(settings))
    if undecided:
        _log.warning(_("leads whose creation was never answered were not found; somebody must decide"), leads=undecided)
    return undecided


def _in_doubt(settings: Settings) -> list[LeadCreationRecord]:
    try:
        with open_outbox(_path(settings)) as outbox:
            return outbox.in_doubt() if outbox else []
    except (UsageError, OSError):  # whoever creates leads is told
        return []


def _path(settings: Settings) -> Path:
    return lead_creation_outbox_path(folder_beside_state(settings), settings.account)


def _search(settings: Settings, clock: Clock, cancel_token: CancelToken, *, every: bool) -> None:
    def open_source(wanted: frozenset[str]) -> AbstractContextManager[LeadSource]:
        return account_source(settings, clock, wanted_fields=wanted, cancel_token=cancel_token)

    reference = reference_path(settings)
    search = search_outbox(_path(settings), clock, reference, open_source, cancel_token=cancel_token, every=every)
    if search is None:
        return
    if search.found:
        _log.info("leads whose creation was never answered are in Oplead", leads=len(search.found))
    if search.problem is not None:
        _log.warning(_("leads whose creation was never answered could not be looked for"), why=search.problem)
