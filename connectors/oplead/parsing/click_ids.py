"""Read and write click ids, case preserved, in the one field Oplead stores them in, `leadData.externalID`.

https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead describes the field as "l'identifiant de click (Gclid,
fbclid, etc.)" but not how to identify the kind: a value may have a label, a distinctive format, or neither.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from connectors.language import _
from connectors.oplead.options import BareRule, UnlabelledClickIdRules
from connectors.oplead.parsing.dates import read_moment_or_none
from connectors.oplead.parsing.fields import (
    LOOSE_NAME_KEYS,
    NAME_KEYS,
    VALUE_KEYS,
    is_empty,
    loosely_normalised_name,
    read_json,
    shape,
)
from connectors.records import BARE_CLICK_ID, ClickId, ClickIdKind

_GOOGLE = frozenset({ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID})
_LABELS: Mapping[str, ClickIdKind] = {
    **{kind.value.replace("_", ""): kind for kind in ClickIdKind},
    "leadgenid": ClickIdKind.LEAD_ID,
    "gclaw": ClickIdKind.GCLID,
    "googleclickid": ClickIdKind.GCLID,
    "facebookclickid": ClickIdKind.FBCLID,
}
# Websites write one time for all of Google's ids or one for each; the more specific one, listed later, counts.
_CAPTURE_TIMES: Mapping[str, frozenset[ClickIdKind]] = {
    "gclidts": _GOOGLE,
    **{f"{kind}ts": frozenset({kind}) for kind in (ClickIdKind.GBRAID, ClickIdKind.WBRAID)},
    **{f"{kind}ts": frozenset({kind}) for kind in (ClickIdKind.FBCLID, ClickIdKind.MSCLKID)},
}
_KNOWN = frozenset({*_LABELS, *_CAPTURE_TIMES})
_UNKNOWN = ""
_META = frozenset({ClickIdKind.FBC, ClickIdKind.FBCLID, ClickIdKind.FBP, ClickIdKind.LEAD_ID})
_OWN_FORM = _META - {ClickIdKind.FBCLID}
_BARE_KINDS: Mapping[BareRule, ClickIdKind] = {"gclid": ClickIdKind.GCLID, "fbclid": ClickIdKind.FBCLID}
_GOOGLE_SOURCES = frozenset({"google", "adwords", "googleads"})
_META_SOURCES = frozenset({"facebook", "instagram", "meta", "fb", "ig"})

_LABELLED = re.compile(
    r"(?<![a-z0-9_-])_?"
    r"(?P<label>(?:gclid|gbraid|wbraid|fbclid|msclkid)[_-]?ts|gclid|gbraid|wbraid|fbclid|fbc|fbp|msclkid|ttclid|li[_-]?fat[_-]?id"
    r"|lead[_-]?(?:gen[_-]?)?id|gcl_aw|(?:google|facebook)[ _-]?click[ _-]?id)"
    r"[\"']?[\s\xa0\u202f]*[=:][\s\xa0\u202f]*(?P<quote>[\"']?)"
    r"(?P<value>\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?|[^&;|,\s?#\"'<>]*)",
    re.ASCII | re.IGNORECASE,
)
_QUOTE_IN_ADDRESS = re.compile(r"['\"][^\s,;<>()]*@", re.ASCII)
# fb.subdomainIndex.creationTime.fbclid, creationTime in milliseconds:
# https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/fbp-and-fbc
_FBC = re.compile(r"fb\.[0-2]\.(?P<ms>\d{13})\.(?!\d+$)[A-Za-z0-9_.-]{5,511}[A-Za-z0-9_-]", re.ASCII)
_FBP = re.compile(r"fb\.[0-2]\.\d{13}\.\d{1,20}", re.ASCII)
_META_LEAD = re.compile(r"(?P<prefix>l:)?(?P<digits>\d{15,17})", re.ASCII)
# GCL.clickTime.gclid, as Google's tag keeps a click in the cookie `_gcl_aw`, its time in seconds.
_GCL = re.compile(r"GCL\.(?P<s>\d{10})(?:\d{3})?\.(?P<id>.+)", re.ASCII)
_GCLS_START = re.compile(r"GCL\.", re.ASCII | re.IGNORECASE)
_METAS_START = re.compile(r"fb\.\d", re.ASCII | re.IGNORECASE)
# A trailing dot is an ellipsis or ends a sentence.
_PLAUSIBLE = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_.-]{5,511}[A-Za-z0-9_-]", re.ASCII)
_PLAUSIBLE_BARE = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9_.-]{15,511}[A-Za-z0-9_-]", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?e\+?\d+", re.ASCII | re.IGNORECASE)  # an id damaged by a spreadsheet
_PLACEHOLDERS = frozenset({"undefined", "unknown", "inconnu", "aucun", "not-set", "not_set"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(2010, 2100)
_LONGEST_TEXT = 8192
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class _LabelledText:
    """A text and its label: None if it has none, `_UNKNOWN` if its name is not a known label."""

    label: str | None
    text: str


def read_click_ids(
    value: object, *, utm_source: str | None, rules: UnlabelledClickIdRules, zone: ZoneInfo, label: str | None = None
) -> tuple[tuple[ClickId, ...], str | None]:
    """Return every click id in `value`, in order, and the reason if a non-empty value yields none.

    Recognises labelled forms (`gclid=…`, `fbclid:…`, a query string, a full URL, a JSON object, name/value pairs),
    self-identifying formats (`fb.1.<ms>.<fbclid>`, `GCL.<s>.<gclid>`, `l:<digits>`) and, depending on `rules`, bare
    values. Anything that is clearly not a click id (a UUID, an e-mail address, a number, `CNL_…`) is skipped.

    Args:
        value: the field's content: text, a number, an object or a list.
        utm_source: the lead's `utm_source`, used by `bare="by_utm"`.
        rules: how to read values without a label.
        zone: the time zone of capture times (`gclid_ts`) that lack one.
        label: the field's name; ignored unless it names one kind of click id.
    """
    entries = tuple(_entries(value, _label(label) if label and is_click_id_label(label) else None, _DEPTH))
    found = [_classify_click_id(entry, utm_source, rules) for entry in entries if entry.label not in _CAPTURE_TIMES]
    times = _capture_times(entries, zone)
    read = [one for one in found if isinstance(one, ClickId)]
    # One click may be written with its own time and without, as in a cookie and an address: its own time counts.
    own_times = {(one.kind, one.value): one.clicked_at for one in read if one.clicked_at}
    ids = dict.fromkeys(
        replace(one, clicked_at=one.clicked_at or own_times.get((one.kind, one.value)) or times.get(one.kind))
        for one in read
    )
    problems = [one for one in found if isinstance(one, str)]
    return tuple(ids), None if ids or not problems else problems[0]


def format_labelled_click_ids(ids: Iterable[ClickId]) -> str:
    """Return click ids in the form that `read_click_ids` prefers: `gclid=…&fbclid=…&gclid_ts=…`.

    `gclid_ts` dates every Google id and `fbclid_ts` the fbclid, so a time is left out where not all of its ids share
    it: no time is better than a wrong one. An fbc holds its own.
    """
    ids = tuple(ids)
    pairs = [f"{one.kind}={one.value}" for one in ids]
    for name, kinds in (("gclid_ts", _GOOGLE), ("fbclid_ts", frozenset({ClickIdKind.FBCLID}))):
        times = {one.clicked_at for one in ids if one.kind in kinds}
        if len(times) == 1 and (clicked_at := times.pop()) is not None:
            pairs.append(f"{name}={clicked_at.astimezone(UTC).isoformat().removesuffix('+00:00')}Z")
    return "&".join(pairs)


def is_click_id_label(name: str) -> bool:
    """Whether a field name identifies one kind of click id."""
    return _label(name) in _LABELS


def _label(name: str) -> str:
    return loosely_normalised_name(name.replace(" ", ""))


# ── splitting the value ──────────────────────────────────────────────────────────────────────────


def _entries(value: object, label: str | None, depth: int) -> Iterator[_LabelledText]:
    if is_empty(value):
        return
    if isinstance(value, Mapping | list) and depth <= 0:
        yield _LabelledText(_UNKNOWN, shape(value))
    elif isinstance(value, Mapping):
        for name, inner in _pairs(value):
            yield from _entries(inner, known if (known := _label(name)) in _KNOWN else _UNKNOWN, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner, label, depth - 1)
    elif isinstance(value, str):
        yield from _entries_in_text(value.strip(), label, depth)
    else:
        yield _LabelledText(label, str(value))


def _pairs(value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield an object's names and values; `{"type": "gclid", "value": …}` is a single pair.

    Of all that may name it, a click id's label counts: a title may say only whose it is (`Google`).
    """
    key = next((key for key in VALUE_KEYS if key in value), None)
    if key is not None:
        names = (value.get(name) for name in (*NAME_KEYS, "type", *LOOSE_NAME_KEYS))
        yield next((name for name in names if isinstance(name, str) and _label(name) in _KNOWN), _UNKNOWN), value[key]
    else:
        yield from value.items()


