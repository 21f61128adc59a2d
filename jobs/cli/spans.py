"""Lengths of time and days as they are typed on the command line, the way the settings write them."""

from datetime import date, timedelta

import typer
from pydantic import TypeAdapter, ValidationError

from jobs.settings.shapes import Span


def span(text: str) -> timedelta:
    """45m, 4h, 30 s.

    Raises:
        typer.BadParameter: it is no length of time.
    """
    try:
        return TypeAdapter(Span).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("write a length of time as 4h, 45m or 30s") from None


def day(text: str, option: str) -> date:
    """2026-09-01.

    Raises:
        typer.BadParameter: it is no day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write a day as 2026-09-01", param_hint=option) from None
