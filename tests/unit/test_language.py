"""People are addressed in one language at a time; every catalogue has every message, with the same values in it."""

import ast
import re
import string
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from structlog.testing import capture_logs

from connectors.language import (
    Language,
    _,
    _n,
    current_language,
    format_day,
    format_decimal,
    format_duration,
    format_integer,
    format_list,
    format_money,
    format_rough_duration,
    format_round_money,
    format_share,
    format_short_day,
    format_time,
    in_english,
    join_with_semicolons,
    translated,
    using_language,
)
from connectors.oplead.parsing import webhook_parser
from connectors.oplead.parsing.lead_parser import UnreadableLeadError, require_object_entry
from connectors.oplead.probe.specification import documentation
from connectors.records import BARE_CLICK_ID, UNREADABLE_EVENT, CheckVerdict
from docs.catalogues import FOLDER, SOURCES, messages_in_code, up_to_date
from jobs.account.after_a_night import log_night
from jobs.cancellation import run_in_threads
from jobs.cli import options
from jobs.cli.oplead import lead_options
from jobs.cli.setup.init import command
from jobs.cli.setup.init.questions import PATH_PREFIX, STAGES
from jobs.evidence import folder
from jobs.oplead_commands import statuses
from jobs.oplead_commands.importing import columns
from jobs.plan.volume_guard import ExcessVolume
from jobs.reporting.presentation import json_line
from jobs.reporting.run_report import Night
from jobs.reporting.wording.reasons import NOTHING
from jobs.rules.reasons import DestinationScope
from jobs.run_summary import RunSummary
from jobs.settings import document
from jobs.webhooks import postgresql_inbox
from jobs.webhooks.file_inbox import FileInbox
from jobs.webhooks.postgresql_inbox import PostgresqlInbox

NARROW, WIDE = "\u202f", "\xa0"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Language.ENGLISH),
        ({"LANG": "C.UTF-8"}, Language.ENGLISH),
        ({"LANG": "fr_FR.UTF-8"}, Language.FRENCH),
        ({"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, Language.ENGLISH),
        ({"LC_ALL": "fr_BE@euro", "LANG": "C"}, Language.FRENCH),
        ({"LC_ALL": "", "LANG": "fr"}, Language.FRENCH),
    ],
)
def test_the_terminal_decides_unless_a_language_is_chosen(variables, expected, monkeypatch):
    """Settings come first, then LC_ALL, LC_MESSAGES and LANG, then English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert current_language() is expected
    for chosen in Language:
        with using_language(chosen):
            assert current_language() is chosen
    assert current_language() is expected


def test_a_thread_speaks_what_its_context_does():
    """A copied context carries the language into a thread."""
    with using_language(Language.FRENCH), ThreadPoolExecutor(1) as pool:
        assert pool.submit(copy_context().run, current_language).result() is Language.FRENCH


def test_accounts_side_by_side_speak_what_the_command_does():
    """Each task has the caller's context, on whatever thread it runs."""
    with using_language(Language.FRENCH):
        assert list(run_in_threads([current_language] * 2, at_once=2)) == [Language.FRENCH] * 2


@pytest.mark.parametrize(
    ("chosen", "count", "money", "day", "time"),
    [
        (Language.ENGLISH, "1,269", "€12,500.00", "Sat 28 Nov 2026", "Sat 28 Nov 2026 05:30"),
        (
            Language.FRENCH,
            f"1{NARROW}269",
            f"12{NARROW}500,00{WIDE}€",
            "sam. 28 nov. 2026",
            "sam. 28 nov. 2026 05:30",
        ),
    ],
)
def test_numbers_money_and_times_read_as_usual(chosen, count, money, day, time):
    """Formats are those of CLDR."""
    with using_language(chosen):
        assert format_integer(1269) == count
        assert format_money(Decimal(12500), "EUR") == money
        assert format_day(date(2026, 11, 28)) == day
        assert format_time(datetime(2026, 11, 28, 5, 30, tzinfo=UTC)) == time


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Language.ENGLISH, ["€12,501", "1,234.6", "57%", "–", "Nov 28", "Sat, Nov 28"]),
        (
            Language.FRENCH,
            [
                f"12{NARROW}501{WIDE}€",
                f"1{NARROW}234,6",
                f"57{NARROW}%",
                "–",
                "28 nov.",
                "sam. 28 nov.",
            ],
        ),
    ],
)
def test_pages_round(chosen, expected):
    """Whole euros, one decimal, whole percentages, minutes."""
    with using_language(chosen):
        assert expected == [
            format_round_money(Decimal("12500.6"), "EUR"),
            format_decimal(Decimal("1234.56")),
            format_share(57, 100),
            format_share(0, 0),
            format_short_day(date(2026, 11, 28)),
            format_short_day(date(2026, 11, 28), of_week=True),
        ]


