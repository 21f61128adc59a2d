"""Invented ad clicks, and the many ways a website leaves their ids in `leadData.externalID`."""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import dumps
from typing import Final

from connectors.sandbox.population.lives import Dice

GOOGLE_KINDS: Final = frozenset(
    {
        "gclid_bare",
        "gclid_label",
        "gclid_query",
        "gclid_fragment",
        "gclid_json",
        "gclid_and_fbclid",
        "gbraid_label",
        "wbraid_label",
    }
)
"""The kinds a careful reader gets an id from that Google knows."""

META_KINDS: Final = frozenset({"fbclid_bare", "fbclid_label", "fbc", "lead_id"})
"""The kinds a careful reader gets an id from that Meta knows."""

BASE64URL: Final = string.ascii_letters + string.digits + "-_"
HEX: Final = "0123456789abcdef"
CAMPAIGNS: Final = ("pac-2026", "isolation-combles", "fenetres-pvc", "salle-de-bain", "panneaux-solaires")
_GCLID_ENDS: Final = (
    ("Cj0KCQjw", "EALw_wcB"),
    ("Cj0KCQjw", "EALw_wcB"),
    ("CjwKCAjw", "QAvD_BwE"),
    ("EAIaIQobChMI", "EgJ_D_BwE"),
)
_LAGS: Final = {
    "minutes": (60, 45 * 60),
    "hours": (3600, 20 * 3600),
    "days": (86_400, 25 * 86_400),
    "months": (31 * 86_400, 75 * 86_400),
}
"""How long before its lead a click was, in seconds: at least and at most."""


@dataclass(frozen=True, slots=True)
class PlatformClick:
    """One click as the ad platform saw it."""

    kind: str
    """`gclid`, `gbraid`, `wbraid`, `fbclid`, or `lead_id` where the ad's own form was filled in."""
    value: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ClickTrace:
    """What one visit left in the CRM, and what it means."""

    lead_data: Mapping[str, str | None]
    """`externalID` and the UTM fields; keys that the site did not fill are left out or empty."""
    click: PlatformClick | None
    """The click that brought the visitor, whether or not the CRM still tells."""
    readable: tuple[tuple[str, str], ...]
    """The (kind, id) pairs a careful reader finds in `externalID`."""


def leave_trace(dice: Dice, kind: str, lag: str, created: datetime) -> ClickTrace:
    """What a visit of this kind leaves in a lead created at `created`."""
    if kind not in _FORMS:
        return ClickTrace(_no_click(dice, kind), None, ())
    platform_kind, form = _FORMS[kind]
    value = _click_id(dice, platform_kind)
    click = PlatformClick(platform_kind, value, created - timedelta(seconds=dice.between(*_LAGS[lag])))
    utm = _utm(dice, kind)
    text = form(dice, click, utm)
    return ClickTrace({"externalID": text, **utm}, click, _found(kind, click, text))


def _click_id(dice: Dice, kind: str) -> str:
    """An id that looks like those of the platform: mixed-case base64url under a familiar head, or digits."""
    if kind == "gbraid":
        return "0AAAAA" + dice.text(BASE64URL, dice.between(20, 34))
    if kind == "wbraid":
        return "CjkKCQjw" + dice.text(BASE64URL, dice.between(60, 80))
    if kind == "fbclid":
        return "IwY2xjaw" + dice.text(BASE64URL, dice.between(90, 150))
    if kind == "lead_id":
        return dice.pick("123456789") + dice.text(string.digits, dice.between(14, 16))
    head, tail = dice.pick(_GCLID_ENDS)
    return head + dice.text(BASE64URL, dice.between(68, 84)) + tail


def _utm(dice: Dice, kind: str) -> dict[str, str]:
    """The UTM fields; an ambiguous id is one that stands without them, and some labelled ones do too."""
    if kind == "bare_ambiguous" or (kind == "gclid_label" and dice.below(4) == 0):
        return {}
    if kind in META_KINDS:
        source, medium = dice.pick(("facebook", "instagram", "fb", "ig")), "paid_social"
    else:
        source, medium = dice.pick(("google", "google", "google", "adwords")), "cpc"
    return {"utm_source": source, "utm_medium": medium, "utm_campaign": dice.pick(CAMPAIGNS)}


