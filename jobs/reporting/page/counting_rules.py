"""What counts on a page: its period, stages, and the conversion that is a signed sale."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from connectors.records import LeadId
from jobs.ledger.report.leads import Span, amounts_and_agency
from jobs.reporting.page.facts import TIMING_DAYS, Period
from jobs.settings import Settings
from jobs.settings.compile import Rulebook, find_sale_conversion
from jobs.settings.schema import ConversionSettings, ValueFromFieldSettings


def span_of_period(period: Period, zone: ZoneInfo) -> Span:
    """Return the instants at which a period begins and ends."""
    first, after = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (period.first, period.last + timedelta(days=1))
    )
    return first, after


@dataclass(frozen=True)
class ReportCountingRules:
    """What counts on a page, and when."""

    settings: Settings
    book: Rulebook
    renamed: Mapping[str, str]
    """The new label of each status renamed in Oplead, by its old one."""
    period: Period
    now: datetime
    first_run: datetime | None
    """When the account's first run began."""
    leads: Collection[LeadId] | None = None
    """The only leads that count; None if all do."""

    @cached_property
    def sale_conversion(self) -> ConversionSettings:
        """The conversion that counts as a signed sale."""
        return find_sale_conversion(self.settings)

    @cached_property
    def stage_of(self) -> Mapping[str, str]:
        """The stage of each label; one that was renamed keeps its meaning unless the settings give it another."""
        meanings = self.book.meanings
        old = {old: meanings[new] for old, new in self.renamed.items() if new in meanings and old not in meanings}
        return {label: stage for label, stage in {**old, **meanings}.items() if stage}

    @cached_property
    def span(self) -> Span:
        """The period."""
        return span_of_period(self.period, self.book.zone)

    @cached_property
    def span_before(self) -> Span:
        """The period before it."""
        return span_of_period(self.period.preceding_period, self.book.zone)

    @cached_property
    def stage_timing_span(self) -> Span:
        """The time over which ways to stages are measured."""
        return self.now - timedelta(days=TIMING_DAYS), self.now

    @cached_property
    def sale_stages(self) -> frozenset[str]:
        """The sale's stage, and those that imply it."""
        return frozenset((self.sale_conversion.stage, *self.sale_conversion.implied_by))

    @cached_property
    def biddable_stages(self) -> tuple[str, ...]:
        """The stages that someone might bid on: all but those that only undo."""
        undoing = {stage for one in self.settings.conversions for stage in one.undo_when}
        return tuple(stage for stage in self.settings.stages if stage not in undoing)

    @cached_property
    def sale_labels(self) -> frozenset[str]:
        """The labels of the stages that a sale may begin with."""
        return self._labels(self.sale_stages)

    @cached_property
    def sale_deciding_labels(self) -> frozenset[str]:
        """The labels that decide whether a sale stands: those that sell and those that undo; none where none undo."""
        undoing = self.sale_conversion.undo_when
        return self._labels(self.sale_stages | set(undoing)) if undoing else frozenset()

    def _labels(self, stages: Collection[str]) -> frozenset[str]:
        return frozenset(label for label, stage in self.stage_of.items() if stage in stages)

    @cached_property
    def first_run_at(self) -> int:
        """What happened before it, in seconds since 1970, was told as soon as it could be."""
        return int((self.first_run or self.now).timestamp())

    def is_undone(self, decided_by: str | None) -> bool:
        """Whether a sale was taken back and not restored since, by the one of `sale_deciding_labels` that came last."""
        return self.stage_of.get(decided_by or "") in self.sale_conversion.undo_when

    def amount(self, facts: str) -> Decimal | None:
        """Return what a sale is worth by its lead's facts; None where that is not known."""
        value = self.sale_conversion.value
        if isinstance(value, ValueFromFieldSettings):
            return amounts_and_agency(facts)[0].get(value.field)
        return value if isinstance(value, Decimal) else None
