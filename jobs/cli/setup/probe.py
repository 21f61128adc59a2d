"""`probe`: finds out how Oplead answers, and suggests the settings with which a night reads everything."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding

from connectors.language import (
    N_,
    Language,
    _,
    _n,
    chosen_language,
    format_integer,
    join_with_semicolons,
    using_language,
)
from connectors.stage_words import stage_in_words
from connectors.survey import SUGGESTED, Basis, SeenInLeads, Survey
from jobs.account.files import invalid_settings_error, log_env_files
from jobs.cli.progress import open_clock_showing_waits
from jobs.exit_codes import Exit, UsageError
from jobs.reporting.console import console_table, duration, results_console, value_with_count
from jobs.reporting.presentation import print_json
from jobs.rules.labels import normalise_label, normalise_listed_label
from jobs.settings import InvalidSettings
from jobs.settings.document import Tree, Written, yaml_section_lines
from jobs.settings.load import OpleadSection, PartialSettings, load_partial, partial_settings_without_file
from jobs.settings.references import SecretReferenceResolver
from jobs.settings.specified import assumed_settings, differences, new_subscription_settings, new_write_settings
from jobs.settings.unmatched import (
    loose_field_path,
    paths_named_besides_fields,
    paths_named_in,
    unmatched_settings_references,
)
from jobs.wiring.surveys import survey_files, survey_oplead

SAMPLE = 300
"""How many leads of an exported file to look at where nobody says."""
_TOKEN = "OPLEAD_TOKEN"  # noqa: S105 - the name of a variable


def probe(
    known: PartialSettings, *, file: Path | None, leads: int | None, spec: Path | None = None, json_wanted: bool
) -> int:
    """Survey Oplead, or its exported files, and print the report, including what the file names and no lead has."""
    with using_language(Language.ENGLISH if json_wanted else chosen_language() or known.language):
        return _probe(known, file=file, leads=leads, spec=spec, json_wanted=json_wanted)


def _probe(
    known: PartialSettings, *, file: Path | None, leads: int | None, spec: Path | None, json_wanted: bool
) -> int:
    specification = read_specification(spec)
    look = known.settings
    named = paths_named_in(file) if file else frozenset()
    if look.source is not None:
        wanted = paths_named_besides_fields(file) if file else frozenset()
        survey = survey_files(look, look.source, leads=leads or SAMPLE, named=wanted)
    else:
        with open_clock_showing_waits(look) as clock:
            survey = survey_oplead(
                look, clock, leads=leads, state=known.state, named=named, specification=specification
            )
    unchanged = {name: value for name, value in known.section.items() if name not in SUGGESTED and value is not None}
    kept = {name: _to_yaml_value(value) for name, value in unchanged.items()}
    write, webhooks = known.section.get("write"), known.webhooks
    if new := new_write_settings(survey, write):
        old = kept.get("write")
        kept["write"] = _merged(old, new) if isinstance(old, dict) else new
    labels = [*(one.label for one in survey.labels), *survey.past_labels]
    paths = [one.path for one in survey.paths]
    seen = SeenInLeads(survey.leads, paths, labels, lambda path: survey.named.get(path, 0))
    suggested = _suggested(survey, kept, known.source)
    now_written = {name: _to_yaml_value(value) for name, value in known.section.items() if value is not None}
    report = ProbeReport(
        address=_address(look),
        survey=survey,
        stages=_stages(look, survey) if look.stages else None,
        unknown_consents=_unknown_consents(look, survey),
        unmatched=tuple(str(one.problem) for one in unmatched_settings_references(file, seen)) if file else (),
        per_minute=look.oplead.rate,
        settings="\n".join(yaml_section_lines(suggested)),
        is_unchanged=suggested == {"oplead": now_written},
        webhook_settings=_webhook_lines(new_subscription_settings(survey, webhooks)),
        assumed=assumed_settings(survey, write, webhooks),
        differences=tuple(differences(survey, write, webhooks)),
    )
    if json_wanted:
        print_json(report.for_json)
    else:
        print_probe_report(results_console(), report)
    return Exit.DONE if survey.are_leads_readable else Exit.ATTENTION


def read_specification(file: Path | None) -> bytes | None:
    """Read the file of `--spec`, if there is one.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return None if file is None else file.read_bytes()
    except OSError as error:
        raise UsageError(_("--spec: {file} cannot be read ({strerror})", file=file, strerror=error.strerror)) from None


def _merged(old: Mapping[str, Written], new: Mapping[str, Written]) -> dict[str, Written]:
    merged: dict[str, Written] = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        merged[name] = {**before, **value} if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _webhook_lines(subscriptions: Mapping[str, Written]) -> str:
    return "\n".join(yaml_section_lines({"webhooks": {"subscriptions": subscriptions}})) if subscriptions else ""


