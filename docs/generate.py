"""Writes the generated parts of docs/: settings, JSON output, states, reasons, codes, notices, data sent, assumptions.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the text around it is written by hand,
but for how many assumptions are confirmed.
`make docs` runs this; `--check` writes nothing and exits with 1 if a page is out of date.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

import data_sent
from annotations import DEFAULTS, EXAMPLES, NOTIFIED_WHEN
from pydantic import AnyUrl, BaseModel
from pydantic.fields import FieldInfo

from connectors.language import Language, _, _n, current_language, format_integer, using_language
from connectors.oplead.options import CANDIDATES
from jobs.claims import all_claims, count_confirmed
from jobs.reporting.page.tables import TABLES
from jobs.reporting.wording.incidents import INCIDENTS
from jobs.reporting.wording.messages import ANOMALY_TITLES, FINDING_TITLES, MESSAGES, NEW_LINE, MessagePart
from jobs.reporting.wording.platform_codes import PLATFORM_CODES, SETTINGS_CODES
from jobs.reporting.wording.reasons import REASONS, STATES, StateAndReasonTexts
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import IncidentKind
from jobs.rules.reasons import Reason
from jobs.settings import oplead_schema, schema
from jobs.settings.meanings import meaning_of_setting
from jobs.settings.oplead_schema import FieldSettings
from jobs.settings.schema import DestinationSettings

DOCS = Path(__file__).parent
PAGES = (
    "settings.md",
    "reasons.md",
    "json.md",
    "report.md",
    "data-sent.md",
    "not-verified.md",
    "../README.md",
    "../README.fr.md",
    "fr/non-verifie.md",
    "fr/rapport.md",
    "fr/motifs.md",
    "fr/donnees-transmises.md",
)
_PART = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_COUNT = re.compile(
    r"\d+ of \d+ assumptions confirmed(?: \([\d-]+\))?|Hypothèses confirmées : \d+ sur \d+(?: \([\d-]+\))?"
)
_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def generated(page: str) -> str:
    """A page with its generated parts as they should be."""
    text = (DOCS / page).read_text(encoding="utf-8")
    is_french = page.startswith("fr/") or page.endswith(".fr.md")
    with using_language(Language.FRENCH if is_french else Language.ENGLISH):
        text = _PART.sub(lambda found: f"{found[1]}\n{_part(found[2])}\n{found[3]}", text)
        return _COUNT.sub(_confirmed(), text)


def _part(name: str) -> str:
    kind, _, about = name.partition(" ")
    rows = _PARTS[kind](about)
    return "\n".join([*_table(*rows), ""])


def _table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield _row(header)
    yield _row(["---"] * len(header))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


# ── settings ─────────────────────────────────────────────────────────────────────────────────────

DocumentTable = tuple[Sequence[str], Iterator[Sequence[str]]]


def _keys(name: str) -> DocumentTable:
    model = getattr(schema, name, None) or getattr(oplead_schema, name)
    return ("key", "default", "meaning", "example"), _keys_of(model)


def _keys_of(model: type[BaseModel]) -> Iterator[Sequence[str]]:
    inherits = model is not DestinationSettings and issubclass(model, DestinationSettings)
    for key, field in model.model_fields.items():
        if not (inherits and key in DestinationSettings.model_fields):
            place, meaning = (model.__name__, key), meaning_of_setting(model, key) or ""
            default = DEFAULTS.get(place) or _default(field)
            if model is FieldSettings:
                default = ", ".join(f"`{path}`" for path in getattr(CANDIDATES, key)) or "none"
            yield f"`{key}`", default, f"{meaning}{_choices(field, meaning)}", f"`{EXAMPLES[model.__name__][key]}`"


def _choices(field: FieldInfo, meaning: str) -> str:
    """The words a key may have, unless its meaning names them all."""
    literals = [one for one in (field.annotation, *get_args(field.annotation)) if get_origin(one) is Literal]
    words = [f"`{word}`" for one in literals for word in get_args(one)]
    if not words or all(word in meaning for word in words):
        return ""
    return f" One of {', '.join(words)}."


def _default(field: FieldInfo) -> str:
    """A key's default as somebody would write it, or that it is required."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    match default:
        case None | () | {} | "":
            return "none"
        case BaseModel():
            return "see its keys"
        case timedelta():
            return f"`{_span(default)}`"
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return ", ".join(f"`{one}`" for one in default)
        case AnyUrl():
            return f"`{str(default).rstrip('/')}`"
    return f"`{default}`"


def _span(span: timedelta) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if not span % size)
    return f"{span // size} {unit}"


# ── states, reasons, codes, notifications ────────────────────────────────────────────────────────


_HEADERS = {
    Language.ENGLISH: ("on screen", "what it means", "what to do"),
    Language.FRENCH: ("à l'écran", "ce que cela veut dire", "que faire"),
}
_SEE_REASON = {Language.ENGLISH: "See its reason.", Language.FRENCH: "Voir le motif."}
_FIRST_COLUMNS = {"state": "état", "reason": "motif", "code": "code"}


def _header(first: str) -> Sequence[str]:
    language = current_language()
    return (first if language is Language.ENGLISH else _FIRST_COLUMNS[first], *_HEADERS[language])


def _states(_about: str) -> DocumentTable:
    return _header("state"), ((f"`{state}`", *_columns(STATES[state])) for state in DeliveryState)


def _reasons(codes: str) -> DocumentTable:
    """All reasons, or those named."""
    chosen = map(Reason, codes.split()) if codes else REASONS
    return _header("reason"), ((f"`{code}`", *_columns(REASONS[code])) for code in chosen)


