"""`check`: whether settings files may run, by themselves and by what the platforms know."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.contact import lost_phones
from connectors.errors import Misconfigured, Transient, Unreachable
from connectors.ports import LeadSource, ShowsLatest
from connectors.records import CheckFinding, CheckVerdict, Lead
from jobs.cli.accounts import heading_of, open_accounts
from jobs.cli.exits import Exit, Failure, worst
from jobs.cli.output import open_visible_clock, print_json, say
from jobs.cli.session import starts_of
from jobs.forecast import Forecast, ForecastLabel, answers_seen, forecast, labels_seen
from jobs.nightly import Deps
from jobs.reporting.check_report import (
    Conclusion,
    consent_findings,
    corrections_on,
    forecast_findings,
    phone_findings,
    print_conclusions,
    print_findings,
    print_forecast,
    print_labels,
    unmatched_findings,
)
from jobs.reporting.console import day_and_time, results
from jobs.settings import Settings, SettingsProblem, Valid
from jobs.settings.compile import Rulebook, expectations
from jobs.settings.unmatched import SeenInLeads, future_notes, starts_in, unmatched
from jobs.wiring import connect, inspectors, open_clock, rules_alone

Findings = Mapping[str, Sequence[CheckFinding]]
"""What was looked up, by destination."""
OPLEAD = "oplead"
"""Where the findings at Oplead are, among the destinations'."""
_TITLES = {OPLEAD: "Oplead"}
LATEST = 200
"""How many of the latest leads are judged by the settings."""
_CORRECT = "Correct it in the settings, or what they refer to."


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
    def corrections(self) -> Sequence[str]:
        """What is corrected of conversions once they are accepted."""
        return list(corrections_on(self.settings, rules_alone(self.settings)))

    @property
    def conclusion(self) -> Conclusion:
        """Whether it may run, and what that was concluded from.

        A failed look-up needs a human; one that this access cannot make does not.
        """
        findings = self.findings
        readable = {
            name for name, found in findings.items() if any(one.verdict is not CheckVerdict.UNREADABLE for one in found)
        }
        remotes = [OPLEAD, *(one.id for one in (*self.settings.google_ads, *self.settings.meta))]
        failed = sum(one.verdict is CheckVerdict.FAILED for found in findings.values() for one in found)
        return Conclusion(
            self.file,
            Exit.ATTENTION if failed else Exit.DONE,
            checked=("the file", *(_TITLES.get(name, name) for name in remotes if name in readable)),
            unchecked=tuple(_TITLES.get(name, name) for name in remotes if name not in readable),
            failed=failed,
            is_live=self.platforms is not None,
            unconfirmed=() if self.platforms is None else tuple(_unconfirmed(self.settings, self.platforms)),
        )

    @property
    def assumed(self) -> Sequence[str]:
        """What a run takes for granted because the settings do not say it, a sentence each."""
        found = [each for found in self.findings.values() for each in found]
        return list(_assumptions(self.settings, found, self.starts))


def _unconfirmed(settings: Settings, found: Findings) -> Iterator[str]:
    """The accounts and datasets that no look-up saw; what was verified of one ends with its number."""
    ids = [(each.id, "Google Ads customer", each.customer_id) for each in settings.google_ads]
    ids += [(each.id, "Meta dataset", each.dataset_id) for each in settings.meta]
    for destination, kind, number in ids:
        verified = (one for one in found.get(destination, ()) if one.verdict is CheckVerdict.VERIFIED)
        if number not in {one.subject.split()[-1] for one in verified}:
            yield f"{kind} {number}"


def _assumptions(
    settings: Settings, found: Iterable[CheckFinding], starts: Mapping[tuple[str, str], datetime]
) -> Iterator[str]:
    read = {finding.subject for finding in found if finding.settles == "click_window_days"}
    for conversion in settings.conversions:
        action = conversion.google_ads.conversion_action if conversion.google_ads and settings.google_ads else None
        if action and action.click_window_days is None and f"conversion action {action.id}" not in read:
            # https://support.google.com/google-ads/answer/3123169: 1 to 90 days, chosen per conversion action
            yield (
                f"{conversion.id}: the click window of conversion action {action.id} is taken as 90 days; if Google "
                "Ads shows another, write it as click_window_days"
            )
        if conversion.since is None:
            times = {at: destination for (name, destination), at in starts.items() if name == conversion.id}
            shown = [day_and_time(at, settings.zone) for at in sorted(times)]
            if len(times) > 1:
                where = (f"{day} ({times[at]})" for day, at in zip(shown, sorted(times), strict=True))
                start = f"{', '.join(where)}, when runs first saw it"
            else:
                start = f"{shown[0]}, when a run first saw it" if shown else "the first run that sees it"
            yield f"{conversion.id}: counts from {start}; older changes are not sent (see `since`)"
        if conversion.value is None:
            yield f"{conversion.id}: is sent without a value"
    if settings.consent.missing == "assume_granted":
        yield f"a lead without a consent answer is taken as consenting, because: {settings.consent.because}"


