"""What the settings name and no lead has, and starts that lie in the future."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path as FilePath

from connectors.text import counted
from jobs.rules.model import normalise_label
from jobs.settings.lint import CREATED, PLATFORMS
from jobs.settings.load import file_text, placed
from jobs.settings.problems import KeyPath, SettingsFinding, SettingsProblem
from jobs.settings.schema import Settings
from jobs.settings.yaml_source import Tree, find, leaves, read_document, text_at, texts, value_at

_FIELDS = ("consent.ad_user_data.field", "consent.ad_personalization.field", "conversions.*.value.field")
_PROBE = "`oplead-sync probe` shows what leads have."
_CONDITIONS = ("conversions.*.where", *(f"{platform}.*.where" for platform in PLATFORMS), "exclude.fields")


@dataclass(frozen=True, slots=True)
class SeenInLeads:
    """What the leads looked at have."""

    leads: int
    paths: Sequence[str]
    """Every dotted path they show."""
    labels: Sequence[str]
    """Every status label, past ones among them."""
    filled: Callable[[str], int]
    """On how many of them something stands at a path, by the reader's own comparison."""


@dataclass(frozen=True, slots=True)
class UnmatchedReference:
    """One thing that is named and was not met."""

    problem: SettingsProblem
    stops: bool
    """Whether it keeps conversions from going out, or has them go out wrong; else it may only be rare."""
    advice: str
    """What to do about it."""


def paths_named_in(file: FilePath) -> frozenset[str]:
    """Every path of a lead that a file names; none where it cannot be read."""
    try:
        return frozenset(path for _, path in _named(read_document(file_text(file)).tree))
    except ValueError:
        return frozenset()


def _named(tree: Tree) -> list[tuple[KeyPath, str]]:
    """The same, each with where it stands."""
    named = [(at, path) for pattern in _FIELDS for place in find(tree, pattern) for at, path in texts(place)]
    conditions = [place for pattern in _CONDITIONS for place in find(tree, pattern)]
    named += [((*at, path), path) for at, value in conditions if isinstance(value, dict) for path in value]
    named += [(("oplead", "fields", *at), path) for at, path in leaves(value_at(tree, ("oplead", "fields")))]
    return list(dict.fromkeys(named))


def unmatched(file: FilePath, seen: SeenInLeads) -> list[UnmatchedReference]:
    """Everything that the file names and that none of the leads has, in the file's order.

    Nothing where the file cannot be read, or there are no leads.
    """
    try:
        document = read_document(file_text(file))
    except ValueError:
        return []
    if not seen.leads:
        return []
    found = [*_paths(document.tree, seen), *_labels(document.tree, seen)]
    made = [
        UnmatchedReference(placed([finding], document, str(file))[0], stops, advice) for finding, stops, advice in found
    ]
    return sorted(made, key=lambda one: one.problem)


def _paths(tree: Tree, seen: SeenInLeads) -> Iterator[tuple[SettingsFinding, bool, str]]:
    named = _named(tree)
    found = {path for _, path in named if seen.filled(path)}
    holders = {one.rpartition(".")[0] for one in seen.paths}
    leaf_paths = [one for one in seen.paths if one not in holders]
    # Of the paths that are tried in turn, one that is found is enough.
    dated = any(path in found for at, path in named if _is_status_date(at))
    for at, path in named:
        if path in found:
            continue
        # What holds others is no answer and no amount.
        meant = _meant(path, seen.paths if at[0] == "oplead" else leaf_paths)
        hint = f'; did you mean "{meant}"?' if meant else ""
        said = f'"{path}" is in none of {counted(seen.leads, "lead")}'
        # What rests on a lead's answer, or on a condition, does not go out where no lead has any; without an amount it
        # goes out with `otherwise`, and without a date with that of our looking.
        if at[0] == "consent" or "where" in at or (_is_status_date(at) and not dated):
            yield SettingsFinding(at, said + hint), True, f"Mend it there; {_PROBE}"
        elif at[0] == "conversions" and _is_reached(value_at(tree, at[:-2]), tree, seen):
            yield (
                SettingsFinding(at, said + hint),
                True,
                f"Write the path of the amount there, or a number as `value`; {_PROBE}",
            )
        elif at[0] == "conversions":
            yield (
                SettingsFinding(at, f"{said}, and none of those has reached its stage{hint}"),
                False,
                f"See that it is so; {_PROBE}",
            )
        else:
            yield (
                SettingsFinding(at, said + hint),
                False,
                f"Mend it there, unless leads may well be without it; {_PROBE}",
            )


