"""Collects what to report to a human: what starves bidding, renamed statuses, unreadable leads, unknown statuses.

The detectors are pure; they find what fails without an error: a field is empty, click ids stop or are damaged.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import takewhile

from sqlmodel import Session

from connectors.past_statuses import unexplained_labels
from connectors.records import ClickIdKind
from jobs.ledger import runs
from jobs.ledger.leads import leads, status_labels
from jobs.ledger.report import queries
from jobs.ledger.report.queries import ClickIdShare, QualifiedConversion, SampledLead
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import StatusRename
from jobs.plan.planner import PlanningResult, withhold_missing_amounts
from jobs.rules.extraction import RequiredLeadData
from jobs.rules.model import FEWEST_LEADS, ConsentAnswer
from jobs.rules.reasons import Anomaly, AnomalyIdentity, AnomalyKind, Message, MessageKind, Reason
from jobs.run_findings import LabelCount, RunFindings
from jobs.settings.compile import Rulebook

FEWEST = 5
"""Fewer conversions than this may be stopped by chance."""
RECENT, BEFORE = timedelta(days=7), timedelta(days=28)
"""The recent window whose share of click ids is checked, and the window before it, which it is compared with."""
COLLAPSED = 3
"""The share has collapsed when it is under a third of what it was."""
FALLEN = Fraction(2, 3)
"""The share of one source's leads has fallen when it is at most two thirds of what it was."""
FEWEST_EXPECTED = 5
"""Minimum number of leads expected to have an id at the earlier share; with fewer, none at all may be chance."""
IN_A_ROW = 10
"""This many newest leads without an id may mean ids have stopped; fewer may be a day without an ad."""
IDS_IN_A_ROW = 12
"""The same for ids that look damaged."""
BY_CHANCE = 1 / 10_000
"""Report what is less likely than this by chance: one false alarm in many years of nights."""
MOST_NAMED = 20
"""Maximum number of past statuses named in a message."""
FEWEST_SOLD = 5
"""This many leads with a valued conversion, none of them with an amount, suggest that the path is wrong."""
CUT_AT = frozenset({32, 40, 50, 60, 64, 100, 120, 127, 128, 150, 200, 250, 254, 255, 256, 500, 512})
"""Lengths of the columns and form fields that truncate ids. Whole ids have other lengths."""
_WITH_CAPITALS = frozenset({ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID, ClickIdKind.FBCLID})
"""Kinds with ids so long that one without a capital must have been lowercased."""
_MAY_BE_RIGHT = frozenset({Reason.NO_CLICK_ID, Reason.NO_IDENTIFIER, Reason.CONSENT_REFUSED})
"""Reasons that stop some leads of healthy accounts every night: they alarm only when they stop more than usual."""


def review_run(
    session: Session,
    ledger: Ledger,
    book: Rulebook,
    planned: PlanningResult | None,
    *,
    now: datetime,
    all_shown_since: datetime | None = None,
) -> RunFindings:
    """Return what this run reports; record what is reported only once, so that the next run doesn't repeat it.

    Without `planned`, between nights, it looks for no anomaly: the next night judges what has qualified since the last.
    """
    unreadable, unreadable_before = leads.take_unreported_unreadable(
        session, ledger.account, run=ledger.run, all_shown_since=all_shown_since
    )
    found = status_labels.renames_found(session, ledger.account)
    unknown = _unknown(session, ledger.account, book.meanings.keys(), found)
    tonight = [row for row in found if row.run == ledger.run]
    new = status_labels.take_unreported(
        session, ledger.account, {label: clicks for label, _, clicks in unknown}, run=ledger.run
    )
    # A new name is reported as a rename, not as an unknown status.
    new -= {each.after for each in tonight}
    return RunFindings(
        anomalies=[] if planned is None else _anomalies_tonight(session, ledger, book, planned, now=now),
        renames=[_renamed(session, ledger.account, each, book.meanings) for each in tonight],
        renames_before=[
            _renamed(session, ledger.account, each, book.meanings)
            for each in found
            if each not in tonight and each.after not in book.meanings
        ],
        unreadable=unreadable,
        unreadable_before=unreadable_before,
        labels=_respell_label_counts(session, ledger.account, (each for each in unknown if each[0] in new)),
        labels_before=_respell_label_counts(session, ledger.account, (each for each in unknown if each[0] not in new)),
    )


