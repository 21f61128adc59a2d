"""`check`: whether configuration files may run, by themselves and by what the platforms know."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.contact import lost_phones
from connectors.errors import Misconfigured, Transient, Unreachable
from connectors.ports import Inspects, LeadSource, ShowsLatest
from connectors.records import CheckFinding, CheckVerdict, Contact, Expectation, Lead, UnreadableLead
from jobs.cli.accounts import heading_of, open_accounts
from jobs.cli.exits import Exit, Failure, worst
from jobs.cli.output import open_visible_clock
from jobs.cli.session import starts_of
from jobs.forecast import Forecast, ForecastLabel, answers_seen, forecast, labels_seen
from jobs.reporting import console
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


def assumptions(
    settings: Settings, found: Iterable[CheckFinding], begun: Mapping[tuple[str, str], datetime]
) -> Iterator[str]:
    """What a run takes for granted because the settings do not say it, a sentence each.

    Args:
        settings: the account's.
        found: what Google was asked, which settles some of it.
        begun: since when each conversion counts at each destination, where a run has settled it.
    """
    read = {finding.subject for finding in found if finding.settles == "click_window_days"}
    for conversion in settings.conversions:
        google = conversion.google_ads
        if google is None or not settings.google_ads or google.conversion_action.click_window_days is not None:
            pass
        elif f"conversion action {google.conversion_action.id}" not in read:
            # https://support.google.com/google-ads/answer/3123169: 1 to 90 days, chosen per conversion action
            yield (
                f"{conversion.id}: the click window of conversion action {google.conversion_action.id} is taken as "
                "90 days; if Google Ads shows another, write it as click_window_days"
            )
        if conversion.since is None:
            times = {at: destination for (name, destination), at in begun.items() if name == conversion.id}
            start = _start(times, settings.zone)
            yield f"{conversion.id}: counts from {start}; older changes are not sent (see `since`)"
        if conversion.value is None:
            yield f"{conversion.id}: is sent without a value"
    if settings.consent.missing == "assume_granted":
        yield f"a lead without a consent answer is taken as consenting, because: {settings.consent.because}"


def _start(times: Mapping[datetime, str], zone: ZoneInfo) -> str:
    """From when a conversion counts, by the times that runs have settled and where each was."""
    if not times:
        return "the first run that sees it"
    if len(times) == 1:
        return f"{day_and_time(min(times), zone)}, when a run first saw it"
    return ", ".join(f"{day_and_time(at, zone)} ({times[at]})" for at in sorted(times)) + ", when runs first saw it"


Findings = Mapping[str, Sequence[CheckFinding]]
"""What was looked up, by destination."""
OPLEAD = "oplead"
"""Under what stands what was found with Oplead, beside the destinations."""
_TITLES = {OPLEAD: "Oplead"}
LATEST = 200
"""How many of the latest leads are judged by the settings."""
_REACH = "Mend the address, or see that this machine may reach it."
_MEND = "Mend it in the settings, or where they point."


@dataclass(frozen=True, slots=True)
class OpleadCheck:
    """What was found with Oplead, and what would become of its latest leads."""

    findings: Sequence[CheckFinding]
    forecast: Forecast | None = None
    labels: Sequence[ForecastLabel] = ()
    """Which statuses each stage meets on them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found about one file that may run."""

    file: Path
    loaded: Valid
    begun: Mapping[tuple[str, str], datetime]
    """Since when each conversion counts at each destination, where a run has settled it."""
    ahead: Sequence[SettingsProblem] = ()
    """Starts that lie in the future."""
    findings: Findings | None = None
    """What the platforms know, by destination; None where they were not asked."""
    oplead: OpleadCheck | None = None

    @property
    def everything(self) -> Findings:
        """What was found, Oplead's too."""
        own = {OPLEAD: self.oplead.findings} if self.oplead else {}
        return {**own, **(self.findings or {})}

    @property
    def exit_code(self) -> Exit:
        """A failed look-up needs a human; one that this access cannot make does not."""
        found = [finding for each in self.everything.values() for finding in each]
        return Exit.ATTENTION if any(finding.verdict is CheckVerdict.FAILED for finding in found) else Exit.DONE

    @property
    def notes(self) -> Sequence[SettingsProblem]:
        """What the file may not have been meant to say."""
        return sorted([*self.loaded.notes, *self.ahead])

    @property
    def corrections(self) -> Sequence[str]:
        """What is corrected of conversions once they are accepted."""
        settings = self.loaded.settings
        return list(corrections_on(settings, rules_alone(settings)))

    @property
    def conclusion(self) -> Conclusion:
        """Whether it may run, and what that was concluded from."""
        settings = self.loaded.settings
        remotes = [OPLEAD, *(one.id for one in (*settings.google_ads, *settings.meta))]
        seen = [name for name in remotes if _is_seen(self.everything.get(name, ()))]
        return Conclusion(
            self.file,
            self.exit_code,
            checked=("the file", *(_TITLES.get(name, name) for name in seen)),
            unchecked=tuple(_TITLES.get(name, name) for name in remotes if name not in seen),
            failed=sum(one.verdict is CheckVerdict.FAILED for found in self.everything.values() for one in found),
            is_live=self.findings is not None,
            unconfirmed=() if self.findings is None else tuple(self._unconfirmed(self.findings)),
        )

    def _unconfirmed(self, found: Findings) -> Iterator[str]:
        """The accounts and datasets that no look-up saw; what was verified of one ends with its number."""
        settings = self.loaded.settings
        ids = [(each.id, "Google Ads customer", each.customer_id) for each in settings.google_ads]
        ids += [(each.id, "Meta dataset", each.dataset_id) for each in settings.meta]
        for destination, kind, number in ids:
            seen = {
                one.subject.split()[-1] for one in found.get(destination, ()) if one.verdict is CheckVerdict.VERIFIED
            }
            if number not in seen:
                yield f"{kind} {number}"

    @property
    def assumed(self) -> Sequence[str]:
        """What is taken for granted all the same."""
        found = [each for found in self.everything.values() for each in found]
        return list(assumptions(self.loaded.settings, found, self.begun))


