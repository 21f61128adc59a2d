"""Reduces what Oplead is asked and answers to its structure: names that may be shown, kinds in place of values. Pure.

A name is shown if it is in a closed list of ours or if most leads have it; a value never is.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

from connectors.evidence import Exchange, Shown, Tree
from connectors.oplead.answers import TOTAL_HEADERS, HeardExchange
from connectors.oplead.options import CANDIDATES
from connectors.oplead.pagination import CURSORS, NEXT_URLS
from connectors.oplead.parsing.dates import read_moment_or_none
from connectors.oplead.parsing.field_tree import NAMES, common_lead_field_paths, normalise
from connectors.oplead.parsing.fields import (
    LOOSE_NAME_KEYS,
    LOOSE_VALUE_KEYS,
    name_value_pairs,
    read_json,
    strict_pairs,
)
from connectors.oplead.parsing.synonyms import with_french
from connectors.survey import Suggestion

OTHER = "‹other›"
"""Stands for every name that may not be shown."""
PAIRS = "‹pairs›"
LEADS = "‹leads›"
"""Stands for the leads in a list page."""
_DEEPEST = 8
_ENOUGH_LEADS = 5
_PAIR = 2
_MOST = 0.5
_UTC = ZoneInfo("UTC")
_DATE = re.compile(r"[0-9/:. TZ+h-]{8,40}")
_DIGITS = re.compile(r"\d")
_EPOCH_DIGITS = {10: "epoch s", 13: "epoch ms"}
_UUID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@=&:/?]+@[^\s@=&:/?]+")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d[\d   .,]*(?:\s?(?:€|eur\w*))?(?:\s?(?:ttc|ht))?", re.IGNORECASE)
_PERSONAL = re.compile(r"@|\d{5}")
_LIST_WORDS = (
    "data items result results response leads lead list records content fiche fiches prospect resultat resultats "
    "reponse donnees included entries elements rows page "
    "pages size limit offset count total meta links link self first last prev previous next paging pagination cursor "
    "cursors has more "
    "success succes totalElements totalPages totalCount hasMore hasNext pageSize perPage "
    "suivant suivante precedent debut nombre decalage taille"
)
_OTHER_WORDS = (
    "error errors message messages code status detail details reason field fields title type path timestamp "
    "violations erreur erreurs motif champ champs description debug trace label value values key date timezone "
    "timezone_type category categorie order event events url provider channel canal agency agence user comment "
    "commentaire note notes created updated updatedBy author externalID leadData tracking contact customer address "
    "appointment attachments documents document file name size id identifier"
)
_OF_THE_ACCOUNT = frozenset({"extra_headers", "extra_query"})
_PATHS = frozenset({"path_prefix", "leads_path", "lead_path"})
_USUAL_PARTS = (
    "{id} index.html api rest public oplead crm lead leads prospect prospects contact contacts fiche fiches dossier "
    "dossiers demande demandes list liste all search document documents documentation add status statut settings "
    "parametres configuration statuses statuts lead-statuses marketing-channels custom-fields subscriptions webhooks "
    "attachments"
)
_PATH_WORDS = frozenset({"", *_USUAL_PARTS.split()})
_VERSION = re.compile(r"v\d{1,2}")
_SCHEMES = frozenset({"", "bearer", "token", "apikey", "api-key", "key", "basic"})
_HEADER_NAMES = (
    "age allow cache-control connection content-encoding content-language content-length content-type date etag "
    "expires keep-alive last-modified link location pragma ratelimit-limit ratelimit-remaining ratelimit-reset "
    "retry-after server strict-transport-security transfer-encoding vary via www-authenticate "
    "x-content-type-options x-frame-options x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset "
    "x-request-id"
)
_HEADERS = frozenset(_HEADER_NAMES.split()) | {name.lower() for name in TOTAL_HEADERS}
_FIELD_WORDS = (
    part for field in fields(CANDIDATES) for path in getattr(CANDIDATES, field.name) for part in path.split(".")
)
_CLOSED = frozenset(
    map(
        normalise,
        (
            *_FIELD_WORDS,
            *(name for names in NAMES.values() for name in names),
            *(part for path in (*NEXT_URLS, *CURSORS) for part in path.split(".")),
            *with_french(*_LIST_WORDS.split(), *_OTHER_WORDS.split(), "address", "phone", "number", "state", "stage"),
            *with_french(
                "newStatus", "oldStatus", "statusLabel", "new", "old", "from", "to", "at", "since", "changedAt"
            ),
            *LOOSE_NAME_KEYS,
            *LOOSE_VALUE_KEYS,
        ),
    )
)


# ── which names may be shown ──────────────────────────────────────────────────────────────────────


def shown_names(leads: Sequence[object], known: Collection[str], paths: Collection[str]) -> Shown:
    """Return what may be shown: names in the dotted `known`, names of most leads, and parts of URL `paths`."""
    shared = set()
    if len(leads) >= _ENOUGH_LEADS:
        for path, node in common_lead_field_paths(leads).items():
            if len(node.leads) > len(leads) * _MOST:
                shared.add(normalise(path.rpartition(".")[2]))
    names = shared | {normalise(part) for path in known for part in path.split(".")}
    parts = {part.casefold() for path in paths for part in path.split("/")}
    return Shown(frozenset(names), frozenset(filter(_is_usual_part, parts)))


def shown_settings(settings: Suggestion) -> Suggestion:
    """Return settings without what may be an account's own in them: further headers, parts of paths, a prefix."""
    shown = {name: value for name, value in settings.items() if name not in _OF_THE_ACCOUNT}
    for name in shown.keys() & _PATHS:
        parts = str(shown[name]).split("/")
        shown[name] = "/".join(part if _is_usual_part(part.casefold()) else "other" for part in parts)
    auth = shown.get("auth")
    if isinstance(auth, Mapping) and str(auth.get("prefix", "")).strip().casefold() not in _SCHEMES:
        shown["auth"] = {**auth, "prefix": "other "}
    return shown