def _anomalies_tonight(
    session: Session, ledger: Ledger, book: Rulebook, planned: PlanningResult, *, now: datetime
) -> list[Anomaly]:
    let_in = queries.pairs_with_deliveries(session, ledger.account, planned.filtered_out)
    return _deduplicate_anomalies(
        [
            *find_anomalies(session, book, run=ledger.run, now=now),
            *filters_excluding_all_leads(planned.filtered_out, let_in),
        ]
    )


def find_anomalies(session: Session, book: Rulebook, *, run: int, now: datetime) -> Iterator[Anomaly]:
    """Yield the causes that keep conversions from being sent, as the ledger shows them up to this run."""
    account, recent, before = book.account, now - RECENT, now - RECENT - BEFORE
    # A night judges what has qualified since the last one.
    passes = runs.earlier_webhook_inbox_runs(session, account, run)
    tonight = queries.conversions_qualified_since(session, *passes, run, since=now - BEFORE)
    yield from blocked_conversion_anomalies(
        tonight, queries.conversions_qualified_before_run(session, account, run=run, since=now - BEFORE, but=passes)
    )
    valued = {route.conversion for route in book.routes if route.field_value is not None}
    newest, entered = queries.newest_leads(session, account), queries.leads_with_delivery_of(session, account, valued)
    never_seen = {value.path for route in book.routes if (value := route.field_value) and value.never_seen}
    yield from empty_fields(newest, entered, book.extraction, never_seen)
    yield from _unexplained_past(session, book, newest)
    yield from missing_click_id_anomalies(queries.newest_have_click_ids(session, account, since=before))
    share = queries.click_id_share(session, account, (recent, now))
    # Count a month of leads only if the share of the last week can be a collapsed one.
    of_all: list[Anomaly] = []
    if COLLAPSED * share.with_click < share.leads:
        of_all = list(click_share_drop_anomaly(share, queries.click_id_share(session, account, (before, recent))))
    yield from of_all or _of_sources(session, account, recent=(recent, now), before=(before, recent))
    yield from damaged_ids(queries.latest_click_ids(session, account))


def _unexplained_past(session: Session, book: Rulebook, newest: Sequence[SampledLead]) -> Iterator[Anomaly]:
    """Yield that most past statuses of the newest leads are none that is known, if so."""
    histories = queries.dated_labels(session, book.account, [lead.id for lead in newest])
    if not unexplained_labels(histories, book.meanings, str):
        return
    renamed = {row.before for row in status_labels.renames_found(session, book.account)}
    known = {*book.meanings, *status_labels.labels_on_leads(session, book.account), *renamed}
    if found := unexplained_labels(histories, known, str):
        labels = tuple(status_labels.oplead_spelling(session, book.account, label) for label in found[:MOST_NAMED])
        yield _make_field_anomaly("oplead.fields.history", MessageKind.PAST_UNEXPLAINED, labels=labels)


def _of_sources(
    session: Session, account: str, *, recent: tuple[datetime, datetime], before: tuple[datetime, datetime]
) -> Iterator[Anomaly]:
    """Yield the sources whose share fell; weeks before are counted of those only that may have fallen."""
    shares = queries.click_id_shares_by_source(session, account, recent)
    low = {source: share for source, share in shares.items() if _may_have_fallen(share)}
    if low:
        yield from source_click_share_anomalies(
            low, queries.click_id_shares_by_source(session, account, before, only=low.keys())
        )


def current_anomalies(session: Session, book: Rulebook, *, run: int, now: datetime) -> list[Anomaly]:
    """Return the anomalies on record now, one per cause."""
    book = withhold_missing_amounts(session, book)
    return _deduplicate_anomalies(find_anomalies(session, book, run=run, now=now))


def _deduplicate_anomalies(found: Iterable[Anomaly]) -> list[Anomaly]:
    return list({each.cause: each for each in found}.values())


def unknown_labels(session: Session, account: str, known: Collection[str]) -> list[LabelCount]:
    """Return labels that leads have now and no setting names, except names replaced by a rename."""
    found = status_labels.renames_found(session, account)
    return _respell_label_counts(session, account, _unknown(session, account, known, found))


def _respell_label_counts(session: Session, account: str, found: Iterable[tuple[str, int, int]]) -> list[LabelCount]:
    return [
        LabelCount(status_labels.oplead_spelling(session, account, label), leads, clicks)
        for label, leads, clicks in found
    ]


def _unknown(
    session: Session, account: str, known: Collection[str], renames: Iterable[StatusRename]
) -> list[tuple[str, int, int]]:
    """Return the same labels, normalised."""
    return leads.count_labels(session, account, but={*known, *(row.before for row in renames)})


