"""Brings the catalogues of messages up to date with the code: `make messages`.

A new message gets an empty translation, to be written; one that is gone is removed. Run from the project's root.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po
from pydantic import BaseModel
from typer.main import get_command

from jobs.cli.app import app
from jobs.cli.help import help_texts, value_names
from jobs.settings.load import models_in
from jobs.settings.meanings import meaning_of_setting
from jobs.settings.oplead_schema import OpleadSettings
from jobs.settings.schema import Settings

FOLDER = Path("connectors/locales")
SOURCES = ("jobs", "connectors")
METHODS = [("**.py", "python"), ("**.j2", "jinja2")]
# By how many arguments there are; Babel counts one more after a trailing comma.
KEYWORDS = DEFAULT_KEYWORDS | {"_n": (1, 2), "N_": {1: (1,), 2: (1, 2), 3: (1, 2)}}
# Written by hand: Babel's header has dates, which change with every call.
HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"Plural-Forms: nplurals={catalogue.num_plurals}; plural={catalogue.plural_expr}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def messages_in_code() -> Catalog:
    """Return all messages in the code, untranslated."""
    found = Catalog()
    for source in SOURCES:
        for _file, _line, message, comments, context in extract_from_dir(source, METHODS, keywords=KEYWORDS):
            found.add(message, auto_comments=comments, context=context)
    command = get_command(app)
    for what in (*_meanings_of_required_settings(Settings), *_LINTED, *help_texts(command), *value_names(command)):
        found.add(str(what))
    return found


_LINTED = (meaning_of_setting(Settings, "oplead"), meaning_of_setting(OpleadSettings, "token"))
"""Keys with a default that are missing all the same if leads come from the API."""


def _meanings_of_required_settings(section: type[BaseModel]) -> Iterator[str]:
    """Yield what each key means that may be missing: errors say it, and the code has it in docstrings."""
    for key, field in section.model_fields.items():
        if field.is_required() and (meaning := meaning_of_setting(section, key)):
            yield meaning
        for below in models_in(field.annotation):
            yield from _meanings_of_required_settings(below)


def up_to_date(language: str) -> str:
    """Return the catalogue of a language as it should be."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    catalogue.update(messages_in_code(), no_fuzzy_matching=True)
    written = io.BytesIO()
    write_po(written, catalogue, 110, omit_header=True, no_location=True, sort_output=True, ignore_obsolete=True)
    return HEADER.format(language=language, catalogue=catalogue) + written.getvalue().decode()


if __name__ == "__main__":
    for path in FOLDER.glob("*.po"):
        path.write_text(up_to_date(path.stem), encoding="utf-8")