def check_files(files: Sequence[Path], *, live: bool, json_wanted: bool, verbose: bool) -> int:
    """Print what is wrong with each file, or what it will do without saying so; live, what the platforms know.

    Args:
        files: each account's.
        live: whether the platforms are asked.
        json_wanted: whether a machine reads it.
        verbose: whether a person wants to see what is well, too.
    """
    concluded = []
    for opened in open_accounts(files):
        if isinstance(opened.found, Failure):
            problems = opened.found.message.splitlines()
            concluded.append(Conclusion(opened.file, Exit.CONFIGURATION, failed=len(problems)))
            _print_wrong(opened.file, problems, json_wanted=json_wanted)
            continue
        checked = check_account(opened.file, opened.found, live=live)
        concluded.append(checked.conclusion)
        if json_wanted:
            _print_json(checked)
        else:
            _print(checked, verbose=verbose)
    if not json_wanted:
        print_conclusions(results(), concluded)
    return worst(one.exit_code for one in concluded)


def check_account(file: Path, loaded: Valid, *, live: bool) -> Checked:
    """What there is to say of a file that may run."""
    settings = loaded.settings
    now = _now(settings) if starts_in(settings) else None
    ahead = future_notes(file, settings, now) if now else ()
    if not live:
        return Checked(file, loaded, starts_of(settings), ahead)
    return Checked(file, loaded, starts_of(settings), ahead, look_up(settings), look_at_oplead(settings, file))


def _now(settings: Settings) -> datetime | None:
    """The account's present; None where its sandbox's clock has ended."""
    with suppress(Misconfigured), open_clock(settings) as clock:
        return clock.now()
    return None


def _is_seen(found: Sequence[CheckFinding]) -> bool:
    """Whether anything could be seen of it."""
    return any(one.verdict is not CheckVerdict.UNREADABLE for one in found)


def look_up(settings: Settings) -> Findings:
    """What each destination's platform knows of what the settings take for granted; nothing is changed there."""
    expected = expectations(settings, rules_alone(settings))
    return {name: _look_up(make, expected.get(name, ())) for name, make in inspectors(settings)}


def _look_up(make: Callable[[], Inspects], expected: Sequence[Expectation]) -> Sequence[CheckFinding]:
    try:
        inspector = make()
    except Misconfigured as error:
        return [CheckFinding("access", CheckVerdict.FAILED, str(error), _MEND)]
    return [*inspector.preflight(expected), *inspector.diagnose()]


