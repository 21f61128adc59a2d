"""`evidence`: asks the account at hand which of the job's assumptions hold, and writes a folder to share."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from connectors.errors import ConnectorError
from connectors.evidence import ExchangeRecorder, OpleadLook
from connectors.language import _, _n, current_language, using_language
from jobs.claims import all_claims
from jobs.cli.night.approval import ApprovalOptions
from jobs.cli.output import is_interactive, signals_and_logging
from jobs.cli.progress import open_clock_showing_waits
from jobs.cli.setup.probe import partial_settings_from_file
from jobs.evidence.folder import Evidence, EvidenceFolder
from jobs.evidence.own_lead import is_own_text
from jobs.evidence.session import Session
from jobs.evidence.summary import headline, left_behind_lines, verdict_word
from jobs.evidence.verdicts import ClaimVerdict, Verdict
from jobs.evidence.walk import CHECKS, today_in, walk
from jobs.exit_codes import Exit
from jobs.reporting.console import say
from jobs.settings.load import PartialSettings, ValidSettings, load
from jobs.wiring.evidence import look_at_oplead


def gather_evidence(
    file: Path, out: Path, test_dataset: str | None = None, environ: Mapping[str, str] = os.environ
) -> int:
    """Walk the assumptions on the account of a settings file, and write what was seen into a folder."""
    known = partial_settings_from_file(file, environ)
    loaded = load(file, environ)
    with (
        signals_and_logging() as (stop, _redaction),
        using_language(known.language),
        open_clock_showing_waits(known.settings, stop) as clock,
    ):
        say(
            _(
                "Oplead, Google and Meta are asked what the job assumes of them. First by reading alone; before "
                "anything is written you are asked. Nothing is sent as a conversion, and nothing leaves this machine "
                "but these questions."
            )
        )
        recorder, approval = ExchangeRecorder(), ApprovalOptions()
        session = Session(
            known=known,
            settings=loaded.settings if isinstance(loaded, ValidSettings) else None,
            clock=clock,
            recorder=recorder,
            agrees=lambda question: is_interactive() and approval.ask_approval(question, stop.raise_if_stop_requested),
            test_dataset=test_dataset,
        )
        folder = EvidenceFolder(out)
        evidence = folder.load(today_in(session), version("oplead-sync"))
        look = _look(known, session, folder)
        for verdict in walk(session, folder, evidence, look, CHECKS):
            _show(verdict)
        return _conclude(folder, evidence)


def _look(known: PartialSettings, session: Session, folder: EvidenceFolder) -> OpleadLook | None:
    """Return what reading Oplead shows, None if it cannot be read; the folder is told what it must never hold."""
    token = known.settings.oplead.token
    try:
        look = look_at_oplead(known, session.clock, session.recorder)
    except ConnectorError as error:
        say(_("Oplead could not be read: {error}", error=error))
        look = None
    keys = {token.get_secret_value()} if token else set()
    contact = look.contact if look else frozenset()
    folder.personal = frozenset(keys) | {one for one in contact if not is_own_text(one)}
    return look


def _show(one: ClaimVerdict) -> None:
    """Tell a verdict as it is reached, if it says something."""
    if one.verdict is not Verdict.UNCLEAR:
        claim = all_claims()[one.claim].words[0]
        why = one.why[current_language()]
        say(_("- {verdict}: {claim} ({why})", verdict=verdict_word(one.verdict), claim=claim, why=why))


def _conclude(folder: EvidenceFolder, evidence: Evidence) -> int:
    say(headline(evidence))
    if stays := list(left_behind_lines(evidence)):
        say(_("In Oplead, these stay until you delete them: {names}.", names=", ".join(stays)))
    say(_("Everything is in {folder}: read it before you share it.", folder=folder.path))
    if folder.withheld:
        say(
            _n(
                "{count} exchange was left out, for it would have shown personal data.",
                "{count} exchanges were left out, for they would have shown personal data.",
                folder.withheld,
            )
        )
        return Exit.ATTENTION
    return Exit.DONE
