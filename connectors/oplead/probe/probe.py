"""Probe an Oplead platform with as few requests as possible and suggest settings for it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from math import ceil
from typing import Any, Literal
from urllib.parse import urlsplit

from connectors.contact import lost_phones
from connectors.errors import Misconfigured
from connectors.http import is_loopback
from connectors.oplead.client import OpleadAnswer, OpleadClient, OpleadRefused
from connectors.oplead.field_tree import CONTACT, key_paths, locate, tree_of
from connectors.oplead.fields import find
from connectors.oplead.lead_parser import LeadParser, UnreadableLeadError, digest_of, object_in_list
from connectors.oplead.options import OpleadOptions, PaginationOptions, SinceOptions
from connectors.oplead.pagination import ListedPage
from connectors.oplead.probe.access import (
    Asker,
    LeadList,
    OpenClient,
    access_notes,
    find_access,
)
from connectors.oplead.probe.basis import judge
from connectors.oplead.probe.documentation import Documentation, NotASpecificationError
from connectors.oplead.probe.field_survey import (
    Fold,
    Readable,
    amounts_of,
    few_values_of,
    find_places,
    normalise_path,
    past_labels_of,
    sources_of,
    surveyed_labels,
    suspicions_of,
    with_specified_answers,
    with_specified_labels,
)
from connectors.oplead.probe.findings import Notes, ProbeFindings
from connectors.oplead.probe.guided import AHEAD, ContradictedError, GuidedLook, as_specified
from connectors.oplead.probe.pagination import PageSearch, with_total
from connectors.oplead.probe.sampling import (
    FIRST_DETAIL_PAGES,
    FilterSearch,
    LeadDates,
    LeadSample,
    take_sample,
)
from connectors.oplead.probe.specification import Specification, read_specification
from connectors.oplead.probe.written import places_of_new, subscribed, written
from connectors.oplead.source import OpleadSource
from connectors.records import Lead, LeadId, LeadPage, UnreadableLead
from connectors.survey import SUGGESTED, Suggestion, Survey
from connectors.text import counted

MAX_REQUESTS = 100
"""The request limit for finding access, pagination and filters; sampling and verification are extra."""
SAMPLE = 300
"""How many leads to look at where nobody says."""
_NOBODY_LOOKED = Documentation(None, "")
_CHANGED_WITHIN = timedelta(days=4)
"""One night plus the usual overlap."""
_SENT_WITHIN = timedelta(days=90)
_MOST_UNREADABLE = 0.5
_ENOUGH_TO_SAY_EMPTY = 10
_MOST_EMPTY_NAMED = 12

Pull = Literal["since", "list", "details"]


@dataclass(eq=False, repr=False, kw_only=True)
class OpleadProbe:
    """Finds out how one Oplead platform responds, with GET requests to the configured host only."""

    client: OpleadClient = field(kw_only=False)
    """Has the configured options, which are tried first, and the rate limiter for every request."""
    per_minute: int
    """The allowed request rate, used to estimate how long a night takes."""
    readable: Readable
    fold: Fold
    documentation: Documentation | None = None
    """What came of looking for the platform's specification; None if nobody looked."""
    named: frozenset[str] = frozenset()
    """Paths named in the settings, whose filled leads are counted."""
    _clients: list[OpleadClient] = field(default_factory=list, init=False)

    def survey(self, *, leads: int | None = None) -> Survey:
        """Find out how the platform responds and where fields are.

        What the specification says is tried first. With it, and without a number of leads to look at, five requests
        are enough; otherwise about `leads` leads are looked at, or 300.

        Raises:
            Misconfigured: the token is refused however it is sent, no list of leads is found, or the platform is a
                sandbox whose clock stands still.
            Transient: it kept failing after bounded retries.
        """
        notes = Notes()
        specification = self._specification(notes)
        survey = self._guided(specification, notes) if specification and leads is None else None
        if survey is None:
            survey = self._by_trials(specification, leads or SAMPLE, notes)
        return replace(
            survey,
            requests=sum(client.requests for client in self._clients) + (self.documentation or _NOBODY_LOOKED).requests,
            how=tuple(notes.how),
            suspicions=tuple(notes.suspicions),
            undecided=tuple(notes.undecided),
        )

    def _specification(self, notes: Notes) -> Specification | None:
        """Return what the specification says, if there is one of Oplead's; note where it was read, or why not."""
        found = self.documentation
        if found is None:
            return None
        if found.specification is None:
            notes.how.append(found.sentence)
            return None
        try:
            specification = read_specification(found.specification, urlsplit(self.client.options.base_url).path)
        except NotASpecificationError as reason:
            notes.how.append(f"{found.sentence[:-1]}, and not used, for {reason}.")
            return None
        notes.how.append(found.sentence)
        if (host := specification.api.host) and host != self.client.host:
            notes.how.append(f"The specification is of {host}; its paths are used on {self.client.host}.")
        return specification

    def _guided(self, specification: Specification, notes: Notes) -> Survey | None:
        """Survey as specified; None if the platform answers otherwise, or has no lead."""
        client = self._open(as_specified(self.client.options, specification))
        with closing(client):
            try:
                found = GuidedLook(specification, client).find()
            except ContradictedError as contradiction:
                notes.how.append(f"The specification does not hold, so the rest was found by trying: {contradiction}.")
                return None
            if found is None:
                return None
            notes.how.extend(access_notes(found.options, self.client.options, specification.auth))
            return self._report(found, notes, specification)

    def _by_trials(self, specification: Specification | None, leads: int, notes: Notes) -> Survey:
        configured = self.client.options
        options = as_specified(configured, specification) if specification else configured
        auth = specification.auth if specification else None
        asker, answer = find_access(options, self._open, MAX_REQUESTS, auth)
        notes.how.extend(access_notes(asker.client.options, configured, auth))
        with closing(asker.client):
            return self._survey(asker, answer, leads, notes, specification)

    def _open(self, options: OpleadOptions) -> OpleadClient:
        self._clients.append(replace(self.client, options=options))
        return self._clients[-1]

    def _survey(
        self, asker: Asker, answer: OpleadAnswer, leads: int, notes: Notes, specification: Specification | None
    ) -> Survey:
        """Survey the leads; if none is found, return only the suggestion."""
        options = asker.client.options
        refuse_standing_clock(asker, answer)
        try:
            path, items = locate(answer.body, options.pagination.items)
        except Misconfigured as error:
            notes.undecided.append(f"oplead.pagination.items: {error}")
            return Survey(suggestion=suggestion_of(options))
        options = replace(options, pagination=replace(options.pagination, items=path))
        if not items:
            notes.undecided.append(
                "oplead.token: the list holds no lead, so nothing can be found out; a key that is not the client "
                "admin's may see none"
            )
            return Survey(suggestion=suggestion_of(options))
        listed = LeadList(asker, path, find_places(items, options).fields.id)
        said_by = self._said_by(options)
        return self._report(_look(options, listed, listed.read(answer), leads, said_by), notes, specification)

    def _said_by(self, options: OpleadOptions) -> str:
        """Return who says what is tried first: the specification, if it took the place of a default."""
        configured = self.client.options
        pairs = (
            (options.pagination.style, configured.pagination.style),
            (options.since_filter, configured.since_filter),
        )
        return "the settings say" if all(one == other for one, other in pairs) else "the specification says"

    def _report(self, found: ProbeFindings, notes: Notes, specification: Specification | None) -> Survey:
        places, sample = found.places, found.sample
        complete = list(sample.complete.values())
        notes.how.extend(found.paging.how)
        notes.undecided.extend((*found.paging.undecided, *places.undecided))
        tree = tree_of(complete)
        records, reasons = _records(found.options, complete)
        everyone, _ = _records(found.options, list(sample.every.values()))
        if reasons:
            is_most = len(reasons) > _MOST_UNREADABLE * len(complete)
            (notes.undecided if is_most else notes.suspicions).append(_unreadable(reasons, complete))
        options, pull = settle(found, notes, self._open)
        notes.suspicions.extend(suspicions_of(records, complete, places.fields.click_id))
        if lost := lost_phones([record.contact for record in records]):
            notes.suspicions.append(f"{lost}.")
        empty = [path for path, node in tree.items() if not node.filled and not node.is_listed]
        if empty and len(complete) >= _ENOUGH_TO_SAY_EMPTY:
            notes.suspicions.append(f"Empty on every lead: {', '.join(empty[:_MOST_EMPTY_NAMED])}.")
        contact = [path for one in CONTACT for path in getattr(places.fields, one)]
        matched = [match.path for match in places.matches if match.path]
        known = frozenset(map(normalise_path, (*contact, *matched)))
        judgement = judge(self.client.options, options, places.matches, specification)
        notes.how.extend(judgement.contradictions)
        enums = specification.enums if specification else {}
        specified = written(specification, options) if specification else {}
        minutes_first, minutes_nightly = self._minutes(options, pull, found) or (None, None)
        return Survey(
            leads=len(complete),
            total=found.paging.total,
            paths=key_paths(tree, options.zone),
            fields=places.matches,
            labels=with_specified_labels(
                surveyed_labels(records, everyone, self.fold), enums, options.fields.status, self.fold
            ),
            past_labels=past_labels_of(everyone, self.fold),
            named={path: sum(bool(find(lead, path)) for lead in complete) for path in sorted(self.named)},
            few_values=with_specified_answers(few_values_of(tree, complete, known, self.fold), enums),
            amounts=amounts_of(tree, complete, self.readable, known),
            sources=sources_of(records),
            minutes_first=minutes_first,
            minutes_nightly=minutes_nightly,
            suggestion=suggestion_of(options, pull),
            rests_on=judgement.rests_on,
            write=specified,
            shown_at={} if "create" in specified else dict(places_of_new(places.matches, options)),
            subscriptions=subscribed(specification) if specification else {},
        )

    def _minutes(self, options: OpleadOptions, pull: Pull, found: ProbeFindings) -> tuple[float, float] | None:
        if found.paging.total is None:
            return None
        return reading_minutes(
            found.paging.total,
            page_size=found.paging.page_size,
            changed=_share_after(found.now - _CHANGED_WITHIN, [one.updated or one.created for one in found.dates]),
            recent=_share_after(found.now - _SENT_WITHIN, [one.created for one in found.dates]),
            detail_pages=options.detail == "always" or (options.detail == "auto" and found.lacks_click_ids),
            pull=pull,
            per_minute=self.per_minute,
        )


