"""Locate the id, status, dates, click ids and contact data in leads, and summarise field values by shape and count.

No personal value is kept.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from functools import partial

from connectors.oplead.click_ids import is_click_id_label, read_click_ids
from connectors.oplead.field_tree import (
    AMOUNT_PARTS,
    CONSENT_PARTS,
    CONTACT,
    NAMES,
    NEEDED,
    Tree,
    is_date,
    leaf,
    normalise,
    tree_of,
)
from connectors.oplead.fields import find, first, raw, shape, text_of
from connectors.oplead.lead_parser import LeadParser, UnreadableLeadError
from connectors.oplead.options import CANDIDATES, ClickIdRules, FieldPaths, OpleadOptions, Paths
from connectors.records import ClickIdKind, Lead
from connectors.survey import AmountSeen, FewValues, FieldMatch, SourceSeen, SurveyedLabel

_SEVERAL = frozenset({"phone", "email"})
"""Fields of which a person may have more than one."""
_MOBILE, _FIXED = ("mobile", "portable", "cell"), ("fixe", "landline", "home")
"""Substrings of the names of mobile and landline fields."""
_TIMES = frozenset({"created_at", "updated_at", "status_at", "click_id_at", "appointment_at"})
_OTHER_PEOPLE = frozenset(
    {"commercial", "vendeur", "user", "owner", "agent", "assignee", "assignedto", "proprietaire", "responsable"}
    | {"provider", "fournisseur", "agency", "agence", "apporteur", "company", "societe", "createdby", "updatedby"}
    | {"channel", "canal", "campaign", "campagne", "product", "produit", "status", "statut"}
)
"""Parents whose fields do not belong to the lead itself."""
_MOST = 0.5
_NEARLY_ALL = 0.9
_SELDOM = 0.1
"""A path filled on a smaller share of the leads cannot be the id, creation time or status."""
_ADDED = 3
"""Leads with click ids at a further path from which it counts; fewer may be strays."""
_SOUGHT = {
    "id": "a lead's id",
    "created_at": "the time when a lead was created",
    "status": "the status",
    "click_id": "click ids",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where fields are, with the details for the report."""

    fields: FieldPaths
    matches: tuple[FieldMatch, ...]
    undecided: tuple[str, ...]


def find_places(leads: Sequence[object], options: OpleadOptions) -> Places:
    """Locate each of `oplead.fields`, keeping a configured path that works."""
    return _PlaceSearch(leads, options).find()