def _entries_in_text(text: str, label: str | None, depth: int) -> Iterator[_LabelledText]:
    if text[0] in "{[" and len(text) <= _LONGEST_TEXT:
        try:
            inner = read_json(text)
        except ValueError:
            pass
        else:
            yield from _entries(inner, label, depth - 1)
            return
    pairs = _labelled_pairs_in_text(text) if len(text) <= _LONGEST_TEXT else ()
    yield from pairs or _own_forms_in_text(text, label) or (_LabelledText(label, text),)


def _labelled_pairs_in_text(text: str) -> tuple[_LabelledText, ...]:
    """Return the labelled pairs in a text, percent-decoding nested URLs until some appear."""
    for _round in range(3):
        if found := tuple(_LABELLED.finditer(text)):
            return tuple(
                _LabelledText(_label(one["label"]), unquote(_value_unless_misquoted(one)))
                for one in found
                if one["value"]
            )
        text = unquote(text)
    return ()


def _own_forms_in_text(text: str, label: str | None) -> tuple[_LabelledText, ...]:
    """Return what stands between `|`, where each of it says by its form what it is."""
    parts = tuple(_LabelledText(label, part.strip()) for part in text.split("|"))
    return parts if all(_recognise_meta_click_id(part) or _recognise_google_cookie(part) for part in parts) else ()