def look_at_oplead(settings: Settings, file: Path) -> OpleadCheck:
    """Whether leads can be read, and what the settings would do to the latest of them; nothing is sent or kept.

    Args:
        settings: the account's.
        file: where they stand, to say where they name what no lead has.
    """
    with ExitStack() as stack:
        try:
            address = str(settings.clock) if settings.clock else None
            clock = stack.enter_context(open_visible_clock(address, settings.oplead.rate))
            book, deps = stack.enter_context(connect(settings, clock, validate_only=True))
        except Misconfigured as error:
            return OpleadCheck([CheckFinding("leads", CheckVerdict.UNREADABLE, f"not looked at: {error}", _MEND)])
        try:
            found = deps.source.fetch_latest(LATEST)
        except Misconfigured as error:
            advice = "Mend that setting; `oplead-sync probe` finds out what Oplead answers and what to write."
            return OpleadCheck([CheckFinding("leads", CheckVerdict.FAILED, str(error), advice)])
        except Unreachable as error:
            return OpleadCheck([CheckFinding("leads", CheckVerdict.FAILED, str(error), _REACH)])
        except Transient as error:
            return OpleadCheck([CheckFinding("leads", CheckVerdict.UNREADABLE, str(error), "Try again later.")])
        made = forecast(book, deps, found)
        named = unmatched(file, _seen(deps.source, found))
        leads = [one for one in found if isinstance(one, Lead)]
        told_of = [
            *forecast_findings(made),
            *phone_findings(lost_phones(_contacts(book, leads))),
            *consent_findings(answers_seen(book, leads)),
            *unmatched_findings(named),
        ]
        return OpleadCheck(told_of, made, labels_seen(settings, leads))


def _contacts(book: Rulebook, leads: Sequence[Lead]) -> Sequence[Contact]:
    """The contact data that a platform would get; none where the settings send none."""
    return [lead.contact for lead in leads] if any(route.uses_contact for route in book.routes) else []


def _seen(source: LeadSource, found: Sequence[Lead | UnreadableLead]) -> SeenInLeads:
    """What the latest leads have."""
    if not isinstance(source, ShowsLatest):
        return SeenInLeads(0, (), (), lambda _: 0)
    leads = [one for one in found if isinstance(one, Lead)]
    labels = [label for lead in leads for label in (lead.label, *(entry.label for entry in lead.history)) if label]
    return SeenInLeads(source.shown, source.shown_paths, labels, source.filled)


def _print(checked: Checked, *, verbose: bool) -> None:
    console = results()
    account = heading_of(checked.loaded.settings)
    console.print(f"{checked.file}: account {account.name}, no mistakes in the file", markup=False, soft_wrap=True)
    lines = [("note", str(note)) for note in checked.notes]
    lines += [("assumed", each) for each in checked.assumed] + [("corrected", each) for each in checked.corrections]
    for kind, said in lines:
        console.print(f"  {kind}: {said}", markup=False, soft_wrap=True)
    if checked.everything:
        print_findings(console, checked.everything, verbose=verbose)
    if checked.oplead and checked.oplead.forecast:
        print_labels(console, checked.loaded.settings, checked.oplead.labels, leads=checked.oplead.forecast.leads)
        print_forecast(console, account, checked.oplead.forecast)


def _print_json(checked: Checked) -> None:
    document = {
        "config": str(checked.file),
        "account": checked.loaded.settings.account,
        "notes": [str(note) for note in checked.notes],
        "assumed": checked.assumed,
        "corrections": checked.corrections,
        "checked": checked.conclusion.checked,
        "unchecked": checked.conclusion.unchecked,
        "unconfirmed": checked.conclusion.unconfirmed,
        **({} if checked.findings is None else {"findings": checked.findings}),
        **({} if checked.oplead is None else {"oplead": checked.oplead}),
        "exit_code": checked.exit_code.value,
    }
    results().out(console.line(document), highlight=False)


def _print_wrong(file: Path, problems: Sequence[str], *, json_wanted: bool) -> None:
    if json_wanted:
        document = {"config": str(file), "problems": problems, "exit_code": Exit.CONFIGURATION.value}
        results().out(console.line(document), highlight=False)
        return
    for problem in problems:
        results().print(problem, markup=False, soft_wrap=True)
