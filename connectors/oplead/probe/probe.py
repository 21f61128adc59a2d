"""Finds out how an Oplead platform answers, with as few requests as that takes."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import httpx

from connectors.contact import lost_phones
from connectors.errors import Misconfigured
from connectors.http import is_loopback
from connectors.oplead.client import TIMEOUT, OpleadAnswer, OpleadClient
from connectors.oplead.field_tree import CONTACT, key_paths, locate, tree_of
from connectors.oplead.fields import find
from connectors.oplead.lead_parser import UnreadableLeadError, digest_of, parse_lead, read_id, with_candidates
from connectors.oplead.options import FieldPaths, OpleadOptions
from connectors.oplead.probe.access import (
    Access,
    Asker,
    CountingPacer,
    ListedPage,
    ListReader,
    QuestionLimit,
    find_access,
)
from connectors.oplead.probe.field_places import find_id_paths, find_places
from connectors.oplead.probe.field_values import (
    Fold,
    Readable,
    amounts_of,
    few_values_of,
    labels_of,
    loosely,
    past_labels_of,
    sources_of,
    suspicions_of,
)
from connectors.oplead.probe.filters import FilterSearch, LeadDates
from connectors.oplead.probe.pagination import PageSearch, count_leads, with_header
from connectors.oplead.probe.sampling import MOST_OWN_PAGES, SPARE_PAGES, SampleTimes, take_sample
from connectors.oplead.probe.trial_reading import (
    Notes,
    ProbeFindings,
    Pull,
    TrialReading,
    reads_detail_pages,
    settle,
    suggestion_of,
)
from connectors.oplead.source import OpleadSource
from connectors.ports import Clock
from connectors.rate_limit import Pacer
from connectors.records import Lead
from connectors.survey import Survey
from connectors.text import counted

_FAR_AWAY = timedelta(minutes=10)
"""No platform's clock is as wrong as that by accident."""
_PAUSE = timedelta(seconds=2)
"""A Date header tells whole seconds: one that ticks has changed by then."""
_LOOKS = 2


def refuse_standing_clock(asker: Asker, answer: OpleadAnswer, clock: Clock) -> None:
    """Where a server on this machine is far from now, see over several answers that its clock goes on.

    Raises:
        Misconfigured: it does not.
    """
    first = answer.served_at
    if first is None or not is_loopback(asker.host) or abs(first - clock.now()) <= _FAR_AWAY:
        return
    for _ in range(_LOOKS):
        clock.sleep_until(clock.now() + _PAUSE)
        again = asker.list({})
        if not isinstance(again, OpleadAnswer) or again.served_at != first:
            return
    raise Misconfigured(
        f"this sandbox's clock stands still at {first:%Y-%m-%d %H:%M:%S} UTC, so a minute's pause would never end "
        "there: give its clock's address, as --clock URL on the command line or as clock: URL in the settings file"
    )


MOST_QUESTIONS = 100
"""To find the way in, the pages and the filters; the leads to look at are read beside these."""
_CHANGED_WITHIN = timedelta(days=4)
"""A night and the usual overlap."""
_SENT_WITHIN = timedelta(days=90)
_MOST_UNREADABLE = 0.5
_ENOUGH_TO_SAY_EMPTY = 10
_MOST_EMPTY_NAMED = 12


