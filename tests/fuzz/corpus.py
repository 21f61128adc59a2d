"""Invented examples of what French CRMs hold: one value per line, or one JSON file of cases."""

import json
from pathlib import Path

_FOLDER = Path(__file__).parent / "corpus"


def lines(name):
    r"""The values of a text file: `\n`, `\0` and `\u200b` stand for themselves, # begins a comment."""
    text = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row and not row.startswith("#")]
    return [json.loads('"' + row.replace('"', '\\"') + '"') if "\\" in row else row for row in rows]


def cases(name):
    """The cases of a JSON file."""
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
