"""`init`: writes a first settings file from a few answers and a survey of Oplead's leads."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from glob import escape
from pathlib import Path
from typing import Literal

from connectors.errors import ConnectorError, KeyRefused, WrongFile
from connectors.language import N_, Language, _, _n, current_language, in_english
from connectors.private_folder import make_private_folder
from connectors.survey import Survey
from jobs.cli.demo.sandbox import command_name
from jobs.cli.output import is_interactive
from jobs.cli.progress import open_clock_showing_waits
from jobs.cli.setup.init.interview import Dialogue, Interview
from jobs.cli.setup.init.questions import CONVERSIONS, PUBLIC_ADDRESS, STAGES, Answers
from jobs.cli.setup.probe import read_specification
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.storage.state_file import open_privately
from jobs.reporting.console import say
from jobs.settings import InvalidSettings, load
from jobs.settings.document import INDENT, TO_BE_FILLED_IN, read_file, to_inline_yaml, yaml_section_lines
from jobs.settings.load import OpleadSection, likely_slips, partial_settings_without_file
from jobs.settings.oplead_schema import ExportFileSettings
from jobs.settings.specified import new_subscription_settings, new_write_settings
from jobs.settings.unmatched import loose_field_path
from jobs.wiring.surveys import survey_files, survey_oplead

_SAMPLE, _NEAREST = 300, 4
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
    answers = Interview(given, survey, Dialogue(ask=is_interactive() and not yes)).answers() | {
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
        say(_("wrote {file}", file=file))
    if answers["ignored"]:
        say(
            _(
                "ignored_statuses: {labels}. No stage has them, and they were seen on {leads} only: look through them.",
                labels=", ".join(answers["ignored"]),
                leads=answers["looked_at"],
            )
        )
    if survey and survey.suspicions:
        say(_("What looks wrong in these leads:"), *(f"  {sentence}" for sentence in survey.suspicions))
    unset = [name for name in settings_variables(answers) if not os.environ.get(name, "").strip()]
    code = _check(settings, unset)
    say(_("Next:"), *_next_steps(settings, environment, unset))
    return code


def _suggested_answers(survey: Survey) -> dict[str, object]:
    """Return the survey's suggestion with what is known of writing."""
    write = new_write_settings(survey, None)
    return {**survey.suggestion, **({"write": write} if write else {})}