def _address(look: OpleadSection) -> str:
    """Name what was looked at."""
    if look.source is not None:
        return look.source.csv or look.source.xlsx or ""
    return str(look.oplead.base_url).rstrip("/")


def _suggested(survey: Survey, kept: Mapping[str, Written], source: Mapping[str, Tree]) -> dict[str, Written]:
    """Return the sections to write."""
    if survey.columns is None:
        return {"oplead": {**kept, **survey.suggestion}}
    files = {name: _to_yaml_value(value) for name, value in source.items() if name != "columns"}
    columns: dict[str, Written] = {"columns": dict(survey.columns)} if survey.columns else {}
    oplead = {**kept, **survey.suggestion}
    return {"source": {**files, **columns}, **({"oplead": oplead} if oplead else {})}


def partial_settings_from_file(file: Path, environ: Mapping[str, str] = os.environ) -> PartialSettings:
    """Load partial settings from a file.

    Raises:
        UsageError: the file or its settings for Oplead are invalid.
    """
    known = load_partial(file, environ, needed=("source",))
    with using_language(chosen_language() or known.language):
        log_env_files([known.env_file])
    if isinstance(known, InvalidSettings):
        raise invalid_settings_error(known)
    return known


def partial_settings_from_options(
    base_url: str | None,
    path_prefix: str | None,
    token_file: Path | None,
    clock: str | None,
    environ: Mapping[str, str] = os.environ,
) -> PartialSettings:
    """Build partial settings from the command line.

    Raises:
        UsageError: no token is found, or an address is invalid or not allowed.
    """
    reference = f"file:{token_file.absolute()}" if token_file else f"${{{_TOKEN}}}"
    try:
        token = SecretReferenceResolver(environ, Path.cwd()).secret(reference)
    except ValueError as error:
        raise UsageError(f"probe: {'--token-file' if token_file else _TOKEN}: {error}") from None
    try:
        return partial_settings_without_file(base_url, token, reference, path_prefix=path_prefix, clock=clock)
    except ValueError as error:
        raise UsageError(f"probe: {error}") from None


def _stages(look: OpleadSection, survey: Survey) -> dict[str, str]:
    """Map each label found in leads to its stage in words, leaving out those that the settings don't name."""
    named = {
        normalise_listed_label(label): stage_in_words(stage)
        for stage, labels in look.stages.items()
        for label in labels
    }
    named |= {normalise_label(label): _("ignored") for label in look.ignored_statuses}
    return {seen.label: named[normal] for seen in survey.labels if (normal := normalise_label(seen.label)) in named}


def _unknown_consents(look: OpleadSection, survey: Survey) -> dict[str, int]:
    """Count, for each configured consent field, the leads whose answer the settings don't list."""
    counts: Counter[str] = Counter()
    signals = (look.consent.ad_user_data, look.consent.ad_personalization) if look.consent else ()
    for signal in filter(None, signals):
        listed = {normalise_label(answer) for answer in (*signal.granted, *signal.refused)}
        for few in survey.few_values:
            if loose_field_path(few.path) == loose_field_path(signal.field):
                counts[few.path] += sum(
                    count for value, count in few.values.items() if value and normalise_label(value) not in listed
                )
    return dict(counts)


def _to_yaml_value(value: Tree) -> Written:
    """Convert part of the file for writing; numbers become ints, as the tree's texts would be quoted."""
    match value:
        case dict():
            return {name: _to_yaml_value(one) for name, one in value.items() if one is not None}
        case list():
            return [one for one in value if isinstance(one, str)]
        case str():
            return int(value) if value.isdecimal() and str(int(value)) == value else value
        case None:
            return ""


# ── the report ───────────────────────────────────────────────────────────────────────────────────

_NOWHERE = "-"
_UNDATED = N_("no date found; changes will be dated by observation")
_SHOWN_SHAPES = 2


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """A survey, and how the settings apply to it."""

    address: str
    survey: Survey
    stages: Mapping[str, str] | None
    """The stage of each label seen that has one; None if the settings have no stages yet."""
    unknown_consents: Mapping[str, int]
    """Number of leads with an answer the settings list neither as granted nor as refused, by consent field."""
    per_minute: int
    unmatched: tuple[str, ...] = ()
    """What the settings name and no lead has, each with its place in the file."""
    settings: str = ""
    """The lines to paste."""
    is_unchanged: bool = False
    """Whether the settings' oplead section says the same already."""
    webhook_settings: str = ""
    """The lines for the webhooks section, if they differ from the defaults."""
    assumed: tuple[str, ...] = ()
    """The settings that nothing settles."""
    differences: tuple[str, ...] = ()
    """Where the file and the specification differ on writing and webhooks."""

    @property
    def unmapped_labels(self) -> tuple[str, ...]:
        """Return the labels in no stage and not in `ignored_statuses`."""
        if self.stages is None:
            return ()
        return tuple(one.label for one in self.survey.labels if not one.masked and one.label not in self.stages)

    @property
    def for_json(self) -> Mapping[str, object]:
        """Return everything found, for JSON."""
        return {
            "address": self.address,
            "usable": self.survey.are_leads_readable,
            "survey": self.survey,
            "unmapped": self.unmapped_labels,
            "unknown_consents": self.unknown_consents,
            "unmatched": self.unmatched,
            "assumed": self.assumed,
            "differences": self.differences,
            "settings": self.settings,
            "webhook_settings": self.webhook_settings,
        }