def _is_usual_part(part: str) -> bool:
    return part in _PATH_WORDS or bool(_VERSION.fullmatch(part))


def is_shown_name(name: str, shown: Shown) -> bool:
    """Return whether a name may be shown."""
    normal = normalise(name)
    return (normal in _CLOSED or normal in shown.names) and not _PERSONAL.search(name)


def _shown_name(name: str, shown: Shown) -> str:
    return name if is_shown_name(name, shown) else OTHER


# ── structure ─────────────────────────────────────────────────────────────────────────────────────


def tree_of(values: Sequence[object], shown: Shown, depth: int = _DEEPEST) -> Tree:
    """Return the merged structure of some JSON values."""
    objects = [value for value in values if isinstance(value, Mapping)]
    lists = [value for value in values if isinstance(value, list)]
    leaves = [value for value in values if not isinstance(value, Mapping | list)]
    # Of mixed kinds the richest tells most: a status that is null here and an object there is an object.
    if depth and objects:
        return _object_tree(objects, shown, depth)
    if depth and lists:
        return _list_tree(lists, shown, depth)
    if objects or lists:
        return "deeper"
    counts = Counter(map(kind_of, leaves))
    return " | ".join(sorted(counts, key=lambda kind: (-counts[kind], kind)))


def _object_tree(objects: Sequence[Mapping[str, object]], shown: Shown, depth: int) -> Tree:
    inside: dict[str, list[object]] = {}
    for one in objects:
        for name, value in one.items():
            inside.setdefault(_shown_name(name, shown), []).append(value)
    return {name: tree_of(found, shown, depth - 1) for name, found in inside.items()}


def _list_tree(lists: Sequence[Sequence[object]], shown: Shown, depth: int) -> Tree:
    entries = [entry for one in lists for entry in one]
    if not entries:
        return ()
    pairs = name_value_pairs(entries)
    if len(pairs) == len(entries) and len(strict_pairs(entries)) in {0, len(entries)}:
        first = next(entry for entry in entries if isinstance(entry, Mapping))
        keys = [key for key in first if normalise(key) in map(normalise, (*LOOSE_NAME_KEYS, *LOOSE_VALUE_KEYS))]
        if len(first) == len(keys) == _PAIR:
            inside: dict[str, list[object]] = {}
            for name, value in pairs:
                inside.setdefault(_shown_name(name, shown), []).append(value)
            return {PAIRS: tuple(keys)} | {name: tree_of(found, shown, depth - 1) for name, found in inside.items()}
    return (tree_of(entries, shown, depth - 1),)


def kind_of(value: object) -> str:
    """Return what kind of value it is, in words of a closed list."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case Decimal() | int():
            whole = Decimal(value)
            is_whole = whole == whole.to_integral_value()
            return _EPOCH_DIGITS.get(len(str(value)), "integer") if is_whole else "decimal"
        case str():
            return _kind_of_text(value.strip())
    return "text"


def _kind_of_text(text: str) -> str:
    if not text or text == LEADS:
        return text or "empty"
    if _DATE.fullmatch(text) and read_moment_or_none(text, _UTC) is not None and not text.isdecimal():
        return f"date {_DIGITS.sub('0', text)}"
    kinds: Sequence[tuple[re.Pattern[str], str]] = (
        (_UUID, "UUID"),
        (_URL, "URL"),
        (_EMAIL, "e-mail"),
        (_NUMBER, "number in text"),
    )
    return next((kind for pattern, kind in kinds if pattern.fullmatch(text)), "text")


# ── exchanges ─────────────────────────────────────────────────────────────────────────────────────


def redacted_exchange(heard: HeardExchange, shown: Shown) -> Exchange:
    """Return an exchange by structure: its path without ids, and no value of a parameter or header."""
    parts = urlsplit(heard.target)
    query = parse_qsl(parts.query, keep_blank_values=True)
    return Exchange(
        platform="oplead",
        method=heard.method,
        path="/".join(
            part if part.casefold() in shown.parts else "{id}" for part in map(unquote, parts.path.split("/"))
        ),
        query=tuple(_shown_name(name, shown) for name, _value in query),
        status=heard.status,
        headers=tuple(dict.fromkeys(name if name in _HEADERS else OTHER for name in map(str.lower, heard.headers))),
        asked=None if heard.asked is None else _tree_of_body(heard.asked, shown),
        answered=_tree_of_body(heard.answered, shown),
    )


def _tree_of_body(content: bytes, shown: Shown) -> Tree:
    if not content:
        return "empty"
    try:
        return tree_of([read_json(content)], shown)
    except ValueError:
        return "no JSON"