def _survey(look: OpleadSection, specification: bytes | None) -> Survey | None:
    """Survey Oplead; None if OPLEAD_TOKEN is not set or Oplead cannot be read."""
    if not _token():
        say(
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
        say(_("Oplead could not be read: {error}", error=error))
        return None
    _say_looked_at(survey, str(look.oplead.base_url).rstrip("/"))
    if survey.how[:1] and in_english(survey.how[0]).startswith("Specification:"):
        say(survey.how[0])
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
    say(looked_at, *(f"  {sentence}" for sentence in survey.undecided))


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
    say(*map(str, problems), *(_("note: {text}", text=each) for each in likely_slips(read_file(file), file)))
    left_for_later = (TO_BE_FILLED_IN, *(f"${{{name}}}" for name in unset))
    lines = file.read_text(encoding="utf-8").splitlines()
    later = [each for each in problems if any(left in lines[each.line - 1] for left in left_for_later)]
    if wrong := len(problems) - len(later):
        to_correct = _n(
            "check: {count} thing to correct in the file, named above",
            "check: {count} things to correct in the file, named above",
            wrong,
        )
        say(to_correct)
        return Exit.ATTENTION
    to_do = _n(
        "check: the file is right as far as it goes; {count} thing to fill in, named above",
        "check: the file is right as far as it goes; {count} things to fill in, named above",
        len(later),
    )
    say(to_do if later else _("check: nothing is wrong with the file"))
    return Exit.DONE


def _next_steps(settings: Path, environment: Path, unset: Sequence[str]) -> Iterator[str]:
    """Yield the commands that follow; the variables that are not set have to be filled in first."""
    command, copied = command_name(), environment.with_name(".env")
    steps = {
        "probe": _("what Oplead answers, what looks wrong, what to write"),
        "check": _("what is still missing, by line"),
        "check --live": _("what Oplead, Google and Meta say"),
        "run --dry-run": _("what a night would send"),
        "run --first-run": _("the first night; --first-run only this once"),
    }
    rows = [(f"{command} {what} --config {settings}", why) for what, why in steps.items()]
    width = max(len(row) for row, _ in rows)
    to_fill_in = _(
        "copy {file} to {copied}, chmod 600 {copied}, and fill in {names}",
        file=environment,
        copied=copied,
        names=", ".join(unset),
    )
    lines = [*([to_fill_in] if unset else []), *(f"{row:<{width}}  {why}" for row, why in rows)]
    yield from (f"  {number}. {line}" for number, line in enumerate(lines, start=1))


# ── what is written ────────────────────────────────────────────────────────────────────────────────

_CONDITION = re.compile(r"\[(no )?(\w+)\]")
_PLACE = re.compile(r"(?<!\$)\{(\w+)(!s)?\}")

# {name} is replaced by the answer as YAML, {name!s} by its plain text; a line with an unanswered placeholder is
# dropped. A line that begins with [name] is kept only if that has an answer, with [no name] only if it has none.
_START = N_("""\
# yaml-language-server: $schema={schema!s}
# Check every change before it counts:  oplead-sync check --config <this file>
# Secrets never stand here: write ${VARIABLE}, or file:/path/of/a/file.

account: {account}   # stays the same for good: the ledger knows it
language: {language}
timezone: {timezone}
currency: {currency}
clock: {clock}   # a sandbox's: take it out before anything real is told

[files]# Leads come from exported files; the one written last is read. docs/files.md says what must be in them.
[files]source:
  {files}
[read_from]oplead:
  {read_from}
[no files]oplead:
[no files]  token: ${OPLEAD_TOKEN}   # the client admin's key: other keys see only some leads
  base_url: {base_url}
  path_prefix: {path_prefix}
[auth]  auth:
    style: {auth}
    name: {auth_name}
    prefix: {auth_prefix}
[found]  # found by `oplead-sync probe`:
  {found}
  fields: { status: {status_field} }
[no files][no found]  # run `oplead-sync probe --config <this file>` and put here what it suggests

# Your word: [Oplead's labels]. Accents, capitals and hyphens do not matter; `created` is built in.
stages:
  {stage}
# Labels that mean nothing here. A label in neither list is reported.
[ignored]# Nobody has chosen these: they are what {looked_at!s} showed beside the stages.
[ignored]# Look through them.
""")
_LEFT_OUT = N_("""\
# Left out, for it may be somebody's data: {shape!s}. Read it in Oplead; if it is a status,
# write it under a stage or here.
""")
_MIDDLE = N_("""\
ignored_statuses: {ignored}

consent:
  ad_user_data:
    field: {consent_field}
[no consent_field]    field: replace-me   # where a lead says whether its data may be used for advertising
    granted: {granted}
[no granted]    granted: [replace-me]   # the answers there that mean yes: nothing is sent until they are named
[refused]    refused: {refused}
[no refused]    refused: []
[personalization_field]  ad_personalization:   # refused alone: Google is told so, Meta gets nothing
    field: {personalization_field}
    granted: {personalization_granted}
[personalization_field][no personalization_granted]    granted: [replace-me]   # the answers that mean yes
[personalization_refused]    refused: {personalization_refused}
[personalization_field][no personalization_refused]    refused: []
[no personalization_field]  # ad_personalization: { field: …, granted: [oui], refused: [non] }   \
# where it is asked apart
  missing: withhold   # no answer: not sent

""")
_WEBHOOKS = N_("# To receive webhooks; what is under subscriptions is as Oplead's specification says:")
_GOOGLE = N_("""\
google_ads:
  customer_id: {google_customer_id}   # the account that owns the conversion actions
  login_customer_id: {google_login_customer_id}   # the manager account that gives access
  credentials: ${GOOGLE_ADS_KEY_FILE}
  endpoint: {endpoint}
  ads_api_endpoint: {ads_api_endpoint}
  contact_data: {contact_data}   # attach sends hashed contact data beside the id, where the person agreed to it

""")
_META = N_("""\
meta:
  dataset_id: {meta_dataset_id}
  access_token: ${META_ACCESS_TOKEN}
  graph_url: {graph_url}
  contact_data: {contact_data}   # attach sends hashed contact data beside the id, where the person agreed to it
[funnel]  # for leads of Meta's own forms: your stages under names that Meta learns from; they stay for good
  funnel: { {funnel!s} }

""")
_CONVERSION = N_("""\
  - id: {conversion}   # stays the same for good; to rename it, write  was: {conversion}
    name: {conversion_name}
    stage: {conversion_stage}
    since: {since!s}   # what happened before was imported by other means
[no amount_field]    # value: 60   # what it is worth to you
[amount_field]    value:
      field: {amount_field}
      tax: {tax}
      otherwise: {otherwise!s}   # sent where the amount is still missing after three days
[amount_field][no otherwise]      # otherwise: 900   # sent where the amount is still missing after three days
    google_ads: { conversion_action: {conversion_action!s} }
    meta: { event: {event} }
""")


def settings_variables(answers: Answers) -> dict[str, str]:
    """Return the environment variables that the settings refer to, each with a description."""
    wanted: dict[str, str] = {}
    if answers["files"] is None:
        wanted["OPLEAD_TOKEN"] = _("Oplead's API key (settings > API): the client admin's, which sees all leads.")
    if answers["google_customer_id"]:
        wanted["GOOGLE_ADS_KEY_FILE"] = _("The path of the Google service account's key file.")
    if answers["meta_dataset_id"]:
        wanted["META_ACCESS_TOKEN"] = _("Meta's access token (Events Manager > the dataset > Settings).")
    return wanted


def env_example_text(answers: Answers) -> str:
    """Return the text of `.env.example`: the referenced variables, without values."""
    lines = [_("# Copy to .env beside the settings, chmod 600, fill in; every command reads it there."), ""]
    for name, meaning in settings_variables(answers).items():
        lines += [f"# {meaning}", f"{name}=", ""]
    return "\n".join(lines)


def settings_text(answers: Answers) -> str:
    """Return the text of `pipeline.yaml`, with a comment wherever somebody may want another value."""
    spoken = current_language()
    answers = {**answers, "language": None if spoken is Language.ENGLISH else spoken.value}
    parts = [_fill_template(_(_START), answers)]
    parts += [_fill_template(_(_LEFT_OUT), {"shape": shape.strip("<>")}) for shape in answers["left_out"]]
    parts.append(_fill_template(_(_MIDDLE), answers))
    if answers.get("subscriptions"):
        lines = yaml_section_lines(
            {"webhooks": {"secret": "${OPLEAD_WEBHOOK_SECRET}", "subscriptions": answers["subscriptions"]}}
        )
        parts.append(iter([_(_WEBHOOKS), *(f"# {line}" for line in lines), ""]))
    if answers["google_customer_id"]:
        parts.append(_fill_template(_(_GOOGLE), answers))
    if answers["meta_dataset_id"]:
        parts.append(_fill_template(_(_META), answers | {"funnel": _funnel(answers["stage"])}))
    parts.append(iter(["conversions:"]))
    parts += [
        _fill_template(_(_CONVERSION), _conversion(answers, stage))
        for stage in CONVERSIONS
        if stage in answers["stage"]
    ]
    return "".join(f"{line}\n" for part in parts for line in part)


def _funnel(stages: Mapping[str, object]) -> str | None:
    """Return Meta's names for the stages, for the `funnel` key; None if `created` would be the only stage."""
    names = [f"{name}: {one.funnel_event}" for name, one in STAGES.items() if name in stages and one.funnel_event]
    return ", ".join(["created: lead_received", *names]) if names else None


def _conversion(answers: Answers, stage: str) -> Answers:
    conversion, until = CONVERSIONS[stage], answers["imported_until"]
    has_amount = stage == "won" and answers["amount_field"] is not None
    actions = answers["action"]
    return {
        **(answers if has_amount else answers | dict.fromkeys(("amount_field", "tax", "otherwise"))),
        "conversion": conversion.id,
        "conversion_name": conversion.name,
        "conversion_stage": stage,
        "since": until and until + timedelta(days=1),
        "conversion_action": None if actions is None else actions.get(stage, f"{TO_BE_FILLED_IN}-{stage}"),
        "event": answers["meta_dataset_id"] and (conversion.event_with_value if has_amount else conversion.event),
    }


def _fill_template(template: str, answers: Answers) -> Iterator[str]:
    for line in template.splitlines():
        met, text = True, line
        while condition := _CONDITION.match(text):
            met = met and bool(answers[condition[2]]) is not bool(condition[1])
            text = text[condition.end() :]
        places = _PLACE.findall(text)
        if not met or any(answers[name] is None for name, _ in places):
            continue
        section = answers[places[0][0]] if places else None
        if isinstance(section, Mapping):
            yield from yaml_section_lines(section, text.index("{") // len(INDENT))
        else:
            yield _PLACE.sub(lambda place: (str if place[2] else to_inline_yaml)(answers[place[1]]), text)
