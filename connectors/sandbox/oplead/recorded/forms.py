"""Values in the forms that an account was seen to use; pure functions."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from connectors.sandbox.oplead.leads.rendering import (
    ZONE,
    parse_lead_time,
    status_code_and_number,
    wire_amount,
    wire_date,
)
from connectors.sandbox.oplead.recorded.dialect import ConsentAnswers, Tree, kinds_of, names_in
from connectors.sandbox.oplead.shape import ApiShape

OMITTED: Final = object()
"""In place of a value that has no place: its name is left out."""
SOME_TIME: Final = "2026-01-01 00:00:00"
_TIME: Final = ("date ", "epoch ")
_PHP: Final = {"date", "timezone_type", "timezone"}
_CLOCK: Final = re.compile(r"(?P<clock>.*:.*?)(?P<zone>Z|[+-]00:?(?:00)?)")
_INVENTED: Final = {
    "": None,
    "deeper": None,
    "null": None,
    "boolean": False,
    "integer": 3,
    "decimal": 1.5,
    "empty": "",
    "text": "texte",
    "number in text": "12",
    "UUID": "00000000-0000-4000-8000-000000000000",
    "URL": "https://www.example.org/",
    "e-mail": "personne@example.org",
}
_YES, _NO = "oui", "non"


def invented(leaf: str, moment: str) -> object:
    """Return some value of the commonest kind; a time is this one."""
    kind = kinds_of(leaf)[0]
    return written_date(moment, leaf) if kind.startswith(_TIME) else _INVENTED[kind]


def enveloped(tree: Tree) -> object:
    """Return what stands around a lead on its page: nothing went wrong."""
    match tree:
        case dict():
            return {name: enveloped(inner) for name, inner in names_in(tree).items()}
        case list():
            return []
    return True if kinds_of(tree)[0] == "boolean" else invented(tree, SOME_TIME)


def absent(tree: Tree) -> object:
    """Return how a missing value is shown."""
    if not isinstance(tree, str):
        return [] if isinstance(tree, list) else OMITTED
    kinds = kinds_of(tree)
    return None if "null" in kinds else "" if "empty" in kinds else OMITTED


def is_php_date(tree: Tree) -> bool:
    """Whether an object is a time as PHP serialises it."""
    return isinstance(tree, dict) and "date" in tree and tree.keys() <= _PHP


def written_date(value: object, tree: Tree) -> object:
    """Return an untranslated time in the recorded form; an unreadable one stays as it is."""
    if is_php_date(tree):
        return wire_date(value, ApiShape(dates="php"))
    moment = parse_lead_time(value)
    form = next((kind for kind in kinds_of(tree) if kind.startswith(_TIME)), None)
    if moment is None or form is None:
        return value
    if form.startswith("epoch"):
        return int(moment.timestamp()) * (1000 if form == "epoch ms" else 1)
    return like_pattern(moment, form.removeprefix("date "))


def like_pattern(moment: datetime, pattern: str) -> str:
    """Return a time as a pattern has it, in which each digit is a 0: `00/00/0000 00:00`."""
    timed = _CLOCK.fullmatch(pattern)
    clock, zone = (timed["clock"], timed["zone"]) if timed else (pattern, "")
    local = moment.astimezone(UTC if zone == "Z" else ZONE)
    day = (local.year, local.month, local.day) if re.match("0000", clock) else (local.day, local.month, local.year)
    parts = iter((*day, local.hour, local.minute, local.second))
    written = re.sub("0+", lambda run: str(next(parts, 0)).zfill(len(run[0]))[-max(2, len(run[0])) :], clock)
    return written + (zone if zone in ("", "Z") else _offset(local, zone))


def _offset(local: datetime, pattern: str) -> str:
    text = local.strftime("%z")
    return f"{text[:3]}:{text[3:]}" if ":" in pattern else text[: len(pattern)]


def written_amount(value: object, leaf: str) -> object:
    """Return an amount as a number where it was one, else as people type it."""
    kinds = kinds_of(leaf)
    if not {"decimal", "integer"} & {*kinds}:
        return value
    number = wire_amount(value, ApiShape(amounts="number"))
    return absent(leaf) if number is None else number


def written_text(value: object, leaf: str) -> object:
    """Return a text, as a number where only numbers were seen."""
    kinds = {*kinds_of(leaf)} - {"null", "empty"}
    return int(value) if kinds == {"integer"} and isinstance(value, str) and value.isdecimal() else value


def written_id(value: object, leaf: str) -> object:
    """Return an id, which a lead has in the right form but for its type."""
    return value if "integer" in kinds_of(leaf) else str(value)


def written_status(label: object, leaf: str, *, is_code: bool) -> object:
    """Return a status's label, or its code in the recorded type."""
    kinds = kinds_of(leaf)
    code, number = status_code_and_number(str(label))
    if "integer" in kinds:
        return number
    if "number in text" in kinds and "text" not in kinds:
        return str(number)
    return code if is_code else label


def written_consent(value: object, leaf: str, answers: ConsentAnswers) -> object:
    """Return an answer in the account's words; what is neither yes nor no stays, where there is room for words."""
    said = str(value).strip().casefold()
    word = next(iter({_YES: answers.granted, _NO: answers.refused}.get(said, ())), None)
    kinds = kinds_of(leaf)
    if word is None:
        return value if "text" in kinds else absent(leaf)
    if "boolean" in kinds:
        return word.casefold() == "true"
    return int(word) if "integer" in kinds and word.isdecimal() else word


def plain_consent(value: object, answers: ConsentAnswers) -> object:
    """Return an answer in the sandbox's own words."""

    def says(words: Sequence[str]) -> bool:
        return str(value).casefold() in map(str.casefold, words)

    return _YES if says(answers.granted) else _NO if says(answers.refused) else value
