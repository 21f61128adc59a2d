"""What `init` writes: the text of the first settings file, and of the `.env.example` beside it."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from connectors.language import N_, Language, _, current_language
from jobs.cli.setup.init.questions import CONVERSIONS, STAGES, Answers
from jobs.settings.document import INDENT, TO_BE_FILLED_IN, to_inline_yaml, yaml_section_lines

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
