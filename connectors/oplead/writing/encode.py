"""Encode a lead for Oplead: the API's JSON at the configured paths, or the form import's flat variables. Pure."""

import json
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from connectors.crm import LeadToWrite
from connectors.language import N_, _, format_list
from connectors.oplead.options import FieldPaths, FormImportServiceOptions, UnlabelledClickIdRules
from connectors.oplead.parsing.click_ids import format_labelled_click_ids, read_click_ids
from connectors.records import ClickId

Tree = dict[str, object]
_LABELS_ONLY = UnlabelledClickIdRules(bare="reject")


class UnwritableLead(ValueError):
    """The lead cannot be written as it is; the message says what to change, without a value."""


def lead_body(lead: LeadToWrite, paths: Mapping[str, str | None], read_from: FieldPaths) -> Tree:
    """Return a lead as the API takes it; a path that is not set is the first one it is read from.

    Raises:
        UnwritableLead: two values have one place, a click id would not be read back, or there is nothing to write.
    """
    body: Tree = {}
    for path, value in (*_lead_values_with_paths(lead, _places(paths, read_from)), *lead.fields.items()):
        put_value_at_path(body, path, value)
    if not body:
        raise UnwritableLead(_("there is nothing to write"))
    return body


def form_import_body(lead: LeadToWrite, form: FormImportServiceOptions) -> Tree:
    """Return a lead as the form import takes it, with its token and form.

    The variables that https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-import-de-leads-oplead names are
    `form`, `token`, `ctc_lastname`, `ctc_postcode`, `ctc_country` and `ctc_email`, all mandatory; the others are
    assumed.

    Raises:
        UnwritableLead: a mandatory variable is missing, or the form import has no place for a value.
    """
    body: Tree = {"form": form.form, "token": form.token}
    places = _FORM_PLACES if form.click_id is None else {**_FORM_PLACES, "click_id": form.click_id}
    for name, value in (*_lead_values_with_paths(lead, places), *lead.fields.items()):
        if name in body:
            raise UnwritableLead(_("two values go to {name}: write one", name=name))
        body[name] = value
    if missing := [_(what) for name, what in _MANDATORY.items() if name not in body]:
        raise UnwritableLead(_("the form import needs {values}", values=format_list(missing)))
    return body


def json_bytes(body: Tree) -> bytes:
    """Return a body as JSON."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def put_value_at_path(body: Tree, path: str, value: object) -> None:
    """Put a value at a dotted path, making the objects on its way.

    Raises:
        UnwritableLead: something is there already, or stands in its way.
    """
    *parents, name = path.split(".")
    inside = body
    for parent in parents:
        below = inside.setdefault(parent, {})
        if not isinstance(below, dict):
            raise _no_room_at(path)
        inside = below
    if name in inside:
        raise _no_room_at(path)
    inside[name] = value


def _no_room_at(path: str) -> UnwritableLead:
    return UnwritableLead(_("two values go to {path}, or one inside the other: write one", path=path))


def values_by_path(body: Tree, parent: str = "") -> dict[str, str]:
    """Return every value in a body by its dotted path."""
    found: dict[str, str] = {}
    for name, value in body.items():
        found |= (
            values_by_path(value, f"{parent}{name}.") if isinstance(value, dict) else {f"{parent}{name}": str(value)}
        )
    return found


_FORM_PLACES: Mapping[str, str] = {
    "email": "ctc_email",
    "phone": "ctc_phone",
    "first_name": "ctc_firstname",
    "last_name": "ctc_lastname",
    "postcode": "ctc_postcode",
    "city": "ctc_city",
    "country": "ctc_country",
    "utm_source": "utm_source",
    "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign",
}
_MANDATORY = {
    "ctc_lastname": N_("a last name"),
    "ctc_postcode": N_("a postcode"),
    "ctc_country": N_("a country"),
    "ctc_email": N_("an e-mail address"),
}
_HOMELESS = {
    "click_id": N_("the form import has no documented place for click ids: write oplead.write.form.click_id"),
    "provider_name": N_("the form import has no place for the supplier's name"),
    "provider_url": N_("the form import has no place for the supplier's address"),
}


def _places(paths: Mapping[str, str | None], read_from: FieldPaths) -> Mapping[str, str]:
    firsts = {
        name: candidates[0] for name in FieldPaths.__dataclass_fields__ if (candidates := getattr(read_from, name))
    }
    return firsts | {name: path for name, path in paths.items() if path}


def _lead_values_with_paths(lead: LeadToWrite, places: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each value of a lead with its place, without the empty ones."""
    contact, utm = lead.contact, lead.utm
    values = {
        "click_id": _click_ids(lead),
        "utm_source": utm.source,
        "utm_medium": utm.medium,
        "utm_campaign": utm.campaign,
        "email": _require_single_value(
            contact.emails, N_("one e-mail address can be written: give the others paths of their own")
        ),
        "phone": _require_single_value(
            contact.phones, N_("one phone number can be written: give the others paths of their own")
        ),
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "postcode": contact.postcode,
        "city": contact.city,
        "country": contact.country,
        "provider_name": lead.provider_name,
        "provider_url": lead.provider_url,
    }
    for name, value in values.items():
        if value and name not in places:
            raise UnwritableLead(_(_HOMELESS[name]))
        if value:
            yield places[name], value


def _require_single_value(values: tuple[str, ...], several: str) -> str | None:
    if len(values) > 1:
        raise UnwritableLead(_(several))
    return next(iter(values), None)


def _click_ids(lead: LeadToWrite) -> str | None:
    """Return the text of the click-id field, which reads back as the lead's click ids."""
    if lead.external_id is not None and lead.click_ids:
        raise UnwritableLead(_("both click ids and a text in their place: write one"))
    if not lead.click_ids:
        return lead.external_id
    text = format_labelled_click_ids(lead.click_ids)
    found, _problem = read_click_ids(text, utm_source=None, rules=_LABELS_ONLY, zone=ZoneInfo("UTC"))
    known = {_named_id(one) for one in found}
    if damaged := [one.kind.value for one in lead.click_ids if _named_id(one) not in known]:
        raise UnwritableLead(_("this is no {kind}: no click id has this form", kind=damaged[0]))
    return text


def _named_id(one: ClickId) -> tuple[str, str]:
    return one.kind, one.value
