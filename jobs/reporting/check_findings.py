"""What a check found on the platforms and in the latest leads."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import groupby
from typing import assert_never

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.language import N_, _, _n, format_integer, join_with_semicolons, translated
from connectors.records import CheckFinding, CheckVerdict, Lead
from connectors.stage_words import stage_in_words
from connectors.survey import UnreadPlace
from jobs.forecast import LabelUsage, SampleRehearsal
from jobs.reporting.console import console_table, never_wrap_column
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.sentences import value_in_words
from jobs.reporting.status_report import print_states
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.extraction import amounts, consent_answer
from jobs.rules.labels import describe_text_shape, normalise_label
from jobs.rules.model import ConsentAnswer
from jobs.settings import Settings
from jobs.settings.compile import IGNORED, Rulebook
from jobs.settings.unmatched import UnmatchedReference, undated_start_in_words

_STYLES = {
    CheckVerdict.FAILED: "bold red",
    CheckVerdict.DOUBTFUL: "yellow",
    CheckVerdict.UNREADABLE: "yellow",
    CheckVerdict.VERIFIED: "green",
}
"""In display order: what needs a human comes first."""
_VERDICTS = {
    CheckVerdict.FAILED: N_("failed"),
    CheckVerdict.DOUBTFUL: N_("look at"),
    CheckVerdict.UNREADABLE: N_("not readable"),
    CheckVerdict.VERIFIED: N_("verified"),
}


def print_findings(console: Console, found: Mapping[str, Sequence[CheckFinding]], *, verbose: bool = False) -> None:
    """Print the findings of all destinations: failed ones first, each with its advice, and verified ones last.

    Verified findings that need no attention are summarised in one line unless `verbose`.
    """
    every = [(destination, finding) for destination, findings in found.items() for finding in findings]
    counted = Counter(finding.verdict for _destination, finding in every)
    summary = ", ".join(_counted(verdict, counted[verdict]) for verdict in _STYLES if counted[verdict])
    console.print()
    console.print(_("[bold]As the platforms have it[/bold]: {summary}", summary=summary or _("nothing to look up")))
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for verdict, style in _STYLES.items():
        for destination, finding in every:
            if finding.verdict is verdict and (verbose or not _passed_without_advice(finding)):
                advice = f"\n→ {finding.advice}" if finding.advice else ""
                text = (
                    _(
                        "{destination}: {subject}: {found}",
                        destination=destination,
                        subject=finding.subject,
                        found=finding.found,
                    )
                    + advice
                )
                made.add_row(f"  [{style}]{_(_VERDICTS[verdict])}[/]", escape(text))
    well = Counter(destination for destination, finding in every if _passed_without_advice(finding))
    if well and not verbose:
        said = ", ".join(f"{destination} {format_integer(count)}" for destination, count in well.items())
        made.add_row(
            f"  [{_STYLES[CheckVerdict.VERIFIED]}]{_(_VERDICTS[CheckVerdict.VERIFIED])}[/]",
            escape(_("{said} (--verbose lists them)", said=said)),
        )
    console.print(made)
    if counted[CheckVerdict.UNREADABLE]:
        console.print("  " + _("[dim]What this access cannot read says nothing against sending.[/dim]"))


def _counted(verdict: CheckVerdict, count: int) -> str:
    match verdict:
        case CheckVerdict.FAILED:
            return _n("{count} failed", "{count} failed", count)
        case CheckVerdict.DOUBTFUL:
            return _n("{count} to look at", "{count} to look at", count)
        case CheckVerdict.UNREADABLE:
            return _n("{count} not readable", "{count} not readable", count)
        case CheckVerdict.VERIFIED:
            return _n("{count} verified", "{count} verified", count)
    assert_never(verdict)


def _passed_without_advice(finding: CheckFinding) -> bool:
    return finding.verdict is CheckVerdict.VERIFIED and not finding.advice and not finding.is_notable


_UNLISTED = Fraction(1, 5)
"""Report unlisted answers above this share."""
_STAGES = {None: N_("in no stage"), IGNORED: N_("ignored")}
_FEWEST = 5
"""Fewer leads than this may have amounts, or none, by chance."""
_TELLING = 10
"""Fewer leads than this may all lack something by chance."""
_LONG_BEFORE = timedelta(days=7)
_NAMED = 3
"""Maximum number of reasons, leads or answers named in a sentence."""


def latest_leads_findings(made: SampleRehearsal) -> Iterator[CheckFinding]:
    """Yield what the latest leads reveal about the settings."""
    if not made.leads and not made.unreadable:
        yield CheckFinding(
            _("leads"), CheckVerdict.FAILED, _("there are none"), _("See that the key is the client admin's.")
        )
    if made.leads:
        readable = _n("the latest lead can be read", "the latest {count} leads can be read", made.leads)
        yield CheckFinding(_("leads"), CheckVerdict.VERIFIED, readable)
    if made.unreadable:
        yield _unreadable(made)
    if made.unknown_labels:
        yield _unknown_labels(made)
    held = sum(tally.count for tally in made.tallies if tally.state is DeliveryState.WITHHELD)
    if held and not any(tally.state is DeliveryState.PENDING for tally in made.tallies):
        message = _n("{count} qualifies and could not be sent", "{count} qualify and none could be sent", held)
        yield CheckFinding(
            _("conversions"), CheckVerdict.FAILED, message, _("The table below says why, and what to do.")
        )


def unmatched_setting_findings(found: Sequence[UnmatchedReference]) -> Iterator[CheckFinding]:
    """Yield what the settings name and none of these leads has, each with its place in the file."""
    for one in found:
        place = f"{one.problem.file}:{one.problem.line}: {one.problem.path}"
        verdict = CheckVerdict.FAILED if one.stops else CheckVerdict.DOUBTFUL
        yield CheckFinding(place, verdict, one.problem.message, one.advice)


def unread_place_findings(
    places: Sequence[UnreadPlace], unmatched: Sequence[UnmatchedReference]
) -> Iterator[CheckFinding]:
    """Yield where leads hold something that is not read, except where it is said already that they hold nothing."""
    said = {".".join(one.problem.path.split(".")[:3]) for one in unmatched}
    for place in places:
        subject = f"oplead.fields.{place.field}"
        if place.labels:
            advice = _(
                "Write each of these under a stage or under ignored_statuses: {labels}", labels=", ".join(place.labels)
            )
            yield CheckFinding(subject, CheckVerdict.FAILED, place.found, advice)
        elif subject not in said:
            # Without a history, changes get a wrong time.
            verdict = CheckVerdict.FAILED if place.field == "history" else CheckVerdict.DOUBTFUL
            advice = (
                _("`oplead-sync probe` shows what leads have.")
                if place.is_named
                else _(
                    "Name it there, as `oplead-sync probe` proposes it: without it, a change may have the time of the "
                    "night that sees it."
                )
            )
            yield CheckFinding(subject, verdict, place.found, advice)


def undated_start_findings(starts: Sequence[datetime], leads: Sequence[Lead], now: datetime) -> Iterator[CheckFinding]:
    """Yield that a first night sends what has no time of its own, where conversions count from long before it."""
    early = [since for since in starts if since < now - _LONG_BEFORE]
    if early and len(leads) >= _TELLING and not any(lead.history for lead in leads):
        advice = _("To leave it out, write the day of the first night as `since`, or take it out.")
        yield CheckFinding(_("times"), CheckVerdict.DOUBTFUL, undated_start_in_words(min(early).date()), advice)


def print_forecast(console: Console, account: AccountPresentation, made: SampleRehearsal) -> None:
    """Print what the settings would do to the latest leads if their whole past counted."""
    heading = _n(
        "The latest lead, if all of its past counted",
        "The latest {count} leads, if all of their past counted",
        made.leads,
    )
    console.print(f"\n[bold]{heading}[/bold]")
    if made.tallies:
        missing = _(
            "A lead is in no row of a destination if only another platform's ad brought it, or if the settings leave "
            "it out."
        )
        console.print(missing, style="dim")
        for sentence in account.future_start_sentences(made.at):
            console.print(sentence, markup=False)
        print_states(console, account, made.tallies, on_record=False, now=made.at)
    else:
        console.print(_("None of them has reached a stage that counts."))


def consent_spelling_findings(book: Rulebook, leads: Sequence[Lead]) -> Iterator[CheckFinding]:
    """Yield each consent field with so many unlisted answers that a spelling is probably missing.

    Answers are shown only by shape: they may contain anything.
    """
    for asked in filter(None, (book.extraction.ad_user_data, book.extraction.ad_personalization)):
        answers = [(consent_answer(asked, lead), lead) for lead in leads]
        answered = sum(given is not ConsentAnswer.MISSING for given, _lead in answers)
        shapes = Counter(
            describe_text_shape(str(lead.fields.get(asked.path, "")))
            for given, lead in answers
            if given is ConsentAnswer.UNKNOWN
        )
        if (unlisted := shapes.total()) > _UNLISTED * answered:
            listed = value_in_words(
                tuple(f"<{translated(each)}> {format_integer(count)}" for each, count in shapes.most_common()),
                most=_NAMED,
            )
            yield CheckFinding(
                _("consent at {path}", path=asked.path),
                CheckVerdict.DOUBTFUL,
                _n(
                    "{count} of {answers} is in neither list: {listed}",
                    "{count} of {answers} are in neither list: {listed}",
                    unlisted,
                    answers=_n("{count} answer", "{count} answers", answered),
                    listed=listed,
                ),
                _("Add those that mean yes or no to `granted` or `refused`; `oplead-sync probe` lists the answers."),
            )


def amounts_elsewhere_findings(book: Rulebook, leads: Sequence[Lead]) -> Iterator[CheckFinding]:
    """Yield each stage whose leads have no amount while other leads have one: its labels may be another stage's."""
    for route in {route.stage: route for route in book.routes if route.field_value and not route.on_creation}.values():
        path = route.field_value.path if route.field_value else ""
        inside, outside = Counter[bool](), Counter[bool]()
        for lead in leads:
            has_one = bool(amounts({path: book.extraction.amounts[path]}, lead))
            (inside if normalise_label(lead.label or "") in route.labels else outside)[has_one] += 1
        if inside.total() >= _FEWEST and not inside[True] and outside[True] >= _FEWEST:
            message = _n(
                "none of {leads} in this stage has an amount at {path}, and {count} other lead has one",
                "none of {leads} in this stage has an amount at {path}, and {count} other leads have one",
                outside[True],
                leads=_n("{count} lead", "{count} leads", inside.total()),
                path=path,
            )
            advice = _("See that its statuses are not another stage's.")
            yield CheckFinding(
                _("stage {stage}", stage=stage_in_words(route.stage)), CheckVerdict.DOUBTFUL, message, advice
            )


