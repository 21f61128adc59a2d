"""`check`: validates settings files, on their own or against what the platforms know."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from connectors.contact import summarise_unusable_phones
from connectors.errors import ConnectorError, KeyRefused, Misconfigured, Transient, Unreachable
from connectors.ports import LatestLeadsContents
from connectors.records import CheckFinding, CheckVerdict, Lead
from jobs.cli.accounts import open_accounts, presentation_of_account
from jobs.cli.output import open_wait_showing_clock, worst_exit_code
from jobs.cli.session import open_state_read_only
from jobs.exit_codes import Exit, UsageError
from jobs.forecast import Forecast, ForecastLabel, forecast, labels_seen
from jobs.ledger import starts
from jobs.ledger.database import LedgerError
from jobs.oplead_commands.keys import KeyAccess, key_finding
from jobs.reporting.check_report import (
    CheckedFile,
    consent_findings,
    correction_sentences,
    forecast_findings,
    print_checked_files,
    print_findings,
    print_forecast,
    print_labels,
    unmatched_findings,
)
from jobs.reporting.console import day_and_time, print_json, results_console, say
from jobs.run_context import Deps
from jobs.settings import Settings, SettingsProblem, ValidSettings
from jobs.settings.compile import Rulebook, assumed_targets
from jobs.settings.unmatched import configured_start_dates, notes_on_future_starts, unmatched
from jobs.wiring.night import compile_rules_only, inspectors, open_clock, open_connectors
from jobs.wiring.oplead import oplead_lists

Findings = Mapping[str, Sequence[CheckFinding]]
"""The findings by destination."""
OPLEAD = "oplead"
"""The key of Oplead's findings, beside the destinations'."""
LATEST = 200
"""How many of the latest leads to judge."""
_TELLING = 20
"""How few leads say nothing of whose they are."""
_CORRECT = "Correct it in the settings, or what they refer to."
_PHONES = "Mend them in Oplead, or name the field that holds the country's code as `oplead.fields.country`."


@dataclass(frozen=True, slots=True)
class OpleadCheck:
    """The findings at Oplead, and a forecast for its latest leads."""

    findings: Sequence[CheckFinding]
    forecast: Forecast | None = None
    labels: Sequence[ForecastLabel] = ()
    """The statuses found in the leads, by stage."""


@dataclass(frozen=True, slots=True)
class RunnableFileCheck:
    """The result of checking one file that can run."""

    file: Path
    settings: Settings
    notes: Sequence[SettingsProblem]
    """Likely slips in the file."""
    starts: Mapping[tuple[str, str], datetime]
    """The start of each conversion at each destination, as settled by earlier runs."""
    platforms: Findings | None = None
    """The platforms' findings by destination; None without `--live`."""
    oplead: OpleadCheck | None = None

    @property
    def findings(self) -> Findings:
        """All findings, including Oplead's."""
        return {**({OPLEAD: self.oplead.findings} if self.oplead else {}), **(self.platforms or {})}

    @property
    def summary(self) -> CheckedFile:
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
            Exit.ATTENTION if failed else Exit.DONE,
            checked=("the file", *(title for name, title in remotes.items() if name in readable)),
            unchecked=tuple(title for name, title in remotes.items() if name not in readable),
            failed=failed,
            is_live=self.platforms is not None,
            unconfirmed=tuple(self._unverified_accounts()),
        )

    def _unverified_accounts(self) -> Iterator[str]:
        """Yield the accounts and datasets without a verified finding; a finding's subject ends with their id."""
        ids = [(each.id, "Google Ads customer", each.customer_id) for each in self.settings.google_ads]
        ids += [(each.id, "Meta dataset", each.dataset_id) for each in self.settings.meta]
        for destination, kind, number in ids if self.platforms is not None else ():
            found = self.findings.get(destination, ())
            if number not in {one.subject.split()[-1] for one in found if one.verdict is CheckVerdict.VERIFIED}:
                yield f"{kind} {number}"

    def assumptions(self) -> Iterator[str]:
        """Yield a sentence for each assumption a run makes because the settings leave it open."""
        settings = self.settings
        found = [each for findings in self.findings.values() for each in findings]
        read = {finding.subject for finding in found if finding.settles == "click_window_days"}
        for conversion in settings.conversions:
            action = conversion.google_ads.conversion_action if conversion.google_ads and settings.google_ads else None
            if action and action.click_window_days is None and f"conversion action {action.id}" not in read:
                # 1 to 90 days, set per conversion action: https://support.google.com/google-ads/answer/3123169
                window = f"the click window of conversion action {action.id} is taken as 90 days"
                yield f"{conversion.id}: {window}; if Google Ads shows another, write it as click_window_days"
            if conversion.since is None:
                start = self._describe_counting_start(conversion.id)
                yield f"{conversion.id}: counts from {start}; older changes are not sent (see `since`)"
            if conversion.value is None:
                yield f"{conversion.id}: is sent without a value"
        if settings.consent.missing == "assume_granted":
            yield f"a lead without a consent answer is taken as consenting, because: {settings.consent.because}"

    def _describe_counting_start(self, conversion: str) -> str:
        """Describe when a conversion starts to count, by destination if they differ."""
        times = {at: destination for (name, destination), at in self.starts.items() if name == conversion}
        shown = {at: day_and_time(at, self.settings.zone) for at in sorted(times)}
        if len(shown) > 1:
            return f"{', '.join(f'{day} ({times[at]})' for at, day in shown.items())}, when runs first saw it"
        return f"{', '.join(shown.values())}, when a run first saw it" if shown else "the first run that sees it"


