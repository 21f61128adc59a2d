"""What is wrong with a command line, in the reader's language: Typer and pydantic say it in English only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import typer

# Typer has no public name for the error that all wrong usage is.
from typer._click.exceptions import NoArgsIsHelpError, UsageError

from connectors.language import N_, _, translated
from jobs.cli.help import usage_prefix

_SENTENCES = (
    N_("Missing option {option}."),
    N_("Missing argument {argument}."),
    N_("No such option: {option}"),
    N_("No such option: {option} (Possible options: {options})"),
    N_("No such command {command}."),
    N_("No such command {command}. Did you mean {commands}?"),
    N_("Option {option} requires an argument."),
    N_("Option {option} does not take a value."),
    N_("Got unexpected extra argument(s) ({arguments})"),
    N_("{value} is not one of {choices}."),
    N_("Input should be less than or equal to {most}"),
    N_("Input should be greater than or equal to {least}"),
    N_("Input should be a valid integer, unable to parse string as an integer"),
)
"""What they say, for the catalogues."""
_PYDANTIC = "Value error, "
"""Stands before what our own parsers say."""


@contextmanager
def usage_errors_in_words() -> Iterator[None]:
    """Have wrong usage within the block shown in the reader's language."""
    try:
        yield
    except NoArgsIsHelpError:
        raise
    except UsageError as error:
        raise _WordedUsageError(error) from None


class _WordedUsageError(UsageError):
    """Wrong usage, as it is shown."""

    def __init__(self, error: UsageError) -> None:
        super().__init__(_what_is_wrong(error), error.ctx)

    def show(self, file: IO[Any] | None = None) -> None:
        out = file or sys.stderr
        if self.ctx is not None:
            usage = self.ctx.get_usage().removeprefix("Usage: ").removeprefix(usage_prefix())
            typer.echo(_("Usage: {usage}", usage=usage), file=out)
            typer.echo(_("Try '{command} --help' for help.", command=self.ctx.command_path) + "\n", file=out)
        typer.echo(_("Error: {message}", message=self.message), file=out)


def _what_is_wrong(error: UsageError) -> str:
    whole = error.format_message()
    if not isinstance(error, typer.BadParameter) or not error.message:
        return translated(whole)
    why = translated(error.message.removeprefix(_PYDANTIC))
    option = whole.removesuffix(f": {error.message}").removeprefix("Invalid value").removeprefix(" for ")
    if not option:
        return _("Invalid value: {why}", why=why)
    return _("Invalid value for {option}: {why}", option=option, why=why)
