"""Summarise the labels, answers and amounts in leads by shape and count; no personal value is kept. Pure."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from connectors.oplead.options import Paths
from connectors.oplead.parsing.field_tree import (
    AMOUNT_PARTS,
    CONSENT_PARTS,
    Tree,
    last_path_part,
    normalise,
    normalise_field_path,
)
from connectors.oplead.parsing.fields import STATUS_KEYS, shape, text_of, values_at_path
from connectors.past_statuses import CodesOfHistories
from connectors.records import Lead
from connectors.survey import AmountPath, PathWithFewValues, SurveyedLabel

Readable = Callable[[str | Decimal], bool]
"""Returns whether an amount can be read unambiguously."""
Fold = Callable[[str], str]
"""Folds a label or an answer for comparison: those that fold alike are the same."""

_OTHER_WAY_ROUND = ("optout", "refus", "oppos", "desabonn", "desinscri", "unsubscri")
"""Substrings of the name of a field in which yes means refusal."""
_YES_WORDS = frozenset(
    {"accepte", "acceptee", "accepted", "accept", "accord", "daccord", "jaccepte", "agreed"}
    | {"consenti", "consent", "granted", "optin"}
)
_NO_WORDS = frozenset(
    {"refuse", "refusee", "refused", "refus", "jerefuse", "pasdaccord", "denied", "declined", "noconsent", "optout"}
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
_VERY_FEW = range(2, 5)
"""So few texts in so many leads are answers to choose from, though they are masked: it may be a consent."""
_ENOUGH = 10
_LONGEST_LABEL, _LONGEST_CHANNEL = 60, 40
_MOST_LABELS = 40
_PERSONAL_DIGITS = re.compile(r"(?:\d[\s.-]?){5,}")
_NUMBER = re.compile(r"-?(?:\d{1,6}|\d{1,3} \d{3})(?:[.,]\d{1,4})?(?: ?(?:€|eur))?", re.IGNORECASE)
_HAS_AMOUNT = re.compile(r"\d")
_NOT_AMOUNTS = frozenset({"id", "date", "at", "currency", "devise", "tax", "tva", "count", "page"})
_SAID_OF_AMOUNTS = re.compile(
    r"tax|tva|vat|taux|rate|le$|depuis|since|numero|number|ref|code|label|libelle|nom|name|type"
)
"""How names begin of what an object may say of its amount."""
_SEVERAL_KINDS = "valeur"
"""What may hold more than amounts."""
SHARED = 2
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
    found = [
        SurveyedLabel(name, count, shown_ids[name, masked], masked) for (name, masked), count in shown.most_common()
    ]
    ids = {fold(lead.label): lead.id for lead in leads if lead.label is not None}
    return tuple(replace(one, example=ids.get(fold(one.label), "")) if one.is_code else one for one in found)


def with_codes(
    seen: tuple[SurveyedLabel, ...], leads: Sequence[Lead], codes: CodesOfHistories, fold: Fold
) -> tuple[SurveyedLabel, ...]:
    """Return the labels with what else leads and histories call them, as far as it may be shown."""
    names: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for lead in leads:
        names[fold(lead.label or "")] |= dict.fromkeys(filter(may_be_shown_as_label, lead.also_called))
    # What the reader hides already is a shape, too.
    past = {text: code for text, code in codes.by_text.items() if may_be_shown_as_label(code) and code[0] != "<"}
    return tuple(
        one
        if one.masked or one.label.startswith("<")
        else replace(one, also_called=(*names[fold(one.label)],), past_code=past.get(fold(one.label), ""))
        for one in seen
    )


def shown_unclear_codes(
    codes: CodesOfHistories, labels: Sequence[SurveyedLabel], fold: Fold
) -> Mapping[str, tuple[str, ...]]:
    """Return, as they may be shown, the codes of histories that no label has for its own, and the texts beside them."""
    known = {fold(one.label): one for one in labels}
    hidden = {code: (text,) for text, code in codes.by_text.items() if text not in known or not known[text].past_code}
    shown: dict[str, tuple[str, ...]] = {}
    for code, texts in {**codes.unclear, **hidden}.items():
        name = code if may_be_shown_as_label(code) else f"<{shape(code)}>"
        found = (known[fold(text)].label for text in texts if fold(text) in known)
        shown[name] = tuple(dict.fromkeys((*shown.get(name, ()), *found)))
    return shown


def shown_statuses(statuses: Sequence[str | None], labels: Sequence[SurveyedLabel], fold: Fold) -> Sequence[str]:
    """Return each lead's status as it may be shown, or an empty text."""
    shown = {fold(one.label): one.label for one in labels if not one.masked}
    return [shown.get(fold(status or ""), "") for status in statuses]


