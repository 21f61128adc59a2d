"""`evidence`: asks the account at hand which of the job's assumptions hold, and writes a folder to share."""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from connectors.errors import ConnectorError
from connectors.evidence import ExchangeRecorder, OpleadLook
from connectors.http import CancelToken
from connectors.language import _, _n, current_language, using_language
from connectors.ports import Clock
from jobs.claims import all_claims
from jobs.cli.night.approval import is_answered_with_yes
from jobs.cli.output import is_interactive, signals_and_logging
from jobs.cli.progress import open_clock_showing_waits
from jobs.cli.setup.probe import partial_settings_from_file
from jobs.evidence.folder import Evidence, EvidenceFolder, mark_of
from jobs.evidence.own_lead import is_own_text
from jobs.evidence.session import Session
from jobs.evidence.summary import headline, left_behind_lines, summaries, verdict_word
from jobs.evidence.verdicts import ClaimVerdict, Verdict
from jobs.evidence.walk import walk
from jobs.exit_codes import Exit, UsageError
from jobs.reporting.console import say
from jobs.settings.load import PartialSettings, ValidSettings, load
from jobs.settings.schema import Settings
from jobs.wiring.evidence import look_at_oplead
from jobs.wiring.trials import is_dataset_number, nights_send_to


def gather_evidence(
    file: Path, out: Path, test_dataset: str | None = None, environ: Mapping[str, str] = os.environ
) -> int:
    """Walk the assumptions on the account of a settings file, and write what was seen into a folder."""
    known = partial_settings_from_file(file, environ)
    loaded, folder = load(file, environ), EvidenceFolder(out)
    settings = loaded.settings if isinstance(loaded, ValidSettings) else None
    with using_language(known.language):
        if known.settings.source is not None:
            raise UsageError(_("evidence asks Oplead's API, and these settings read exported files (`source`)"))
        if test_dataset is not None:
            _require_made_for_tests(test_dataset, settings)
    mark = mark_of(known.settings.account or "", known.settings.oplead.base_url.host or "")
    with (
        signals_and_logging() as (stop, _redaction),
        using_language(known.language),
        open_clock_showing_waits(known.settings, stop) as clock,
        folder.open(clock.now().astimezone(known.settings.zone).date(), version("oplead-sync"), mark) as evidence,
    ):
        say(
            _(
                "Oplead, Google and Meta are asked what the job assumes of them. First by reading alone; before "
                "anything is written you are asked. Nothing leaves this machine but these questions."
            )
        )
        say(_nothing_is_sent(test_dataset))
        recorder = ExchangeRecorder()
        folder.save(evidence, summaries(evidence))  # whether it can be written shows before anything is asked
        look = _look(known, clock, recorder)
        folder = EvidenceFolder(out, _must_not_be_shown(known, look))
        session = Session(
            known=known,
            settings=settings,
            clock=clock,
            recorder=recorder,
            agrees=_asking(stop.raise_if_stop_requested),
            evidence=evidence,
            save=lambda: folder.save(evidence, summaries(evidence)),
            look=look,
            test_dataset=test_dataset,
        )
        for verdict in walk(session, folder):
            _show(verdict)
            stop.raise_if_stop_requested()
        return max(_conclude(folder, evidence), Exit.DONE if look else Exit.ATTENTION)


def _asking(cancel_token: CancelToken) -> Callable[[str], bool]:
    """Return what asks the person at the terminal, until a question stays without an answer."""
    is_there = is_interactive()

    def agrees(question: str) -> bool:
        nonlocal is_there
        answer = is_answered_with_yes(question, cancel_token) if is_there else None
        is_there = answer is not None
        return bool(answer)

    return agrees


def _require_made_for_tests(dataset: str, settings: Settings | None) -> None:
    """Raise UsageError if a dataset is none, or one that this account's nights send to."""
    if not is_dataset_number(dataset):
        raise UsageError(
            _("--test-dataset: write the id of a dataset that was made for tests, digits only, as in Events Manager")
        )
    if settings and nights_send_to(settings, dataset):
        raise UsageError(
            _(
                "--test-dataset: nights send to {dataset}: create another dataset for tests in Events Manager, and "
                "write its id",
                dataset=dataset,
            )
        )


def _nothing_is_sent(test_dataset: str | None) -> str:
    if test_dataset is None:
        return _("Nothing is sent as a conversion.")
    return _("Nothing is sent as a conversion, except to the test dataset you named ({dataset}).", dataset=test_dataset)


def _look(known: PartialSettings, clock: Clock, recorder: ExchangeRecorder) -> OpleadLook | None:
    """Return what reading Oplead shows, None if it cannot be read."""
    try:
        look = look_at_oplead(known, clock, recorder)
    except ConnectorError as error:
        say(_("Oplead could not be read: {error}", error=error))
        return None
    if look.unread_pages:
        say(
            _n(
                "{count} lead's own page could not be read: what only that page shows was not seen.",
                "{count} leads' own pages could not be read: what only those pages show was not seen.",
                look.unread_pages,
            )
        )
    return look


def _must_not_be_shown(known: PartialSettings, look: OpleadLook | None) -> frozenset[str]:
    """Return the key, what the account's own headers and parameters hold, and the contact data that was read."""
    oplead = known.settings.oplead
    own = [*oplead.extra_headers.values(), *oplead.extra_query.values()]
    keys = [oplead.token.get_secret_value()] if oplead.token else []
    contact = [text for text in (look.contact if look else ()) if not is_own_text(text)]
    return frozenset((*own, *keys, *contact))


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