def _value_unless_misquoted(labelled: re.Match[str]) -> str:
    """Return the matched value, made invalid by a leading quote if its own quoting is broken.

    That is the case if the closing quote is missing or text follows it, and for an address such as
    `gclid=o'connor@…`, whose part before the apostrophe is not a click id.
    """
    rest = labelled.string[labelled.end() : labelled.end() + 2]
    is_cut, goes_on = labelled["quote"] and not rest, rest[:1] in {"'", '"'} and rest[1:].isalnum()
    is_address = not labelled["quote"] and _QUOTE_IN_ADDRESS.match(labelled.string, labelled.end())
    return "'" + labelled["value"] if is_cut or goes_on or is_address else labelled["value"]


# ── classifying each part ────────────────────────────────────────────────────────────────────────


def _classify_click_id(entry: _LabelledText, utm_source: str | None, rules: UnlabelledClickIdRules) -> ClickId | str:
    """Return the entry as a click id, or the reason it is not one."""
    if (own := _recognise_meta_click_id(entry) or _recognise_google_cookie(entry)) is not None:
        return own
    if entry.label == _UNKNOWN:
        return _("its name is not that of a click id, or it is nested too deeply ({shape})", shape=shape(entry.text))
    if entry.label is not None:
        return _read_labelled_click_id(_LABELS[entry.label], entry.text)
    return _read_unlabelled_click_id(unquote(entry.text), utm_source, rules)


def _recognise_meta_click_id(entry: _LabelledText) -> ClickId | None:
    """Read Meta's self-identifying formats, whichever Meta label they have."""
    if entry.label is not None and _LABELS.get(entry.label) not in _META:
        return None
    if match := _FBC.fullmatch(entry.text):
        clicked_at = _EPOCH + timedelta(milliseconds=int(match["ms"]))
        return ClickId(ClickIdKind.FBC, entry.text, clicked_at) if clicked_at.year in _YEARS else None
    if _FBP.fullmatch(entry.text):
        return ClickId(ClickIdKind.FBP, entry.text)
    match = _META_LEAD.fullmatch(entry.text)
    if match and (match["prefix"] if entry.label is None else _LABELS[entry.label] is ClickIdKind.LEAD_ID):
        return ClickId(ClickIdKind.LEAD_ID, match["digits"])
    return None