def check_files(files: Sequence[Path], *, live: bool, json_wanted: bool, verbose: bool) -> int:
    """Print each file's problems, or its notes, assumptions and findings, and return the worst exit code."""
    checked_files = []
    for opened in open_accounts(files):
        try:
            valid = opened.valid_settings
        except UsageError as error:
            problems = str(error).splitlines()
            checked_files.append(CheckedFile(opened.file, Exit.CONFIGURATION, failed=len(problems)))
            if json_wanted:
                print_json({"config": str(opened.file), "problems": problems, "exit_code": Exit.CONFIGURATION.value})
            else:
                say(*problems)
            continue
        checked = check_account(opened.file, valid, live=live)
        checked_files.append(checked.summary)
        if json_wanted:
            _print_json(checked)
        else:
            _print(checked, verbose=verbose)
    if not json_wanted:
        print_checked_files(results_console(), checked_files)
    return worst_exit_code(one.exit_code for one in checked_files)


def check_account(file: Path, loaded: ValidSettings, *, live: bool) -> RunnableFileCheck:
    """Check a file that can run."""
    settings, notes = loaded.settings, list(loaded.notes)
    if configured_start_dates(settings):
        with suppress(Misconfigured), open_clock(settings) as clock:  # a sandbox's clock may be closed
            notes += notes_on_future_starts(file, settings, clock.now())
    begun: dict[tuple[str, str], datetime] = {}
    # There is none yet, or a run reports that it is unreadable.
    with suppress(LedgerError), open_state_read_only(settings) as session:
        begun = {route: start.conversion for route, start in starts.load_starts(session, settings.account).items()}
    checked = RunnableFileCheck(file, settings, sorted(notes), begun)
    if not live:
        return checked
    return replace(checked, platforms=compare_settings_with_platforms(settings), oplead=_look_at_oplead(settings, file))


def compare_settings_with_platforms(settings: Settings) -> Findings:
    """Compare the settings' assumptions with what each destination's platform reports; changes nothing there."""
    expected = assumed_targets(settings, compile_rules_only(settings))
    found: dict[str, Sequence[CheckFinding]] = {}
    for name, make in inspectors(settings):
        try:
            inspector = make()
        except Misconfigured as error:
            found[name] = [CheckFinding("access", CheckVerdict.FAILED, str(error), _CORRECT)]
        else:
            found[name] = [*inspector.preflight(expected.get(name, ())), *inspector.diagnose()]
    return found