class OpleadProbe:
    """Finds out how one Oplead platform answers; only GETs go out, to the configured host alone."""

    def __init__(
        self,
        options: OpleadOptions,
        *,
        clock: Clock,
        pacer: Pacer,
        per_minute: int,
        readable: Readable,
        fold: Fold,
        named: frozenset[str] = frozenset(),
        timeout: httpx.Timeout = TIMEOUT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Ask nothing yet.

        Args:
            options: what is known of the platform; tried first.
            clock: the only way to wait.
            pacer: shared by everything that asks this platform.
            per_minute: the allowed rate, by which the cost of a night is told.
            readable: whether an amount would be read.
            fold: what labels and answers are compared by.
            named: paths that the settings name, to be counted.
            timeout: in real seconds.
            jitter: numbers from 0 to 1 that spread the retries.
        """
        self._options = options
        self._clock = clock
        self._pacer = CountingPacer(pacer)
        self._per_minute = per_minute
        self._readable = readable
        self._fold = fold
        self._named = named
        self._timeout = timeout
        self._jitter = jitter

    def survey(self, *, leads: int) -> Survey:
        """Find out how the platform answers and where things stand, from about so many leads.

        Raises:
            Misconfigured: it refuses us, whichever way the token is shown, no list of leads is found, or it is a
                sandbox whose clock stands still.
            Transient: it kept failing after bounded retries.
        """
        bound, notes = QuestionLimit(MOST_QUESTIONS), Notes()
        access = find_access(self._options, self._open, bound)
        with Asker(access.options, self._open, bound) as asker:
            refuse_standing_clock(asker, access.answer, self._clock)
        notes.how.extend(access.how)
        try:
            path, items = locate(access.answer.body, access.options.pagination.items)
        except Misconfigured as error:
            notes.undecided.append(f"oplead.pagination.items: {error}")
            return self._nothing(access.options, notes)
        options = replace(access.options, pagination=replace(access.options.pagination, items=path))
        if not items:
            notes.undecided.append(
                "oplead.token: the list holds no lead, so nothing can be told; a key that is not the client admin's "
                "may see none"
            )
            return self._nothing(options, notes)
        reader = ListReader(path, find_id_paths(items, tree_of(items), options.fields))
        found = self._look(replace(access, options=options), reader, bound, leads)
        return self._told(
            options, found, notes, SampleTimes(found.sample, reader, found.places.fields, options.zone).seen
        )

    def _look(self, access: Access, reader: ListReader, bound: QuestionLimit, leads: int) -> ProbeFindings:
        """The list's pages, the leads on them, where things stand in those, and what filters them."""
        options = access.options
        first = reader.listed(access.answer)
        with Asker(options, self._open, bound) as asker:
            looking = PageSearch(asker, reader, first)
            paging = looking.find()
            enough = QuestionLimit(leads // max(1, paging.page_size) + SPARE_PAGES + MOST_OWN_PAGES)
            with Asker(options, self._open, enough) as reading:
                sample = take_sample(reading, reader, first, paging, leads)
            whole = list(sample.whole.values())
            places = find_places(whole, tree_of(whole), options.fields, zone=options.zone, rules=options.click_ids)
            times = SampleTimes(sample, reader, places.fields, options.zone)
            now = self._now(first)
            search = FilterSearch(looking.trials, times.of_page, zone=options.zone, now=now)
            filtering = search.find(times.seen, len(first.items), options.since_filter)
            paging = with_header(asker, reader, paging, sample.counted)
            if paging.total is None and not paging.undecided and sample.counted is None:
                paging = replace(paging, total=count_leads(asker, reader, paging.options, paging.page_size))
        return ProbeFindings(paging, sample, places, filtering)

    # ── telling ──────────────────────────────────────────────────────────────────────────────────

    def _told(self, options: OpleadOptions, found: ProbeFindings, notes: Notes, times: Sequence[LeadDates]) -> Survey:
        sample, places = found.sample, found.places
        notes.how.extend(found.paging.how)
        notes.undecided.extend((*found.paging.undecided, *places.undecided))
        whole = list(sample.whole.values())
        tree = tree_of(whole)
        records = _records(options, places.fields, whole, notes)
        everyone = _records(options, places.fields, list(sample.every.values()), Notes())
        options, pull = settle(options, found, notes, self._source)
        paths = with_candidates(places.fields)
        notes.suspicions.extend(suspicions_of(records, whole, paths.click_id or ()))
        if lost := lost_phones([record.contact for record in records]):
            notes.suspicions.append(f"{lost}.")
        empty = [path for path, node in tree.items() if not node.filled and not node.is_listed]
        if empty and len(whole) >= _ENOUGH_TO_SAY_EMPTY:
            notes.suspicions.append(f"Empty on every lead: {', '.join(empty[:_MOST_EMPTY_NAMED])}.")
        contact = [path for one in CONTACT for path in getattr(paths, one) or ()]
        known = frozenset(loosely([*contact, *(match.path for match in places.matches if match.path)]))
        total = _total(found)
        cost = self._cost(options, pull, found, times) if total is not None else None
        return Survey(
            leads=len(whole),
            total=total,
            requests=self._pacer.asked,
            paths=key_paths(tree, options.zone),
            fields=places.matches,
            labels=labels_of(records, everyone, self._fold),
            past_labels=past_labels_of(everyone, self._fold),
            named={path: sum(bool(find(lead, path)) for lead in whole) for path in sorted(self._named)},
            few_values=few_values_of(tree, whole, known, self._fold),
            amounts=amounts_of(tree, whole, self._readable, known),
            sources=sources_of(records),
            how=tuple(notes.how),
            suspicions=tuple(notes.suspicions),
            undecided=tuple(notes.undecided),
            minutes_first=cost.minutes_first if cost else None,
            minutes_nightly=cost.minutes_nightly if cost else None,
            suggestion=suggestion_of(options, pull),
        )

    def _nothing(self, options: OpleadOptions, notes: Notes) -> Survey:
        """What can be said without any lead."""
        return Survey(
            leads=0,
            total=None,
            requests=self._pacer.asked,
            how=tuple(notes.how),
            undecided=tuple(notes.undecided),
            suggestion=suggestion_of(options, "list" if options.since_filter is None else "since"),
        )

    def _cost(
        self, options: OpleadOptions, pull: Pull, found: ProbeFindings, times: Sequence[LeadDates]
    ) -> TrialReading:
        now = self._now(found.sample.pages[0])
        moved = [one.updated or one.created for one in times]
        return TrialReading(
            total=_total(found) or 0,
            page_size=found.paging.page_size,
            changed=_share(moved, now - _CHANGED_WITHIN),
            recent=_share([one.created for one in times], now - _SENT_WITHIN),
            detail_pages=reads_detail_pages(options, found.sample),
            pull=pull,
            per_minute=self._per_minute,
        )

    # ── doors ────────────────────────────────────────────────────────────────────────────────────

    def _open(self, options: OpleadOptions) -> OpleadClient:
        return OpleadClient(options, clock=self._clock, pacer=self._pacer, timeout=self._timeout, jitter=self._jitter)

    def _source(self, options: OpleadOptions) -> OpleadSource:
        return OpleadSource(
            options,
            wanted_fields=frozenset(),
            clock=self._clock,
            pacer=self._pacer,
            timeout=self._timeout,
            jitter=self._jitter,
        )

    def _now(self, page: ListedPage) -> datetime:
        """The later of the platform's clock and ours."""
        now, served_at = self._clock.now(), page.answer.served_at
        return now if served_at is None else max(now, served_at)


def _records(options: OpleadOptions, places: FieldPaths, leads: Sequence[object], notes: Notes) -> list[Lead]:
    """The leads as a night would read them; what it could not read is told by its commonest reason."""
    records, reasons = [], []
    paths = with_candidates(places)
    for lead in leads:
        try:
            records.append(_record(options, paths, lead))
        except UnreadableLeadError as error:
            reasons.append(str(error))
    if reasons:
        commonest = max(sorted(set(reasons)), key=reasons.count)
        if not any(isinstance(lead, Mapping) for lead in leads):
            commonest += ": see oplead.pagination.items"
        told = f"{len(reasons)} of {counted(len(leads), 'lead')} cannot be read, most for this: {commonest}"
        (notes.undecided if len(reasons) > _MOST_UNREADABLE * len(leads) else notes.suspicions).append(told)
    return records


def _record(options: OpleadOptions, paths: FieldPaths, lead: object) -> Lead:
    if not isinstance(lead, Mapping):
        raise UnreadableLeadError("an entry of the list is no object")
    return parse_lead(
        lead,
        id=read_id(lead, paths),
        digest=digest_of(lead),
        paths=paths,
        click_ids=options.click_ids,
        zone=options.zone,
        wanted=frozenset(),
    )


def _total(found: ProbeFindings) -> int | None:
    """How many leads there are, where an answer says, or the list was followed to its end."""
    return found.sample.counted if found.paging.total is None else found.paging.total


def _share(moments: Sequence[datetime | None], since: datetime) -> float:
    return sum(moment is not None and moment > since for moment in moments) / max(1, len(moments))