class _PlaceSearch:
    def __init__(self, leads: Sequence[object], options: OpleadOptions) -> None:
        self._leads = leads
        self._tree = tree_of(leads)
        self._options = options

    def find(self) -> Places:
        names = [one.name for one in fields(FieldPaths)]
        found = {name: self._place(name) for name in names if name != "click_id"}
        paths = replace(self._options.fields, **{name: written for name, (written, _) in found.items()})
        found["click_id"] = self._click_id_place(paths)
        filled = {name: self._filled(path) for name, (_, path) in found.items()}
        seldom = _SELDOM * len(self._leads)
        lacking = [name for name in NEEDED if found[name][1] is None or (name != "click_id" and filled[name] < seldom)]
        matches = (FieldMatch(name, self._as_spelt(found[name][1]), filled[name]) for name in names)
        undecided = tuple(map(self._undecided, lacking)) if self._leads else ()
        return Places(replace(paths, click_id=found["click_id"][0]), tuple(matches), undecided)

    def _place(self, field: str) -> tuple[Paths, str | None]:
        """Return the paths to use and the one that holds the field on most leads."""
        configured: Paths = getattr(self._options.fields, field)
        is_default = configured == getattr(CANDIDATES, field)
        filled = {path: self._filled(path) for path in configured}
        fitting = [path for path in configured if filled[path] and self._fits(field, path)]
        best = max(fitting, key=lambda path: filled[path], default=None)
        if field == "status" and is_default and best and (label := self._label_next_to(best)):
            return (label,), label
        if best is not None:
            every = self._every_field(field, configured) if field in _SEVERAL and is_default else ()
            return every or configured, best
        named = self._named(field)
        if not named:
            return configured, None
        siblings = [path for path in named if _parent(path) == _parent(named[0])]
        return tuple(_mobile_first(siblings)) if field in _SEVERAL else (named[0],), named[0]

    def _filled(self, path: str | None) -> int:
        return 0 if path is None else sum(bool(find(lead, path)) for lead in self._leads)

    def _as_spelt(self, path: str | None) -> str | None:
        """Return a path as most leads spell it."""
        if path is None:
            return None
        alike = [one for one in self._tree if normalise_path(one) == normalise_path(path)]
        return max(alike, key=lambda one: self._tree[one].filled, default=path)

    def _every_field(self, field: str, candidates: Sequence[str]) -> tuple[str, ...]:
        """Return the filled candidates and their siblings of the same meaning; empty if there are no such siblings.

        Only siblings count: elsewhere the field may belong to another person.
        """
        found = [self._as_spelt(path) or path for path in candidates if self._filled(path)]
        parents = set(map(_parent, found))
        more = [path for path in self._named(field) if path not in found and _parent(path) in parents]
        return tuple(_mobile_first([*found, *more])) if more else ()

    def _fits(self, field: str, path: str) -> bool:
        values = [found[0] for lead in self._leads if (found := find(lead, path))]
        match field:
            case _ if field in _TIMES:
                return sum(is_date(value, self._options.zone) for value in values) >= _MOST * len(values)
            case "id":
                texts = _texts(values)
                leads = sum(isinstance(lead, Mapping) for lead in self._leads)
                return len(texts) >= _NEARLY_ALL * leads and len({*texts}) >= _NEARLY_ALL * len(texts)
            case "status":
                return bool(_texts(values))
            case "email":
                return any("@" in text for text in _texts(values, "value", "email", "address"))
            case "phone":
                texts = _texts(values, "value", "number", "phone")
                return sum(any(map(str.isdigit, text)) for text in texts) >= _MOST * len(values)
            case "history":
                return any(self._has_history(lead, path) for lead in self._leads)
            case _:
                return True

    def _has_history(self, lead: object, path: str) -> bool:
        parser = LeadParser(replace(self._options, fields=FieldPaths(history=(path,))))
        try:
            return isinstance(lead, Mapping) and bool(parser.status_changes(lead))
        except UnreadableLeadError:
            return False

    def _named(self, field: str) -> list[str]:
        """Return the paths whose last name means the field, likeliest first."""
        ranked = []
        for path, node in self._tree.items():
            if leaf(path) not in NAMES[field] or not node.filled or node.is_listed or not self._fits(field, path):
                continue
            parents = path.split(".")[:-1]
            if not _OTHER_PEOPLE.isdisjoint(map(normalise, parents)):
                continue
            depth = len(parents) if field in CONTACT or field in NEEDED else 0
            ranked.append((depth, NAMES[field].index(leaf(path)), -node.filled, path))
        return [path for *_, path in sorted(ranked)]

    def _label_next_to(self, status: str) -> str | None:
        """Return the path of the status label if the status itself is only a number, else None."""
        if not all(text.isdecimal() for text in _texts([first(lead, (status,)) for lead in self._leads])):
            return None
        endings = ("label", "libelle", "libellestatut")
        return next((path for path in self._named("status") if normalise(path).endswith(endings)), None)

    def _click_id_place(self, known: FieldPaths) -> tuple[Paths, str | None]:
        """Do what `_place` does, judging paths by the click ids that can be read there."""
        sources = [text_of(first(lead, known.utm_source)) for lead in self._leads]

        def with_ids(paths: Sequence[str], rules: ClickIdRules = self._options.click_ids) -> dict[str, set[int]]:
            return {path: self._with_ids(path, sources, rules) for path in paths}

        configured = known.click_id
        at_configured = with_ids(configured)
        best = max(configured, key=lambda path: (len(at_configured[path]), self._filled(path)))
        others = with_ids(self._click_id_paths(configured))
        ranked = sorted((path for path in others if others[path]), key=lambda path: -len(others[path]))
        if at_configured[best]:
            covered = set().union(*at_configured.values())
            more = [path for path in ranked if len(others[path] - covered) >= _ADDED]
            return (*configured, *more), best
        if ranked:
            return tuple(ranked), ranked[0]
        nodes = [(path, node) for path, node in self._tree.items() if not node.is_listed]
        texts = [path for path, node in nodes if any(isinstance(value, str) for value in node.every())]
        labelled = with_ids(texts, ClickIdRules(bare="reject"))
        found = max(labelled, key=lambda path: len(labelled[path]), default=None)
        if found is not None and labelled[found]:
            return (found,), found
        return configured, best if any(raw(lead, best) for lead in self._leads) else None

    def _click_id_paths(self, configured: Sequence[str]) -> list[str]:
        """Return further paths whose last name is that of a click id."""
        taken = set(map(normalise, configured))
        return [
            path
            for path, node in self._tree.items()
            if not node.is_listed and normalise(path) not in taken
            if leaf(path) in NAMES["click_id"] or is_click_id_label(path.rpartition(".")[2])
        ]

    def _with_ids(self, path: str, sources: Sequence[str | None], rules: ClickIdRules) -> set[int]:
        """Return the indexes of the leads in which a path yields click ids."""
        read = partial(read_click_ids, rules=rules, zone=self._options.zone, label=path.rpartition(".")[2])
        values = ((number, value) for number, lead in enumerate(self._leads) for value in raw(lead, path))
        return {number for number, value in values if read(value, utm_source=sources[number])[0]}

    def _undecided(self, field: str) -> str:
        hint = ""
        if field == "created_at":
            nodes = ((path, node) for path, node in self._tree.items() if node.filled and not node.is_listed)
            times = [path for path, node in nodes if all(is_date(value, self._options.zone) for value in node.every())]
            hint = f" (there are times at {', '.join(times[:6])})" if times else ""
        return f"oplead.fields.{field}: no field was found that holds {_SOUGHT[field]}{hint}"


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _texts(values: Sequence[object], *keys: str) -> list[str]:
    """Return the values as texts, reading objects by the given keys or the usual ones."""
    read = (text_of(value, keys) if keys else text_of(value) for value in values)
    return [text for text in read if text is not None]