@pytest.mark.parametrize(
    ("duration", "english", "french"),
    [
        (timedelta(0), "0 minutes", "0 minute"),
        (timedelta(seconds=90), "2 minutes", "2 minutes"),
        (timedelta(minutes=119), "119 minutes", "119 minutes"),
        (timedelta(hours=47), "47 hours", "47 heures"),
        (timedelta(hours=60), "2.5 days", "2,5 jours"),
        (timedelta(days=90), "90 days", "90 jours"),
    ],
)
def test_durations_have_the_unit_that_suits_them(duration, english, french):
    """The next larger unit begins at two."""
    for language, words in ((Language.ENGLISH, english), (Language.FRENCH, french)):
        with using_language(language):
            assert format_rough_duration(duration).replace(WIDE, " ") == words


def test_clauses_are_parted_as_the_language_does():
    """French has a space before a semicolon; what is kept of them stays English."""
    with using_language(Language.FRENCH):
        text = join_with_semicolons((_("added"), _("ended")))

    assert f"{_texts('added')}\u202f; {_texts('ended')}" == text
    assert "added; ended" == in_english(text)
    with using_language(Language.ENGLISH):
        assert "added; ended" == join_with_semicolons(("added", "ended"))


def _texts(message):
    with using_language(Language.FRENCH):
        return str(_(message))


def test_a_list_entry_that_is_no_object_is_told_whole_in_french():
    """Its reason is kept in English, and was half translated where no hint follows it."""
    with using_language(Language.ENGLISH), pytest.raises(UnreadableLeadError) as refused:
        require_object_entry("not an object!")
    with using_language(Language.FRENCH):
        said = translated(str(refused.value))

    assert "un élément de la liste n’est pas un objet (texte, 14 caractères)" == said


def test_a_message_is_filled_in_only_if_it_has_values():
    """Braces of the settings' notation stay; plural forms show their count."""
    with using_language(Language.ENGLISH):
        assert _("write { field, tax }") == "write { field, tax }"
        assert _("{name} is new", name="Gagné") == "Gagné is new"
        assert _n("{count} lead of {name}", "{count} leads of {name}", 1, name="x") == "1 lead of x"
        assert _n("{count} lead of {name}", "{count} leads of {name}", 1269, name="x") == "1,269 leads of x"


CATALOGUES = sorted(path.stem for path in FOLDER.glob("*.po"))


def test_every_language_but_english_has_a_catalogue():
    """A language without one would fail at the first message."""
    assert sorted(set(Language) - {Language.ENGLISH}) == CATALOGUES


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_has_every_message_of_the_code_and_no_other(name):
    """None is missing and none is left over."""
    assert Path(FOLDER / f"{name}.po").read_text(encoding="utf-8") == up_to_date(name), "run `make messages`"


def _values(text: str) -> set[str]:
    try:
        return {field for _text, field, _format, _conversion in string.Formatter().parse(text) if field is not None}
    except ValueError:  # braces of the settings' notation: such a message is never filled in
        return set()


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_message_is_translated_with_the_same_values(name):
    """A translation is there, and fills in what the message does."""
    with (FOLDER / f"{name}.po").open("rb") as file:
        catalogue = read_po(file, locale=name)
    for message in catalogue:
        if not message.id:
            continue
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        translations = message.string if isinstance(message.string, tuple) else (message.string,)
        for translation in translations:
            assert translation, f"not translated: {originals[0]}"
            assert _values(translation) in [_values(original) for original in originals], originals[0]


ROOT = Path(__file__).parents[2]


def _in_french():
    with (FOLDER / "fr.po").open("rb") as file:
        return [
            translation
            for message in read_po(file, locale="fr")
            if message.id
            for translation in (message.string if isinstance(message.string, tuple) else (message.string,))
        ]


def test_french_is_set_as_in_print():
    """Apostrophes are curved, and no line breaks before a colon, a question mark or a closing quote."""
    outside_code = [re.sub(r"`[^`]*`|(?<=[{\w]):%[^}]*", "", text) for text in _in_french()]

    assert [] == [text for text in outside_code if re.search(r"'|[ \w»][;?!](?!\w)| [:»%](?!\w)|« ", text)]


