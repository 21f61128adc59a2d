"""`check`: validates settings files, on their own or against what the platforms know."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.errors import Misconfigured
from connectors.language import Language, _, using_language
from connectors.records import CheckFinding, CheckVerdict
from jobs.account.failures import worst_exit_code
from jobs.account.files import (
    AccountFile,
    common_language,
    load_accounts,
    presentation_of_account,
    speaking_account_language,
)
from jobs.cli.setup.webhook_secrets import webhook_secrets_in_words
from jobs.exit_codes import Exit, UsageError
from jobs.faults import ContainedFault
from jobs.ledger.storage.state_file import LedgerError
from jobs.reporting.check_report import CheckedFile, correction_sentences, print_checked_files
from jobs.reporting.console import day_and_time, results_console, say, say_below
from jobs.reporting.presentation import print_json
from jobs.settings import Settings, SettingsProblem, ValidSettings
from jobs.settings.apart import notes_on_forgotten_place
from jobs.settings.compile import stages_proven_below
from jobs.settings.unmatched import configured_start_dates, notes_on_future_starts
from jobs.wiring.account import compile_rules_only, open_clock
from jobs.wiring.state import recorded_conversion_starts, why_refused

if TYPE_CHECKING:
    from jobs.cli.setup.check_live import OpleadCheck

Findings = Mapping[str, Sequence[CheckFinding]]
"""The findings by destination."""
OPLEAD = "oplead"
"""The key of Oplead's findings, beside the destinations'."""


@dataclass(frozen=True, slots=True)
class RunnableFileCheck:
    """The result of checking one file that can run."""

    file: Path
    settings: Settings
    notes: Sequence[SettingsProblem]
    """Likely slips in the file."""
    starts: Mapping[tuple[str, str], datetime]
    """The start of each conversion at each destination, as settled by earlier runs."""
    webhooks: Sequence[str] = ()
    """Which secret of the webhooks goes where."""
    platforms: Findings | None = None
    """The platforms' findings by destination; None without `--live`."""
    oplead: "OpleadCheck | None" = None
    refused: str | None = None
    """Why a run would refuse the account's state; None if it would not."""
    faults: Sequence[str] = ()
    """What failed for a reason that nobody foresaw, by kind of error."""

    @property
    def findings(self) -> Findings:
        """All findings, including Oplead's."""
        return {**({OPLEAD: self.oplead.findings} if self.oplead else {}), **(self.platforms or {})}

    @property
    def file_check_verdict(self) -> CheckedFile:
        """The verdict on the file, and which look-ups it rests on.

        A failed look-up needs a human; one that these credentials don't permit does not.
        """
        findings = self.findings
        readable = {
            name for name, found in findings.items() if any(one.verdict is not CheckVerdict.UNREADABLE for one in found)
        }
        remotes = {OPLEAD: "Oplead"} | {one.id: one.id for one in (*self.settings.google_ads, *self.settings.meta)}
        failed = sum(one.verdict is CheckVerdict.FAILED for found in findings.values() for one in found)
        return CheckedFile(
            self.file,
            self._exit_code(failed),
            checked=(_("the file"), *(title for name, title in remotes.items() if name in readable)),
            unchecked=tuple(title for name, title in remotes.items() if name not in readable),
            failed=1 if self.refused else failed,
            is_live=self.platforms is not None,
            unconfirmed=tuple(self._unverified_accounts()),
        )

    def _exit_code(self, failed: int) -> Exit:
        if self.faults:
            return Exit.BUG
        if self.refused:
            return Exit.CONFIGURATION
        return Exit.ATTENTION if failed else Exit.DONE

    def _unverified_accounts(self) -> Iterator[str]:
        """Yield the accounts and datasets without a verified finding; a finding's subject ends with their id."""
        ids = [(each.id, _("Google Ads customer"), each.customer_id) for each in self.settings.google_ads]
        ids += [(each.id, _("Meta dataset"), each.dataset_id) for each in self.settings.meta]
        for destination, kind, number in ids if self.platforms is not None else ():
            found = self.findings.get(destination, ())
            if number not in {one.subject.split()[-1] for one in found if one.verdict is CheckVerdict.VERIFIED}:
                yield f"{kind} {number}"

    def assumptions(self) -> Iterator[str]:
        """Yield a sentence for each assumption a run makes because the settings leave it open."""
        settings = self.settings
        found = [each for findings in self.findings.values() for each in findings]
        read = {finding.subject.split()[-1] for finding in found if finding.settles == "click_window_days"}
        yield _("a lead is the same for as long as its id is: `oplead.fields.id` is permanent, as `account` is")
        for conversion in settings.conversions:
            action = conversion.google_ads.conversion_action if conversion.google_ads and settings.google_ads else None
            if action and action.click_window_days is None and action.id not in read:
                # 1 to 90 days, set per conversion action: https://support.google.com/google-ads/answer/3123169
                yield _(
                    "{conversion}: the click window of conversion action {action} is taken as 90 days; if Google Ads "
                    "shows another, write it as click_window_days",
                    conversion=conversion.id,
                    action=action.id,
                )
            if conversion.since is None:
                start = self._describe_counting_start(conversion.id)
                yield _(
                    "{conversion}: counts from {start}; older changes are not sent (see `since`)",
                    conversion=conversion.id,
                    start=start,
                )
            if conversion.value is None:
                yield _("{conversion}: is sent without a value", conversion=conversion.id)
        if settings.consent.missing == "assume_granted":
            yield _(
                "a lead without a consent answer is taken as consenting, because: {because}",
                because=settings.consent.because,
            )
        if settings.webhooks is not None:
            stages, below = list(settings.stages), stages_proven_below(settings)
            proofs = [f"{shown} ({', '.join(stages[: below[shown]])})" for shown in stages if below[shown] > 0]
            yield _(
                "a stage that a webhook reports also counts once its lead is in a later one that proves it: {proofs}",
                proofs=", ".join(proofs) or _("none does"),
            )
            if settings.webhooks.trust:
                yield _(
                    "an appointment counts as soon as a webhook reports it, because: {because}",
                    because=settings.webhooks.because,
                )

    def _describe_counting_start(self, conversion: str) -> str:
        """Describe when a conversion starts to count, by destination if they differ."""
        times = {at: destination for (name, destination), at in self.starts.items() if name == conversion}
        shown = {at: day_and_time(at, self.settings.zone) for at in sorted(times)}
        days = ", ".join(f"{day} ({times[at]})" if len(shown) > 1 else day for at, day in shown.items())
        if not shown:
            return _("the first run that sees it")
        return _("{days}, when a run first saw it", days=days)


