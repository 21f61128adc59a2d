"""What may be asked of a backfill, by `backfill` and `fleet backfill`."""

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from connectors.language import _

if TYPE_CHECKING:
    from jobs.cli.night.approved_send import Backfill


def chosen_backfill(
    first: date | None,
    last: date | None,
    *,
    conversion: str | None,
    destination: str | None,
    assume_time: Literal["updated_at"] | None,
    already_sent: Path | None,
) -> "Callable[..., Backfill]":
    """Return what makes the backfill that the options describe.

    Raises:
        BadParameter: they contradict each other.
    """
    from jobs.cli.night.approved_send import Backfill  # noqa: PLC0415 - wrong options are refused sooner

    if (first is None) != (last is None) or (first is None and already_sent is None):
        raise typer.BadParameter(_("write --from DAY and --to DAY, or --already-sent FILE, or all of them"))
    if first is not None and last is not None and first > last:
        raise typer.BadParameter(_("--from is after --to"))
    if assume_time and first is None:
        raise typer.BadParameter(_("write --from DAY and --to DAY with it"), param_hint="--assume-time")
    return partial(
        Backfill,
        days=None if first is None or last is None else (first, last),
        conversion=conversion,
        destination=destination,
        assume_time=assume_time is not None,
        already_sent=already_sent,
    )
