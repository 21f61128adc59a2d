"""`init`: writes a first settings file from a few answers and a survey of Oplead's leads."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from connectors.errors import ConnectorError, KeyRefused
from connectors.survey import Survey
from connectors.text import counted
from jobs.cli.demo.sandbox import typed
from jobs.cli.exits import Exit, UsageError
from jobs.cli.init.interview import Dialogue, Interview
from jobs.cli.init.questions import PUBLIC_ADDRESS, Answers
from jobs.cli.init.template import TO_BE_FILLED_IN, environment_text, settings_text, variables
from jobs.cli.output import open_visible_clock, say
from jobs.ledger.database import open_privately
from jobs.settings import Invalid, load
from jobs.settings.load import OpleadSection, partial_settings
from jobs.wiring import survey_oplead

_SAMPLE = 300
_SCHEMA = "pipeline.schema.json"
_AUTH = {"style": "auth", "name": "auth_name", "prefix": "auth_prefix"}
"""The keys of `oplead.auth`, and the question for each."""


def write_first_settings(folder: Path, given: Answers, *, force: bool, ask: bool) -> int:
    """Ask what the options leave open, write the settings and `.env.example`, and print the next steps."""
    settings, environment = folder / "pipeline.yaml", folder / ".env.example"
    standing = [file for file in (settings, environment) if file.exists()]
    if standing and not force:
        raise UsageError(f"{standing[0]} exists already: name another folder with --dir, or write --force")
    if "auth" not in given and ("auth_name" in given or "auth_prefix" in given):
        given = {**given, "auth": "header"}
    look = _where_to_look(given)
    survey = _survey(look)
    address = str(look.oplead.base_url).rstrip("/")
    answers = Interview(given, survey, Dialogue(ask=ask)).answers() | {
        "base_url": None if address == PUBLIC_ADDRESS else address,
        "path_prefix": look.oplead.path_prefix if "path_prefix" in look.oplead.model_fields_set else None,
        "schema": _schema_beside(folder),
        "found": survey.suggestion if survey else None,
        "looked_at": counted(survey.leads, "lead") if survey else None,
    }
    if survey:  # its suggestion includes the path prefix and the auth keys
        answers |= dict.fromkeys(("path_prefix", *_AUTH.values()))
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in ((settings, settings_text(answers)), (environment, environment_text(answers))):
        with open_privately(file, "w") as written:
            written.write(text)
        say(f"wrote {file}")
    if answers["ignored"]:
        say(
            f"ignored_statuses: {', '.join(answers['ignored'])}. No stage has them, and they were seen on "
            f"{answers['looked_at']} only: look through them."
        )
    code = _check(settings, variables(answers))
    say("Next:", *_next_steps(settings, environment, variables(answers)))
    return code


def _survey(look: OpleadSection) -> Survey | None:
    """Survey Oplead; None if OPLEAD_TOKEN is not set or Oplead cannot be read."""
    if not _token():
        say(
            "OPLEAD_TOKEN is not set, so Oplead is not read and nothing is proposed. To have it read, end this "
            "(Ctrl-C), set the variable to the client admin's API key, and call `init` again."
        )
        return None
    try:
        with open_visible_clock(look.clock, look.oplead.rate) as clock:
            survey = survey_oplead(look, clock, leads=_SAMPLE)
    except KeyRefused:
        raise UsageError(
            "Oplead refuses the key in OPLEAD_TOKEN: set it to the client admin's API key (gear, API, tab API Oplead), "
            "or say how Oplead wants it sent by --auth, --auth-name and --auth-prefix. Without OPLEAD_TOKEN, `init` "
            "asks Oplead nothing"
        ) from None
    except ConnectorError as error:
        say(f"Oplead could not be read: {error}")
        return None
    say(
        f"looked at {counted(survey.leads, 'lead')} of {str(look.oplead.base_url).rstrip('/')}",
        *(f"  {sentence}" for sentence in (*survey.undecided, *survey.suspicions)),
    )
    return survey


def _token() -> str:
    return os.environ.get("OPLEAD_TOKEN", "").strip()


def _where_to_look(given: Answers) -> OpleadSection:
    try:
        look = partial_settings(
            given["base_url"],
            _token(),
            "${OPLEAD_TOKEN}",
            path_prefix=(given["path_prefix"] or "") if "path_prefix" in given else None,
            clock=given.get("clock"),
            auth={key: given[name] for key, name in _AUTH.items() if name in given},
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


def _check(file: Path, needed: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Exit:
    """Print the file's problems; those left to fill in later don't count as mistakes."""
    loaded = load(file, environ)
    problems = loaded.problems if isinstance(loaded, Invalid) else ()
    say(*map(str, problems))
    unset = (f"${{{name}}}" for name in needed if not environ.get(name, "").strip())
    left_for_later = (TO_BE_FILLED_IN, *unset)
    lines = file.read_text(encoding="utf-8").splitlines()
    later = [each for each in problems if any(left in lines[each.line - 1] for left in left_for_later)]
    if wrong := len(problems) - len(later):
        say(f"check: {counted(wrong, 'thing')} to correct in the file, named above")
        return Exit.ATTENTION
    to_do = f"the file is right as far as it goes; {counted(len(later), 'thing')} to fill in, named above"
    say(f"check: {to_do if later else 'nothing is wrong with the file'}")
    return Exit.DONE


def _next_steps(settings: Path, environment: Path, needed: Mapping[str, str]) -> Iterator[str]:
    command, copied = typed(), environment.with_name(".env")
    steps = {
        "probe": "what Oplead answers, what looks wrong, what to write",
        "check": "what is still missing, by line",
        "check --live": "what Oplead, Google and Meta say",
        "run --dry-run": "what a night would send",
        "run --first-run": "the first night; --first-run only this once",
    }
    rows = [(f"{command} {what} --config {settings}", why) for what, why in steps.items()]
    width = max(len(row) for row, _ in rows)
    yield f"  1. copy {environment} to {copied}, chmod 600 {copied}, and fill in {', '.join(needed)}"
    yield from (f"  {number}. {row:<{width}}  {why}" for number, (row, why) in enumerate(rows, start=2))


def is_interactive() -> bool:
    """Whether stdin and stdout are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()