def _look(options: OpleadOptions, listed: LeadList, first: ListedPage, leads: int, said_by: str) -> ProbeFindings:
    """Find out the pagination, sample the leads, locate their fields, and find the change filter."""
    now = listed.asker.client.clock.now()
    now = max(now, first.answer.served_at or now)
    search = PageSearch(listed, first, said_by=said_by)
    paging = search.find()
    sample = take_sample(listed, first, paging, leads)
    places = find_places(list(sample.complete.values()), options)
    options = replace(options, fields=places.fields)
    dates = {mark: LeadDates.of(lead, options) for mark, lead in sample.every.items()}
    filtering = FilterSearch(search.trials, dates, options, now + AHEAD, said_by=said_by).find()
    paging = with_total(listed, paging, sample.counted)
    return ProbeFindings(options, now, paging, sample, places, filtering, tuple(dates.values()))


_FAR_AWAY = timedelta(minutes=10)
"""No real clock is off by this much by accident."""
_PAUSE = timedelta(seconds=2)
"""Long enough for a running clock to change a Date header, which has whole seconds."""
_LOOKS = 2


def refuse_standing_clock(asker: Asker, answer: OpleadAnswer) -> None:
    """Check over several responses that a loopback server's clock runs, if it is far from ours.

    Raises:
        Misconfigured: the clock stands still.
    """
    first, clock = answer.served_at, asker.client.clock
    if first is None or not is_loopback(asker.client.host) or abs(first - clock.now()) <= _FAR_AWAY:
        return
    for _ in range(_LOOKS):
        clock.sleep_until(clock.now() + _PAUSE)
        try:
            if asker.list({}).served_at != first:
                return
        except OpleadRefused:
            return
    raise Misconfigured(
        f"this sandbox's clock stands still at {first:%Y-%m-%d %H:%M:%S} UTC, so a minute's pause would never end "
        "there: give its clock's address, as --clock URL on the command line or as clock: URL in the settings file"
    )