def _mobile_first(paths: Sequence[str]) -> list[str]:
    """Sort mobile numbers first, since platforms match them best, and landlines last."""

    def rank(path: str) -> tuple[bool, bool]:
        is_mobile = any(part in leaf(path) for part in _MOBILE)
        return not is_mobile, any(part in leaf(path) for part in _FIXED)

    return sorted(paths, key=rank)


def normalise_path(path: str) -> str:
    """Return a path with each of its names normalised."""
    return ".".join(map(normalise, path.split(".")))


# ── values ───────────────────────────────────────────────────────────────────────────────────────

Readable = Callable[[str | Decimal], bool]
"""Returns whether an amount can be read unambiguously."""
Fold = Callable[[str], str]
"""Folds a label or an answer for comparison: those that fold alike are the same."""

_OTHER_WAY_ROUND = ("optout", "refus", "oppos", "desabonn", "desinscri", "unsubscri")
"""Substrings of the name of a field in which yes means refusal."""
_YES_WORDS = frozenset(
    {"accepte", "acceptee", "accepted", "accept", "daccord", "jaccepte", "consenti", "consent", "granted", "optin"}
)
_NO_WORDS = frozenset(
    {"refuse", "refusee", "refused", "refus", "jerefuse", "denied", "declined", "noconsent", "optout"}
)
_CONSENT_WORDS = _YES_WORDS | _NO_WORDS
"""Normalised answers that occur only in consent fields."""
_GRANTED = _YES_WORDS | {"oui", "o", "yes", "y", "true", "vrai", "1"}
_REFUSED = _NO_WORDS | {"non", "n", "no", "false", "faux", "0"}
_ANSWERS = _GRANTED | _REFUSED
"""Answers that may be shown verbatim."""
_CHANNELS = frozenset(
    {"channel", "canal", "subchannel", "souscanal", "source", "medium", "origin", "origine", "provenance"}
    | {"utmsource", "utmmedium", "channelcategory", "categoriecanal", "leadsource", "sourcelead"}
)
"""Names of fields for the origin of a lead; their values are business data, not personal data."""
_FEW = 12
_ENOUGH = 10
_LONGEST_LABEL, _LONGEST_CHANNEL = 60, 40
_MOST_LABELS = 40
_PERSONAL_DIGITS = re.compile(r"(?:\d[\s.-]?){5,}")
_NUMBER = re.compile(r"-?(?:\d{1,6}|\d{1,3} \d{3})(?:[.,]\d{1,4})?(?: ?(?:€|eur))?", re.IGNORECASE)
_HAS_AMOUNT = re.compile(r"\d")
_NOT_AMOUNTS = frozenset({"id", "date", "at", "currency", "devise", "tax", "tva", "count", "page"})
_SHARED = 2
"""Leads that must share a text before it may be shown: one unique to a lead may be personal data."""


