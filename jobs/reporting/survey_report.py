"""What a look at Oplead found, for a person who then writes a few lines of settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from connectors.survey import FewValues, SourceSeen, Survey
from connectors.text import counted, number
from jobs.reporting import console
from jobs.reporting.console import duration, table, times

IGNORED = "ignored"
_NOWHERE = "-"
_UNDATED = "no date found; changes will be dated by observation"
_SHOWN_SHAPES = 2


@dataclass(frozen=True, slots=True)
class Looked:
    """A survey, and what the settings make of it."""

    address: str
    survey: Survey
    stages: Mapping[str, str] | None
    """The stage of each label seen that has one; None where the settings have no stages yet."""
    unknown_consents: Mapping[str, int]
    """By consent field, how many leads hold an answer that the settings list neither as yes nor as no."""
    per_minute: int
    unmatched: tuple[str, ...] = ()
    """What the settings name and no lead has, each with its place in the file."""
    settings: str = field(default="")
    """The lines to paste."""

    @property
    def unmapped(self) -> tuple[str, ...]:
        """The labels that no stage and no ignored status names."""
        stages = self.stages
        shown = [one.label for one in self.survey.labels if not one.masked]
        return () if stages is None else tuple(label for label in shown if label not in stages)


def looked_json(looked: Looked) -> str:
    """Everything found, as one line of JSON."""
    survey = looked.survey
    document = {
        "address": looked.address,
        "usable": survey.usable,
        "survey": survey,
        "unmapped": looked.unmapped,
        "unknown_consents": looked.unknown_consents,
        "unmatched": looked.unmatched,
        "settings": looked.settings,
    }
    return console.line(document)


def print_looked(console: Console, looked: Looked) -> None:
    """Print what was found: what needs a person first, the lines to paste last."""
    survey = looked.survey
    console.print(escape(_opening(looked)))
    _print_sentences(console, "Could not be told; write these", survey.undecided, "bold red")
    _print_sentences(console, "Named in your settings, and met on no lead", looked.unmatched, "yellow")
    _print_sentences(console, "Looks wrong", survey.suspicions, "yellow")
    _print_sentences(console, "How it answers", (*survey.how, *_time(looked)), "bold")
    _print_labels(console, looked)
    _print_sources(console, survey.sources)
    _print_consents(console, looked)
    _print_amounts(console, survey)
    _print_fields(console, survey)
    _print_paths(console, survey)
    _print_settings(console, looked)


def _opening(looked: Looked) -> str:
    survey = looked.survey
    seen = counted(survey.leads, "lead")
    if survey.total is not None:
        seen = f"{number(survey.leads)} of {counted(survey.total, 'lead')}"
    return f"{looked.address}: {seen} looked at, with {counted(survey.requests, 'request')}; nothing was changed there."


def _time(looked: Looked) -> Iterator[str]:
    survey = looked.survey
    if survey.minutes_first is None or survey.minutes_nightly is None:
        if survey.leads:
            yield "Time: not known, because nothing tells how many leads there are."
        return
    first, nightly = (_span(minutes) for minutes in (survey.minutes_first, survey.minutes_nightly))
    yield (
        f"Time: {first} to read everything once, {nightly} in a usual night, at "
        f"{counted(looked.per_minute, 'request')} a minute."
    )


def _span(minutes: float) -> str:
    return duration(timedelta(minutes=max(1, round(minutes)))) if minutes >= 1 else "less than a minute"


def _print_sentences(console: Console, heading: str, sentences: Sequence[str], style: str) -> None:
    if not sentences:
        return
    console.print(f"\n[{style}]{escape(heading)}[/]")
    for sentence in sentences:
        console.print(Padding(escape(sentence), (0, 0, 0, 2)))


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{escape(text)}[/]")


def _print_labels(console: Console, looked: Looked) -> None:
    if not looked.survey.labels:
        return
    _heading(console, "Statuses")
    columns = ("Status", "Leads", "With click id")
    made = table(*columns, *(() if looked.stages is None else ("Stage",)), numbers=columns[1:])
    for seen in looked.survey.labels:
        unknown = "not shown" if seen.masked else "in no stage"
        stage = () if looked.stages is None else (escape(looked.stages.get(seen.label, unknown)),)
        made.add_row(escape(seen.label), number(seen.leads), number(seen.with_click_id), *stage)
    console.print(made)
    if looked.unmapped:
        text = "Write each of these under a stage or under ignored_statuses: " + ", ".join(looked.unmapped)
        console.print(Padding(escape(text), (0, 0, 0, 2)))
    elif looked.stages is None:
        console.print("  These are the words to write under stages and ignored_statuses.")
    if masked := sum(seen.leads for seen in looked.survey.labels if seen.masked):
        text = f"Not shown: {counted(masked, 'lead')} whose status may be somebody's data. Read it in Oplead."
        console.print(Padding(escape(text), (0, 0, 0, 2)))


def _print_sources(console: Console, sources: Sequence[SourceSeen]) -> None:
    if not sources:
        return
    _heading(console, "Click ids by utm_source")
    made = table("Source", "Leads", "Click ids", "Unclear", numbers=("Leads", "Unclear"))
    for seen in sources:
        kinds = ", ".join(f"{kind} {number(count)}" for kind, count in seen.with_click_id.items())
        made.add_row(
            escape(seen.source or "(none)"), number(seen.leads), kinds or _NOWHERE, number(seen.undecided or 0)
        )
    console.print(made)


def _print_consents(console: Console, looked: Looked) -> None:
    few = looked.survey.few_values
    if not few:
        return
    _heading(console, "Fields with few values")
    made = table("Field", "Values", "")
    for one in few:
        made.add_row(escape(one.path), escape(_values(one)), "consent?" if one.consent else "")
    console.print(made)
    for path, count in looked.unknown_consents.items():
        if count:
            text = (
                f"{path}: {counted(count, 'lead')} with an answer that consent lists neither as granted nor as refused"
            )
            console.print(Padding(escape(text), (0, 0, 0, 2)))


def _values(few: FewValues) -> str:
    return ", ".join(times(value, count) for value, count in few.values.items())


def _print_amounts(console: Console, survey: Survey) -> None:
    if not survey.amounts:
        return
    _heading(console, "Amounts")
    made = table("Field", "Read", "Not clear", "Empty", numbers=("Read", "Not clear", "Empty"))
    for one in survey.amounts:
        made.add_row(escape(one.path), number(one.readable), number(one.unreadable), number(one.absent))
    console.print(made)


def _print_fields(console: Console, survey: Survey) -> None:
    if not survey.fields:
        return
    _heading(console, "Where things stand")
    made = table("oplead.fields", "Stands at", "Leads", numbers=("Leads",))
    has_history = any(match.field == "history" and match.path for match in survey.fields)
    for match in survey.fields:
        nowhere = _UNDATED if match.field == "status_at" and not has_history else _NOWHERE
        made.add_row(match.field, escape(match.path or nowhere), number(match.filled))
    console.print(made)


def _print_paths(console: Console, survey: Survey) -> None:
    if not survey.paths:
        return
    _heading(console, "Everything a lead has")
    made = table("Path", "Leads", "What stands there", numbers=("Leads",))
    for path in survey.paths:
        made.add_row(escape(path.path), number(path.filled), escape("; ".join(path.shapes[:_SHOWN_SHAPES])))
    console.print(made)


def _print_settings(console: Console, looked: Looked) -> None:
    if looked.survey.usable:
        _heading(console, "Paste this into your settings, in place of their oplead section")
    else:
        _heading(console, "As far as it goes; add what could not be told")
    console.print(looked.settings, markup=False, soft_wrap=True)