def _records(options: OpleadOptions, leads: Sequence[object]) -> tuple[list[Lead], list[str]]:
    """Parse the leads as a night would; return them, and why each other one is unreadable."""
    records, reasons = [], []
    parser = LeadParser(options)
    for lead in leads:
        try:
            item = object_in_list(lead)
            records.append(parser.parse(item, parser.read_id(item), digest_of(item)))
        except UnreadableLeadError as error:
            reasons.append(str(error))
    return records, reasons


def _unreadable(reasons: Sequence[str], leads: Sequence[object]) -> str:
    commonest = max(sorted(set(reasons)), key=reasons.count)
    if not any(isinstance(lead, Mapping) for lead in leads):
        commonest += ": see oplead.pagination.items"
    return f"{len(reasons)} of {counted(len(leads), 'lead')} cannot be read, most for this: {commonest}"


def _share_after(since: datetime, moments: Sequence[datetime | None]) -> float:
    return sum(moment is not None and moment > since for moment in moments) / max(1, len(moments))


# ── what to suggest ──────────────────────────────────────────────────────────────────────────────


def settle(found: ProbeFindings, notes: Notes, open_client: OpenClient) -> tuple[OpleadOptions, Pull]:
    """Return the options to suggest and how to pull; leave out and report whatever fails verification."""
    sample, filtering = found.sample, found.filtering
    options = _with_detail(found, notes)
    is_verified = found.is_verified
    if (
        not is_verified
        and not found.paging.undecided
        and (objection := _objection_to_pages(options, sample, open_client))
    ):
        notes.undecided.append(objection)
        options = replace(options, pagination=PaginationOptions(items=options.pagination.items))
    if not is_verified and options.detail != "never" and sample.detail_pages_add:
        with closing(OpleadSource(open_client(options))) as source:
            objection = _objection_to_detail_pages(source, list(sample.detail_pages)[:FIRST_DETAIL_PAGES])
        notes.undecided.extend([objection] if objection else [])
    if found.is_dated_by_own_pages:
        notes.how.append(
            "Changes: the list has neither a status nor a time of change, so each night reads the own pages of the "
            "leads that may still be sent."
        )
        return options, "details"
    notes.how.extend(filtering.how)
    if filtering.since_filter is None or filtering.split is None:
        return options, "list"
    filtered = replace(options, since_filter=filtering.since_filter)
    if not is_verified and (objection := _objection_to_filter(filtered, filtering.split, sample.pages[0], open_client)):
        notes.how.append(f"Changes: the filter did not hold when tried once more ({objection}), so it is left out.")
        return options, "list"
    return filtered, "since"