def check_settings_files(files: Sequence[Path], *, live: bool, json_wanted: bool, verbose: bool) -> int:
    """Print each file's problems, or its notes, assumptions and findings, and return the worst exit code."""
    with using_language(Language.ENGLISH if json_wanted else None):
        accounts = load_accounts(files)
        checked_files = []
        for opened in accounts:
            with speaking_account_language(opened, json_wanted=json_wanted):
                checked_files.append(_check_file(opened, live=live, json_wanted=json_wanted, verbose=verbose))
        if not json_wanted:
            with using_language(common_language(accounts)):
                print_checked_files(results_console(), checked_files)
    return worst_exit_code(one.exit_code for one in checked_files)


def _check_file(opened: AccountFile, *, live: bool, json_wanted: bool, verbose: bool) -> CheckedFile:
    try:
        valid = opened.settings_with_notes
    except UsageError as error:
        problems = str(error).splitlines()
        if json_wanted:
            print_json({"config": str(opened.file), "problems": problems, "exit_code": error.exit_code.value})
        else:
            say(*problems)
        return CheckedFile(opened.file, error.exit_code, failed=len(problems))
    checked = check_account(opened.file, valid, live=live)
    if json_wanted:
        _print_json(checked)
    else:
        _print(checked, verbose=verbose)
    return checked.file_check_verdict


def check_account(file: Path, loaded: ValidSettings, *, live: bool) -> RunnableFileCheck:
    """Check a file that can run."""
    settings, notes = loaded.settings, list(loaded.notes)
    if configured_start_dates(settings):
        with suppress(Misconfigured), open_clock(settings) as clock:  # a sandbox's clock may be closed
            notes += notes_on_future_starts(file, settings, clock.now())
    notes += notes_on_forgotten_place(file, settings)
    begun: dict[tuple[str, str], datetime] = {}
    # There is none yet, or a run reports that it is unreadable.
    with suppress(LedgerError):
        begun = recorded_conversion_starts(settings)
    webhooks = tuple(webhook_secrets_in_words(file, today=datetime.now(UTC).date()))  # as the receiver counts days
    checked = RunnableFileCheck(file, settings, sorted(notes), begun, webhooks, refused=why_refused(settings))
    if not live:
        return checked
    from jobs.cli.setup.check_live import check_oplead, compare_settings_with_platforms  # noqa: PLC0415 - a night's code

    faults: list[str] = []
    checked = replace(checked, platforms=compare_settings_with_platforms(settings, faults), faults=faults)
    with ContainedFault(faults, _("Oplead could not be looked at")):
        return replace(checked, oplead=check_oplead(settings, file, has_run=bool(begun)))
    return checked


def _print(checked: RunnableFileCheck, *, verbose: bool) -> None:
    account = presentation_of_account(checked.settings, checked.file)
    say(_("{file}: account {name}, no mistakes in the file", file=checked.file, name=account.name))
    if checked.refused:
        say(_("A run would be refused: {why}", why=checked.refused))
    corrections = correction_sentences(checked.settings, compile_rules_only(checked.settings))
    say_below(
        *(_("note: {text}", text=each) for each in checked.notes),
        *(_("assumed: {text}", text=each) for each in checked.assumptions()),
        *(_("correction: {text}", text=each) for each in corrections),
        *(_("webhooks: {text}", text=each) for each in checked.webhooks),
    )
    if checked.platforms is not None:
        from jobs.cli.setup.check_live import print_live_check  # noqa: PLC0415 - a night's code

        print_live_check(account, checked.settings, checked.findings, checked.oplead, verbose=verbose)


def _print_json(checked: RunnableFileCheck) -> None:
    summary = checked.file_check_verdict
    document = {
        "config": str(checked.file),
        "account": checked.settings.account,
        "notes": [str(note) for note in checked.notes],
        "assumed": list(checked.assumptions()),
        "corrections": list(correction_sentences(checked.settings, compile_rules_only(checked.settings))),
        "webhooks": checked.webhooks,
        "checked": summary.checked,
        "unchecked": summary.unchecked,
        "unconfirmed": summary.unconfirmed,
        "refused": checked.refused,
        **({} if checked.platforms is None else {"findings": checked.platforms}),
        **({} if checked.oplead is None else {"oplead": checked.oplead}),
        "exit_code": summary.exit_code,
    }
    print_json(document)