def _recognise_google_cookie(entry: _LabelledText) -> ClickId | None:
    """Read the click that a cookie of Google's tag keeps, with its time, whichever Google label it has."""
    kind = ClickIdKind.GCLID if entry.label is None else _LABELS.get(entry.label)
    match = _GCL.fullmatch(unquote(entry.text)) if kind in _GOOGLE else None
    if match is None or kind is None:
        return None
    found = _read_labelled_click_id(kind, match["id"])
    clicked_at = _EPOCH + timedelta(seconds=int(match["s"]))
    return replace(found, clicked_at=clicked_at) if isinstance(found, ClickId) and clicked_at.year in _YEARS else None


def _read_labelled_click_id(kind: ClickIdKind, text: str) -> ClickId | str:
    if kind in _OWN_FORM:
        return _("labelled {kind}, but not in its form ({shape})", kind=kind, shape=shape(text))
    if reason := _no_click_id(text, allow_uuid=kind is ClickIdKind.LI_FAT_ID):
        return _("labelled {kind}, but {reason}", kind=kind, reason=reason)
    if not _PLAUSIBLE.fullmatch(text):
        return _("labelled {kind}, but no click id has this form ({shape})", kind=kind, shape=shape(text))
    return ClickId(kind, text)


def _read_unlabelled_click_id(text: str, utm_source: str | None, rules: UnlabelledClickIdRules) -> ClickId | str:
    match = _META_LEAD.fullmatch(text)
    if match and (match["prefix"] or rules.bare_digits == "lead_id"):
        return ClickId(ClickIdKind.LEAD_ID, match["digits"])
    if reason := _no_click_id(text):
        return reason
    if not _PLAUSIBLE_BARE.fullmatch(text):
        return _("no click id has this form ({shape})", shape=shape(text))
    kind = _kind_by_utm(utm_source) if rules.bare == "by_utm" else _BARE_KINDS.get(rules.bare)
    if kind is None:
        return _(BARE_CLICK_ID)
    return ClickId(kind, text)


def _no_click_id(text: str, *, allow_uuid: bool = False) -> str | None:
    """Return why a text is clearly not a click id, else None."""
    if "@" in text:
        return _("an e-mail address")
    if _UUID.fullmatch(text) and not allow_uuid:
        return _("an internal code (UUID)")
    if text[:4].upper() == "CNL_":
        return _("an Oplead channel identifier")
    if _METAS_START.match(text):
        return _("Meta's form under another's name, cut short, or with a time that cannot be")
    if _GCLS_START.match(text):
        return _("the form of Google's cookie under another's name, cut short, or with a time that cannot be")
    if text.casefold() in _PLACEHOLDERS or loosely_normalised_name(text) in _KNOWN:
        return _("a placeholder")
    if _NUMBER.fullmatch(text) or not any(character.isalpha() for character in text):
        return _("a number or date ({shape})", shape=shape(text))
    return None


def _kind_by_utm(utm_source: str | None) -> ClickIdKind | None:
    """Return the kind for a source that names only Google or only Meta: `google`, `facebook.com`, `fb_ads`."""
    words = set(re.split(r"[^a-z0-9]+", (utm_source or "").lower()))
    google, meta = bool(words & _GOOGLE_SOURCES), bool(words & _META_SOURCES)
    if google == meta:
        return None
    return ClickIdKind.GCLID if google else ClickIdKind.FBCLID


# ── click times ──────────────────────────────────────────────────────────────────────────────────


def _capture_times(entries: Sequence[_LabelledText], zone: ZoneInfo) -> Mapping[ClickIdKind, datetime]:
    """Return the click times captured next to the ids, ignoring any that is not a readable instant."""
    times: dict[ClickIdKind, datetime] = {}
    for label, kinds in _CAPTURE_TIMES.items():
        for entry in entries:
            moment = read_moment_or_none(entry.text, zone) if entry.label == label else None
            if moment is not None and isinstance(moment.at, datetime):
                times |= dict.fromkeys(kinds, moment.at)
    return times
