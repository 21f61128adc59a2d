"""What follows a night: a human is told, numbers are written, a dead man's switch is asked for.

Nothing here can fail the night or change its exit code: what does not work is logged, and tried again by the next run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from jobs.cli.exits import Exit, failure_of
from jobs.ledger.ledger import Ledger
from jobs.ledger.runs import NightDoneError
from jobs.metrics import measure, write_metrics
from jobs.nightly import Deps
from jobs.notify import send_owed, take_note
from jobs.reporting.night import Night
from jobs.rulebook import Rulebook
from jobs.rules.notices import When
from jobs.settings import Settings
from jobs.wiring import notify_addresses, ping_of

_log = structlog.stdlib.get_logger()


def tell(ledger: Ledger, book: Rulebook, deps: Deps, settings: Settings, night: Night) -> Night:
    """Tell whoever must be told of a night that is on record; the night, with the causes that stand."""
    told = _told(ledger, book, deps, settings, night)
    if settings.metrics is not None:
        try:
            code = night.summary.exit_code
            write_metrics(measure(ledger, night.tallies, exit_code=code, now=night.ended_at), settings.metrics)
        except OSError as error:
            _log.warning("the metrics could not be written", file=str(settings.metrics), why=error.strerror)
        except Exception:  # noqa: BLE001 - the night has ended as it has
            _log.warning("the metrics could not be written", exc_info=True)
    return told


def _told(ledger: Ledger, book: Rulebook, deps: Deps, settings: Settings, night: Night) -> Night:
    try:
        now = deps.clock.now()
        standing = take_note(ledger, book, deps.sinks, night.summary, _when(settings), now=now)
        night = replace(night, notices=standing)
        for one in send_owed(ledger, notify_addresses(settings), book.zone, now=now):
            _log.warning(
                "a notice was not taken, and is tried again by the next run", address=one.place, notice=one.title
            )
    except Exception:  # noqa: BLE001 - the night has ended as it has
        _log.warning("nobody could be told of what stands", exc_info=True)
    return night


def _when(settings: Settings) -> When:
    told = settings.notify_when
    return When(
        rejected_above=told.rejected_share,
        rejected_at_least=told.rejected_at_least,
        silent_above=told.silent_above,
        acceptance_drop=told.acceptance_drop,
        expires_within=told.expires_within,
        ends_within=told.ends_within,
    )


@contextmanager
def watched(settings: Settings) -> Iterator[list[int]]:
    """Tell a dead man's switch how the block ends; the block adds its exit code to what it is given."""
    codes: list[int] = []
    try:
        yield codes
    except NightDoneError:
        raise  # no night was done: whoever did it has told
    except Exception as error:
        _ping(settings, failure_of(error).exit_code)
        raise
    for code in codes:
        _ping(settings, code)


def _ping(settings: Settings, code: int) -> None:
    """All is well after 0 and 1; 75 says nothing, because the run that holds the account tells of it."""
    switch = ping_of(settings)
    if switch is None or code == Exit.HELD:
        return
    if not switch.ping(failed=code not in (Exit.DONE, Exit.ATTENTION)):
        _log.warning("the address under `ping` did not answer, so its monitor may raise the alarm")
