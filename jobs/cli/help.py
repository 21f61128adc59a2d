"""`--help` in the language of the terminal: what commands say of themselves is in the catalogues as they say it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

# Typer has no public names for its formatter, nor for the context that makes one.
from typer._click.core import Command, Context
from typer._click.formatting import HelpFormatter

from connectors.language import N_, _

_OWN = (N_("Options"), N_("Commands"), N_("Arguments"), N_("Show this message and exit."))
"""What Typer says itself, for the catalogues."""
_DEFAULT, _REQUIRED = re.compile(r"(?<=\[)default: (?=[^\[]*\]$)"), re.compile(r"(?<=[\[ ])required(?=\]$)")


def help_texts(command: Command) -> Iterator[str]:
    """Yield what a command, and those below it, say of themselves and of their options."""
    for holder, name in _holders(command):
        if text := getattr(holder, name, None):
            yield text


def translate_help(command: Command) -> None:
    """Have a command, and those below it, say what they do in the language that is spoken."""
    Context.formatter_class = _TranslatedHelp
    for holder, name in _holders(command):
        if text := getattr(holder, name, None):
            setattr(holder, name, _(text))


def usage_prefix() -> str:
    """Return what stands before how a command is typed."""
    return _("Usage: {usage}", usage="")


def _holders(command: Command) -> Iterator[tuple[Any, str]]:
    yield from ((command, name) for name in ("help", "epilog", "short_help"))
    yield from ((param, "help") for param in command.params)
    for below in getattr(command, "commands", {}).values():
        yield from _holders(below)


class _TranslatedHelp(HelpFormatter):
    """Writes help with what Typer adds to it in the language that is spoken."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or usage_prefix())

    def write_heading(self, heading: str) -> None:
        self.write(" " * self.current_indent + _("{heading}:", heading=_(heading)) + "\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], *more: Any, **options: Any) -> None:
        said = [(name, _said_of_option(text)) for name, text in rows]
        super().write_dl(said, *more, **options)


def _said_of_option(text: str) -> str:
    if text in _OWN:
        return _(text)
    return _REQUIRED.sub(_("required"), _DEFAULT.sub(_("default: {value}", value=""), text))
