"""Look, after any command that writes, for leads of earlier ones whose look is due."""

import sys

from connectors.language import _n
from jobs.exit_codes import UsageError
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.looking import Search, leads_in_doubt, reference_path, search_outbox
from jobs.oplead_commands.creation.outbox import lead_creation_outbox_path


def search_due_leads(context: OpleadContext) -> None:
    """Look for leads in doubt whose look is due, and say on stderr what came of it; the command's result stands."""
    if context.known.state_folder is None or context.known.settings.account is None:
        return
    path = lead_creation_outbox_path(context.known.state_folder, context.known.settings.account)
    try:
        reference = reference_path(context.known.settings)
        _say(
            search_outbox(
                path,
                leads_in_doubt(path),
                context.clock,
                reference,
                context.source,
                cancel_token=context.cancel_token,
            )
        )
    except LeaseHeldError:
        pass  # whoever holds it looks
    except UsageError as error:
        sys.stderr.write(f"{error}\n")


def _say(search: Search) -> None:
    lines = []
    if search.found:
        lines.append(
            _n(
                "{count} lead whose answer had been lost is in Oplead.",
                "{count} leads whose answers had been lost are in Oplead.",
                len(search.found),
            )
        )
    if search.missing:
        lines.append(
            _n(
                "{count} lead whose answer was lost has not been found: its own command says what to do.",
                "{count} leads whose answers were lost have not been found: their own commands say what to do.",
                len(search.missing),
            )
        )
    sys.stderr.writelines(f"{each}\n" for each in lines)
