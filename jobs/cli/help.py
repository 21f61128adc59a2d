"""`--help` in the language of the terminal: what commands say of themselves is in the catalogues as they say it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

# Typer has no public names for its formatter, nor for the context that makes one.
from typer._click.core import Command, Context
from typer._click.formatting import HelpFormatter

from connectors.language import N_, _, join_with_semicolons

_OWN = (N_("Options"), N_("Commands"), N_("Arguments"), N_("Show this message and exit."))
"""What Typer says itself, for the catalogues."""
_TYPES = (N_("<int range>"), N_("<str>"), N_("<path>"))
"""What it has stand for a value that has no name of its own."""
_EXTRA, _DEFAULT, _REQUIRED = re.compile(r"\[([^\[]*)\]$"), "default: ", "required"
_RANGE, _LEAST = re.compile(r"(?P<least>\d+)<=x<=(?P<most>\d+)"), re.compile(r"x>=(?P<least>\d+)")
_NAME = re.compile(r"[A-Z]{2,}")
"""What stands for a value, as FILE and DIR in `FILE|DIR`; what is typed as it stands has no capitals."""
_TEXTS = ("help", "epilog", "short_help")
_METAVARS = ("metavar", "options_metavar", "subcommand_metavar")


def help_texts(command: Command) -> Iterator[str]:
    """Yield what a command, and those below it, say of themselves and of their options."""
    for holder, name in _holders(command, _TEXTS):
        if text := getattr(holder, name, None):
            yield text


def value_names(command: Command) -> set[str]:
    """Return what stands for the values of a command, and of those below it."""
    said = (getattr(holder, name, None) or "" for holder, name in _holders(command, _METAVARS))
    return {name for text in said for name in _NAME.findall(text)}


def translate_help(command: Command) -> None:
    """Have a command, and those below it, say what they do in the language that is spoken."""
    Context.formatter_class = _TranslatedHelp
    for holder, name in _holders(command, _TEXTS):
        if text := getattr(holder, name, None):
            setattr(holder, name, _(text))
    for holder, name in _holders(command, _METAVARS):
        if text := getattr(holder, name, None):
            setattr(holder, name, _NAME.sub(lambda found: _(found[0]), text))


def usage_prefix() -> str:
    """Return what stands before how a command is typed."""
    return _("Usage: {usage}", usage="")


def _holders(command: Command, names: Sequence[str]) -> Iterator[tuple[Any, str]]:
    yield from ((holder, name) for holder in (command, *command.params) for name in names)
    for below in getattr(command, "commands", {}).values():
        yield from _holders(below, names)


class _TranslatedHelp(HelpFormatter):
    """Writes help with what Typer adds to it in the language that is spoken."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or usage_prefix())

    def write_heading(self, heading: str) -> None:
        self.write(" " * self.current_indent + _("{heading}:", heading=_(heading)) + "\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], *more: Any, **options: Any) -> None:
        said = [(_named_in_words(name), _said_of_option(text)) for name, text in rows]
        super().write_dl(said, *more, **options)


def _named_in_words(name: str) -> str:
    for kind in _TYPES:
        name = name.replace(kind, _(kind))
    return name


def _said_of_option(text: str) -> str:
    if text in _OWN:
        return _(text)
    return _EXTRA.sub(lambda found: f"[{join_with_semicolons(map(_said_of_value, found[1].split('; ')))}]", text)


def _said_of_value(text: str) -> str:
    if bounds := _RANGE.fullmatch(text):
        return _("{least} to {most}", **bounds.groupdict())
    if bounds := _LEAST.fullmatch(text):
        return _("{least} or more", **bounds.groupdict())
    if text.startswith(_DEFAULT):
        return _("default: {value}", value=text.removeprefix(_DEFAULT))
    return _("required") if text == _REQUIRED else text
