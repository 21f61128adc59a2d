"""Forecasts what the settings would do with the latest leads: a rehearsal on an empty, throwaway state."""

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from connectors.records import Found, Lead, LeadId, LeadPage, UnreadableLead
from jobs.ledger.report import queries
from jobs.ledger.report.queries import StateCount
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.database import temporary_copy
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.nightly import rehearse
from jobs.rules.labels import APPOINTMENT_SET, normalise_label, normalise_listed_label
from jobs.run_context import Deps, RunContext
from jobs.run_findings import LabelCount
from jobs.settings import Settings
from jobs.settings.compile import IGNORED, Rulebook
from jobs.webhooks.inbox_reader import InboxReader

_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SampleRehearsal:
    """What would become of some leads if their whole past counted."""

    leads: int
    unreadable: tuple[UnreadableLead, ...]
    unknown_labels: tuple[LabelCount, ...]
    """Labels the settings don't name."""
    tallies: tuple[StateCount, ...]
    at: datetime
    """When they were judged."""


def rehearse_with_leads(book: Rulebook, deps: Deps, found: Sequence[Lead | UnreadableLead]) -> SampleRehearsal:
    """Judge leads as a night would, but with their whole past counting; nothing is sent."""
    leads = tuple(one for one in found if isinstance(one, Lead))
    unreadable = tuple(one for one in found if isinstance(one, UnreadableLead))
    always = replace(book, routes=tuple(replace(route, since=_ALWAYS) for route in book.routes))
    # A whole past exceeds any night's volume: keep the volume guard from holding it.
    # Webhooks would have other leads read.
    listed = replace(deps, source=_PreloadedLeadSource(leads, unreadable), accept_volume=True, inbox=InboxReader())
    with (
        temporary_copy() as state,
        open_locked_ledger(SqliteState(state), book.account, "forecast", now=deps.clock.now()) as ledger,
    ):
        summary = rehearse(RunContext(ledger, always, listed))
        with ledger.read_transaction() as session:
            now = deps.clock.now()
            tallies = queries.count_by_state_and_reason(session, ledger.account, now=now)
    return SampleRehearsal(len(leads), unreadable, tuple(summary.unknown_labels), tallies, now)


@dataclass(frozen=True, slots=True)
class _PreloadedLeadSource:
    """A source that serves leads read earlier."""

    leads: tuple[Lead, ...]
    unreadable: tuple[UnreadableLead, ...]
    is_budget_spent: bool = False

    def fetch_changes(self, *_: object, **__: object) -> Generator[LeadPage, None, None]:
        """Yield all leads on one page."""
        yield LeadPage(self.leads, (), self.unreadable, served_at=None, resume=None)

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """Yield the listed lead for each id; None if it isn't listed."""
        by_id = {lead.id: lead for lead in self.leads}
        yield from ((lead_id, by_id.get(lead_id)) for lead_id in ids)

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """Return the first `count` leads."""
        return self.leads[:count]


@dataclass(frozen=True, slots=True)
class LabelUsage:
    """A status label found in the settings or on leads, and how many leads have it."""

    stage: str | None
    """The stage that names it, or `IGNORED`; None if the settings don't name it."""
    label: str
    """Spelled as in Oplead, or as in the settings if no lead has it."""
    now: int = 0
    """Leads that have it now."""
    ever: int = 0
    """Leads that have or had it."""
    example: LeadId | None = None
    """The latest lead that has it, or else the latest that had it."""


def label_usages(settings: Settings, leads: Sequence[Lead]) -> tuple[LabelUsage, ...]:
    """Return every label of the settings in their order, then labels found only on leads, most frequent first.

    Args:
        settings: the account's settings.
        leads: latest first.
    """
    now, ever = defaultdict[str, list[Lead]](list), defaultdict[str, list[Lead]](list)
    spelled: dict[str, str] = {}
    for lead in leads:
        found = [label for label in (lead.label, *(entry.label for entry in lead.history)) if label]
        for normal, label in {normalise_label(label): label for label in found}.items():
            spelled.setdefault(normal, label)
            ever[normal].append(lead)
        if lead.label:
            now[normalise_label(lead.label)].append(lead)
        if lead.has_appointment:
            now[APPOINTMENT_SET].append(lead)
            ever[APPOINTMENT_SET].append(lead)
    spelled.pop("", None)

    def make_forecast_label(stage: str | None, label: str) -> LabelUsage:
        normal = normalise_listed_label(label)
        example = next((lead.id for lead in (*now[normal], *ever[normal])), None)
        return LabelUsage(stage, spelled.get(normal, label), len(now[normal]), len(ever[normal]), example)

    named = [make_forecast_label(stage, label) for stage, labels in settings.stages.items() for label in labels]
    named += [make_forecast_label(IGNORED, label) for label in settings.ignored_statuses]
    known = {normalise_listed_label(one.label) for one in named}
    others = [make_forecast_label(None, label) for normal, label in spelled.items() if normal not in known]
    return (*named, *sorted(others, key=lambda one: -one.ever))