def surveyed_labels(leads: Sequence[Lead], listed: Sequence[Lead], fold: Fold) -> tuple[SurveyedLabel, ...]:
    """Return the status labels, commonest first; mask one that may be personal data, and all if there are too many.

    Only `leads` are counted; labels found only in `listed`, whose detail pages may be unread, appear with a count of 0.
    """
    counts = Counter(lead.label for lead in leads if lead.label is not None)
    with_ids = Counter(lead.label for lead in leads if lead.label is not None and lead.click_ids)
    counts.update(dict.fromkeys((lead.label for lead in listed if lead.label is not None), 0))
    spelt = _spellings(counts, fold)
    different = len({*spelt.values()})
    are_no_labels = different > _MOST_LABELS and different > max(len(leads), len(listed)) / 3
    shown: Counter[tuple[str, bool]] = Counter()
    shown_ids: Counter[tuple[str, bool]] = Counter()
    for label, count in counts.items():
        masked = are_no_labels or not _may_be_shown(spelt[label], _LONGEST_LABEL)
        name = f"<{shape(spelt[label])}>" if masked else spelt[label]
        shown[name, masked] += count
        shown_ids[name, masked] += with_ids[label]
    return tuple(SurveyedLabel(one[0], count, shown_ids[one], masked=one[1]) for one, count in shown.most_common())


def with_specified_labels(
    seen: tuple[SurveyedLabel, ...], enums: Mapping[str, tuple[str, ...]], status: Paths, fold: Fold
) -> tuple[SurveyedLabel, ...]:
    """Return the labels seen, and those that a specification lists but no lead has."""
    places = [normalise_path(f"{path}{end}") for path in status for end in ("", ".label", ".name", ".libelle", ".code")]
    listed = {normalise_path(path): values for path, values in enums.items()}
    values = next((listed[place] for place in places if place in listed), ())
    known = {fold(one.label) for one in seen}
    shown = [value for value in values if fold(value) not in known and _may_be_shown(value, _LONGEST_LABEL)]
    return seen + tuple(SurveyedLabel(value, 0, 0) for value in shown[:_MOST_LABELS])


def past_labels_of(leads: Sequence[Lead], fold: Fold) -> tuple[str, ...]:
    """Return the labels that occur only in histories and may be shown; none if there are too many."""
    present = {fold(lead.label) for lead in leads if lead.label is not None}
    past = Counter(entry.label for lead in leads for entry in lead.history if fold(entry.label) not in present)
    shown = sorted(label for label in {*_spellings(past, fold).values()} if _may_be_shown(label, _LONGEST_LABEL))
    return tuple(shown) if len(shown) <= _MOST_LABELS else ()


def _spellings(counts: Mapping[str, int], fold: Fold) -> dict[str, str]:
    """Map each text to the commonest spelling of its fold, with whitespace collapsed and in NFC."""
    best: dict[str, str] = {}
    for text in sorted(counts, key=lambda text: -counts[text]):
        best.setdefault(fold(text), unicodedata.normalize("NFC", " ".join(text.split())))
    return {text: best[fold(text)] for text in counts}


def few_values_of(tree: Tree, leads: Sequence[object], skipped: frozenset[str], fold: Fold) -> tuple[FewValues, ...]:
    """Return the fields with only a few distinct values, consents first.

    `tree` is the tree of `leads`; `skipped` holds the normalised paths whose meaning is known, such as contact data.
    """
    every = (_few(path, leads, fold) for path in _single_values(tree, skipped) if not _is_amount_name(path))
    return tuple(sorted(filter(None, every), key=lambda one: not one.consent))


