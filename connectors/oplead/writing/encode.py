"""Encode a lead for Oplead: the API's JSON at the configured paths, or the form import's flat variables. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import assert_never
from zoneinfo import ZoneInfo

from connectors.crm import LeadToWrite
from connectors.language import N_, _, format_list
from connectors.oplead.options import (
    LIST,
    FieldPaths,
    FormImportServiceOptions,
    UnlabelledClickIdRules,
    ValueType,
    ValueTypes,
)
from connectors.oplead.parsing.click_ids import format_labelled_click_ids, read_click_ids
from connectors.records import ClickId

Tree = dict[str, object]
Value = str | Sequence[str]
_LABELS_ONLY = UnlabelledClickIdRules(bare="reject")


class UnwritableLead(ValueError):
    """The lead cannot be written as it is; the message says what to change, without a value."""


def lead_body(lead: LeadToWrite, paths: Mapping[str, str | None], read_from: FieldPaths, types: ValueTypes) -> Tree:
    """Return a lead as the API takes it; a path that is not set is the first one it is read from.

    Raises:
        UnwritableLead: two values have one place, one does not have its type, a click id would not be read back, or
            there is nothing to write.
    """
    body = json_body((*_lead_values_with_paths(lead, _places(paths, read_from)), *lead.fields.items()), types)
    if not body:
        raise UnwritableLead(_("there is nothing to write"))
    return body


def form_import_body(lead: LeadToWrite, form: FormImportServiceOptions, types: ValueTypes) -> Tree:
    """Return a lead as the form import takes it, with its token and form.

    The variables that https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-import-de-leads-oplead names are
    `form`, `token`, `ctc_lastname`, `ctc_postcode`, `ctc_country` and `ctc_email`, all mandatory; the others are
    assumed.

    Raises:
        UnwritableLead: a mandatory variable is missing, or the form import has no place for a value, or one does not
            have its type.
    """
    body: Tree = {"form": form.form, "token": form.token}
    places = _FORM_PLACES if form.click_id is None else {**_FORM_PLACES, "click_id": form.click_id}
    for place, value in (*_lead_values_with_paths(lead, places), *lead.fields.items()):
        name = place.removesuffix(LIST)
        if name in body:
            raise UnwritableLead(_("two values go to {name}: write one", name=name))
        body[name] = _as_json(place, value, types)
    if missing := [_(what) for name, what in _MANDATORY.items() if name not in body]:
        raise UnwritableLead(_("the form import needs {values}", values=format_list(missing)))
    return body


def json_bytes(body: Tree) -> bytes:
    """Return a body as JSON."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def json_body(values: Iterable[tuple[str, Value]], types: ValueTypes) -> Tree:
    """Return a body with each value at its dotted path, as its type says; a path that ends in `[]` takes a list.

    Raises:
        UnwritableLead: something is at a path already or stands in its way, or a value does not have its type.
    """
    body: Tree = {}
    for path, value in values:
        _put_value_at_path(body, path, _as_json(path, value, types))
    return body


def _put_value_at_path(body: Tree, path: str, value: object) -> None:
    """Put a value at a dotted path, making the objects on its way."""
    *parents, name = path.removesuffix(LIST).split(".")
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


def values_by_path(body: object, path: str = "") -> dict[str, str]:
    """Return every value in a body by its dotted path, those in lists by their number."""
    match body:
        case dict():
            inside = [(f"{path}.{name}" if path else name, value) for name, value in body.items()]
        case list():
            inside = [(f"{path}[{number}]", value) for number, value in enumerate(body)]
        case _:
            return {path: body if isinstance(body, str) else json.dumps(body)}
    return {place: text for below, value in inside for place, text in values_by_path(value, below).items()}


# ── types ────────────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*|[1-9]\d{0,2}(?:[ \u00a0\u2009\u202f]\d{3})+)(?:[.,]\d+)?", re.ASCII)
"""As the French write it too; one with a zero before it is a postcode, a phone number or the like."""
_READ_IN_TWO_WAYS = re.compile(r"-?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_SPACES = re.compile(r"\s")
_ANSWERS = {
    **dict.fromkeys(("true", "yes", "oui", "vrai", "1"), True),
    **dict.fromkeys(("false", "no", "non", "faux", "0"), False),
}


def _as_json(path: str, value: Value, types: ValueTypes) -> object:
    kind = types.get(path) or types.get(path.removesuffix(LIST), "text")
    if isinstance(value, str):
        one = _typed(path, value, kind)
        return [one] if path.endswith(LIST) else one
    return [_typed(path, each, kind) for each in value]


def _typed(path: str, text: str, kind: ValueType) -> str | int | float | bool:
    match kind:
        case "text":
            return text
        case "number":
            number = _number(text)
            if number is None:
                wrong = N_("{path}: this is no number, or can be read in two ways: write digits, as 12500.50")
                raise UnwritableLead(_(wrong, path=path))
            return number
        case "boolean":
            answer = _ANSWERS.get(text.strip().casefold())
            if answer is None:
                raise UnwritableLead(_("{path}: write yes or no", path=path))
            return answer
    assert_never(kind)


def _number(text: str) -> int | float | None:
    """Return a number; None if it is none, may be another one, or has more digits than JSON's readers keep."""
    if not _NUMBER.fullmatch(text.strip()) or _READ_IN_TWO_WAYS.fullmatch(text.strip()):
        return None
    number = Decimal(_SPACES.sub("", text).replace(",", "."))
    if number == number.to_integral_value():
        return int(number)
    return float(number) if Decimal(repr(float(number))) == number else None


# ── places ───────────────────────────────────────────────────────────────────────────────────────

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
