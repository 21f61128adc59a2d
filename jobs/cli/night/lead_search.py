"""Looks for leads whose creation was never answered: after each night, and by `schedule` when it is due."""

from contextlib import AbstractContextManager, suppress
from datetime import datetime

import structlog

from connectors.errors import ConnectorError
from connectors.http import CancelToken
from connectors.language import _
from connectors.ports import Clock, LeadSource
from jobs.exit_codes import CommandError, UsageError
from jobs.faults import ContainedFault
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.oplead_commands.creation.looking import reference_path, search_outbox
from jobs.oplead_commands.creation.outbox import lead_creation_outbox_path, open_outbox
from jobs.settings import Settings
from jobs.wiring.oplead import account_source
from jobs.wiring.state import folder_beside_state

_log = structlog.stdlib.get_logger()


def next_lead_search(settings: Settings) -> datetime | None:
    """Return when a lead in doubt is looked for next; None if there is none."""
    path = lead_creation_outbox_path(folder_beside_state(settings), settings.account)
    try:
        with open_outbox(path) as outbox:
            return min((one.next_look_at for one in outbox.in_doubt()), default=None) if outbox else None
    except UsageError:  # whoever creates leads is told
        return None


def search_leads_in_doubt(
    settings: Settings, clock: Clock, cancel_token: CancelToken, faults: list[str], *, every: bool = False
) -> None:
    """Look for the leads in doubt whose look is due, or for all; never raises, so that nothing else depends on it."""
    said = _("leads whose creation was never answered could not be looked for")
    with (
        ContainedFault(faults, said, foreseen=(CommandError, ConnectorError)),
        suppress(LeaseHeldError),  # a command that creates leads looks by itself
    ):
        if next_lead_search(settings) is not None:
            _search(settings, clock, cancel_token, every=every)


def _search(settings: Settings, clock: Clock, cancel_token: CancelToken, *, every: bool) -> None:
    path = lead_creation_outbox_path(folder_beside_state(settings), settings.account)

    def open_source(wanted: frozenset[str]) -> AbstractContextManager[LeadSource]:
        return account_source(settings, clock, wanted_fields=wanted, cancel_token=cancel_token)

    search = search_outbox(path, clock, reference_path(settings), open_source, cancel_token=cancel_token, every=every)
    if search is None:
        return
    if search.found:
        _log.info("leads whose creation was never answered are in Oplead", leads=len(search.found))
    if search.problem is not None:
        _log.warning(_("leads whose creation was never answered could not be looked for"), why=search.problem)
    if search.for_humans:
        waiting = search.for_humans
        _log.warning(_("leads whose creation was never answered were not found; somebody must decide"), leads=waiting)
