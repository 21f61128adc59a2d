"""`init`: writes a first settings file from a few answers and a survey of Oplead's leads."""

import os
import shlex
from collections.abc import Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from glob import escape
from pathlib import Path
from typing import Literal

from connectors.errors import ConnectorError, KeyRefused, WrongFile
from connectors.language import _, _n, in_english, join_with_semicolons
from connectors.private_folder import make_private_folder
from connectors.survey import Survey
from jobs.cli.demo.sandbox import command_name
from jobs.cli.output import is_interactive
from jobs.cli.progress import open_clock_showing_waits
from jobs.cli.setup.init.dialogue import Dialogue
from jobs.cli.setup.init.interview import Interview
from jobs.cli.setup.init.questions import PUBLIC_ADDRESS, Answers
from jobs.cli.setup.init.statuses import past_statuses_not_written
from jobs.cli.setup.init.written import env_example_text, settings_text, settings_variables
from jobs.cli.setup.probe import read_specification
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.storage.state_file import open_privately
from jobs.reporting.console import say, say_wrapped
from jobs.settings import InvalidSettings, load
from jobs.settings.document import TO_BE_FILLED_IN, read_file
from jobs.settings.load import OpleadSection, likely_slips, partial_settings_without_file
from jobs.settings.oplead_schema import ExportFileSettings
from jobs.settings.specified import new_subscription_settings, new_write_settings
from jobs.settings.unmatched import loose_field_path
from jobs.wiring.account import open_clock
from jobs.wiring.surveys import survey_files, survey_oplead

_SAMPLE, _NEAREST = 300, 4
_NO_SPECIFICATION = "Specification: none is used, for there is nothing at"
_SCHEMA = "pipeline.schema.json"
_AUTH = {"style": "auth", "name": "auth_name", "prefix": "auth_prefix"}
"""The keys of `oplead.auth`, and the question for each."""


def write_first_settings(
    folder: Path, given: Answers, *, export: Path | None, force: bool, yes: bool, spec: Path | None = None
) -> int:
    """Ask what the options leave open, write the settings and `.env.example`, and print the next steps.

    With an exported file, leads come from its folder, and Oplead is not asked.
    """
    settings, environment = folder / "pipeline.yaml", folder / ".env.example"
    standing = [file for file in (settings, environment) if file.exists()]
    if standing and not force:
        raise UsageError(_("{file} exists already: name another folder with --dir, or write --force", file=standing[0]))
    status_field = given.get("status_field")
    if export is not None and status_field:
        raise UsageError(_("--status-field is for Oplead's API: with --export, the settings name the column"))
    if "auth" not in given and ("auth_name" in given or "auth_prefix" in given):
        given = {**given, "auth": "header"}
    look = _oplead_section_from_options(given)
    source = None if export is None else _export_file_settings(export, folder)
    survey = _survey(look, read_specification(spec)) if export is None else _survey_of(export, look)
    if survey and status_field:
        _require_status_field(survey, status_field)
    address = str(look.oplead.base_url).rstrip("/")
    dialogue = Dialogue(ask=is_interactive() and not yes)
    answers = Interview(given, survey, dialogue, _today(look)).answers() | {
        "base_url": None if address == PUBLIC_ADDRESS else address,
        "path_prefix": look.oplead.path_prefix if "path_prefix" in look.oplead.model_fields_set else None,
        "schema": _schema_beside(folder),
        "found": _suggested_answers(survey) if survey and source is None else None,
        "files": None
        if source is None
        else {**source, "columns": survey.columns}
        if survey and survey.columns
        else source,
        "read_from": None if survey is None or source is None else survey.suggestion or None,
        "subscriptions": new_subscription_settings(survey, None) if survey else {},
        "looked_at": _n("{count} lead", "{count} leads", survey.leads) if survey else None,
    }
    if source is not None:
        answers |= dict.fromkeys(("base_url", "path_prefix", *_AUTH.values()))
    elif survey:  # its suggestion includes them
        answers |= dict.fromkeys(("path_prefix", "status_field", *_AUTH.values()))
    make_private_folder(folder)
    for file, text in ((settings, settings_text(answers)), (environment, env_example_text(answers))):
        with open_privately(file, "w") as written:
            written.write(text)
        say_wrapped(_("wrote {file}", file=file))
    if answers["ignored"]:
        say_wrapped(
            _(
                "ignored_statuses: {labels}. No stage has them, and they were seen on {leads} only: look through them.",
                labels=", ".join(answers["ignored"]),
                leads=answers["looked_at"],
            )
        )
    say_wrapped(*past_statuses_not_written(survey, answers))
    if survey and survey.suspicions:
        say_wrapped(_("What looks wrong in these leads:"), *(f"  {sentence}" for sentence in survey.suspicions))
    variables = settings_variables(answers)
    unset = [name for name in variables if not os.environ.get(name, "").strip()]
    code = _check(settings, unset)
    _say_next_steps(settings, environment, unset, [name for name in variables if name not in unset])
    return code


