"""`oplead settings show`: what Oplead is set up for, as far as this key may read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.markup import escape

from connectors.crm import CrmListEntries
from connectors.errors import KeyRefused, Misconfigured
from connectors.language import N_, Plural, _, _n
from jobs.exit_codes import Exit
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.outcomes import ANY_KEY
from jobs.reporting.console import console_table, results_console, say
from jobs.reporting.presentation import as_json_value, print_json

_MOST_COLUMNS = 6
Entries = CrmListEntries[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class _List:
    """What is said of one list."""

    of: Plural
    key_refused: str
    cannot_be_read: str


_LISTS = {
    "marketing_channels": _List(
        N_("Marketing channels: {count} entry", "Marketing channels: {count} entries"),
        N_("Oplead refuses this key for the marketing channels: that takes {key}, and see oplead.auth."),
        N_("The marketing channels cannot be read: {error}."),
    ),
    "custom_fields": _List(
        N_("Custom fields: {count} entry", "Custom fields: {count} entries"),
        N_("Oplead refuses this key for the custom fields: that takes {key}, and see oplead.auth."),
        N_("The custom fields cannot be read: {error}."),
    ),
}


def show(context: OpleadContext) -> int:
    """Print the marketing channels and the custom fields, or why they cannot be read."""
    with context.writer() as platform:
        lists: Mapping[str, Callable[[], Entries]] = {
            "marketing_channels": platform.crm_marketing_channels,
            "custom_fields": platform.custom_field_definitions,
        }
        read = {name: _read(name, fetch) for name, fetch in lists.items()}
    if context.approval.json_wanted:
        print_json({name: _document(found) for name, found in read.items()})
    else:
        for name, found in read.items():
            _print(name, found)
    return Exit.ATTENTION if any(isinstance(found, str) or found.gap for found in read.values()) else Exit.DONE


def _read(name: str, fetch: Callable[[], Entries]) -> Entries | str:
    """Return the entries, or a sentence that says why they cannot be read."""
    try:
        return fetch()
    except KeyRefused:
        return _(_LISTS[name].key_refused, key=_(ANY_KEY))
    except Misconfigured as error:
        return _(_LISTS[name].cannot_be_read, error=error)


def _document(found: Entries | str) -> Mapping[str, object]:
    if isinstance(found, str):
        return {"problem": found}
    problem = {"problem": _gap(found.gap)} if found.gap else {}
    return {"entries": as_json_value(list(found.entries)), **problem}


def _gap(gap: str) -> str:
    return _("There may be more than these: {gap}.", gap=gap)


def _print(name: str, found: Entries | str) -> None:
    if isinstance(found, str):
        say(found, "")
        return
    say(_n(*_LISTS[name].of, len(found.entries)))
    columns = list(dict.fromkeys(key for one in found.entries for key, value in one.items() if _is_shown(value)))
    columns = columns[:_MOST_COLUMNS]
    rows = [[escape(_text(one.get(column))) for column in columns] for one in found.entries]
    if rows and columns:
        results_console().print(console_table(*map(escape, columns), rows=rows))
    say(*([_gap(found.gap)] if found.gap else []), "")


def _is_shown(value: object) -> bool:
    return not isinstance(value, Mapping | list)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "" if value is None or not _is_shown(value) else str(as_json_value(value))