def with_specified_answers(seen: tuple[FewValues, ...], enums: Mapping[str, tuple[str, ...]]) -> tuple[FewValues, ...]:
    """Return the fields with few values, with the answers to a consent that a specification lists and no lead gave."""
    by_path = {normalise_path(one.path): one for one in seen}
    completed: dict[str, FewValues] = {}
    for path, values in enums.items():
        if any(part in leaf(path) for part in CONSENT_PARTS):
            one = by_path.get(normalise_path(path), FewValues(path, {}, consent=True))
            shown = [value for value in values if _may_be_shown(value, _LONGEST_CHANNEL)][: _FEW + 1]
            counts = {**dict.fromkeys(shown, 0), **one.values}
            granted, refused = ([text for text in counts if normalise(text) in words] for words in (_GRANTED, _REFUSED))
            proposes = not any(part in leaf(path) for part in _OTHER_WAY_ROUND)
            answers = (tuple(granted), tuple(refused)) if proposes else ((), ())
            completed[normalise_path(path)] = FewValues(one.path, counts, True, *answers)
    rest = tuple(one for one in seen if normalise_path(one.path) not in completed)
    return (*completed.values(), *rest)


def amounts_of(
    tree: Tree, leads: Sequence[object], readable: Readable, skipped: frozenset[str]
) -> tuple[AmountSeen, ...]:
    """Return the fields that may hold the amount of a sale, even if they are empty on all of these leads."""
    seen = []
    for path in filter(_is_amount_name, _single_values(tree, skipped)):
        values = [next((one for one in find(lead, path) if isinstance(one, str | Decimal)), None) for lead in leads]
        present = [value for value in values if value is not None]
        if not present or any(isinstance(value, Decimal) or _HAS_AMOUNT.search(value) for value in present):
            read = sum(map(readable, present))
            seen.append(AmountSeen(path, read, len(present) - read, len(leads) - len(present)))
    return tuple(seen)


def _single_values(tree: Tree, skipped: frozenset[str]) -> Iterator[str]:
    """Yield the paths of scalar values outside every skipped path."""
    for path, node in tree.items():
        is_below = any(f"{normalise_path(path)}.".startswith(f"{one}.") for one in skipped)
        if not (is_below or node.is_listed or any(isinstance(value, Mapping | list) for value in node.every())):
            yield path


def _few(path: str, leads: Sequence[object], fold: Fold) -> FewValues | None:
    firsts = (next(filter(None, map(text_of, find(lead, path))), None) for lead in leads)
    texts = [text for text in firsts if text]
    spelt, name = _spellings(Counter(texts), fold), leaf(path)
    counts = Counter(spelt[text] for text in texts)
    if not counts:
        return None
    answers = sum(count for text, count in counts.items() if normalise(text) in _CONSENT_WORDS)
    consent = any(part in name for part in CONSENT_PARTS) or answers >= counts.total() / 2
    if not consent and (len(counts) > _FEW or len(leads) < _ENOUGH or len(counts) > len(leads) / 3):
        return None
    shown: Counter[str] = Counter()
    for text, count in counts.items():
        shown[_shown(text, count, is_channel=name in _CHANNELS)] += count
    if not consent and all(text.startswith("<") for text in shown):
        return None
    if empty := len(leads) - counts.total():
        shown[""] = empty
    proposes = consent and not any(part in name for part in _OTHER_WAY_ROUND)
    granted, refused = (
        tuple(text for text, _ in shown.most_common() if proposes and normalise(text) in words)
        for words in (_GRANTED, _REFUSED)
    )
    return FewValues(path, dict(shown.most_common(_FEW + 1)), consent, granted, refused)


def _shown(text: str, count: int, *, is_channel: bool) -> str:
    """Return a value that may be shown, else its shape in angle brackets."""
    if normalise(text) in _ANSWERS or _NUMBER.fullmatch(text):
        return text
    if is_channel and count >= _SHARED and _may_be_shown(text, _LONGEST_CHANNEL):
        return text
    return f"<{shape(text)}>"