def _with_detail(found: ProbeFindings, notes: Notes) -> OpleadOptions:
    """Return the options without a filter, with detail pages if they hold something needed that the list lacks."""
    path, are_lacking = found.sample.lead_path, found.lacks_click_ids
    options = replace(found.options, pagination=found.paging.options, since_filter=None)
    if path is None:
        if are_lacking:
            notes.undecided.append(
                "oplead.lead_path: the list leaves out what holds click ids, and no lead's own page was found"
            )
        return options
    options = replace(options, lead_path=path)
    if not found.sample.detail_pages_add:
        notes.how.append("Details: a lead's own page holds no more than the list, so none needs to be read.")
        return replace(options, detail="never" if are_lacking else "auto")
    if are_lacking:
        notes.how.append("Details: the list leaves out what holds click ids, so a changed lead's own page is read.")
    elif missing := list(found.missing_in_list()):
        notes.how.append(f"Details: only a lead's own page has {', '.join(missing[:6])}, so a changed one is read.")
        return replace(options, detail="always")
    else:
        notes.how.append("Details: a lead's own page holds more, but nothing that is needed.")
    return replace(options, detail="auto")


_MOSTLY = 0.8
_PAGES = 2
_BROKEN = 2
"""Allowance for entries of a page that are not leads."""


