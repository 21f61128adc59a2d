"""`check`: whether settings files may run, by themselves and by what the platforms know."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from connectors.contact import lost_phones
from connectors.errors import Misconfigured, Transient, Unreachable
from connectors.ports import ShowsLatest
from connectors.records import CheckFinding, CheckVerdict, Lead
from jobs.cli.accounts import heading_of, open_accounts
from jobs.cli.exits import Exit, Failure, worst
from jobs.cli.output import open_visible_clock, print_json, say
from jobs.cli.session import starts_of
from jobs.forecast import Forecast, ForecastLabel, forecast, labels_seen
from jobs.nightly import Deps
from jobs.reporting.check_report import (
    CheckedFile,
    consent_findings,
    corrections_on,
    forecast_findings,
    print_checked_files,
    print_findings,
    print_forecast,
    print_labels,
    unmatched_findings,
)
from jobs.reporting.console import day_and_time, results
from jobs.settings import Settings, SettingsProblem, Valid
from jobs.settings.compile import Rulebook, assumed_targets
from jobs.settings.unmatched import SeenInLeads, future_notes, starts_in, unmatched
from jobs.wiring import connect, inspectors, open_clock, rules_alone

Findings = Mapping[str, Sequence[CheckFinding]]
"""What was looked up, by destination."""
OPLEAD = "oplead"
"""Where the findings at Oplead are, among the destinations'."""
LATEST = 200
"""How many of the latest leads are judged by the settings."""
_CORRECT = "Correct it in the settings, or what they refer to."
_PHONES = "Mend them in Oplead, or name the field that holds the country's code as `oplead.fields.country`."


@dataclass(frozen=True, slots=True)
class OpleadCheck:
    """What was found at Oplead, and what would become of its latest leads."""

    findings: Sequence[CheckFinding]
    forecast: Forecast | None = None
    labels: Sequence[ForecastLabel] = ()
    """The statuses of each stage that the leads have."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found about one file that may run."""

    file: Path
    settings: Settings
    notes: Sequence[SettingsProblem]
    """What the file may not have been meant to say."""
    starts: Mapping[tuple[str, str], datetime]
    """Since when each conversion counts at each destination, where a run has settled it."""
    platforms: Findings | None = None
    """What the platforms know, by destination; None where they were not asked."""
    oplead: OpleadCheck | None = None

    @property
    def findings(self) -> Findings:
        """Everything that was found, Oplead's too."""
        return {**({OPLEAD: self.oplead.findings} if self.oplead else {}), **(self.platforms or {})}

    @property
    def summary(self) -> CheckedFile:
        """Whether it may run, and what that was concluded from.

        A failed look-up needs a human; one that this access cannot make does not.
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
            unconfirmed=tuple(self._unconfirmed()),
        )

    def _unconfirmed(self) -> Iterator[str]:
        """The accounts and datasets that no look-up saw; what was verified of one ends with its number."""
        ids = [(each.id, "Google Ads customer", each.customer_id) for each in self.settings.google_ads]
        ids += [(each.id, "Meta dataset", each.dataset_id) for each in self.settings.meta]
        for destination, kind, number in ids if self.platforms is not None else ():
            found = self.findings.get(destination, ())
            if number not in {one.subject.split()[-1] for one in found if one.verdict is CheckVerdict.VERIFIED}:
                yield f"{kind} {number}"

    def assumptions(self) -> Iterator[str]:
        """What a run takes for granted because the settings do not say it, a sentence each."""
        settings = self.settings
        found = [each for findings in self.findings.values() for each in findings]
        read = {finding.subject for finding in found if finding.settles == "click_window_days"}
        for conversion in settings.conversions:
            action = conversion.google_ads.conversion_action if conversion.google_ads and settings.google_ads else None
            if action and action.click_window_days is None and f"conversion action {action.id}" not in read:
                # https://support.google.com/google-ads/answer/3123169: 1 to 90 days, chosen per conversion action
                window = f"the click window of conversion action {action.id} is taken as 90 days"
                yield f"{conversion.id}: {window}; if Google Ads shows another, write it as click_window_days"
            if conversion.since is None:
                start = self._start(conversion.id)
                yield f"{conversion.id}: counts from {start}; older changes are not sent (see `since`)"
            if conversion.value is None:
                yield f"{conversion.id}: is sent without a value"
        if settings.consent.missing == "assume_granted":
            yield f"a lead without a consent answer is taken as consenting, because: {settings.consent.because}"

    def _start(self, conversion: str) -> str:
        """Since when a conversion counts; with the destination where they differ."""
        times = {at: destination for (name, destination), at in self.starts.items() if name == conversion}
        shown = {at: day_and_time(at, self.settings.zone) for at in sorted(times)}
        if len(shown) > 1:
            return f"{', '.join(f'{day} ({times[at]})' for at, day in shown.items())}, when runs first saw it"
        return f"{', '.join(shown.values())}, when a run first saw it" if shown else "the first run that sees it"


def check_files(files: Sequence[Path], *, live: bool, json_wanted: bool, verbose: bool) -> int:
    """Print what is wrong with each file, or what it will do without saying so; live, what the platforms know.

    Args:
        files: each account's.
        live: whether the platforms are asked.
        json_wanted: whether a machine reads it.
        verbose: whether a person wants to see what is well, too.
    """
    checked_files = []
    for opened in open_accounts(files):
        if isinstance(opened.found, Failure):
            problems = opened.found.message.splitlines()
            checked_files.append(CheckedFile(opened.file, Exit.CONFIGURATION, failed=len(problems)))
            if json_wanted:
                print_json({"config": str(opened.file), "problems": problems, "exit_code": Exit.CONFIGURATION.value})
            else:
                say(*problems)
            continue
        checked = check_account(opened.file, opened.found, live=live)
        checked_files.append(checked.summary)
        if json_wanted:
            _print_json(checked)
        else:
            _print(checked, verbose=verbose)
    if not json_wanted:
        print_checked_files(results(), checked_files)
    return worst(one.exit_code for one in checked_files)


def check_account(file: Path, loaded: Valid, *, live: bool) -> Checked:
    """What there is to say of a file that may run."""
    settings, notes = loaded.settings, list(loaded.notes)
    if starts_in(settings):
        with suppress(Misconfigured), open_clock(settings) as clock:  # a sandbox's clock may have ended
            notes += future_notes(file, settings, clock.now())
    checked = Checked(file, settings, sorted(notes), starts_of(settings))
    return replace(checked, platforms=look_up(settings), oplead=_look_at_oplead(settings, file)) if live else checked


def look_up(settings: Settings) -> Findings:
    """What each destination's platform knows of what the settings take for granted; nothing is changed there."""
    expected = assumed_targets(settings, rules_alone(settings))
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
    """Whether leads can be read, and what the settings would do to the latest of them; nothing is sent or kept."""
    try:
        with (
            open_visible_clock(settings.clock, settings.oplead.rate) as clock,
            connect(settings, clock, validate_only=True) as (book, deps),
        ):
            return _latest(settings, file, book, deps)
    except Misconfigured as error:
        return OpleadCheck([CheckFinding("leads", CheckVerdict.UNREADABLE, f"not looked at: {error}", _CORRECT)])