def print_labels(console: Console, settings: Settings, seen: Sequence[LabelUsage], *, leads: int) -> None:
    """Print each stage with its statuses, how many leads have them, and an example to look up in Oplead."""
    heading = _n("Statuses found in the latest lead", "Statuses found in the latest {count} leads", leads)
    console.print(f"\n[bold]{heading}[/bold]")
    now, ever, example = _("Now"), _("Ever"), _("For example")
    made = console_table(_("Stage"), _("Counts as"), _("Status in Oplead"), now, ever, example, numbers=(now, ever))
    for stage, labels in groupby(seen, lambda one: one.stage):
        made.add_section()
        named = [each.name or each.id for each in settings.conversions if stage and stage == each.stage]
        name = _(_STAGES[stage]) if stage in _STAGES else escape(stage_in_words(stage or ""))
        for at, one in enumerate(labels):
            first = (name, escape(", ".join(named))) if at == 0 else ("", "")
            made.add_row(
                *first, escape(one.label), format_integer(one.now), format_integer(one.ever), escape(one.example or "-")
            )
    never_wrap_column(made, example)
    console.print(made, crop=False)


def _unreadable(made: SampleRehearsal) -> CheckFinding:
    count = len(made.unreadable)
    by_reason: dict[str, list[str]] = {}
    for lead in made.unreadable:
        by_reason.setdefault(lead.reason, []).append(lead.id or _("without an id"))
    named = {reason: value_in_words(tuple(dict.fromkeys(ids)), most=_NAMED) for reason, ids in by_reason.items()}
    shown = [f"{reason} ({ids})" for reason, ids in list(named.items())[:_NAMED]]
    verdict = CheckVerdict.DOUBTFUL
    advice = _("Fix these leads in Oplead; nothing is sent for them meanwhile, and the others are not concerned.")
    if count >= made.leads:
        verdict = CheckVerdict.FAILED
        advice = _("Write in `oplead.fields` where it stands; `oplead-sync probe` shows what leads have.")
    message = _n(
        "{count} cannot be read: {reasons}",
        "{count} cannot be read: {reasons}",
        count,
        reasons=join_with_semicolons(shown),
    )
    return CheckFinding(_("unreadable leads"), verdict, message, advice)


def _unknown_labels(made: SampleRehearsal) -> CheckFinding:
    named = ", ".join(f"{label} ({leads})" for label, leads, _clicks in made.unknown_labels)
    with_click = sum(clicked for _label, _leads, clicked in made.unknown_labels)
    verdict = CheckVerdict.FAILED if with_click else CheckVerdict.DOUBTFUL
    having = (
        _n("{count} of these leads has a click id", "{count} of these leads have a click id", with_click)
        if with_click
        else _("none of these leads has a click id")
    )
    message = _("in no stage and not ignored: {labels}; {having}", labels=named, having=having)
    return CheckFinding(_("statuses"), verdict, message, _("Write each under a stage, or under `ignored_statuses`."))