def _renamed(session: Session, account: str, relabel: StatusRename, meanings: Mapping[str, str]) -> Message:
    before, after = (
        status_labels.oplead_spelling(session, account, label) for label in (relabel.before, relabel.after)
    )
    message = _RENAMED[relabel.before in meanings, relabel.after in meanings]
    return Message(message, {"before": before, "after": after, "leads": relabel.leads})


_RENAMED = {
    (True, True): MessageKind.RENAMED_WITHIN_STAGE,
    (False, True): MessageKind.RENAMED_TO_KNOWN,
    (True, False): MessageKind.RENAMED_TO_UNKNOWN,
    (False, False): MessageKind.RENAMED_BETWEEN_UNKNOWN,
}
"""Keyed by whether the settings name the old label, and the new one."""


# ── tonight's conversions ────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _QualifiedCounts:
    """Counts of what qualified for one destination: there may be too many conversions to keep."""

    count: int = 0
    stopped: Counter[Reason] = field(default_factory=Counter)
    in_a_row: int = 0
    """Conversions stopped since the last one that could be sent."""


def _count_qualified_by_destination(begun: Iterable[QualifiedConversion]) -> defaultdict[str, _QualifiedCounts]:
    found: defaultdict[str, _QualifiedCounts] = defaultdict(_QualifiedCounts)
    for one in begun:
        here = found[one.destination]
        here.count += 1
        here.in_a_row = 0 if one.reason is None else here.in_a_row + 1
        if one.reason is not None:
            here.stopped[one.reason] += 1
    return found


def blocked_conversion_anomalies(
    tonight: Iterable[QualifiedConversion], before: Iterable[QualifiedConversion]
) -> Iterator[Anomaly]:
    """Yield an anomaly where none of the qualifying conversions can be sent, or one reason stops half of them.

    Args:
        tonight: what qualified tonight, in order.
        before: what qualified on earlier nights, oldest first; only consumed if something is stopped tonight.
    """
    ours = _count_qualified_by_destination(tonight)
    if not any(here.stopped for here in ours.values()):
        return
    earlier = _count_qualified_by_destination(before)
    nothing_goes = all(here.stopped.total() == here.count for here in ours.values())
    found: dict[tuple[Reason, MessageKind], list[Message]] = {}
    for place, here in sorted(ours.items()):
        stop = _main_blocking_reason(here, earlier[place], nothing_goes=nothing_goes)
        if stop is not None:
            values = {"stopped": here.stopped[stop[0]], "count": here.count, "destination": place}
            found.setdefault(stop, []).append(Message(MessageKind.STOPPED_THERE, values))
    for (reason, message), there in found.items():
        yield _anomaly(AnomalyKind.STOPPED, message, {"reason": reason}, there=tuple(there))


def _anomaly(kind: AnomalyKind, message: MessageKind, about: Mapping[str, str], **values: object) -> Anomaly:
    return Anomaly(AnomalyIdentity(kind, tuple(about.values())), Message(message, {**about, **values}))


def _main_blocking_reason(
    here: _QualifiedCounts, earlier: _QualifiedCounts, *, nothing_goes: bool
) -> tuple[Reason, MessageKind] | None:
    """Return the reason that stops one destination's conversions, and whether it stops all of them or half.

    All of one destination's leads on a night may have come without an ad while another destination gets its own, so
    such a reason counts as stopping everything only if no destination can send anything.
    """
    if not here.stopped:
        return None
    reason, count = here.stopped.most_common(1)[0]
    may_be_right = reason in _MAY_BE_RIGHT
    all_of_them = here.in_a_row == here.count
    if all_of_them and (nothing_goes or not may_be_right) and earlier.in_a_row + here.in_a_row >= FEWEST:
        return reason, MessageKind.NONE_CAN_BE_SENT
    if count < FEWEST or 2 * count < here.count:
        return None
    is_usual = earlier.count >= FEWEST and 3 * earlier.stopped[reason] >= earlier.count
    return None if may_be_right and is_usual else (reason, MessageKind.HALF_STOPPED)