def _latest(settings: Settings, file: Path, book: Rulebook, deps: Deps) -> OpleadCheck:
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
        return OpleadCheck([CheckFinding("leads", verdict, str(error), advice)])
    made = forecast(book, deps, found)
    leads = [one for one in found if isinstance(one, Lead)]
    # Platforms get contact data only where the settings send it.
    contacts = [lead.contact for lead in leads] if any(route.uses_contact for route in book.routes) else []
    findings = [*forecast_findings(made)]
    if lost := lost_phones(contacts):
        findings.append(CheckFinding("phones", CheckVerdict.DOUBTFUL, lost, _PHONES))
    findings += consent_findings(book, leads)
    if isinstance(deps.source, ShowsLatest):
        seen = deps.source
        labels = [label for lead in leads for label in (lead.label, *(entry.label for entry in lead.history)) if label]
        findings += unmatched_findings(unmatched(file, SeenInLeads(seen.shown, seen.shown_paths, labels, seen.filled)))
    return OpleadCheck(findings, made, labels_seen(settings, leads))


def _print(checked: Checked, *, verbose: bool) -> None:
    console, account = results(), heading_of(checked.settings)
    say(f"{checked.file}: account {account.name}, no mistakes in the file")
    say(*(f"  note: {each}" for each in checked.notes), *(f"  assumed: {each}" for each in checked.assumptions()))
    say(*(f"  corrected: {each}" for each in corrections_on(checked.settings, rules_alone(checked.settings))))
    if checked.findings:
        print_findings(console, checked.findings, verbose=verbose)
    if checked.oplead and (made := checked.oplead.forecast) and made.leads:
        print_labels(console, checked.settings, checked.oplead.labels, leads=made.leads)
        print_forecast(console, account, made)


def _print_json(checked: Checked) -> None:
    summary = checked.summary
    document = {
        "config": str(checked.file),
        "account": checked.settings.account,
        "notes": [str(note) for note in checked.notes],
        "assumed": list(checked.assumptions()),
        "corrections": list(corrections_on(checked.settings, rules_alone(checked.settings))),
        "checked": summary.checked,
        "unchecked": summary.unchecked,
        "unconfirmed": summary.unconfirmed,
        **({} if checked.platforms is None else {"findings": checked.platforms}),
        **({} if checked.oplead is None else {"oplead": checked.oplead}),
        "exit_code": summary.exit_code,
    }
    print_json(document)
