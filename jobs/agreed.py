"""Sends what a human agreed to: only that, past the surge guard, and on record like every sending."""

from jobs.deliver import deliver
from jobs.ledger.ledger import Ledger
from jobs.nightly import Deps, Step, Summary, Watch, note_standing
from jobs.plan import erase_idle
from jobs.resolve import resolve
from jobs.rulebook import Rulebook


def send(ledger: Ledger, book: Rulebook, deps: Deps, summary: Summary, watch: Watch) -> None:
    """Send what was agreed to in this run, after what is in doubt; `summary` says how it went."""
    with watch(Step.DELIVER):
        summary.delivered = deliver(
            ledger,
            book,
            deps.sinks,
            deps.clock,
            jitter=deps.jitter,
            due_by=deps.clock.now(),
            agreed_only=True,
            heed=deps.heed,
        )
    with watch(Step.RESOLVE):
        resolve(ledger, book, deps.sinks, deps.clock, summary.resolved, heed=deps.heed)
    erase_idle(ledger, deps.sinks, now=deps.clock.now())
    with ledger.reading() as session:
        note_standing(session, ledger, book, summary)