def test_nothing_to_do_is_said_in_one_way():
    """What begins so asks for nothing (`needs_no_action`)."""
    with (FOLDER / "fr.po").open("rb") as file:
        catalogue = read_po(file, locale="fr")
    start = NOTHING.rstrip(".")
    todos = [(message.id, message.string) for message in catalogue if str(message.id).startswith(start)]

    assert len(todos) > 1
    assert [] == [text for _, text in todos if not text.startswith(catalogue[NOTHING].string.rstrip("."))]


def test_no_message_begins_or_ends_with_a_space():
    """Sentences are whole: what is put together from pieces cannot be translated.

    What follows a semicolon may be added to one, and the lines of a file that is written are indented.
    """
    with (FOLDER / "fr.po").open("rb") as file:
        ids = [
            text for message in read_po(file) for text in ([message.id] if isinstance(message.id, str) else message.id)
        ]

    lines = [text.removeprefix(f"{WIDE}; ") for text in [*ids, *_in_french()] if "\n" not in text]
    assert [] == [text for text in lines if text != text.strip()]


# ── what is for programs ─────────────────────────────────────────────────────────────────────────


def test_json_is_english_whatever_was_said_before():
    """A text that was worded in French knows its English, values included."""
    with using_language(Language.FRENCH):
        lasted = _("took {time}", time=format_duration(timedelta(hours=1, minutes=2)))
        several = _n(
            "{leads} on {count} page", "{leads} on {count} pages", 2, leads=_n("{count} lead", "{count} leads", 1)
        )
        line = json_line({"lasted": lasted, "several": several})

    with using_language(Language.FRENCH):
        assert json_line({"where": SCOPE}) == '{"where": "google_ads corrections/5"}'

    assert (lasted, several) == (f"en 1{WIDE}h 2{WIDE}min", "1 lead sur 2 pages")
    assert line == '{"lasted": "took 1 h 2 min", "several": "1 lead on 2 pages"}'
    assert in_english("as it is") == "as it is"


SCOPE = DestinationScope("google_ads", corrections=True, action="5")


def test_the_log_of_a_night_is_english():
    """Those who search logs need not know the language of an account's settings."""
    summary = RunSummary("maison-test", 3, datetime(2026, 9, 1, tzinfo=UTC))
    summary.held[SCOPE] = ExcessVolume(1269, 50, 3, "corrections")
    with using_language(Language.FRENCH), capture_logs() as lines:
        log_night(Night(summary, summary.started_at, ()))

    assert lines[0]["event"] == "a human is needed"
    assert lines[0]["why"].startswith("google_ads corrections/5: 1,269 corrections are due and one night may send 50")


# ── what was stored ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("it is nested too deeply", "il est imbriqué trop profondément"),
        ("text, 1 character", "texte, 1 caractère"),
        ("letters, 1,200 characters", f"lettres, 1{NARROW}200 caractères"),
        ("labelled gclid, but an e-mail address", "étiqueté gclid, mais c’est une adresse e-mail"),
        (
            "no id that can be used (a list of 3): see oplead.fields.id",
            f"pas d’identifiant utilisable (une liste de 3){WIDE}: voir oplead.fields.id",
        ),
        ("L-1: 5", "L-1: 5"),
        ("", ""),
    ],
)
def test_what_was_stored_in_english_is_translated_where_it_is_shown(stored, expected):
    """The messages in it too; what is no message's stays, and all of it still knows its English."""
    with using_language(Language.FRENCH):
        shown = translated(stored)
    with using_language(Language.ENGLISH):
        assert translated(stored) == stored

    assert shown == expected
    assert in_english(shown) == stored


def test_what_an_exception_says_knows_its_english():
    """So a message keeps it on its way from where something failed to a log."""
    with using_language(Language.FRENCH):
        error = ValueError(_("it is nested too deeply"))
        sentence = _("{error}: see oplead.fields.{setting}", error=error, setting="id")

    assert in_english(str(error)) == "it is nested too deeply"
    assert in_english(sentence) == "it is nested too deeply: see oplead.fields.id"


@pytest.mark.parametrize(
    ("texts", "either", "english", "french"),
    [
        (["a"], False, "a", "a"),
        (["a", "b"], False, "a and b", "a et b"),
        (["a", "b", "c"], False, "a, b, and c", "a, b et c"),
        (["a", "b"], True, "a or b", "a ou b"),
    ],
)
def test_lists_end_as_is_usual(texts, either, english, french):
    """Formats are those of CLDR."""
    for language, said in ((Language.ENGLISH, english), (Language.FRENCH, french)):
        with using_language(language):
            assert format_list(texts, either=either) == said


