"""The settings of a sandbox that answers as an account did: the demonstration's, with that account's own words."""

import io
from typing import Any, Final

from ruamel.yaml import YAML

from connectors.sandbox.oplead.recorded.front import RecordedOplead
from connectors.sandbox.oplead.recorded.leads import is_about_personalization

_WRITTEN: Final = (
    *("click_id", "utm_source", "utm_medium", "utm_campaign", "email", "phone"),
    *("first_name", "last_name", "postcode", "city", "country"),
)
"""What the settings may say where a new lead's values go."""


def settings_of_account(text: str, recorded: RecordedOplead) -> str:
    """Return settings, in YAML, as they have to be for this account."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    settings = yaml.load(text)
    dialect, leads = recorded.dialect, recorded.leads
    settings["oplead"].update(dialect.settings)
    settings["oplead"]["write"] = _write(recorded)
    for labels in (*settings["stages"].values(), settings["ignored_statuses"]):
        labels[:] = [leads.shown_status(label) for label in labels]
    if consent := _consent(recorded):
        settings["consent"] = consent
    else:
        del settings["consent"]
    for conversion in settings["conversions"]:
        if isinstance(value := conversion["value"], dict):
            if dialect.amounts:
                value["field"] = dialect.amounts[0]
            else:
                conversion["value"] = value["otherwise"]
    del settings["report"]  # by agency, which nobody knows to be shown
    written = io.StringIO()
    yaml.dump(settings, written)
    return written.getvalue()


def _write(recorded: RecordedOplead) -> dict[str, Any]:
    """Return where things are written that are not read first from there."""
    shown = {name: ".".join(recorded.leads.own_path(name)) for name in (*_WRITTEN, "status")}
    fields = {name: path for name in _WRITTEN if (path := shown[name]) and path != recorded.manner.fields[name][0]}
    status = shown["status"].partition(".")[0]
    return ({"status_field": status} if status != "status" else {}) | ({"fields": fields} if fields else {})


def _consent(recorded: RecordedOplead) -> dict[str, Any] | None:
    """Return where leads answer about consent; None if nobody saw such a field."""
    answers = [each for each in recorded.dialect.consent if each.granted and each.refused]
    personal = [each for each in answers if is_about_personalization(each)]
    found = {
        "ad_personalization": personal,
        "ad_user_data": [each for each in answers if each not in personal] or personal,
    }
    told = {
        name: {"field": each[0].path, "granted": [*each[0].granted], "refused": [*each[0].refused]}
        for name, each in found.items()
        if each
    }
    return {**told, "missing": "withhold"} if told else None
