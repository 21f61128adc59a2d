"""Reports what a survey of Oplead found, to help a user write a few lines of settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from connectors.survey import SourceSeen, Survey
from connectors.text import counted, number
from jobs.reporting import console
from jobs.reporting.console import duration, table, times

IGNORED = "ignored"
_NOWHERE = "-"
_UNDATED = "no date found; changes will be dated by observation"
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
    settings: str = field(default="")
    """The lines to paste."""

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Return the labels in no stage and not in `ignored_statuses`."""
        stages = self.stages
        shown = [one.label for one in self.survey.labels if not one.masked]
        return () if stages is None else tuple(label for label in shown if label not in stages)


def report_json(report: ProbeReport) -> str:
    """Return everything found, as one line of JSON."""
    survey = report.survey
    document = {
        "address": report.address,
        "usable": survey.usable,
        "survey": survey,
        "unmapped": report.unmapped,
        "unknown_consents": report.unknown_consents,
        "unmatched": report.unmatched,
        "settings": report.settings,
    }
    return console.line(document)


def print_report(console: Console, report: ProbeReport) -> None:
    """Print what was found: what needs a human first, the lines to paste last."""
    survey = report.survey
    console.print(escape(_opening(report)))
    _print_sentences(console, "Could not be told; write these", survey.undecided, "bold red")
    _print_sentences(console, "Named in your settings, and met on no lead", report.unmatched, "yellow")
    _print_sentences(console, "Looks wrong", survey.suspicions, "yellow")
    _print_sentences(console, "How it answers", (*survey.how, *_time(report)), "bold")
    _print_labels(console, report)
    _print_sources(console, survey.sources)
    _print_consents(console, report)
    _print_fields(console, survey)
    whole = "Paste this into your settings, in place of their oplead section"
    _heading(console, whole if survey.usable else "As far as it goes; add what could not be told")
    console.print(report.settings, markup=False, soft_wrap=True)


def _opening(report: ProbeReport) -> str:
    survey = report.survey
    seen = counted(survey.leads, "lead")
    if survey.total is not None:
        seen = f"{number(survey.leads)} of {counted(survey.total, 'lead')}"
    return f"{report.address}: {seen} looked at, with {counted(survey.requests, 'request')}; nothing was changed there."


def _time(report: ProbeReport) -> Iterator[str]:
    survey = report.survey
    if survey.minutes_first is None or survey.minutes_nightly is None:
        if survey.leads:
            yield "Time: not known, because nothing tells how many leads there are."
        return
    first, nightly = (_span(minutes) for minutes in (survey.minutes_first, survey.minutes_nightly))
    yield (
        f"Time: {first} to read everything once, {nightly} in a usual night, at "
        f"{counted(report.per_minute, 'request')} a minute."
    )


def _span(minutes: float) -> str:
    return duration(timedelta(minutes=max(1, round(minutes)))) if minutes >= 1 else "less than a minute"


def _print_sentences(console: Console, heading: str, sentences: Sequence[str], style: str) -> None:
    if sentences:
        _heading(console, heading, style)
        for sentence in sentences:
            _print_note(console, sentence)


def _heading(console: Console, text: str, style: str = "bold") -> None:
    console.print(f"\n[{style}]{escape(text)}[/]")


def _print_note(console: Console, text: str) -> None:
    console.print(Padding(escape(text), (0, 0, 0, 2)))


def _print_table(
    console: Console,
    text: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: tuple[str, ...] = (),
) -> None:
    if rows:
        _heading(console, text)
        console.print(table(*columns, numbers=numbers, rows=[[*map(escape, row)] for row in rows]))


def _print_labels(console: Console, report: ProbeReport) -> None:
    labels, stages = report.survey.labels, report.stages
    if not labels:
        return
    numbers = ("Leads", "With click id")
    rows = [(seen.label, number(seen.leads), number(seen.with_click_id)) for seen in labels]
    if stages is None:
        _print_table(console, "Statuses", ("Status", *numbers), rows, numbers=numbers)
        _print_note(console, "These are the words to write under stages and ignored_statuses.")
    else:
        names = (stages.get(seen.label, "not shown" if seen.masked else "in no stage") for seen in labels)
        staged = [(*row, stage) for row, stage in zip(rows, names, strict=True)]
        _print_table(console, "Statuses", ("Status", *numbers, "Stage"), staged, numbers=numbers)
    if report.unmapped:
        unmapped = ", ".join(report.unmapped)
        _print_note(console, f"Write each of these under a stage or under ignored_statuses: {unmapped}")
    if masked := sum(seen.leads for seen in labels if seen.masked):
        may_be = "whose status may be somebody's data. Read it in Oplead."
        _print_note(console, f"Not shown: {counted(masked, 'lead')} {may_be}")


def _print_sources(console: Console, sources: Sequence[SourceSeen]) -> None:
    rows = []
    for seen in sources:
        kinds = ", ".join(f"{kind} {number(count)}" for kind, count in seen.with_click_id.items())
        rows.append((seen.source or "(none)", number(seen.leads), kinds or _NOWHERE, number(seen.undecided)))
    columns = ("Source", "Leads", "Click ids", "Unclear")
    _print_table(console, "Click ids by utm_source", columns, rows, numbers=("Leads", "Unclear"))


def _print_consents(console: Console, report: ProbeReport) -> None:
    few = report.survey.few_values
    rows = [
        (
            one.path,
            ", ".join(times(value, count) for value, count in one.values.items()),
            "consent?" if one.consent else "",
        )
        for one in few
    ]
    _print_table(console, "Fields with few values", ("Field", "Values", ""), rows)
    for path, count in report.unknown_consents.items() if few else ():
        if count:
            unlisted = "with an answer that consent lists neither as granted nor as refused"
            _print_note(console, f"{path}: {counted(count, 'lead')} {unlisted}")


def _print_fields(console: Console, survey: Survey) -> None:
    rows = [(one.path, number(one.readable), number(one.unreadable), number(one.absent)) for one in survey.amounts]
    counts = ("Read", "Not clear", "Empty")
    _print_table(console, "Amounts", ("Field", *counts), rows, numbers=counts)
    has_history = any(match.field == "history" and match.path for match in survey.fields)
    places = []
    for match in survey.fields:
        nowhere = _UNDATED if match.field == "status_at" and not has_history else _NOWHERE
        places.append((match.field, match.path or nowhere, number(match.filled)))
    _print_table(console, "Where things stand", ("oplead.fields", "Stands at", "Leads"), places, numbers=("Leads",))
    paths = [(one.path, number(one.filled), "; ".join(one.shapes[:_SHOWN_SHAPES])) for one in survey.paths]
    columns = ("Path", "Leads", "What stands there")
    _print_table(console, "Everything a lead has", columns, paths, numbers=("Leads",))
