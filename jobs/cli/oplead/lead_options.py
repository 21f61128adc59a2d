"""The options with which a lead is written, one for each value."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from jobs.oplead_commands.creation.value_names import VALUES

_FIELD = "Another value by its place, such as a custom field; may be repeated. A place that ends in [] takes a list."


def with_lead_value_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command that takes `**values` and `field` an option for each value of a lead."""
    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name != "field"
    ]
    ours = [_parameter(name, str | None, typer.Option(help=f"{text}."), None) for name, text in VALUES.items()]
    field = _parameter("field", list[str], typer.Option(metavar="PATH=VALUE", help=_FIELD), ())
    # Typer derives options from the signature.
    command.__signature__ = inspect.Signature([*own, *ours, field])  # type: ignore[attr-defined]
    return command


def _parameter(name: str, kind: object, option: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