def print_probe_report(console: Console, report: ProbeReport) -> None:
    """Print what was found: what needs a human first, the lines to paste last."""
    for part in _parts(report):
        console.print(part)
    if not report.is_unchanged:
        console.print(report.settings, markup=False, soft_wrap=True)
    if report.webhook_settings:
        console.print(_heading(_("And this into its webhooks section, if you use them")))
        console.print(report.webhook_settings, markup=False, soft_wrap=True)


Parts = Iterator[RenderableType]


def _parts(report: ProbeReport) -> Parts:
    survey = report.survey
    looked_at = _n("{count} lead looked at", "{count} leads looked at", survey.leads)
    if survey.total is not None:
        looked_at = _n(
            "{leads} of {count} lead looked at",
            "{leads} of {count} leads looked at",
            survey.total,
            leads=format_integer(survey.leads),
        )
    if survey.columns is None:
        looked_at += ", " + _n("with {count} request", "with {count} requests", survey.requests)
    yield escape(_("{address}: {looked_at}; nothing was changed there.", address=report.address, looked_at=looked_at))
    to_write = (*survey.undecided, *survey.unexplained_past)
    yield from _notes(_("Could not be determined; write these"), to_write, "bold red")
    yield from _notes(_("Named in your settings, but found on no lead"), report.unmatched, "yellow")
    yield from _notes(_("Looks wrong"), survey.suspicions, "yellow")
    yield from _notes(_("Specified otherwise than in your settings"), report.differences, "yellow")
    yield from _notes(_("How it answers"), (*survey.how, *_reading_time_lines(report)))
    yield from _notes(_("What settings rest on"), tuple(_evidence_lines(report)))
    yield from _labels(report)
    yield from _sources(survey)
    yield from _few_values(report)
    yield from _fields(survey)
    whole = _("Paste this into your settings, in place of their oplead section")
    if survey.columns is not None:
        whole = _("Paste this into your settings, in place of their source section")
    elif report.is_unchanged:
        whole = _("The oplead section of your settings stays as it is: there is nothing to paste")
    yield _heading(whole if survey.are_leads_readable else _("Incomplete; add what could not be determined"))


def _reading_time_lines(report: ProbeReport) -> Iterator[str]:
    survey = report.survey
    if survey.minutes_first is not None and survey.minutes_nightly is not None:
        first, nightly = (
            duration(timedelta(minutes=round(minutes))) if minutes >= 1 else _("less than a minute")
            for minutes in (survey.minutes_first, survey.minutes_nightly)
        )
        rate = _n("{count} request a minute", "{count} requests a minute", report.per_minute)
        yield _(
            "Time: {first} to read everything once, {nightly} in a usual night, at {rate}.",
            first=first,
            nightly=nightly,
            rate=rate,
        )
    elif survey.leads and survey.columns is None:
        yield _("Time: unknown, because the number of leads is.")


_BASES: Mapping[Basis, str] = {
    "specification": N_("Oplead's specification"),
    "settings": N_("your settings, which work"),
    "trials": N_("trials"),
}


def _evidence_lines(report: ProbeReport) -> Iterator[str]:
    survey = report.survey
    for basis, words in _BASES.items():
        names = [name for name, found in survey.rests_on.items() if found == basis]
        if basis == "specification":
            names += [f"write.{name}" for name in survey.write]
            names += [f"webhooks.subscriptions.{name}" for name in survey.subscriptions]
        if names:
            yield _("On {basis}: {names}.", basis=_(words), names=", ".join(_grouped(names)))
    if report.assumed:
        yield _("On nothing yet, for they are assumed: {names}.", names=", ".join(_grouped(report.assumed)))


def _grouped(names: Sequence[str]) -> Iterator[str]:
    """Yield the names, those of one section together."""
    sections: dict[str, list[str]] = {}
    for name in names:
        section, _dot, last = name.rpartition(".")
        sections.setdefault(section, []).append(last)
    for section, lasts in sections.items():
        yield f"{section} ({', '.join(lasts)})" if section else ", ".join(lasts)