def _today(look: OpleadSection) -> date:
    """Return the day by the clock in use; by the machine's if a sandbox's cannot be read."""
    try:
        with open_clock(look) as clock:
            now = clock.now()
    except ConnectorError:
        now = datetime.now(UTC)
    return now.astimezone(look.zone).date()


def _suggested_answers(survey: Survey) -> dict[str, object]:
    """Return the survey's suggestion with what is known of writing."""
    write = new_write_settings(survey, None)
    return {**survey.suggestion, **({"write": write} if write else {})}


def _survey(look: OpleadSection, specification: bytes | None) -> Survey | None:
    """Survey Oplead; None if OPLEAD_TOKEN is not set or Oplead cannot be read."""
    if not _token():
        say_wrapped(
            _(
                "OPLEAD_TOKEN is not set, so Oplead is not read and nothing is proposed. To have it read, end this "
                "(Ctrl-C), set the variable to the client admin's API key, and call `init` again."
            )
        )
        return None
    try:
        with open_clock_showing_waits(look) as clock:
            survey = survey_oplead(look, clock, leads=_SAMPLE, specification=specification)
    except KeyRefused:
        raise UsageError(
            _(
                "Oplead refuses the key in OPLEAD_TOKEN: set it to the client admin's API key (gear, API, tab API "
                "Oplead), or say how Oplead wants it sent by --auth, --auth-name and --auth-prefix. Without "
                "OPLEAD_TOKEN, `init` asks Oplead nothing"
            )
        ) from None
    except WrongFile as error:
        raise UsageError(str(error)) from None
    except ConnectorError as error:
        say_wrapped(_("Oplead could not be read: {error}", error=error))
        return None
    _say_looked_at(survey, str(look.oplead.base_url).rstrip("/"))
    found = in_english(survey.how[0]) if survey.how else ""
    # That there is none is of no use here: `probe` says it. One that needs a login can be given with --spec.
    if found.startswith("Specification:") and not found.startswith(_NO_SPECIFICATION):
        say_wrapped(survey.how[0])
    return survey


def _require_status_field(survey: Survey, path: str) -> None:
    """Refuse a field that no lead has, naming those that are called most like it."""
    if any(
        one.field == "status" and loose_field_path(one.path or "") == loose_field_path(path) for one in survey.fields
    ):
        return
    nearest = get_close_matches(path, [one.path for one in survey.paths], n=_NEAREST, cutoff=0)
    raise UsageError(
        _n(
            "--status-field: {count} lead was looked at, and has no {path}; most like it: {nearest}",
            "--status-field: {count} leads were looked at, and none has {path}; most like it: {nearest}",
            survey.leads,
            path=path,
            nearest=", ".join(nearest) or _("none"),
        )
    )


def _survey_of(export: Path, look: OpleadSection) -> Survey:
    """Survey an exported file."""
    kind = _kind_of(export)
    try:
        survey = survey_files(
            look, ExportFileSettings.model_validate({kind: escape(str(export.absolute()))}), leads=_SAMPLE
        )
    except ConnectorError as error:
        raise UsageError(f"--export: {error}") from None
    _say_looked_at(survey, str(export))
    return survey


def _say_looked_at(survey: Survey, source: str) -> None:
    """Say what was looked at, and what the answers to come may be missing; what looks wrong there comes last."""
    looked_at = _n(
        "looked at {count} lead of {source}", "looked at {count} leads of {source}", survey.leads, source=source
    )
    # Where leads show what codes mean, they are written, and what is missing is said then.
    lacking = (*survey.undecided, *(() if survey.has_codes_in_histories else survey.unexplained_past))
    say_wrapped(looked_at, *(f"  {sentence}" for sentence in lacking))