def check_files(files: Sequence[Path], *, live: bool, json_wanted: bool, verbose: bool) -> int:
    """Print what is wrong with each file, or what it will do without saying so; live, what the platforms know.

    Args:
        files: each account's.
        live: whether the platforms are asked.
        json_wanted: whether a machine reads it.
        verbose: whether a person wants to see what is well, too.
    """
    conclusions = []
    for opened in open_accounts(files):
        if isinstance(opened.found, Failure):
            problems = opened.found.message.splitlines()
            conclusions.append(Conclusion(opened.file, Exit.CONFIGURATION, failed=len(problems)))
            if json_wanted:
                print_json({"config": str(opened.file), "problems": problems, "exit_code": Exit.CONFIGURATION.value})
            else:
                say(*problems)
            continue
        checked = check_account(opened.file, opened.found, live=live)
        conclusions.append(checked.conclusion)
        if json_wanted:
            _print_json(checked)
        else:
            _print(checked, verbose=verbose)
    if not json_wanted:
        print_conclusions(results(), conclusions)
    return worst(one.exit_code for one in conclusions)


def check_account(file: Path, loaded: Valid, *, live: bool) -> Checked:
    """What there is to say of a file that may run."""
    settings = loaded.settings
    now = _now(settings) if starts_in(settings) else None
    notes = sorted([*loaded.notes, *(future_notes(file, settings, now) if now else ())])
    if not live:
        return Checked(file, settings, notes, starts_of(settings))
    return Checked(file, settings, notes, starts_of(settings), look_up(settings), _look_at_oplead(settings, file))


def _now(settings: Settings) -> datetime | None:
    """The account's present; None where its sandbox's clock has ended."""
    with suppress(Misconfigured), open_clock(settings) as clock:
        return clock.now()
    return None


def look_up(settings: Settings) -> Findings:
    """What each destination's platform knows of what the settings take for granted; nothing is changed there."""
    expected = expectations(settings, rules_alone(settings))
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
    findings = [
        *forecast_findings(made),
        *phone_findings(lost_phones(contacts)),
        *consent_findings(answers_seen(book, leads)),
        *unmatched_findings(unmatched(file, _seen(deps.source, leads))),
    ]
    return OpleadCheck(findings, made, labels_seen(settings, leads))


def _seen(source: LeadSource, leads: Sequence[Lead]) -> SeenInLeads:
    """What the latest leads have."""
    if not isinstance(source, ShowsLatest):
        return SeenInLeads(0, (), (), lambda _: 0)
    labels = [label for lead in leads for label in (lead.label, *(entry.label for entry in lead.history)) if label]
    return SeenInLeads(source.shown, source.shown_paths, labels, source.filled)


def _print(checked: Checked, *, verbose: bool) -> None:
    console, account = results(), heading_of(checked.settings)
    say(f"{checked.file}: account {account.name}, no mistakes in the file")
    say(*(f"  note: {each}" for each in checked.notes), *(f"  assumed: {each}" for each in checked.assumed))
    say(*(f"  corrected: {each}" for each in checked.corrections))
    if checked.findings:
        print_findings(console, checked.findings, verbose=verbose)
    if checked.oplead and checked.oplead.forecast:
        print_labels(console, checked.settings, checked.oplead.labels, leads=checked.oplead.forecast.leads)
        print_forecast(console, account, checked.oplead.forecast)


def _print_json(checked: Checked) -> None:
    conclusion = checked.conclusion
    document = {
        "config": str(checked.file),
        "account": checked.settings.account,
        "notes": [str(note) for note in checked.notes],
        "assumed": checked.assumed,
        "corrections": checked.corrections,
        "checked": conclusion.checked,
        "unchecked": conclusion.unchecked,
        "unconfirmed": conclusion.unconfirmed,
        **({} if checked.platforms is None else {"findings": checked.platforms}),
        **({} if checked.oplead is None else {"oplead": checked.oplead}),
        "exit_code": conclusion.exit_code,
    }
    print_json(document)