def filters_excluding_all_leads(
    counts: Mapping[tuple[str, str], int], let_in: Collection[tuple[str, str]]
) -> Iterator[Anomaly]:
    """Yield an anomaly where `where` excludes every lead that reached a stage, and has never let one in.

    Args:
        counts: leads excluded tonight, by conversion and destination.
        let_in: the conversions and destinations that ever had a delivery.
    """
    for (conversion, destination), count in sorted(counts.items()):
        if count >= FEWEST and (conversion, destination) not in let_in:
            about = {"conversion": conversion, "destination": destination}
            yield _anomaly(AnomalyKind.WHERE, MessageKind.WHERE_EXCLUDES_ALL, about, count=count)


# ── the fields ───────────────────────────────────────────────────────────────────────────────────


def empty_fields(
    newest: Sequence[SampledLead],
    entered: Sequence[SampledLead],
    wanted: RequiredLeadData,
    never_seen: Collection[str] = (),
) -> Iterator[Anomaly]:
    """Yield configured fields that are empty on every recent lead, or hold no value that the settings list.

    Args:
        newest: the leads created last, newest first.
        entered: the leads that last had a valued conversion and no longer wait for its amount.
        wanted: names the fields.
        never_seen: amount paths at which no lead has anything, although enough leads should.
    """
    latest = newest[:FEWEST_LEADS]
    if len(latest) == FEWEST_LEADS:
        for signal, answers in (
            (wanted.ad_user_data, {lead.ad_user_data for lead in latest}),
            (wanted.ad_personalization, {lead.ad_personalization for lead in latest}),
        ):
            if signal and answers == {ConsentAnswer.MISSING}:
                yield _make_field_anomaly(signal.path, MessageKind.CONSENT_EMPTY, FEWEST_LEADS)
        for path in sorted(wanted.where):
            if not any(path in lead.where for lead in latest):
                yield _make_field_anomaly(path, MessageKind.WHERE_EMPTY, FEWEST_LEADS)
            # Unlisted values are kept only as a shape.
            elif all(lead.where.get(path, "<").startswith("<") for lead in newest):
                yield _make_field_anomaly(path, MessageKind.WHERE_UNLISTED, len(newest))
    sold = entered[:FEWEST_LEADS]
    for path in sorted(wanted.amounts):
        if path in never_seen:
            yield _make_field_anomaly(path, MessageKind.AMOUNT_NEVER_SEEN)
        elif len(sold) >= FEWEST_SOLD and not any(path in lead.amounts for lead in sold):
            yield _make_field_anomaly(path, MessageKind.AMOUNT_EMPTY, len(sold))


def _make_field_anomaly(path: str, message: MessageKind, count: int = 0, **values: object) -> Anomaly:
    return _anomaly(AnomalyKind.FIELD, message, {"path": path}, count=count, **values)


# ── click ids ────────────────────────────────────────────────────────────────────────────────────


def click_share_drop_anomaly(recent: ClickIdShare, before: ClickIdShare) -> Iterator[Anomaly]:
    """Yield an anomaly if the share of leads with a click id fell below a third of what it was."""
    if min(recent.leads, before.leads) < FEWEST_LEADS:
        return
    expected = recent.leads * before.with_click / before.leads
    if expected >= FEWEST_EXPECTED and COLLAPSED * recent.with_click < expected:
        now, then = (round(100 * share.with_click / share.leads) for share in (recent, before))
        yield _anomaly(
            AnomalyKind.CLICK_SHARE, MessageKind.CLICK_SHARE_COLLAPSED, {}, now=now, then=then, days=RECENT.days
        )


def source_click_share_anomalies(
    recent: Mapping[str, ClickIdShare], before: Mapping[str, ClickIdShare]
) -> Iterator[Anomaly]:
    """Yield an anomaly for each source whose share of leads with a click id fell against its own weeks before.

    It fell by a third at least, and hardly ever by chance: Fisher's exact test. Sources with few leads are not judged.
    """
    for source, now in sorted(recent.items()):
        then = before.get(source)
        if then is None or then.leads < FEWEST_LEADS or not _may_have_fallen(now):
            continue
        fell = now.with_click * then.leads <= FALLEN * then.with_click * now.leads
        if then.with_click and fell and _chance_of_so_few(now, then) < BY_CHANCE:
            now_share, then_share = (round(100 * share.with_click / share.leads) for share in (now, then))
            shares = {"now": now_share, "then": then_share, "days": RECENT.days, "before": BEFORE.days}
            yield _anomaly(AnomalyKind.CLICK_SHARE, MessageKind.SOURCE_CLICK_SHARE_FELL, {"source": source}, **shares)