def _may_be_shown(text: str, longest: int) -> bool:
    return len(text) <= longest and "@" not in text and text.isprintable() and not _PERSONAL_DIGITS.search(text)


def _is_amount_name(path: str) -> bool:
    name = leaf(path)
    if name in _NOT_AMOUNTS or name.startswith(("id", "date")) or name.endswith(("id", "date", "at", "currency")):
        return False
    return any(part in name for part in AMOUNT_PARTS)


_ROUND = (32, 40, 45, 50, 60, 63, 64, 80, 99, 100, 120, 127, 128, 150, 191, 200, 250, 254, 255, 256)
"""Lengths to which database columns and forms commonly truncate."""
_MANY_CUT, _SHARE_CUT = 3, 0.1
_LONG_ENOUGH_TO_JUDGE, _LETTERS_TO_JUDGE = 24, 15
_MANY_LOWER = 2
_SHORTEST = {ClickIdKind.GCLID: 30, ClickIdKind.FBCLID: 30, ClickIdKind.GBRAID: 20, ClickIdKind.WBRAID: 20}
"""Real click ids are far longer than this."""
_SOURCE = re.compile(r"[A-Za-z0-9_. -]{1,30}")
_DIGITS = re.compile(r"\d{5,}")
_KNOWN_SOURCES = frozenset({"google", "facebook", "instagram", "meta", "bing", "tiktok", "linkedin", "fb", "ig"})


def sources_of(leads: Sequence[Lead]) -> tuple[SourceSeen, ...]:
    """Return the kinds of click ids by `utm_source`, commonest source first."""
    counts = Counter(lead.utm.source or "" for lead in leads)
    shown: defaultdict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        source = lead.utm.source or ""
        is_shared = counts[source] >= _SHARED and _SOURCE.fullmatch(source) and not _DIGITS.search(source)
        may_be_shown = not source or source.casefold() in _KNOWN_SOURCES or is_shared
        shown[source if may_be_shown else f"<{shape(source)}>"].append(lead)
    seen = []
    for source, group in sorted(shown.items(), key=lambda one: -len(one[1])):
        kinds = Counter(kind.value for lead in group for kind in {one.kind for one in lead.click_ids})
        undecided = sum(lead.click_id_problem is not None for lead in group)
        seen.append(SourceSeen(source, len(group), dict(kinds.most_common()), undecided))
    return tuple(seen)


def suspicions_of(leads: Sequence[Lead], answers: Sequence[object], paths: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each sign that click ids were damaged in transit.

    `answers` is the JSON of the same leads, and `paths` the paths of click ids in it.
    """
    texts = [text for lead in answers for path in paths for text in find(lead, path) if isinstance(text, str)]
    lengths = Counter(map(len, texts))
    length = max(lengths, default=0)
    count = lengths[length]
    if length in _ROUND and count >= (_MANY_CUT if len(lengths) == 1 else max(_MANY_CUT, _SHARE_CUT * len(texts))):
        yield (
            f"Click ids look cut short: {count} of {len(texts)} values are exactly {length} characters long and none "
            "is longer. Make the field in your form or in Oplead longer; an id that is cut matches no click."
        )
    ids = [one for lead in leads for one in lead.click_ids if one.kind in _SHORTEST]
    short = [one for one in ids if len(one.value) < _SHORTEST[one.kind]]
    if len(short) >= _MANY_CUT:
        yield (
            f"{len(short)} of {len(ids)} click ids are shorter than any real one: they are cut, or somebody's test "
            "values."
        )
    texts = [one.value for one in ids if len(one.value) >= _LONG_ENOUGH_TO_JUDGE]
    judged = [text for text in texts if sum(map(str.isalpha, text)) >= _LETTERS_TO_JUDGE]
    lower = [text for text in judged if text == text.lower()]
    if len(lower) >= _MANY_LOWER:
        yield (
            f"{len(lower)} of {len(judged)} click ids have no capital letter: something on the way writes them in "
            "lower case. Google and Meta tell A from a, so none of these will match."
        )
