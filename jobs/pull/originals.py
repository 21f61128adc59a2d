"""Asks for leads that may have vanished, whose conversions others are about to repeat."""

from datetime import datetime

from connectors.errors import Misconfigured
from connectors.records import Found, LeadId
from jobs.ledger.outbox import twins
from jobs.pull.ingest import PastRefusedFetcher, PullResult
from jobs.run_context import RunContext

ASKED_A_RUN = 200
"""The conversions of other leads that look like theirs wait for a later run."""


def ask_for_originals(run: RunContext, *, until: datetime, done: PullResult) -> None:
    """Read by their own pages the leads that tonight's reading did not show, though it may have missed them.

    Whatever is not read counts as vanished in this run, which holds back what might count twice.

    Raises:
        KeyRefused: the source refuses the key. What was read so far is kept.
        Transient: the source kept failing. What was read so far is kept.
    """
    if done.shows_all or done.shown_since is None:
        return
    with run.ledger.read_transaction() as session:
        wanted = twins.originals_to_ask_for(session, run.ledger.account, shown_since=done.shown_since)
    fetch = _OriginalsFetcher(run, done, until, started=done.shown_since)
    fetch.read(wanted[:ASKED_A_RUN])


class _OriginalsFetcher(PastRefusedFetcher):
    """Takes a lead whose page is refused for one that is not there: some Opleads answer so where it is gone."""

    def _refused(self, lead: LeadId, error: Misconfigured) -> Found:  # noqa: ARG002
        return None
