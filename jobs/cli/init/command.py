"""`init`: a first settings file, from the few answers that matter and what Oplead itself shows."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.errors import ConnectorError, KeyRefused
from connectors.survey import Survey
from connectors.text import counted
from jobs.cli.demo.sandbox import typed
from jobs.cli.exits import Exit, UnansweredError, WrongSettingsError
from jobs.cli.init.answers import Answers
from jobs.cli.init.interview import Interview
from jobs.cli.init.prompts import Dialogue
from jobs.cli.output import open_visible_clock
from jobs.ledger.database import open_privately
from jobs.reporting.console import results
from jobs.settings import Invalid, load
from jobs.settings.load import OpleadSection, partial_settings
from jobs.settings.problems import SettingsProblem
from jobs.settings.scaffold import TO_BE_FILLED_IN, Draft, environment_text, settings_text
from jobs.wiring import survey_of

SETTINGS_FILE, ENVIRONMENT_FILE = "pipeline.yaml", ".env.example"
_SAMPLE = 300
_SCHEMA = "pipeline.schema.json"


def write_first_settings(folder: Path, told: Answers, *, force: bool, ask: bool) -> int:
    """Ask what is not told yet, write both files, and say what comes next."""
    files = [folder / SETTINGS_FILE, folder / ENVIRONMENT_FILE]
    standing = [file for file in files if file.exists()]
    if standing and not force:
        raise UnansweredError(f"{standing[0]} is there already: name another folder with --dir, or write --force")
    look = _where_to_look(told)
    prefix = look.oplead.path_prefix if "path_prefix" in look.oplead.model_fields_set else None
    told = replace(told, base_url=str(look.oplead.base_url).rstrip("/"), path_prefix=prefix)
    draft = replace(Interview(told, _look(told, look), Dialogue(ask=ask)).draft(), schema=_schema_beside(folder))
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in zip(files, (settings_text(draft), environment_text(draft)), strict=True):
        with open_privately(file, "w") as written:
            written.write(text)
        results().print(f"wrote {file}", markup=False, soft_wrap=True)
    _say_what_is_ignored(draft)
    code = _check(files[0], draft)
    _say_what_is_next(files[0], files[1], draft)
    return code


def _look(told: Answers, look: OpleadSection) -> Survey | None:
    """What Oplead shows, where its key is at hand."""
    if not _token():
        said = "OPLEAD_TOKEN is not set, so Oplead is not asked and nothing is proposed. To have it looked at, end this"
        results().print(f"{said} (Ctrl-C), set the variable to the client admin's API key, and call `init` again.")
        return None
    clock = str(look.clock) if look.clock else None
    try:
        with (
            open_visible_clock(clock, look.oplead.rate) as time,
            survey_of(look.oplead, ZoneInfo(told.timezone), look.click_ids, time) as source,
        ):
            survey = source.survey(leads=_SAMPLE)
    except KeyRefused:
        raise UnansweredError(
            "Oplead refuses the key in OPLEAD_TOKEN: set it to the client admin's API key (gear, API, tab API Oplead), "
            "or say how Oplead wants it shown by --auth, --auth-name and --auth-prefix. Without OPLEAD_TOKEN, `init` "
            "asks Oplead nothing"
        ) from None
    except ConnectorError as error:
        results().print(f"Oplead could not be looked at: {error}", markup=False, soft_wrap=True)
        return None
    looked = f"looked at {counted(survey.leads, 'lead')} of {told.base_url}"
    results().print(looked, markup=False, soft_wrap=True)
    for sentence in (*survey.undecided, *survey.suspicions):
        results().print(f"  {sentence}", markup=False, soft_wrap=True)
    return survey


def _token() -> str:
    return os.environ.get("OPLEAD_TOKEN", "").strip()


def _where_to_look(told: Answers) -> OpleadSection:
    try:
        return partial_settings(
            told.base_url,
            _token(),
            "${OPLEAD_TOKEN}",
            path_prefix=told.path_prefix,
            clock=told.clock,
            auth=told.auth,
        ).settings
    except ValueError as error:
        raise WrongSettingsError((SettingsProblem("init", 0, 0, "", str(error)),)) from None


def _schema_beside(folder: Path) -> str | None:
    """The way from the settings to the schema, where it lies beside them or in a clone's own folder."""
    near = (folder / _SCHEMA, Path("config") / _SCHEMA)
    found = next((file for file in near if file.is_file()), None)
    if found is None:
        return None
    way = os.path.relpath(found, folder)
    return way if way.startswith("..") else f"./{way}"


def _check(file: Path, draft: Draft, environ: Mapping[str, str] = os.environ) -> Exit:
    """Print what `check` says of the file; what was left for later needs nobody yet."""
    loaded = load(file, environ)
    problems = loaded.problems if isinstance(loaded, Invalid) else ()
    for problem in problems:
        results().print(str(problem), markup=False, soft_wrap=True)
    missing = [f"${{{name}}}" for name in draft.variables if not environ.get(name, "").strip()]
    lines = file.read_text(encoding="utf-8").splitlines()
    later = [each for each in problems if any(left in lines[each.line - 1] for left in (TO_BE_FILLED_IN, *missing))]
    if wrong := len(problems) - len(later):
        said = f"{counted(wrong, 'thing')} to mend in the file, named above"
    elif later:
        said = f"the file is right as far as it goes; {counted(len(later), 'thing')} to fill in, named above"
    else:
        said = "nothing is wrong with the file"
    results().print(f"check: {said}", markup=False, soft_wrap=True)
    return Exit.ATTENTION if wrong else Exit.DONE


def _say_what_is_ignored(draft: Draft) -> None:
    """Name what nobody was asked about."""
    if draft.ignored:
        said = f"ignored_statuses: {', '.join(draft.ignored)}. No stage has them, and they were seen on"
        seen = f"{said} {counted(draft.looked_at, 'lead')} only: look through them."
        results().print(seen, markup=False, soft_wrap=True)


def _say_what_is_next(settings: Path, environment: Path, draft: Draft) -> None:
    console = results()
    command, file = typed(), str(settings)
    copied = environment.with_name(".env")
    steps = [
        f"copy {environment} to {copied}, chmod 600 {copied}, and fill in {', '.join(draft.variables)}",
        f"{command} probe --config {file}            what Oplead answers, what looks wrong, what to write",
        f"{command} check --config {file}            what is missing still, by line",
        f"{command} check --live --config {file}     what Oplead, Google and Meta say",
        f"{command} run --dry-run --config {file}    what a night would send",
        f"{command} run --first-run --config {file}  the first night; --first-run this once and never again",
    ]
    console.print("Next:")
    for number, step in enumerate(steps, start=1):
        console.print(f"  {number}. {step}", markup=False, soft_wrap=True)


def is_interactive() -> bool:
    """Whether a person sits at this terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()