def _objection_to_pages(options: OpleadOptions, sample: LeadSample, open_client: OpenClient) -> str | None:
    """Return why a night would read a different list from the sample; None if the pages read again agree."""
    if sample.objection is not None:
        return sample.objection
    pages = _read_again(options, None, _PAGES, open_client)
    if isinstance(pages, str):
        return pages
    if not all(map(_are_alike, sample.pages, pages)):
        return "oplead.pagination: a second reading of the list gave other leads than the first"
    if len(pages) < min(_PAGES, len(sample.pages)):
        return "oplead.pagination: the list ended sooner when read a second time"
    return None


def _objection_to_filter(
    options: OpleadOptions, since: datetime, first: ListedPage, open_client: OpenClient
) -> str | None:
    """Return why the filter does not work; None if it does."""
    pages = _read_again(options, since, 1, open_client)
    if isinstance(pages, str):
        return pages
    return None if pages and not _are_alike(first, pages[0]) else "the filter made no difference"


def _read_again(
    options: OpleadOptions, since: datetime | None, count: int, open_client: OpenClient
) -> list[LeadPage] | str:
    """Return the list's first pages as a night reads them, or why it cannot."""
    try:
        with closing(OpleadSource(open_client(options))) as source:
            return list(islice(source.fetch_changes(since, resume=None, is_known=lambda _id, _digest: True), count))
    except Misconfigured as error:
        return str(error)


def _objection_to_detail_pages(source: OpleadSource, ids: Sequence[str]) -> str | None:
    """Return why no lead can be read by its detail page; None if one can."""
    reason = "no lead was asked for"
    try:
        for lead_id, lead in source.fetch_each([LeadId(one) for one in ids]):
            if isinstance(lead, Lead):
                return None
            absent = "its own page is another lead's, see oplead.fields.id" if lead else f"lead {lead_id} is gone"
            reason = lead.reason if isinstance(lead, UnreadableLead) else absent
    except Misconfigured as error:
        reason = str(error)
    return f"oplead.lead_path: leads are not read by their own pages ({reason})"


def _are_alike(expected: ListedPage, page: LeadPage) -> bool:
    ids = {*page.unchanged, *(lead.id for lead in page.leads), *(lead.id for lead in page.unreadable if lead.id)}
    marks = {*expected.marks}
    return len(ids & marks) >= _MOSTLY * len(ids) and len(ids) >= _MOSTLY * len(marks) - _BROKEN


# ── what to write ────────────────────────────────────────────────────────────────────────────────


def suggestion_of(options: OpleadOptions, pull: Pull | None = None) -> Suggestion:
    """Return the settings that differ from the defaults, without the token, the base URL and the rate."""
    since = options.since_filter
    default = OpleadOptions(token="", zone=options.zone, since_filter=since and SinceOptions(param=""))
    written = _different(asdict(options), asdict(default))
    if pull not in (None, "list" if since is None else "since"):
        written["pull"] = pull
    return {name: written[name] for name in SUGGESTED if name in written}


def _different(chosen: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs from the default, as it is written in the settings."""
    written: dict[str, Any] = {}
    for name, value in chosen.items():
        match value:
            case _ if value is None or value == default.get(name):
                continue
            case dict():
                written[name] = _different(value, default.get(name, {}))
            case tuple():
                written[name] = value[0] if len(value) == 1 else list(value)
            case _:
                written[name] = value
    return written


def reading_minutes(
    total: int, *, page_size: int, changed: float, recent: float, detail_pages: bool, pull: Pull, per_minute: int
) -> tuple[float, float]:
    """Return the minutes it takes to read everything once, and to read a usual night's changes.

    `changed` is the share of leads that a usual night treats as changed, including the overlap; `recent` is the share
    young enough to be sent.
    """
    touched = ceil(total * changed)
    details = touched if detail_pages else 0
    nightly = {"since": (touched, details), "list": (total, details), "details": (total, ceil(total * recent))}
    first, night = (
        round((max(1, ceil(listed / max(1, page_size))) + details) / per_minute, 1)
        for listed, details in ((total, total if detail_pages else 0), nightly[pull])
    )
    return first, night
