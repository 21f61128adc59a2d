"""Reads what the platforms themselves say about what they received, for people to compare with our own numbers."""

import time
from datetime import datetime, timedelta
from functools import partial

import structlog

from connectors.http import run_with_timeout
from connectors.language import _
from connectors.ports import PlatformStatementReader
from connectors.records import DestinationId, PlatformStatement, SentRequest, StatementSubject
from connectors.statement_messages import NO_ANSWER, NOTHING_YET
from jobs.cancellation import StoppedBySignal
from jobs.faults import ContainedFault
from jobs.ledger.outbox import platform_statements
from jobs.ledger.storage.state_file import LedgerError
from jobs.run_context import RunContext

SETTLES_AFTER = timedelta(hours=3)
"""Requests sent later are left out: platforms take a while to count."""
SPAN = timedelta(days=7)
LONGEST = 25.0
"""Seconds that the platforms of an account may take in all."""
_log = structlog.stdlib.get_logger()


def read_platform_statements(run: RunContext, faults: list[str], *, longest: float = LONGEST) -> None:
    """Have each platform that was sent something lately say what it received, at most once a day in the account's zone.

    Nothing depends on it: it comes after all that a night must do, and a stop or a fault ends it alone.
    """
    with ContainedFault(faults, _("what the platforms say they received could not be recorded")):
        try:
            _read(run, faults, longest)
        except StoppedBySignal:
            _log.info("the platforms were not asked what they received: the command is to stop")
        except LedgerError as error:  # the night itself is on record already, or fails of it as well
            _log.info("what the platforms say they received could not be recorded", why=type(error).__name__)


def _read(run: RunContext, faults: list[str], longest: float) -> None:
    now = run.now()
    until = now - SETTLES_AFTER
    since = until - SPAN
    with run.ledger.read_transaction() as session:
        last = platform_statements.statements_last_read_at(session, run.ledger.account)
        if last is not None and last.astimezone(run.book.zone).date() == now.astimezone(run.book.zone).date():
            return
        sent = {
            destination: requests
            for destination in run.deps.statement_readers
            if (requests := platform_statements.sent_requests(session, run.ledger.account, destination, since, until))
        }
    if not sent:
        return
    said = _ask_each(run, sent, (since, until), longest, faults)
    with run.ledger.write_transaction() as session:
        for destination, each in said.items():
            platform_statements.replace_platform_statements(session, run.ledger.account, destination, each, now=now)


def _ask_each(
    run: RunContext,
    sent: dict[DestinationId, list[SentRequest]],
    span: tuple[datetime, datetime],
    longest: float,
    faults: list[str],
) -> dict[DestinationId, list[PlatformStatement]]:
    """Return what is said of each destination; each gets an equal share of the time that is left."""
    said = {}
    ends = time.monotonic() + longest
    for asked, (destination, requests) in enumerate(sent.items()):
        seconds = max(ends - time.monotonic(), 0) / (len(sent) - asked)
        said[destination] = [PlatformStatement(StatementSubject.EVENT_COUNT, "", NO_ANSWER, None)]
        with ContainedFault(faults, _("a platform did not say what it received"), destination=destination):
            said[destination] = _ask(run, run.deps.statement_readers[destination], span, requests, seconds)
        run.deps.cancel_token()
    return said


def _ask(
    run: RunContext,
    reader: PlatformStatementReader,
    span: tuple[datetime, datetime],
    sent: list[SentRequest],
    seconds: float,
) -> list[PlatformStatement]:
    try:
        found = run_with_timeout(
            partial(reader.read_statements, *span, sent), seconds, cancel_token=run.deps.cancel_token
        )
    except TimeoutError:
        _log.info("a platform did not say what it received in time")
        return [PlatformStatement(StatementSubject.EVENT_COUNT, "", NO_ANSWER, None)]
    return list(found) or [PlatformStatement(StatementSubject.EVENT_COUNT, "", NOTHING_YET, None)]