def _look_at_oplead(settings: Settings, file: Path) -> OpleadCheck:
    """Read the latest leads and forecast what the settings would do with them; sends and stores nothing."""
    try:
        with (
            open_wait_showing_clock(settings.clock, settings.oplead.rate) as clock,
            open_connectors(settings, clock, validate_only=True) as (book, deps),
        ):
            looked, reads_leads = _forecast_latest_leads(settings, file, book, deps)
            if settings.source is not None:
                return looked  # files were read, and nothing by the key
            seen = deps.source.seen if isinstance(deps.source, LatestLeadsContents) else None
            owners = seen.owners if seen and seen.leads >= _TELLING else None
            with oplead_lists(settings, clock) as lists:
                key = key_finding(reads_leads, _check_read_access(lists.channels), owners)
            return replace(looked, findings=[*looked.findings, *([key] if key else [])])
    except Misconfigured as error:
        return OpleadCheck([CheckFinding("leads", CheckVerdict.UNREADABLE, f"not looked at: {error}", _CORRECT)])


def _check_read_access(read: Callable[[], object]) -> KeyAccess:
    """Return whether the key may read something; only a 403 says that it may not."""
    try:
        read()
    except KeyRefused:
        return KeyAccess.REFUSED
    except ConnectorError:
        return KeyAccess.UNKNOWN
    return KeyAccess.GRANTED


def _forecast_latest_leads(settings: Settings, file: Path, book: Rulebook, deps: Deps) -> tuple[OpleadCheck, KeyAccess]:
    """Return what was found in the latest leads, and whether the key may read leads."""
    verdict = CheckVerdict.FAILED
    try:
        found = deps.source.fetch_latest(LATEST)
    except (Misconfigured, Transient) as error:
        match error:
            case Misconfigured():
                advice = "Correct that setting; `oplead-sync probe` finds out what Oplead answers and what to write."
            case Unreachable():
                advice = "Correct the address, or make sure that this machine may reach it."
            case _:
                verdict, advice = CheckVerdict.UNREADABLE, "Try again later."
        access = KeyAccess.REFUSED if isinstance(error, KeyRefused) else KeyAccess.UNKNOWN
        return OpleadCheck([CheckFinding("leads", verdict, str(error), advice)]), access
    made = forecast(book, deps, found)
    leads = [one for one in found if isinstance(one, Lead)]
    # Contact data matters only if a route sends it.
    contacts = [lead.contact for lead in leads] if any(route.uses_contact for route in book.routes) else []
    findings = [*forecast_findings(made)]
    if lost := summarise_unusable_phones(contacts):
        findings.append(CheckFinding("phones", CheckVerdict.DOUBTFUL, lost, _PHONES))
    findings += consent_findings(book, leads)
    if isinstance(deps.source, LatestLeadsContents):
        findings += unmatched_findings(unmatched(file, deps.source.seen))
    return OpleadCheck(findings, made, labels_seen(settings, leads)), KeyAccess.GRANTED if leads else KeyAccess.UNKNOWN


def _print(checked: RunnableFileCheck, *, verbose: bool) -> None:
    console, account = results_console(), presentation_of_account(checked.settings, checked.file)
    say(f"{checked.file}: account {account.name}, no mistakes in the file")
    say(*(f"  note: {each}" for each in checked.notes), *(f"  assumed: {each}" for each in checked.assumptions()))
    say(
        *(
            f"  corrected: {each}"
            for each in correction_sentences(checked.settings, compile_rules_only(checked.settings))
        )
    )
    if checked.findings:
        print_findings(console, checked.findings, verbose=verbose)
    if checked.oplead and (made := checked.oplead.forecast) and made.leads:
        print_labels(console, checked.settings, checked.oplead.labels, leads=made.leads)
        print_forecast(console, account, made)


def _print_json(checked: RunnableFileCheck) -> None:
    summary = checked.summary
    document = {
        "config": str(checked.file),
        "account": checked.settings.account,
        "notes": [str(note) for note in checked.notes],
        "assumed": list(checked.assumptions()),
        "corrections": list(correction_sentences(checked.settings, compile_rules_only(checked.settings))),
        "checked": summary.checked,
        "unchecked": summary.unchecked,
        "unconfirmed": summary.unconfirmed,
        **({} if checked.platforms is None else {"findings": checked.platforms}),
        **({} if checked.oplead is None else {"oplead": checked.oplead}),
        "exit_code": summary.exit_code,
    }
    print_json(document)
