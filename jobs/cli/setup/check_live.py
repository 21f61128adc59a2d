"""What `check --live` looks up: at the platforms, and in Oplead's latest leads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from connectors.contact import summarise_unusable_phones
from connectors.errors import ConnectorError, KeyRefused, Misconfigured, Transient, Unreachable
from connectors.language import N_, _
from connectors.ports import ExposesLatestLeads
from connectors.records import CheckFinding, CheckVerdict, Lead
from jobs.cli.progress import open_clock_showing_waits
from jobs.faults import ContainedFault
from jobs.forecast import LabelUsage, SampleRehearsal, label_usages, rehearse_with_leads
from jobs.oplead_commands.key_access import KeyAccess, key_finding
from jobs.reporting.check_findings import (
    amounts_elsewhere_findings,
    consent_spelling_findings,
    latest_leads_findings,
    print_findings,
    print_forecast,
    print_labels,
    undated_start_findings,
    unmatched_setting_findings,
    unread_place_findings,
)
from jobs.reporting.console import results_console
from jobs.reporting.presentation import AccountPresentation
from jobs.run_context import Deps
from jobs.settings import Settings
from jobs.settings.compile import Rulebook, target_assumptions
from jobs.settings.unmatched import configured_start_dates, unmatched_settings_references
from jobs.wiring.account import compile_rules_only
from jobs.wiring.night import open_connectors, platform_inspector_factories
from jobs.wiring.oplead import oplead_lists

LATEST = 200
"""How many of the latest leads to judge."""
_TELLING = 20
"""How few leads say nothing of whose they are."""
_CORRECT = N_("Correct it in the settings, or what they refer to.")
_PHONES = N_("Fix them in Oplead, or name the field that holds the country's code as `oplead.fields.country`.")


@dataclass(frozen=True, slots=True)
class OpleadCheck:
    """The findings at Oplead, and a forecast for its latest leads."""

    findings: Sequence[CheckFinding]
    forecast: SampleRehearsal | None = None
    labels: Sequence[LabelUsage] = ()
    """The statuses found in the leads, by stage."""


def compare_settings_with_platforms(settings: Settings, faults: list[str]) -> dict[str, Sequence[CheckFinding]]:
    """Compare the settings' assumptions with what each destination's platform reports; changes nothing there."""
    expected = target_assumptions(settings, compile_rules_only(settings))
    found: dict[str, Sequence[CheckFinding]] = {}
    for name, make in platform_inspector_factories(settings):
        with ContainedFault(faults, _("a platform could not be looked at"), destination=name):
            try:
                inspector = make()
            except Misconfigured as error:
                found[name] = [CheckFinding(_("access"), CheckVerdict.FAILED, str(error), _(_CORRECT))]
            else:
                found[name] = [*inspector.preflight(expected.get(name, ())), *inspector.check_recent_uploads()]
    return found


def check_oplead(settings: Settings, file: Path, *, has_run: bool) -> OpleadCheck:
    """Read the latest leads and forecast what the settings would do with them; sends and stores nothing."""
    starts = [] if has_run else [since.astimezone(settings.zone) for _path, since in configured_start_dates(settings)]
    try:
        with (
            open_clock_showing_waits(settings) as clock,
            open_connectors(settings, clock, validate_only=True) as (book, deps),
        ):
            looked, reads_leads = _forecast_latest_leads(settings, file, book, deps, starts)
            if settings.source is not None:
                return looked  # files were read, and nothing by the key
            seen = deps.source.seen if isinstance(deps.source, ExposesLatestLeads) else None
            owners = seen.owners if seen and seen.leads >= _TELLING else None
            with oplead_lists(settings, clock) as lists:
                key = key_finding(reads_leads, _check_read_access(lists.crm_marketing_channels), owners)
            return replace(looked, findings=[*looked.findings, *([key] if key else [])])
    except Misconfigured as error:
        return OpleadCheck(
            [CheckFinding(_("leads"), CheckVerdict.UNREADABLE, _("not looked at: {error}", error=error), _(_CORRECT))]
        )


def _check_read_access(read: Callable[[], object]) -> KeyAccess:
    """Return whether the key may read something; only a 403 says that it may not."""
    try:
        read()
    except KeyRefused:
        return KeyAccess.REFUSED
    except ConnectorError:
        return KeyAccess.UNKNOWN
    return KeyAccess.GRANTED


def _forecast_latest_leads(
    settings: Settings, file: Path, book: Rulebook, deps: Deps, starts: Sequence[datetime]
) -> tuple[OpleadCheck, KeyAccess]:
    """Return what was found in the latest leads, and whether the key may read leads."""
    verdict = CheckVerdict.FAILED
    try:
        found = deps.source.fetch_latest(LATEST)
    except (Misconfigured, Transient) as error:
        match error:
            case Misconfigured():
                advice = _("Correct that setting; `oplead-sync probe` finds out what Oplead answers and what to write.")
            case Unreachable():
                advice = _("Correct the address, or make sure that this machine may reach it.")
            case _:
                verdict, advice = CheckVerdict.UNREADABLE, _("Try again later.")
        access = KeyAccess.REFUSED if isinstance(error, KeyRefused) else KeyAccess.UNKNOWN
        return OpleadCheck([CheckFinding(_("leads"), verdict, str(error), advice)]), access
    made = rehearse_with_leads(book, deps, found)
    leads = [one for one in found if isinstance(one, Lead)]
    # Contact data matters only if a route sends it.
    contacts = [lead.contact for lead in leads] if any(route.uses_contact for route in book.routes) else []
    findings = [*latest_leads_findings(made)]
    if lost := summarise_unusable_phones(contacts):
        findings.append(CheckFinding(_("phones"), CheckVerdict.DOUBTFUL, lost, _(_PHONES)))
    findings += consent_spelling_findings(book, leads)
    findings += amounts_elsewhere_findings(book, leads)
    findings += undated_start_findings(starts, leads, deps.clock.now())
    if isinstance(deps.source, ExposesLatestLeads):
        unmatched = unmatched_settings_references(file, deps.source.seen)
        findings += unmatched_setting_findings(unmatched)
        findings += unread_place_findings(deps.source.seen.unread, unmatched)
    return OpleadCheck(findings, made, label_usages(settings, leads)), KeyAccess.GRANTED if leads else KeyAccess.UNKNOWN


def print_live_check(
    account: AccountPresentation,
    settings: Settings,
    findings: Mapping[str, Sequence[CheckFinding]],
    oplead: OpleadCheck | None,
    *,
    verbose: bool,
) -> None:
    """Print the findings, and what the settings would do with the latest leads."""
    console = results_console()
    if findings:
        print_findings(console, findings, verbose=verbose)
    if oplead and (made := oplead.forecast) and made.leads:
        print_labels(console, settings, oplead.labels, leads=made.leads)
        print_forecast(console, account, made)