def _no_click(dice: Dice, kind: str) -> dict[str, str | None]:
    if kind == "supplier_reference":
        return {"externalID": dice.pick((f"PLM-{dice.between(10_000, 99_999)}", "CNL_" + dice.text(HEX, 12)))}
    if kind == "supplier_uuid":
        return {"externalID": "-".join(dice.text(HEX, length) for length in (8, 4, 4, 4, 12))}
    return dice.pick(({}, {"externalID": ""}, {"externalID": None}))


_Form = Callable[[Dice, PlatformClick, Mapping[str, str]], str]


def _bare(_dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    return click.value


def _label(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    return f"{click.kind}{dice.pick(('=', '=', '=', ': '))}{click.value}"


def _query_string(click: PlatformClick, utm: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in {**utm, click.kind: click.value}.items())


def _query(dice: Dice, click: PlatformClick, utm: Mapping[str, str]) -> str:
    return dice.pick(("", "?", "https://www.example.org/devis?")) + _query_string(click, utm)


def _fragment(dice: Dice, click: PlatformClick, utm: Mapping[str, str]) -> str:
    fragment = dice.pick(("formulaire", "devis", "/etape-2", "contact?"))
    return f"https://www.example.org/devis?{_query_string(click, utm)}#{fragment}"


def _json(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    return dumps({click.kind: click.value}, separators=dice.pick(((",", ":"), (", ", ": "))))


def _two(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    between = dice.pick((";", "|", "&", "\n"))
    return f"{click.kind}={click.value}{between}fbclid={_click_id(dice, 'fbclid')}"


def _lead_form(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    """The lead's own number in Meta, as its Instant Forms and their exports write it.

    https://developers.facebook.com/documentation/ads-commerce/conversions-api/conversion-leads-integration/payload-specification
    """
    label = dice.pick(("lead_id=", "lead_id=", "lead_id: ", "leadgen_id="))
    return label + dice.pick(("", "", "l:")) + click.value


def _fbc(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    """Meta's cookie: its time in milliseconds.

    https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/fbp-and-fbc
    """
    return f"fb.1.{int(click.at.timestamp()) * 1000 + dice.below(1000)}.{click.value}"


_FORMS: Final[Mapping[str, tuple[str, _Form]]] = {
    "gclid_bare": ("gclid", _bare),
    "gclid_label": ("gclid", _label),
    "gclid_query": ("gclid", _query),
    "gclid_fragment": ("gclid", _fragment),
    "gclid_json": ("gclid", _json),
    "gclid_and_fbclid": ("gclid", _two),
    "gbraid_label": ("gbraid", _label),
    "wbraid_label": ("wbraid", _label),
    "fbclid_bare": ("fbclid", _bare),
    "fbclid_label": ("fbclid", _label),
    "fbc": ("fbclid", _fbc),
    "lead_id": ("lead_id", _lead_form),
    "bare_ambiguous": ("gclid", _bare),
    "gclid_truncated": ("gclid", lambda _dice, click, _utm: click.value[:50]),
    "gclid_lower": ("gclid", lambda _dice, click, _utm: f"{click.kind}={click.value}".lower()),
}
"""The click behind each kind, and how it is written in `externalID`."""


def _found(kind: str, click: PlatformClick, text: str) -> tuple[tuple[str, str], ...]:
    """The ids a careful reader finds in the text."""
    match kind:
        case "bare_ambiguous":
            return ()
        case "gclid_lower":
            return ((click.kind, click.value.lower()),)
        case "gclid_truncated" | "fbc":
            return ((kind.removesuffix("_truncated"), text),)
        case "gclid_and_fbclid":
            return ((click.kind, click.value), ("fbclid", text.rpartition("fbclid=")[2]))
        case _:
            return ((click.kind, click.value),)