def _is_status_date(at: KeyPath) -> bool:
    return at[:3] == ("oplead", "fields", "status_at")


def _is_reached(conversion: Tree, tree: Tree, seen: SeenInLeads) -> bool:
    """Whether one of the leads is, or was, in the stage of a conversion."""
    stages = {text_at(conversion, "stage"), *(name for _, name in texts(((), value_at(conversion, ("implied_by",)))))}
    labels = {
        normalise_label(label) for name in stages for _, label in texts(((), value_at(tree, ("stages", name or ""))))
    }
    return CREATED in stages or not labels.isdisjoint(map(normalise_label, seen.labels))


def _labels(tree: Tree, seen: SeenInLeads) -> Iterator[tuple[SettingsFinding, bool, str]]:
    there = {normalise_label(label): label for label in seen.labels}
    stages = value_at(tree, ("stages",))
    named = [one for stage in (stages if isinstance(stages, dict) else ()) for one in find(tree, f"stages.{stage}.*")]
    named += list(find(tree, "ignored_statuses.*"))
    written = {normalise_label(label) for _, label in named if isinstance(label, str)}
    free = {normal: label for normal, label in there.items() if normal not in written}
    for at, label in named:
        if not isinstance(label, str) or normalise_label(label) in there:
            continue
        close = get_close_matches(normalise_label(label), free, n=1)
        if not close and at[0] == "ignored_statuses":
            continue  # It means nothing, and so few leads may well lack it.
        hint = f'; did you mean "{free[close[0]]}"?' if close else ""
        said = f'no lead has the status "{label}" ({seen.leads} looked at){hint}'
        yield SettingsFinding(at, said), False, f"Nothing to do where it is a rare one; {_PROBE}"


def _meant(path: str, paths: Iterable[str]) -> str | None:
    """The path that somebody may have meant: the same but for one part, or close in spelling."""
    known = {loose_path(one): one for one in sorted(paths, key=len, reverse=True)}
    known.pop(loose_path(path), None)
    name = loose_path(path).rpartition(".")[2]
    alike = [one for one in known if one.rpartition(".")[2] == name]
    close = alike[-1:] or get_close_matches(loose_path(path)[:100], known, n=1)
    return known[close[0]] if close else None


def loose_path(path: str) -> str:
    """A path as the reader compares it: without regard to case, `_` and `-`."""
    return path.replace("_", "").replace("-", "").casefold()


def starts_in(settings: Settings) -> list[tuple[KeyPath, datetime]]:
    """Every start that the file names, with where it stands."""
    told: list[tuple[KeyPath, datetime | None]] = [
        (("conversions", at, "since"), one.since) for at, one in enumerate(settings.conversions)
    ]
    for at, meta in enumerate(settings.meta):
        path: KeyPath = ("meta", "funnel_since") if len(settings.meta) == 1 else ("meta", at, "funnel_since")
        told.append((path, meta.funnel_since))
    return [(path, since) for path, since in told if since is not None]


def future_notes(file: FilePath, settings: Settings, now: datetime) -> tuple[SettingsProblem, ...]:
    """A note at each start that is still to come; none where the file cannot be read any more."""
    try:
        document = read_document(file_text(file))
    except ValueError:
        return ()
    return placed(list(_findings(settings, now)), document, str(file))


def _findings(settings: Settings, now: datetime) -> Iterator[SettingsFinding]:
    for path, since in starts_in(settings):
        if since > now:
            day = f"{since.astimezone(settings.zone):%Y-%m-%d}"
            yield SettingsFinding(
                path,
                f"{day} lies in the future: until then nothing is sent, and what happens before it never is; "
                "write a day that has come, or take it out",
            )
