"""What the settings would make of a handful of leads: a rehearsal on an empty state that leaves nothing behind."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from connectors.records import Found, Lead, LeadId, LeadPage, UnreadableLead
from jobs.ledger import views
from jobs.ledger.copies import throwaway
from jobs.ledger.ledger import held
from jobs.ledger.views import Tally
from jobs.nightly import Deps, rehearse
from jobs.rulebook import Rulebook

_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would become of some leads, if all of their past counted."""

    leads: int
    unreadable: tuple[UnreadableLead, ...]
    unknown_labels: tuple[tuple[str, int, int], ...]
    """Labels the settings do not name: how many leads have each, how many with a click id."""
    tallies: tuple[Tally, ...]


def forecast(book: Rulebook, deps: Deps, found: Sequence[Lead | UnreadableLead]) -> Forecast:
    """Judge leads as a night would, from the beginning: no start holds anything back, nothing is sent."""
    given = _Given(
        tuple(one for one in found if isinstance(one, Lead)),
        tuple(one for one in found if isinstance(one, UnreadableLead)),
    )
    always = replace(
        book,
        routes=tuple(replace(route, since=_ALWAYS) for route in book.routes),
        # So much of the past is never one night's: the surge guard has nothing to say here.
        max_per_run={route.destination: len(found) * len(book.routes) + 1 for route in book.routes},
    )
    with (
        throwaway() as state,
        held(state, book.account, "forecast", pid=os.getpid(), now=deps.clock.now()) as ledger,
    ):
        summary = rehearse(ledger, always, replace(deps, source=given))
        with ledger.reading() as session:
            tallies = views.tallies(session, ledger.account, now=deps.clock.now())
    return Forecast(len(given.leads), given.unreadable, tuple(summary.unknown_labels), tallies)


@dataclass(frozen=True, slots=True)
class _Given:
    """A source that has been read already."""

    leads: tuple[Lead, ...]
    unreadable: tuple[UnreadableLead, ...]
    is_spent: bool = False

    def fetch_changes(
        self,
        since: datetime | None,  # noqa: ARG002 - the port's
        *,
        resume: str | None,  # noqa: ARG002
        is_known: Callable[[LeadId, str], bool],  # noqa: ARG002
    ) -> Iterator[LeadPage]:
        """All of it, on one page."""
        yield LeadPage(self.leads, (), self.unreadable, served_at=None, resume=None)

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """None is asked for."""
        by_id = {lead.id: lead for lead in self.leads}
        yield from ((lead_id, by_id.get(lead_id)) for lead_id in ids)

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """The first so many of them."""
        return self.leads[:count]
