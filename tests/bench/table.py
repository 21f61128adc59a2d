"""The figures as tables: for a terminal, and in Markdown for the pages of the documentation."""

import os
import platform
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import BY_LEDGER, FIGURES, Spread

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"en": DOCS / "performance.md", "fr": DOCS / "fr" / "performances.md"}
WORDS = {
    "en": {
        "what": "what", "target": "target", "median": "median", "range": "min–max", "runs": "runs", "met": "met",
        "base": "before", "gain": "times better", True: "yes", False: "**no**", None: "", "ledger": "leads on record",
        "idle": "idle night", "memory": "memory",
    },
    "fr": {
        "what": "quoi", "target": "objectif", "median": "médiane", "range": "min–max", "runs": "mesures",
        "met": "atteint", "base": "avant", "gain": "fois mieux", True: "oui", False: "**non**", None: "",
        "ledger": "leads au registre", "idle": "nuit sans changement", "memory": "mémoire",
    },
}  # fmt: skip
UNITS = {"leads/s": "leads/s", "a second": "/s", "cores": "cœurs", "MB": "Mo"}
"""French units, where they differ."""


@dataclass(frozen=True)
class Results:
    """The measurements of one or two revisions, by the key of their figure."""

    here: dict
    base: dict | None = None

    def spread(self, key, *, base=False):
        """Sum up one figure, or return None if it was not measured."""
        values = ((self.base or {}) if base else self.here).get(key)
        if values and key == "memory":
            values = [max(values)]  # the most that any run has used
        return Spread.of(values) if values else None


def rows(results, language):
    """Yield the table's head, then a row for each figure that was measured."""
    words, two = WORDS[language], results.base is not None
    yield [
        words["what"], words["target"], *([words["base"]] if two else []), words["median"], words["range"],
        words["runs"], words["met"], *([words["gain"]] if two else []),
    ]  # fmt: skip
    for key, figure in FIGURES.items():
        here = results.spread(key)
        if here is None:
            continue
        base, more = results.spread(key, base=True), []
        if two:
            gain = figure.gain(base, here) if base else None
            more = ["" if gain is None else number(gain, 1, language)]
        unit = figure.unit if language == "en" else UNITS.get(figure.unit, figure.unit)
        sign = "≥" if figure.more_is_better else "≤"
        yield [
            figure.what if language == "en" else figure.quoi,
            "" if figure.target is None else f"{sign} {trimmed(figure.target, language)} {unit}",
            *([f"{number(base.median, figure.digits, language)} {unit}" if base else ""] if two else []),
            f"{number(here.median, figure.digits, language)} {unit}",
            f"{number(here.least, figure.digits, language)}–{number(here.most, figure.digits, language)}",
            str(here.count),
            words[figure.is_met(here)],
            *more,
        ]


def curve_rows(results, language):
    """Yield the head of the table of ledgers, then a row for each size; nothing if none was measured."""
    words = WORDS[language]
    sizes = sorted({key[1] for key in results.here if isinstance(key, tuple)})
    if not sizes:
        return
    names = [name.replace("idle", words["idle"]).replace("memory", words["memory"]) for name in BY_LEDGER]
    yield [words["ledger"], *names]
    for leads in sizes:
        yield [number(leads, 0, language), *(curve_cell(results, name, leads, language) for name in BY_LEDGER)]


def curve_cell(results, name, leads, language):
    """One figure of a ledger of one size; of two revisions, both."""
    unit = BY_LEDGER[name] if language == "en" else UNITS.get(BY_LEDGER[name], BY_LEDGER[name])
    spreads = [results.spread((name, leads), base=True), results.spread((name, leads))]
    digits = 0 if unit.startswith("M") else 2
    return " → ".join(f"{number(one.median, digits, language)} {unit}" for one in spreads if one)


def number(value, digits, language):
    """A number as people of a language write it."""
    text = f"{round(value, digits) + 0.0:,.{digits}f}"  # a zero, not "-0"
    return text if language == "en" else text.replace(",", " ").replace(".", ",")


def trimmed(value, language):
    """A target, with the decimals it has."""
    return number(value, 0 if float(value).is_integer() else 1, language)


def plain(table):
    """Lines for a terminal; the first column is aligned left, the others right."""
    table = [[cell.replace("**", "").replace("`", "") for cell in row] for row in table]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))] if table else []
    for row in table:
        first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        aligned = (cell.strip().rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join((first, *aligned)).rstrip()


def markdown(table):
    """Lines of a Markdown table."""
    head, *others = table
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in others:
        yield f"| {' | '.join(row)} |"


def machine(language):
    """What the figures were measured on, without any name."""
    cpus = re.findall(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = cpus[0] if cpus else platform.machine()
    cores = os.cpu_count()
    with_ = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    if language == "fr":
        return f"{cores} cœurs ({model}), {with_}"
    return f"{cores} cores ({model}), {with_}"


def printed(results):
    """Yield the lines of everything that was measured."""
    yield machine("en")
    for table in (list(rows(results, "en")), list(curve_rows(results, "en"))):
        yield ""
        yield from plain(table)


def write_pages(results, size, day):
    """Write the tables of the documentation's pages anew."""
    for language, page in PAGES.items():
        text = page.read_text(encoding="utf-8")
        on = {
            "en": f"Measured on {day} with `SIZE={size}`: {machine('en')}.",
            "fr": f"Mesuré le {day} avec `SIZE={size}` : {machine('fr')}.",
        }[language]
        text = replaced(text, "figures", [on, "", *markdown(list(rows(results, language)))])
        curve = list(curve_rows(results, language))
        page.write_text(replaced(text, "ledgers", list(markdown(curve))) if curve else text, encoding="utf-8")


def replaced(text, name, lines):
    """A page's text with other lines between the two marks of a name."""
    begin, end = f"<!-- measured: {name} -->\n", "<!-- end -->"
    before, mark, after = text.partition(begin)
    _, closing, rest = after.partition(end)
    if not (mark and closing):
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{begin}\n{chr(10).join(lines)}\n\n{end}{rest}"