def with_labels_from_specification(
    seen: tuple[SurveyedLabel, ...], enums: Mapping[str, tuple[str, ...]], status: Paths, fold: Fold
) -> tuple[SurveyedLabel, ...]:
    """Return the labels seen, and those that a specification lists but no lead has."""
    ends = ("", *(f".{key}" for key in STATUS_KEYS))
    places = [normalise_field_path(f"{path}{end}") for path in status for end in ends]
    listed = {normalise_field_path(path): values for path, values in enums.items()}
    values = next((listed[place] for place in places if place in listed), ())
    known = {fold(one.label) for one in seen}
    shown = [value for value in values if fold(value) not in known and _may_be_shown(value, _LONGEST_LABEL)]
    return seen + tuple(SurveyedLabel(value, 0, 0) for value in shown[:_MOST_LABELS])


def labels_only_in_histories(leads: Sequence[Lead], fold: Fold) -> tuple[str, ...]:
    """Return the labels that occur only in histories and may be shown; none if there are too many."""
    present = {fold(lead.label) for lead in leads if lead.label is not None}
    past = Counter(entry.label for lead in leads for entry in lead.history if fold(entry.label) not in present)
    shown = sorted(label for label in {*_spellings(past, fold).values()} if _may_be_shown(label, _LONGEST_LABEL))
    return tuple(shown) if len(shown) <= _MOST_LABELS else ()


def may_be_shown_as_label(text: str) -> bool:
    """Whether a status's label may be shown: it reads as no personal data."""
    return _may_be_shown(text, _LONGEST_LABEL)


def _spellings(counts: Mapping[str, int], fold: Fold) -> dict[str, str]:
    """Map each text to the commonest spelling of its fold, with whitespace collapsed and in NFC."""
    best: dict[str, str] = {}
    for text in sorted(counts, key=lambda text: -counts[text]):
        best.setdefault(fold(text), unicodedata.normalize("NFC", " ".join(text.split())))
    return {text: best[fold(text)] for text in counts}


def fields_with_few_values(
    tree: Tree, leads: Sequence[object], skipped: frozenset[str], fold: Fold
) -> tuple[PathWithFewValues, ...]:
    """Return the fields with only a few distinct values, consents first.

    `tree` is the tree of `leads`; `skipped` holds the normalised paths whose meaning is known, such as contact data.
    """
    every = (
        _path_with_few_values(path, leads, fold) for path in _single_values(tree, skipped) if not _is_amount_name(path)
    )
    return tuple(
        sorted(
            filter(None, every),
            key=lambda one: (not one.consent, one.is_for_messages, not (one.granted or one.refused)),
        )
    )


def add_specified_consent_answers(
    seen: tuple[PathWithFewValues, ...], enums: Mapping[str, tuple[str, ...]]
) -> tuple[PathWithFewValues, ...]:
    """Return the fields with few values, with the answers to a consent that a specification lists and no lead gave."""
    by_path = {normalise_field_path(one.path): one for one in seen}
    completed: dict[str, PathWithFewValues] = {}
    for path, values in enums.items():
        if any(part in last_path_part(path) for part in CONSENT_PARTS):
            one = by_path.get(normalise_field_path(path), PathWithFewValues(path, {}, consent=True))
            shown = [value for value in values if _may_be_shown(value, _LONGEST_CHANNEL)][: _FEW + 1]
            counts = {**dict.fromkeys(shown, 0), **one.values}
            completed[normalise_field_path(path)] = PathWithFewValues(
                one.path, counts, True, *_answers(counts, last_path_part(path))
            )
    rest = tuple(one for one in seen if normalise_field_path(one.path) not in completed)
    return (*completed.values(), *rest)