def _heading(text: str, style: str = "bold") -> str:
    return f"\n[{style}]{escape(text)}[/]"


def _note(text: str) -> Padding:
    return Padding(escape(text), (0, 0, 0, 2))


def _notes(heading: str, sentences: Sequence[str], style: str = "bold") -> Parts:
    if sentences:
        yield _heading(heading, style)
        yield from map(_note, sentences)


def _table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *numbers: str) -> Parts:
    """Yield a table of `rows`, unless there are none, with the columns in `numbers` aligned right."""
    if escaped := [[*map(escape, row)] for row in rows]:
        yield _heading(heading)
        yield console_table(*columns, numbers=numbers, rows=escaped)


def _labels(report: ProbeReport) -> Parts:
    labels, stages = report.survey.labels, report.stages
    if not labels:
        return
    leads, with_click_id = _("Leads"), _("With click id")
    columns: tuple[str, ...] = (_("Status"), leads, with_click_id)
    rows: list[tuple[str, ...]] = [
        (seen.label, format_integer(seen.leads), format_integer(seen.with_click_id)) for seen in labels
    ]
    if stages is not None:
        columns += (_("Stage"),)
        missing = (_("not shown") if seen.masked else _("in no stage") for seen in labels)
        rows = [(*row, stages.get(row[0], no_stage)) for row, no_stage in zip(rows, missing, strict=True)]
    yield from _table(_("Statuses"), columns, rows, leads, with_click_id)
    if stages is None:
        yield _note(_("These are the words to write under stages and ignored_statuses."))
    if report.unmapped_labels:
        yield _note(
            _(
                "Write each of these under a stage or under ignored_statuses: {labels}",
                labels=", ".join(report.unmapped_labels),
            )
        )
    if masked := sum(seen.leads for seen in labels if seen.masked):
        hidden = _n(
            "Not shown: {count} lead whose status may be personal data. Read it in Oplead.",
            "Not shown: {count} leads whose status may be personal data. Read it in Oplead.",
            masked,
        )
        yield _note(hidden)


def _sources(survey: Survey) -> Parts:
    rows = []
    for seen in survey.sources:
        kinds = ", ".join(f"{kind} {format_integer(count)}" for kind, count in seen.with_click_id.items())
        rows.append(
            (seen.source or _("(none)"), format_integer(seen.leads), kinds or _NOWHERE, format_integer(seen.undecided))
        )
    leads, unclear = _("Leads"), _("Unclear")
    columns = (_("Source"), leads, _("Click ids"), unclear)
    yield from _table(_("Click ids by utm_source"), columns, rows, leads, unclear)
    if any(seen.undecided for seen in survey.sources):
        yield _note(
            _(
                "Unclear: nothing says which platform the click id is from, so nothing is sent for these leads "
                "until `click_ids.bare` or a utm_source says so."
            )
        )


def _few_values(report: ProbeReport) -> Parts:
    few = report.survey.few_values
    values = (", ".join(value_with_count(value, count) for value, count in one.values.items()) for one in few)
    rows = ((one.path, every, _("consent?") if one.consent else "") for one, every in zip(few, values, strict=True))
    yield from _table(_("Fields with few values"), (_("Field"), _("Values"), ""), rows)
    for path, count in report.unknown_consents.items():
        if count:
            unlisted = _n(
                "{path}: {count} lead with an answer that consent lists neither as granted nor as refused",
                "{path}: {count} leads with an answer that consent lists neither as granted nor as refused",
                count,
                path=path,
            )
            yield _note(unlisted)


def _fields(survey: Survey) -> Parts:
    amounts = (
        (one.path, format_integer(one.readable), format_integer(one.unreadable), format_integer(one.absent))
        for one in survey.amounts
    )
    counts = (_("Read"), _("Not clear"), _("Empty"))
    yield from _table(_("Amounts"), (_("Field"), *counts), amounts, *counts)
    has_history = any(match.field == "history" and match.path for match in survey.fields)
    nowhere = {} if has_history else {"status_at": _(_UNDATED)}
    places = (
        (match.field, match.path or nowhere.get(match.field, _NOWHERE), format_integer(match.filled))
        for match in survey.fields
    )
    leads = _("Leads")
    yield from _table(_("Where fields are"), ("oplead.fields", _("Path"), leads), places, leads)
    paths = (
        (one.path, format_integer(one.filled), join_with_semicolons(one.shapes[:_SHOWN_SHAPES])) for one in survey.paths
    )
    yield from _table(_("Everything a lead has"), (_("Path"), leads, _("Values")), paths, leads)