# ── sentences in the code ────────────────────────────────────────────────────────────────────────

FOR_PROGRAMS = (
    "connectors/oplead/evidence/redaction.py",  # the words of a file
    "connectors/sandbox",  # another program, in English
    "jobs/ledger/storage/migrations",
    "jobs/fleet/metrics.py",
    "jobs/metrics.py",
    "jobs/privacy/leaks.py",
    "jobs/oplead_commands/creation/value_names.py",  # for `--help`
    "jobs/webhooks/receiver.py",
)
"""Files and folders that say nothing to people; in all others every sentence is in the catalogues."""
READ_VALUE_ERRORS = ("connectors/oplead/writing", "jobs/cli", "jobs/oplead_commands", "jobs/settings")
"""Where what a `ValueError` says is shown to whoever wrote the value."""
_MARKS = frozenset({"_", "_n", "N_"})
_LOGS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_COMMANDS = frozenset({"account_command_line", "command", "pasteable_command_line"})
_FOR_PROGRAMS = frozenset({"_words", "compile", "execute"})
_HELP = frozenset({"epilog", "help"})
_FOR_PROGRAMMERS = frozenset({"AttributeError", "RuntimeError", "TypeError", "AssertionError", "IllegalMoveError"})
_NO_SENTENCE = re.compile(
    r"\s*\(?\s*(ALTER (ROLE|TABLE)|ANALYZE|BEGIN|CREATE|DELETE|DROP (POLICY|TABLE)|EXISTS|INSERT|PRAGMA|SELECT"
    r"|SET (LOCAL|TRANSACTION)|account =|UPDATE|USING|WHEN|WHERE|WITH|CAST|\.\w+ FROM)[ (]"
    r"|\) WITH CHECK| PRAGMA| (ENABLE|(NO )?FORCE) ROW LEVEL"
    r"| AS (JSONB|value FROM)|( = |\(| = \( SELECT )?current_setting\(|\(split_part\("
    r"|\(?original IS |\)+ AS (BIG)?INT|\w+ IS NOT NULL|\w+ = [A-Z]+$|key, content, |received_at, kind, "
    r"|(POST|PUT) |bold (red|yellow|green)|<svg |indexof\(|\s+AED AFN|\s*Exit codes: "
)
_SENTENCE = re.compile(r"[^\W\d_]{2,}[^\w{}]* [^\w{}]*[^\W\d_]{2,}")
NO_SENTENCES = {
    "connectors/contact.py": {"not set", "not specified"},
    "connectors/google_ads/platform.py": {f"Google Ads API v{version}" for version in (23, 24, 25, 26)},
    "connectors/google_ads/preflight.py": {"Data Manager API", "Google Ads API"},
    "connectors/http.py": {"gzip, deflate"},
    "connectors/meta/encode.py": {f"Graph API v{version}.0" for version in (24, 25, 26, 27)},
    "connectors/oplead/files/csv_table.py": {
        *("unexpected end", "field limit", "source.encoding: cp1252", "source.encoding: utf-16"),
        *("--encoding cp1252", "--encoding utf-16"),
    },
    "connectors/signals/notifiers.py": {"onnection error"},
    "connectors/oplead/probe/access.py": {"Authorization: Bearer TOKEN"},
    "connectors/oplead/probe/specification/documentation.py": {documentation._ACCEPT["Accept"]},
    "connectors/oplead/parsing/webhook_parser.py": {
        "an object without names",
        webhook_parser._SHOWN,
        webhook_parser._OF_A_LEAD,
    },
    # A bug, a word for a check, and what is on record.
    "connectors/records.py": {*CheckVerdict, UNREADABLE_EVENT.outcome.message, BARE_CLICK_ID},
    "connectors/survey.py": {"str | int | bool | list[str] | Suggestion"},
    "jobs/evidence/folder.py": {folder._WORDS},
    "jobs/cli/demo/audit.py": {" sandbox --out ", " demo --keep demo"},
    "jobs/cli/demo/sandbox.py": {"run --first-run", " init --dir mine "},
    "jobs/cli/setup/init/command.py": {
        *("check --live", "run --dry-run", "run --first-run", command._NO_SPECIFICATION),
    },
    "jobs/cli/setup/init/questions.py": {
        PATH_PREFIX,
        *(name for stage in STAGES.values() for name in (stage.conversion and stage.conversion.name,)),
    },
    "jobs/cli/setup/init/written.py": {"created: lead_received"},
    "jobs/cli/output.py": {"then "},
    "jobs/account/after_a_night.py": {"night ended", "webhooks taken up", "outcomes asked for"},
    "jobs/cli/oplead/lead_options.py": {lead_options._FIELD},
    "jobs/cli/options.py": {options._FILES, options._FIRST_RUN},
    "jobs/cli/usage_errors.py": {"Value error, ", "Invalid value"},
    "jobs/webhooks/file_inbox.py": {*astuple(FileInbox._dialect)},
    "jobs/webhooks/postgresql_inbox.py": {*astuple(PostgresqlInbox._dialect), postgresql_inbox._ACCOUNT.text},
    "jobs/ledger/leads/lead_writes.py": {"without id "},
    "jobs/ledger/storage/state_file.py": {"disk is full", "no such", "unable to open"},
    "jobs/oplead_commands/importing/columns.py": set(columns.NAMES.values()),
    "jobs/oplead_commands/statuses.py": {*statuses.SETTABLE, *statuses._QUOTE, statuses._AS_TYPED},
    "jobs/oplead_commands/subscriptions.py": {"old secret"},
    "jobs/plan/volume_guard.py": {" since the last night"},
    "jobs/reporting/page/charts.py": {"Liberation Sans"},
    "jobs/reporting/values_report.py": {"  value: expected  # "},
    "jobs/reporting/wording/messages.py": {"conversions since the last night", "corrections since the last night"},
    "jobs/scheduler.py": {"missed night", "night again"},
    "jobs/settings/document.py": set(document._SENTENCES),
    "jobs/settings/types.py": {"Value error, "},
    "jobs/settings/references.py": {"PRIVATE KEY"},
    "jobs/settings/schema.py": {"Written by `make schema` from the settings' model; do not edit."},
}
"""What looks like one and is for logs, or names a value."""


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", None) or getattr(node.func, "attr", "")