def _codes(_about: str) -> DocumentTable:
    rows = {**PLATFORM_CODES, **{(code,): words for code, words in SETTINGS_CODES.items()}}
    return _header("code"), (
        (", ".join(f"`{code}`" for code in codes), *_columns(words)) for codes, words in rows.items()
    )


def _columns(words: StateAndReasonTexts) -> tuple[str, str, str]:
    return words.short, words.means, words.todo or _SEE_REASON[current_language()]


_MANY = 987_654
"""Shown as N."""
_SHOWN = {"about": "X", "where": "X", "share": "N %", "usual": "N %"}
_NUMBERS = ("accepted", "rejected", "damaged", "days", "length", "nights", "now", "sends", "then", "count")


class _Placeholders(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return "N" if name in _NUMBERS else _SHOWN.get(name, "…")


def _show(parts: Sequence[MessagePart]) -> str:
    """A text with placeholders for its values, in the plural; what may be left out is."""
    return " ".join(_show_part(part) for part in parts if not part.given and part != NEW_LINE)


def _show_part(part: MessagePart) -> str:
    if isinstance(part.message, str):
        return _(part.message).format_map(_Placeholders())
    names = {name for message in part.message for name in re.findall(r"{(\w+)}", message)} - {"count"}
    text = _n(*part.message, _MANY, **{name: _Placeholders()[name] for name in names})
    return text.replace(format_integer(_MANY), "N")


def _notifications(_about: str) -> DocumentTable:
    rows = (
        (f"*{_show(notice.title)}*", NOTIFIED_WHEN[kind], _show(notice.text))
        for kind, notice in INCIDENTS.items()
        if kind not in (IncidentKind.ANOMALY, IncidentKind.FINDING)
    )
    return ("notification", "when", "what it says"), rows


def _anomalies(_about: str) -> DocumentTable:
    return ("notification", "what it says"), (
        (f"*{_(title)}*", _show(MESSAGES[message])) for message, title in {**ANOMALY_TITLES, **FINDING_TITLES}.items()
    )


# ── JSON output ──────────────────────────────────────────────────────────────────────────────────

_OUTPUT = json.loads((DOCS / "output.schema.json").read_text(encoding="utf-8"))["$defs"]


def _output(name: str) -> DocumentTable:
    record = _OUTPUT[name]
    return ("key", "type", "meaning"), (
        (f"`{key}`" if key in record["required"] else f"`{key}` (optional)", _type(schema), schema["description"])
        for key, schema in record["properties"].items()
    )


def _type(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#{name.replace('_', '-')})"
        case {"enum": list(words)}:
            return ", ".join(f"`{word}`" for word in words)
        case {"anyOf": list(either)}:
            return " or ".join(map(_type, either))
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": values}:
            return f"map to {_type(values)}"
        case {"format": form}:
            return {"date-time": "time", "date": "day", "decimal": "amount"}[form] + (
                " or null" if "null" in schema["type"] else ""
            )
        case {"type": list(kinds)}:
            return " or ".join(kinds)
    return str(schema["type"])


# ── the report's files ───────────────────────────────────────────────────────────────────────────


def _report(name: str) -> DocumentTable:
    """The columns of a table, or all tables, in the language of the page."""
    language, _space, table = name.partition(" ")
    with using_language(Language(language)):
        if not table:
            return _REPORT[language], iter([(f"`{each.name}`", _(each.means)) for each in TABLES])
        (columns,) = [each.columns for each in TABLES if each.name == table]
        return _REPORT[language], iter([(f"`{column.name}`", _(column.means)) for column in columns])


_REPORT = {"en": ("name", "meaning"), "fr": ("nom", "sens")}


# ── what is assumed ──────────────────────────────────────────────────────────────────────────────

_ASSUMED = {
    Language.ENGLISH: ("assumption", "what settles it"),
    Language.FRENCH: ("hypothèse", "ce qui permettrait de trancher"),
}


def _claims(platform: str) -> DocumentTable:
    rows = (claim.words for claim in all_claims().values() if claim.platform == platform)
    return _ASSUMED[current_language()], rows


def _confirmed() -> str:
    """How many assumptions have been confirmed, and when last."""
    claims = all_claims().values()
    confirmed, last = count_confirmed(claims)
    day = f" ({last})" if last else ""
    if current_language() is Language.FRENCH:
        return f"Hypothèses confirmées : {confirmed} sur {len(claims)}{day}"
    return f"{confirmed} of {len(claims)} assumptions confirmed{day}"


# ── what platforms receive ───────────────────────────────────────────────────────────────────────


def _sent(message: str) -> DocumentTable:
    language = current_language()
    return [getattr(column, language) for column in data_sent.HEADER], data_sent.rows(message, language)


_PARTS: Mapping[str, Callable[[str], DocumentTable]] = MappingProxyType(
    {
        "keys": _keys,
        "states": _states,
        "reasons": _reasons,
        "codes": _codes,
        "notifications": _notifications,
        "anomalies": _anomalies,
        "output": _output,
        "report": _report,
        "sent": _sent,
        "claims": _claims,
    }
)


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` name those that are out of date."""
    written = {page: generated(page) for page in PAGES}
    stale = [page for page, text in written.items() if text != (DOCS / page).read_text(encoding="utf-8")]
    for page in stale:
        if "--check" in arguments:
            sys.stderr.write(f"docs/{page} is out of date: run `make docs`\n")
        else:
            (DOCS / page).write_text(written[page], encoding="utf-8")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