def possible_amount_fields(
    tree: Tree, leads: Sequence[object], readable: Readable, skipped: frozenset[str], statuses: Sequence[str] = ()
) -> tuple[AmountPath, ...]:
    """Return the fields that may hold the amount of a sale, even if they are empty on all of these leads.

    `statuses` are those of the leads, as they may be shown.
    """
    seen = []
    for path in filter(_is_amount_name, _single_values(tree, skipped)):
        values = [
            next((one for one in values_at_path(lead, path) if isinstance(one, str | Decimal)), None) for lead in leads
        ]
        present = [value for value in values if value is not None]
        is_empty_everywhere = not tree[path].filled_count
        if is_empty_everywhere or any(isinstance(value, Decimal) or _HAS_AMOUNT.search(value) for value in present):
            read = sum(map(readable, present))
            if present and not read and not _says_amount(last_path_part(path)):
                continue
            pairs = zip(statuses, values, strict=False)
            at = Counter(status for status, value in pairs if status and value is not None)
            absent = len(leads) - len(present)
            seen.append(AmountPath(path, read, len(present) - read, absent, dict(at.most_common())))
    return tuple(seen)


def _single_values(tree: Tree, skipped: frozenset[str]) -> Iterator[str]:
    """Yield the paths of scalar values outside every skipped path."""
    for path, node in tree.items():
        is_below = any(f"{normalise_field_path(path)}.".startswith(f"{one}.") for one in skipped)
        if not (
            is_below or node.is_listed or any(isinstance(value, Mapping | list) for value in node.all_lead_values())
        ):
            yield path


def _path_with_few_values(path: str, leads: Sequence[object], fold: Fold) -> PathWithFewValues | None:
    firsts = (next(filter(None, map(text_of, values_at_path(lead, path))), None) for lead in leads)
    texts = [text for text in firsts if text]
    spelt, name = _spellings(Counter(texts), fold), last_path_part(path)
    counts = Counter(spelt[text] for text in texts)
    if not counts:
        return None
    answers = sum(count for text, count in counts.items() if normalise(text) in _CONSENT_WORDS)
    is_below_one = len(counts) <= _FEW and any(part in normalise(path) for part in CONSENT_PARTS)
    consent = is_below_one or any(part in name for part in CONSENT_PARTS) or answers >= counts.total() / 2
    if not consent and (len(counts) > _FEW or len(leads) < _ENOUGH or len(counts) > len(leads) / 3):
        return None
    shown: Counter[str] = Counter()
    for text, count in counts.items():
        shown[_value_or_shape(text, count, is_channel=name in _CHANNELS)] += count
    if not consent and len(counts) not in _VERY_FEW and all(text.startswith("<") for text in shown):
        return None
    if empty := len(leads) - counts.total():
        shown[""] = empty
    granted, refused = _answers([text for text, _ in shown.most_common()], name) if consent else ((), ())
    return PathWithFewValues(path, dict(shown.most_common(_FEW + 1)), consent, granted, refused)


def _answers(texts: Collection[str], name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts that grant a consent and those that refuse it; none of a field in which yes means refusal."""
    if any(part in name for part in _OTHER_WAY_ROUND):
        return (), ()
    granted = tuple(text for text in texts if normalise(text) in _GRANTED)
    return granted, tuple(text for text in texts if normalise(text) in _REFUSED)


def _value_or_shape(text: str, count: int, *, is_channel: bool) -> str:
    """Return a value that may be shown, else its shape in angle brackets."""
    if normalise(text) in _ANSWERS or _NUMBER.fullmatch(text):
        return text
    if is_channel and count >= SHARED and _may_be_shown(text, _LONGEST_CHANNEL):
        return text
    return f"<{shape(text)}>"


def _may_be_shown(text: str, longest: int) -> bool:
    return len(text) <= longest and "@" not in text and text.isprintable() and not _PERSONAL_DIGITS.search(text)


def _is_amount_name(path: str) -> bool:
    *above, name = map(normalise, path.split("."))
    if name in _NOT_AMOUNTS or name.startswith(("id", "date")) or name.endswith(("id", "date", "at", "currency")):
        return False
    if _says_amount(name):
        return True
    is_below_one = any(_says_amount(one) and _SEVERAL_KINDS not in one for one in above)
    return is_below_one and not _SAID_OF_AMOUNTS.match(name)


def _says_amount(name: str) -> bool:
    return any(part in name for part in AMOUNT_PARTS)