def _said_to_nobody(node: ast.AST, for_programmers: frozenset[str]) -> bool:
    if isinstance(node, ast.Call):
        options = {each.arg: each.value for each in node.keywords}
        only_help = isinstance(asked := options.get("is_asked"), ast.Constant) and asked.value is False
        return only_help or _called(node) in _LOGS | _COMMANDS | _FOR_PROGRAMS | for_programmers
    if isinstance(node, ast.keyword):
        return node.arg in _HELP
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)  # docstrings


def _sentences(node: ast.AST, for_programmers: frozenset[str]):
    """Yield every text that looks like a sentence and is not marked."""
    if _said_to_nobody(node, for_programmers):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SENTENCE.search(node.value):
        yield from () if _NO_SENTENCE.match(node.value) else (node,)
    is_marked = isinstance(node, ast.Call) and _called(node) in _MARKS
    types = (getattr(node, "annotation", None), getattr(node, "returns", None))
    for below in node.keywords if is_marked else ast.iter_child_nodes(node):
        if below not in types:
            yield from _sentences(below, for_programmers)


def _unmarked(path: Path):
    name = str(path.relative_to(ROOT))
    known = NO_SENTENCES.get(name, set())
    for_programmers = _FOR_PROGRAMMERS | (set() if name.startswith(READ_VALUE_ERRORS) else {"ValueError"})
    return [
        f"{name}:{node.lineno}: {node.value}"
        for node in _sentences(ast.parse(path.read_text(encoding="utf-8")), for_programmers)
        if node.value not in known
    ]


def _files():
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            if not str(path.relative_to(ROOT)).startswith(FOR_PROGRAMS):
                yield path


def test_no_sentence_bypasses_the_catalogue():
    """It would stay English; where it is for logs or for programmers, it is."""
    assert [] == [found for path in _files() for found in _unmarked(path)]


def test_babel_finds_every_message():
    """It overlooks those in f-strings and in some nested calls: such a message would never be translated."""
    written = {
        (f"{path}:{call.lineno}", call.args[0].value)
        for source in SOURCES
        for path in Path(source).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("_", "_n", "N_")
        if call.args and isinstance(call.args[0], ast.Constant)
    }
    found = {message.id[0] if isinstance(message.id, tuple) else message.id for message in messages_in_code()}
    assert [place for place, message in written if message not in found] == []