def _export_file_settings(export: Path, folder: Path) -> dict[str, str]:
    """Return the settings with which every file of this kind in the same folder is read."""
    kind = _kind_of(export)
    return {kind: os.path.relpath(export.parent / f"*.{kind}", folder)}


def _kind_of(export: Path) -> Literal["csv", "xlsx"]:
    match export.suffix.casefold():
        case ".csv":
            return "csv"
        case ".xlsx":
            return "xlsx"
    raise UsageError(
        _(
            "--export {file}: name a file that ends in .csv or .xlsx; save an older workbook as one of them",
            file=export,
        )
    )


def _token() -> str:
    return os.environ.get("OPLEAD_TOKEN", "").strip()


def _oplead_section_from_options(given: Answers) -> OpleadSection:
    try:
        look = partial_settings_without_file(
            given["base_url"],
            _token(),
            "${OPLEAD_TOKEN}",
            path_prefix=(given["path_prefix"] or "") if "path_prefix" in given else None,
            clock=given.get("clock"),
            auth={key: given[name] for key, name in _AUTH.items() if name in given},
            status_field=given.get("status_field"),
        ).settings
    except ValueError as error:
        raise UsageError(f"init: {error}") from None
    return look.model_copy(update={"timezone": given["timezone"]})


def _schema_beside(folder: Path) -> str | None:
    """Return the path from `folder` to the schema beside the settings or in the project's `config/`, or None."""
    for file in (folder / _SCHEMA, Path("config") / _SCHEMA):
        if file.is_file():
            way = os.path.relpath(file, folder)
            return way if way.startswith("..") else f"./{way}"
    return None


def _check(file: Path, unset: Sequence[str]) -> Exit:
    """Print the file's problems and likely slips; what is left to fill in later doesn't count as a mistake."""
    loaded = load(file, os.environ)
    problems = loaded.problems if isinstance(loaded, InvalidSettings) else ()
    say_wrapped(*map(str, problems), *(_("note: {text}", text=each) for each in likely_slips(read_file(file), file)))
    left_for_later = (TO_BE_FILLED_IN, *(f"${{{name}}}" for name in unset))
    lines = file.read_text(encoding="utf-8").splitlines()
    later = [each for each in problems if any(left in lines[each.line - 1] for left in left_for_later)]
    if wrong := len(problems) - len(later):
        to_correct = _n(
            "check: {count} thing to correct in the file, named above",
            "check: {count} things to correct in the file, named above",
            wrong,
        )
        say_wrapped(to_correct)
        return Exit.ATTENTION
    to_do = _n(
        "check: the file is right as far as it goes; {count} thing to fill in, named above",
        "check: the file is right as far as it goes; {count} things to fill in, named above",
        len(later),
    )
    say_wrapped(to_do if later else _("check: nothing is wrong with the file"))
    return Exit.DONE


def _say_next_steps(settings: Path, environment: Path, unset: Sequence[str], exported: Sequence[str]) -> None:
    """Print the commands that follow, ready to be pasted; variables that are not set have to be filled in first."""
    file, example, copied = (shlex.quote(str(each)) for each in (settings, environment, environment.with_name(".env")))
    steps = {
        "probe": _("what Oplead answers, what looks wrong, what to write"),
        "check": _("after each change to the file: what is wrong in it, line by line"),
        "check --live": _("what Oplead, Google and Meta say"),
        "run --dry-run": _("what a night would send"),
        "run --first-run": _("the first night; --first-run only this once"),
    }
    rows = [(f"{command_name()} {what} --config {file}", why) for what, why in steps.items()]
    if unset:
        to_fill_in = _("then fill in {names} in {file}", names=", ".join(unset), file=environment.with_name(".env"))
        if exported:
            kept = _(
                "{names}: set in this terminal; write the value there too, for the nights", names=", ".join(exported)
            )
            to_fill_in = join_with_semicolons((to_fill_in, kept))
        rows.insert(0, (f"cp {example} {copied} && chmod 600 {copied}", to_fill_in))
    say(_("Next:"))
    for number, (command, why) in enumerate(rows, start=1):
        # Whole, however narrow the terminal: the shell would take a broken command for two.
        say(f"  {number}. {command}")
        say_wrapped(f"     {why}", column=5)
