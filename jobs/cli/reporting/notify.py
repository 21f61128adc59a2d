"""`notify --test`: send each address one message, and say what happened."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from connectors.language import _, _n, using_language
from connectors.records import NoticeOutcome
from jobs.account.failures import failure_from_error, log_failure, worst_exit_code
from jobs.account.files import AccountFile, find_settings_files, load_accounts
from jobs.account.pages import making_weekly_summary
from jobs.account.state import open_view
from jobs.alerts.weekly import WeeklySummaryMessage, subject_and_text
from jobs.exit_codes import Exit, UsageError
from jobs.reporting.console import results_console
from jobs.reporting.presentation import print_json
from jobs.rules.incident import Notice
from jobs.settings import Settings
from jobs.wiring.account import compile_rules_only
from jobs.wiring.night import NoticeAddressToTry, notice_addresses_to_try
from jobs.wiring.state import account_state


def send_trial_notices(paths: Sequence[Path], *, json_wanted: bool) -> int:
    """Send each account's addresses a message, print a line for each, and return the worst exit code."""
    accounts = load_accounts(find_settings_files(paths))
    return worst_exit_code(_test_account(account, json_wanted=json_wanted) for account in accounts)


def _test_account(account: AccountFile, *, json_wanted: bool) -> int:
    with using_language(account.language):
        try:
            settings = account.settings
            trials = _trials(settings)
            with _message(settings) as summary:
                taken = [_try(settings.account, trial, summary, json_wanted=json_wanted) for trial in trials]
        except Exception as error:  # noqa: BLE001 - the other accounts' addresses must not depend on this one's
            return log_failure(failure_from_error(error))
    return Exit.DONE if all(taken) else Exit.ATTENTION


def _trials(settings: Settings) -> list[NoticeAddressToTry]:
    trials = notice_addresses_to_try(settings)
    if not trials:
        raise UsageError(_("{account}: there is no address to try: add one to `notify`", account=settings.account))
    return trials


def _try(account: str, trial: NoticeAddressToTry, summary: WeeklySummaryMessage, *, json_wanted: bool) -> bool:
    """Send a message to one address and print what happened; return whether it was accepted."""
    began = monotonic()
    attempt = trial.send(*subject_and_text(account, summary.notice), page=summary.page() if trial.is_mailbox else None)
    took = monotonic() - began
    if json_wanted:
        tried = {"account": account, "place": trial.place, "service": trial.service}
        print_json({**tried, "outcome": attempt.outcome, "http_status": attempt.status, "seconds": round(took, 1)})
        return attempt.outcome is NoticeOutcome.ACCEPTED
    seconds = max(1, round(took))
    happened: dict[NoticeOutcome, str] = {
        NoticeOutcome.ACCEPTED: _n("taken within {count} second", "taken within {count} seconds", seconds),
        NoticeOutcome.REFUSED: _("refused")
        if attempt.status is None
        else _("refused (HTTP {status})", status=attempt.status),
        NoticeOutcome.UNREACHABLE: _("no connection, or the login was refused"),
        NoticeOutcome.NO_ANSWER: _n("no answer within {count} second", "no answer within {count} seconds", seconds),
    }
    results_console().out(f"{account}: {trial.place} ({trial.service}): {happened[attempt.outcome]}")
    return attempt.outcome is NoticeOutcome.ACCEPTED


@contextmanager
def _message(settings: Settings) -> Iterator[WeeklySummaryMessage]:
    """Yield the summary of the last seven days, marked as a test."""
    if not account_state(settings).exists():
        yield WeeklySummaryMessage(Notice(_("test"), _("This is a test: messages arrive here.")), lambda: None)
        return
    with open_view(settings) as view:
        today = view.now.astimezone(settings.zone).date()
        with making_weekly_summary(
            view.session, settings, compile_rules_only(settings), today, now=view.now
        ) as summary:
            yield replace(summary, notice=_as_test(summary.notice))


def _as_test(notice: Notice) -> Notice:
    return Notice(_("test: {title}", title=notice.title), _("This is a test.") + f"\n\n{notice.text}")