def _may_have_fallen(share: ClickIdShare) -> bool:
    """Whether a share is low enough, of leads enough, to have fallen from any other."""
    return share.leads >= FEWEST_LEADS and share.with_click <= FALLEN * share.leads


def _chance_of_so_few(now: ClickIdShare, then: ClickIdShare) -> float:
    """Return how likely at most so many of the recent leads have an id if all leads are equally likely to."""
    leads, ids = now.leads + then.leads, now.with_click + then.with_click
    fewest = max(0, ids - then.leads)
    return math.fsum(
        math.exp(_ln_choices(ids, n) + _ln_choices(leads - ids, now.leads - n) - _ln_choices(leads, now.leads))
        for n in range(fewest, now.with_click + 1)
    )


def _ln_choices(of: int, some: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)


def missing_click_id_anomalies(newest: Iterable[bool]) -> Iterator[Anomaly]:
    """Yield an anomaly if the run of newest leads without a click id is next to impossible, given the share before.

    If a fraction p of earlier leads had no id, a run of n without one has probability p ** n. One lead with and one
    without an id are added to the observed counts, since a share of few leads is uncertain.

    Args:
        newest: whether each lead has a click id, newest first; read only as far as needed.
    """
    rest = iter(newest)
    without = sum(1 for _ in takewhile(lambda has_one: not has_one, rest))
    if without < IN_A_ROW:
        return
    # `takewhile` took the first lead with an id, if there is one.
    earlier = [True, *rest]
    if len(earlier) < FEWEST_LEADS:
        return
    chance = (earlier.count(False) + 1) / (len(earlier) + 2)
    if chance**without < BY_CHANCE:
        then = round(100 * earlier.count(True) / len(earlier))
        yield _anomaly(AnomalyKind.CLICK_SHARE, MessageKind.CLICK_IDS_STOPPED, {}, count=without, then=then)


def damaged_ids(ids: Sequence[tuple[ClickIdKind, str]]) -> Iterator[Anomaly]:
    """Yield an anomaly if at least half of a kind's latest ids, or all of its newest, look truncated or lowercased.

    Args:
        ids: the latest ids, newest of each kind first.
    """
    by_kind: dict[ClickIdKind, list[str]] = {}
    for kind, value in ids:
        by_kind.setdefault(kind, []).append(value)
    for kind, values in sorted(by_kind.items()):
        about = {"kind": kind}
        if cut := _count_truncated_ids(values):
            damaged, count, length = cut
            message = MessageKind.CLICK_IDS_CUT
            yield _anomaly(AnomalyKind.CLICK_IDS_CUT, message, about, damaged=damaged, count=count, length=length)
        if lowered := _count_lowercased_ids(values) if kind in _WITH_CAPITALS else None:
            damaged, count = lowered
            message = MessageKind.CLICK_IDS_LOWERED
            yield _anomaly(AnomalyKind.CLICK_IDS_LOWERED, message, about, damaged=damaged, count=count)


def _count_truncated_ids(values: Sequence[str]) -> tuple[int, int, int] | None:
    """Return how many ids look truncated, out of how many, and their length; None if none do."""
    if len(values) < FEWEST_LEADS:
        return None
    longest = max(map(len, values))
    count = sum(len(value) == longest for value in values)
    if longest in CUT_AT and 2 * count >= len(values):
        return count, len(values), longest
    newest, earlier = values[:IDS_IN_A_ROW], values[IDS_IN_A_ROW:]
    length = len(newest[0])
    as_long = sum(len(value) == length for value in earlier)
    by_chance = ((as_long + 1) / (len(earlier) + 2)) ** IDS_IN_A_ROW
    shorter = 2 * sum(len(value) > length for value in earlier) > len(earlier)
    # Whole ids of one format may share a length, but then they end alike; truncated ones end anywhere.
    endings = {value[-3:] for value in newest}
    if {length} == set(map(len, newest)) and shorter and by_chance < BY_CHANCE and 2 * len(endings) > len(newest):
        return len(newest), len(newest), length
    return None


def _count_lowercased_ids(values: Sequence[str]) -> tuple[int, int] | None:
    """Return how many ids are lowercased, out of how many; None unless half of all or all of the newest are."""
    small = [any(map(str.isalpha, value)) and value == value.lower() for value in values]
    if len(small) >= FEWEST_LEADS and 2 * sum(small) >= len(small):
        return sum(small), len(small)
    newest = small[:IDS_IN_A_ROW]
    return (len(newest), len(newest)) if len(newest) == IDS_IN_A_ROW and all(newest) else None
