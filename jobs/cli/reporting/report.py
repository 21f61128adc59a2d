"""`report`: write what marketing sees of each account, from its ledger alone."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import structlog

from connectors.language import _, _n, using_language
from jobs.account.failures import failure_from_error, log_failure, worst_exit_code
from jobs.account.files import (
    AccountFile,
    common_language,
    find_settings_files,
    load_accounts,
    speaking_account_language,
)
from jobs.account.state import held_reports_as_spelled, open_view
from jobs.exit_codes import Exit, UsageError
from jobs.logs import Log
from jobs.reporting.console import results_console
from jobs.reporting.page.facts import ReportFacts
from jobs.reporting.page.gather import gather
from jobs.reporting.page.period import choose_period
from jobs.reporting.page.writing import write_page, write_text_at_once
from jobs.reporting.presentation import print_json
from jobs.wiring.account import compile_rules_only
from jobs.wiring.state import why_refused

_log = Log(__name__)
INDEX = "index.html"
"""The page that links to those of several accounts, where they are all in one folder."""


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What to report, and where it goes."""

    first: date | None = None
    last: date | None = None
    out: Path | None = None
    """The folder of the pages; by default the settings', else the current one."""
    csv: Path | None = None
    """The folder of files for spreadsheets; None writes none."""
    opens: bool = False
    """Whether to show the page in a browser."""
    json_wanted: bool = False
    """Whether to print the numbers; a page is then written only to a folder that is named."""


@dataclass(frozen=True, slots=True)
class _Written:
    facts: ReportFacts
    page: Path


def write_reports(paths: Sequence[Path], options: ReportOptions) -> int:
    """Write each account's page, say where, and return the worst exit code; one failure does not affect the others."""
    accounts = load_accounts(find_settings_files(paths), secrets=False)
    codes, written = [Exit.DONE], list[_Written]()
    for account in accounts:
        try:
            page = _report(account, options, alone=len(accounts) == 1)
        except Exception as error:  # noqa: BLE001 - the other accounts' reports must not depend on this one's
            with structlog.contextvars.bound_contextvars(config=str(account.file)):
                codes.append(Exit(log_failure(failure_from_error(error))))
        else:
            written += [] if page is None else [page]
    with using_language(common_language(accounts)):
        index = _write_index(written)
    if options.opens:
        open_pages_in_browser([each.page for each in written] if index is None else [index])
    return worst_exit_code(codes)


def _gather(account: AccountFile, options: ReportOptions) -> ReportFacts:
    settings = account.settings
    with open_view(settings) as view:
        try:
            period = choose_period(options.first, options.last, today=view.now.astimezone(settings.zone).date())
        except ValueError as error:
            raise UsageError(error.args[0]) from None
        book = compile_rules_only(settings)
        held = held_reports_as_spelled(view.session, settings, book, view.now)
        refusal = why_refused(settings)
        return gather(view.session, settings, book, period, view.now, held_reports=held, refusal=refusal)


def _report(account: AccountFile, options: ReportOptions, *, alone: bool) -> _Written | None:
    """Write what is wanted of an account, say where it is, and return its page, if there is one."""
    if options.json_wanted:
        from jobs.reporting.page.tables import as_json  # noqa: PLC0415 - only a page needs no tables

        with speaking_account_language(account, json_wanted=True):
            print_json(as_json(_gather(account, options)))
        if options.out is None and options.csv is None:
            return None
    with speaking_account_language(account, json_wanted=False):
        facts = _gather(account, options)
        return _write_files(account, facts, options, alone=alone)


def _write_files(account: AccountFile, facts: ReportFacts, options: ReportOptions, *, alone: bool) -> _Written | None:
    say = results_console().out
    if options.csv is not None:
        from jobs.reporting.page.tables import write_csv  # noqa: PLC0415 - as above

        folder = options.csv if alone else options.csv / facts.account
        files = write_csv(facts, folder)
        if not options.json_wanted:
            text = _n(
                "{account}: {count} file for spreadsheets is in {folder}",
                "{account}: {count} files for spreadsheets are in {folder}",
                len(files),
                account=facts.account,
                folder=folder,
            )
            say(text)
    if options.json_wanted and options.out is None:
        return None
    page = write_page(facts, options.out or account.settings.report.folder or Path())
    if not options.json_wanted:
        say(_("{account}: the report is in {page}", account=facts.account, page=page))
    return _Written(facts, page)


def _write_index(written: Sequence[_Written]) -> Path | None:
    folders = {each.page.parent.resolve() for each in written}
    if len(written) < 2 or len(folders) > 1:  # noqa: PLR2004 - one page needs no index
        return None
    from jobs.reporting.page.render import index_row, render_index  # noqa: PLC0415 - as above

    rows = [index_row(each.facts, each.page.name) for each in written]
    return write_text_at_once(render_index(rows), written[0].page.parent / INDEX)


def open_pages_in_browser(pages: Iterable[Path]) -> None:
    """Show pages in the browser."""
    import webbrowser  # noqa: PLC0415 - only for those who want it

    for page in pages:
        if not webbrowser.open(page.resolve().as_uri()):
            _log.warning(_("no browser could be started"), page=os.fspath(page))
