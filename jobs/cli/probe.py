"""`probe`: finds out how Oplead answers, and suggests the settings with which a night reads everything."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from connectors.survey import Survey
from jobs.cli.accounts import log_env_files, problems_of
from jobs.cli.output import Exit, UsageError, open_visible_clock
from jobs.reporting.console import results
from jobs.reporting.survey_report import IGNORED, ProbeReport, print_report, report_json
from jobs.rules.model import normalise_label
from jobs.settings import Invalid
from jobs.settings.load import OpleadSection, PartialSettings, load_partial, partial_settings
from jobs.settings.references import References
from jobs.settings.unmatched import SeenInLeads, loose_path, paths_named_in, unmatched
from jobs.settings.yaml_source import Tree, Written, block
from jobs.wiring import survey_of

_TOKEN = "OPLEAD_TOKEN"  # noqa: S105 - the name of a variable
_FOUND = frozenset(
    {"path_prefix", "leads_path", "lead_path", "extra_headers", "extra_query", "auth", "pagination", "pull"}
    | {"since_filter", "detail", "fields"}
)
"""Keys that a survey's suggestion replaces: it includes the file's values unless they did not work."""


def probe(known: PartialSettings, *, file: Path | None, leads: int, json_wanted: bool) -> int:
    """Survey Oplead and print the report, including what the file names and no lead has."""
    look = known.settings
    named = paths_named_in(file) if file else frozenset()
    with (
        open_visible_clock(look.clock, look.oplead.rate) as clock,
        survey_of(look.oplead, look.zone, look.click_ids, clock, folder=known.state_folder, named=named) as platform,
    ):
        survey = platform.survey(leads=leads)
    # The suggested section: the file's keys that a survey doesn't cover, and what it found.
    kept = {name: _written(value) for name, value in known.section.items() if name not in _FOUND and value is not None}
    report = ProbeReport(
        address=str(look.oplead.base_url).rstrip("/"),
        survey=survey,
        stages=_stages(look, survey) if look.stages else None,
        unknown_consents=_unknown_consents(look, survey),
        unmatched=tuple(str(one.problem) for one in unmatched(file, _seen(survey))) if file else (),
        per_minute=look.oplead.rate,
        settings="\n".join(block({"oplead": {**kept, **survey.suggestion}})),
    )
    if json_wanted:
        results().out(report_json(report), highlight=False)
    else:
        print_report(results(), report)
    return Exit.DONE if survey.usable else Exit.ATTENTION


def from_file(file: Path, environ: Mapping[str, str] = os.environ) -> PartialSettings:
    """Load partial settings from a file.

    Raises:
        UsageError: the file or its settings for Oplead are invalid.
    """
    known = load_partial(file, environ)
    log_env_files([known.env_file])
    if isinstance(known, Invalid):
        raise UsageError(problems_of(known))
    return known


def from_options(
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
        token = References(environ, Path.cwd()).secret(reference)
    except ValueError as error:
        raise UsageError(f"probe: {'--token-file' if token_file else _TOKEN}: {error}") from None
    try:
        return partial_settings(base_url, token, reference, path_prefix=path_prefix, clock=clock)
    except ValueError as error:
        raise UsageError(f"probe: {error}") from None


def _stages(look: OpleadSection, survey: Survey) -> dict[str, str]:
    """Map each label found in leads to its stage, leaving out those that the settings don't name."""
    named = {normalise_label(label): stage for stage, labels in look.stages.items() for label in labels}
    named |= {normalise_label(label): IGNORED for label in look.ignored_statuses}
    return {seen.label: named[normal] for seen in survey.labels if (normal := normalise_label(seen.label)) in named}


def _seen(survey: Survey) -> SeenInLeads:
    paths = [one.path for one in survey.paths]
    labels = [*(one.label for one in survey.labels), *survey.past_labels]
    return SeenInLeads(survey.leads, paths, labels, lambda path: survey.named.get(path, 0))


def _unknown_consents(look: OpleadSection, survey: Survey) -> dict[str, int]:
    """Count, for each configured consent field, the leads whose answer the settings don't list."""
    counts: Counter[str] = Counter()
    signals = (look.consent.ad_user_data, look.consent.ad_personalization) if look.consent else ()
    for signal in filter(None, signals):
        listed = {normalise_label(answer) for answer in (*signal.granted, *signal.refused)}
        for few in survey.few_values:
            if loose_path(few.path) == loose_path(signal.field):
                counts[few.path] += sum(
                    count for value, count in few.values.items() if value and normalise_label(value) not in listed
                )
    return dict(counts)


def _written(value: Tree) -> Written:
    """Convert part of the file for writing; numbers become ints, as the tree's texts would be quoted."""
    match value:
        case dict():
            return {name: _written(one) for name, one in value.items() if one is not None}
        case list():
            return [one for one in value if isinstance(one, str)]
        case str():
            return int(value) if value.isdecimal() and str(int(value)) == value else value
        case None:
            return ""
