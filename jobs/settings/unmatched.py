"""Find paths and labels that the settings name and no lead has, and starts in the future."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from connectors.language import N_, _, _n, format_day, join_with_semicolons
from jobs.rules.labels import APPOINTMENT_SET, normalise_label, normalise_listed_label
from jobs.settings.document import (
    KeyPath,
    SettingsFinding,
    SettingsProblem,
    Tree,
    did_you_mean,
    find,
    read_file,
    texts_at,
    texts_with_paths,
    value_at,
)
from jobs.settings.lint import CREATED, PLATFORMS
from jobs.settings.schema import Settings

if TYPE_CHECKING:
    from connectors.survey import SeenInLeads

_FIELDS = (
    *("consent.ad_user_data.field", "consent.ad_personalization.field", "conversions.*.value.field"),
    "report.by",
)
_CONDITIONS = ("conversions.*.where", *(f"{platform}.*.where" for platform in PLATFORMS), "exclude.fields")
_IN_ENTRIES = frozenset({"history_status", "history_at"})
"""Paths within an entry of the history, not within a lead."""
_PROBE = N_("`oplead-sync probe` shows what leads have.")


@dataclass(frozen=True, slots=True)
class UnmatchedReference:
    """A path or label that the settings name and no lead has."""

    problem: SettingsProblem
    stops: bool
    """Whether conversions are held back or go out wrong because of it; if not, it may just be rare."""
    advice: str


def paths_named_in(file: FilePath) -> frozenset[str]:
    """Return every lead path that a settings file names; empty if the file cannot be read."""
    return frozenset(path for _, path in _named_paths(read_file(file).tree))


def paths_named_besides_fields(file: FilePath) -> frozenset[str]:
    """Return the paths that a settings file names, except where `oplead.fields` are; empty if it cannot be read."""
    return frozenset(path for at, path in _named_paths(read_file(file).tree) if at[0] != "oplead")


def _named_paths(tree: Tree) -> list[tuple[KeyPath, str]]:
    named = list(texts_at(tree, *_FIELDS))
    conditions = [place for pattern in _CONDITIONS for place in find(tree, pattern)]
    named += [((*at, path), path) for at, value in conditions if isinstance(value, dict) for path in value]
    fields = texts_with_paths(value_at(tree, ("oplead", "fields")), ("oplead", "fields"))
    named += [(at, path) for at, path in fields if _IN_ENTRIES.isdisjoint(at)]
    return list(dict.fromkeys(named))


def unmatched_settings_references(file: FilePath, seen: "SeenInLeads") -> list[UnmatchedReference]:
    """Return everything the file names that none of the leads has, in file order.

    Empty if the file cannot be read or there are no leads.
    """
    if not seen.leads:
        return []
    document = read_file(file)
    found = (*_unmatched_paths(document.tree, seen), *_unmatched_labels(document.tree, seen))
    made = [
        UnmatchedReference(
            document.problems([SettingsFinding(at, message)], file)[0], stops, join_with_semicolons((advice, _(_PROBE)))
        )
        for at, message, stops, advice in found
    ]
    return sorted(made, key=lambda one: one.problem)


Unmatched = Iterator[tuple[KeyPath, str, bool, str]]
"""Tuples of path, message, whether it stops conversions, and advice."""


def _unmatched_paths(tree: Tree, seen: "SeenInLeads") -> Unmatched:
    named = _named_paths(tree)
    found = {path for _, path in named if seen.filled(path)}
    parents = {one.rpartition(".")[0] for one in seen.paths}
    # The paths for the status date are alternatives: one match is enough.
    dated = any(path in found for at, path in named if _is_status_date(at))
    for at, path in named:
        if path in found:
            continue
        # A path with others below it is neither an answer nor an amount, so don't suggest it.
        hint = _hint(path, [one for one in seen.paths if at[0] == "oplead" or one not in parents])
        message = _n(
            '"{path}" is in none of {count} lead', '"{path}" is in none of {count} leads', seen.leads, path=path
        )
        # Without a consent answer or a condition's field nothing is sent; without an amount, a conversion is sent with
        # `otherwise`; without a status date, with the time we first saw the status.
        if at[0] == "consent" or "where" in at or (_is_status_date(at) and not dated):
            yield at, message + hint, True, _("Fix it there")
        elif at[0] != "conversions":
            yield at, message + hint, False, _("Fix it there, unless leads may well be without it")
        elif _has_leads_in_stage(value_at(tree, at[:-2]), tree, seen):
            yield at, message + hint, True, _("Write the path of the amount there, or a number as `value`")
        else:
            yield (
                at,
                _("{message}, and none of those has reached its stage{hint}", message=message, hint=hint),
                False,
                _("Check that this is so"),
            )


def _is_status_date(at: KeyPath) -> bool:
    return at[:3] == ("oplead", "fields", "status_at")


def _has_leads_in_stage(conversion: Tree, tree: Tree, seen: "SeenInLeads") -> bool:
    """Whether any lead is or was in a stage that counts for a conversion."""
    stages = [stage for _, stage in texts_at(conversion, "stage", "implied_by")]
    labels = {normalise_listed_label(label) for _, label in texts_at(tree, *(f"stages.{stage}" for stage in stages))}
    return CREATED in stages or not labels.isdisjoint(map(normalise_label, seen.labels))


def _unmatched_labels(tree: Tree, seen: "SeenInLeads") -> Unmatched:
    in_leads = {normalise_label(label): label for label in seen.labels}
    stages = value_at(tree, ("stages",))
    patterns = [f"stages.{stage}" for stage in (stages if isinstance(stages, dict) else ())]
    named = list(texts_at(tree, *patterns, "ignored_statuses"))
    written = {normalise_label(label) for _, label in named}
    free = [label for normal, label in in_leads.items() if normal not in written]
    for at, label in named:
        if normalise_label(label) in in_leads or normalise_listed_label(label) == APPOINTMENT_SET:
            continue
        hint = did_you_mean(label, free, loosely=normalise_label)
        if not hint and at[0] == "ignored_statuses":
            continue  # An ignored label does nothing, and a small sample may well lack it.
        message = _(
            'no lead has the status "{label}" ({count} looked at){hint}', label=label, count=seen.leads, hint=hint
        )
        yield at, message, False, _("Nothing to do where it is a rare one")


def _hint(path: str, paths: Sequence[str]) -> str:
    """Suggest the path that may have been meant: one with the same last part, or one close in spelling."""
    others = [one for one in paths if loose_field_path(one) != loose_field_path(path)]
    name = loose_field_path(path).rpartition(".")[2]
    alike = [one for one in others if loose_field_path(one).rpartition(".")[2] == name]
    if alike:
        return _('; did you mean "{name}"?', name=min(alike, key=len))
    return did_you_mean(path, others, loosely=loose_field_path)


def loose_field_path(path: str) -> str:
    """Normalise a path as the reader does, ignoring case, `_` and `-`."""
    return path.replace("_", "").replace("-", "").casefold()


def configured_start_dates(settings: Settings) -> list[tuple[KeyPath, datetime]]:
    """Return every `since` and `funnel_since` in the settings with its path."""
    starts: list[tuple[KeyPath, datetime | None]] = [
        (("conversions", position, "since"), one.since) for position, one in enumerate(settings.conversions)
    ]
    for position, meta in enumerate(settings.meta):
        path: KeyPath = ("meta",) if len(settings.meta) == 1 else ("meta", position)
        starts.append(((*path, "funnel_since"), meta.funnel_since))
    return [(path, since) for path, since in starts if since is not None]


def undated_start_in_words(since: date) -> str:
    """Return what the first night makes of statuses without a time, where a conversion counts from a day before it."""
    return _(
        "no lead says since when it has its status: whatever leads created since {day} have reached by the first night "
        "is sent, with the time of the lead's last change or of that night",
        day=format_day(since),
    )


def notes_on_future_starts(file: FilePath, settings: Settings, now: datetime) -> tuple[SettingsProblem, ...]:
    """Return a note for each start that is still in the future."""
    message = _(
        "{day} lies in the future: until then nothing is sent, and what happens before it never is; write a day that "
        "has come, or take it out"
    )
    findings = [
        SettingsFinding(path, message.format(day=format_day(since.astimezone(settings.zone).date())))
        for path, since in configured_start_dates(settings)
        if since > now
    ]
    return read_file(file).problems(findings, file)
