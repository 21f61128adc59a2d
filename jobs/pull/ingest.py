"""Ingest: stores the facts the rules need and each sink's contact hashes, and reads single leads."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from connectors.crm import ReceivedEvent
from connectors.errors import KeyRefused, Misconfigured
from connectors.language import N_, _
from connectors.ports import ReadsExports
from connectors.records import (
    Contact,
    DestinationId,
    Found,
    Identifier,
    Lead,
    LeadId,
    LeadPage,
    ListedLead,
    SubstituteLead,
    UnreadableLead,
)
from jobs.faults import ContainedFault
from jobs.ledger import reading_progress
from jobs.ledger.leads import excluded_leads, lead_writes, leads, status_labels
from jobs.ledger.outbox import consents
from jobs.ledger.retention import retention
from jobs.ledger.retention.erasure import forgotten_by_either
from jobs.rules.eligibility import may_keep_contact
from jobs.rules.extraction import (
    StorableLead,
    amounts,
    newly_seen_click_ids,
    read_consent,
    text_to_show,
    utm_to_show,
    where_condition_values,
)
from jobs.rules.labels import normalise_label
from jobs.rules.model import ConsentAnswer, ConsentSignalName, KnownClickId, LeadFacts
from jobs.rules.reasons import Message, MessageKind
from jobs.rules.status_changes import LeadReadTimes, new_status_changes
from jobs.rules.twins import click_marks, is_another_lead
from jobs.rules.webhook_history import lead_history_from_webhooks
from jobs.rules.webhook_structures import has_leads_out_of_reach, settings_line, shown_fields
from jobs.run_context import RunContext, TwinAnswer

NAMED = 10
"""Names at most so many leads that webhooks report and nothing shows."""
AT_ONCE = 50
"""Leads stored per transaction; the time limit is checked after each."""
_OTHERS = 5
"""Leads on record of which one must be read to show that not the key is refused."""
MANY = 5
"""So many leads, none of them found at once, suggest that their own pages are elsewhere, or the key sees less."""
_OTHER_LEAD = N_("its own page is another lead's, see oplead.fields.id")


@dataclass(slots=True)
class WebhooksTaken:
    """What a run took from the webhooks' inbox."""

    read_to: int | None = None
    """The last event up to which every lead was read; None if one is left, or there is no inbox."""
    inbox: str = ""
    """The identity of that inbox."""
    leads: int = 0
    """Leads with new events."""
    forgotten: int = 0
    """Leads with new events that somebody asked to forget: they are not read."""
    left: int = 0
    """Those that could not be read in time; the next run reads them."""
    missing: list[str] = field(default_factory=list)
    """Leads that are not there, or that the key may not read, and nobody was told of yet; a night tells.

    Whoever reaches the receiver may put anything in place of an id: each is fit to be shown.
    """
    missing_before: list[str] = field(default_factory=list)
    """Those that somebody was told of on an earlier night, and that are not there still."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Structures not understood and new, and how many events have each."""
    known_unknown: int = 0
    """Events of structures that an earlier run reported."""
    known_structures: tuple[str, ...] = ()
    """Those structures."""
    problem: str | None = None
    """Why the inbox cannot be read."""
    stopped: str | None = None
    """Why the night stopped reading the leads with new events, and went on without them."""
    damaged: int = 0
    """Events that could not be read and were left out."""

    @property
    def attention(self) -> list[Message]:
        """Messages about what a human should look at."""
        found = [] if self.problem is None else [Message(MessageKind.INBOX_UNREADABLE, {"why": self.problem})]
        if self.stopped is not None:
            found.append(Message(MessageKind.REPORTED_UNREAD, {"count": self.left, "why": self.stopped}))
        if self.missing:
            found.append(_not_there(self.missing))
        if self.damaged:
            found.append(Message(MessageKind.INBOX_DAMAGED, {"count": self.damaged}))
        if self.unknown:
            found.append(_not_understood(sum(self.unknown.values()), tuple(self.unknown)))
        return found

    @property
    def standing(self) -> list[Message]:
        """Messages about what was reported on an earlier night and came again, or is so still."""
        found = [_not_there([*self.missing, *self.missing_before])] if self.missing_before else []
        count = sum(self.unknown.values()) + self.known_unknown
        if self.known_unknown:
            found.append(_not_understood(count, (*self.unknown, *self.known_structures)))
        return found

    @property
    def is_all_understood(self) -> bool:
        """Whether webhooks were taken and all understood, or there is no inbox; a quiet one shows nothing."""
        has_no_inbox = not (self.inbox or self.left or self.problem)
        return has_no_inbox or (self.leads > 0 and not self.unknown and not self.known_unknown)


def _not_there(leads: Sequence[str]) -> Message:
    named = tuple(dict.fromkeys(leads[:NAMED]))
    return Message(MessageKind.REPORTED_MISSING, {"count": len(leads), "leads": named})


def _not_understood(count: int, structures: tuple[str, ...]) -> Message:
    values = {
        "count": count,
        "structures": shown_fields(structures),
        "line": settings_line(structures),
        "out_of_reach": has_leads_out_of_reach(structures),
    }
    return Message(MessageKind.UNKNOWN_WEBHOOKS, values)


@dataclass(frozen=True, slots=True)
class FewerLeads:
    """A list with fewer than half of the leads that the last complete one showed."""

    listed: int
    before: int


@dataclass(slots=True)
class PullResult:
    """What a pull read."""

    pages: int = 0
    seen: int = 0
    detail_pages: int = 0
    """Leads fetched one by one."""
    changed: int = 0
    unreadable: list[UnreadableLead] = field(default_factory=list)
    excluded: int = 0
    """Test leads among those seen, including those on record from before they were excluded."""
    deleted: int = 0
    """Leads whose deletion was first believed tonight."""
    forgotten: int = 0
    """Leads that somebody asked to forget, so they were not read in."""
    too_old: int = 0
    """Leads not on record that were created so long ago that they may have left: they are not read in."""
    back: int = 0
    """Leads considered deleted that exist again."""
    no_detail_pages: bool = False
    """True if a listed lead has no page of its own, so that nothing can be concluded about unlisted ones."""
    suspicious: int = 0
    """Leads that seem deleted, but are too many to be believed."""
    fewer: FewerLeads | None = None
    """What the list showed, if that is far less than it did."""
    unread: int = 0
    """Leads to read by their own pages for which the list left no time at all."""
    shown_since: datetime | None = None
    """When the reading began, by the source's clock: it did not show what was last seen before. None if nothing was."""
    shows_all: bool = False
    """Whether it showed every lead that there is, so that the others are gone."""
    complete: bool = False
    """False if the time budget ended the pull early; the next one resumes there."""
    moved: bool = False
    """Whether the list shifted while it was read; the next full read finds any leads skipped."""
    total: int | None = None
    """How many leads the list has in all, where the source says so."""
    missing: int = 0
    """How many more leads Oplead reports than it listed."""
    undated: bool = False
    """Whether a list page had no timestamp, so its clock couldn't be compared with ours."""
    webhooks: WebhooksTaken = field(default_factory=WebhooksTaken)
    faults: list[str] = field(default_factory=list)
    """Failures that nobody foresaw, by kind of error."""

    @property
    def is_absence_believed(self) -> bool:
        """Whether a lead that was not shown may be taken for gone: what is not shown is not far too much."""
        return not (self.fewer or self.suspicious or self.no_detail_pages)

    @property
    def all_shown_since(self) -> datetime | None:
        """Since when every lead that there is was shown; None if some may not have been."""
        return self.shown_since if self.shows_all and self.complete and self.is_absence_believed else None

    @property
    def missing_leads(self) -> Message | None:
        """What too many missing leads are said to be; None if there are not too many."""
        if self.fewer is not None:
            return Message(MessageKind.FEWER_LEADS, {"count": self.fewer.listed, "before": self.fewer.before})
        return Message(MessageKind.SUSPICIOUSLY_MISSING, {"count": self.suspicious}) if self.suspicious else None

    @property
    def attention(self) -> list[Message]:
        """Messages about what a human should look at."""
        found = (
            (MessageKind.UNREAD, self.unread),
            (MessageKind.NO_DETAIL_PAGES, int(self.no_detail_pages)),
        )
        return [
            *([self.missing_leads] if self.missing_leads else []),
            *(Message(message, {"count": count}) for message, count in found if count),
            *self.webhooks.attention,
        ]

    def count_page(self, page: LeadPage, new: int) -> None:
        """Count a list page, of whose readable leads so many are `new`: the previous page did not show them."""
        self.pages += 1
        self.total = page.total
        self.undated |= page.served_at is None
        self.seen += new
        self._count(page)

    def count_details(self, page: LeadPage) -> None:
        """Count leads read by their own pages."""
        self.detail_pages += len(page.leads) + len(page.unchanged) + len(page.unreadable)
        self._count(page)

    def _count(self, page: LeadPage) -> None:
        self.unreadable += page.unreadable
        self.moved |= page.moved
        self.missing = page.missing


def without_forgotten(session: Session, run: RunContext, page: LeadPage, done: PullResult) -> LeadPage:
    """Return a page without the leads that somebody asked to forget, which are counted in `done`."""
    ids = [*_ids(page), *(LeadId(one.id) for one in page.unreadable if one.id)]
    forgotten = forgotten_by_either(session, run.ledger.account, run.ledger.place, ids)
    if not forgotten:
        return page
    done.forgotten += len(forgotten)
    return replace(
        page,
        leads=tuple(lead for lead in page.leads if lead.id not in forgotten),
        unchanged=tuple(lead for lead in page.unchanged if lead not in forgotten),
        unreadable=tuple(one for one in page.unreadable if one.id not in forgotten),
    )


def count_new_leads(page: LeadPage, before: LeadPage | None) -> int:
    """Return how many of a page's readable leads the previous page did not show: a list may repeat its last page."""
    return len(_ids(page) - _ids(before))


def _ids(page: LeadPage | None) -> set[LeadId]:
    """The ids of a page's readable leads."""
    return set() if page is None else {*(lead.id for lead in page.leads), *page.unchanged}


# ── storing leads ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """When leads were read: start of the pull, time served by the source, and end of the last read."""

    started: datetime
    served: datetime
    ended: datetime
    heard: int
    """The last webhook that had arrived before they were requested: what came later may have changed them since."""


def store_lead_page(session: Session, run: RunContext, page: LeadPage, when: ReadTimes, done: PullResult) -> None:
    """Store what the rules need from a page, counted in `done`; for a test lead never on record, only its digest.

    Nothing of a forgotten lead is stored, or even hashed.
    """
    account = run.ledger.account
    page = without_forgotten(session, run, page, done)
    # A page may list a lead twice if the list shifts meanwhile; the later entry is fresher.
    latest = {lead.id: lead for lead in page.leads}
    known = leads.load_lead_facts(session, account, list(latest))
    done.too_old += _leave_out_too_old(session, account, latest, known, when)
    if run.deps.twins is not TwinAnswer.SAME:
        reused = {one for one, facts in known.items() if is_another_lead(facts, latest[one])}
        _pass_over_reused(session, run, [(latest.pop(one), known.pop(one)) for one in reused], when)
    tests = {lead.id for lead in latest.values() if run.book.extraction.exclude.is_test_lead(lead)}
    readings = _make_storable_leads(run, latest, known, tests, when=when, faults=done.faults)
    lead_writes.forget_unreadable(session, account, list(latest))
    lead_writes.store_lead_readings(session, account, readings, on_record=known.keys(), seen_at=when.served)
    status_labels.record_other_names(session, run.ledger, readings)
    consents.record_consent_answers(session, account, readings, known, read_at=when.served)
    _note_excluded(session, account, latest, tests - known.keys(), when)
    unchanged_tests = lead_writes.record_seen_again(session, account, set(page.unchanged), seen_at=when.served)
    _store_unreadable(session, account, page.unreadable, when, done)
    if latest or page.unchanged:
        reading_progress.record_reading(session, account, at=when.served)
    if latest:
        from connectors.contact import clear_contact_caches  # noqa: PLC0415 - a night without leads does without it

        clear_contact_caches()
    done.changed += len(readings)
    done.excluded += len(tests) + unchanged_tests
    done.back += sum(one.deleted for one in known.values())


def _leave_out_too_old(
    session: Session,
    account: str,
    latest: dict[LeadId, Lead],
    known: Mapping[LeadId, LeadFacts],
    when: ReadTimes,
) -> int:
    """Take those leads out of `latest` that are not on record and may have left, note their digests and count them.

    Some lists show no times: by its digest, such a lead need not be read again.
    """
    unknown = {lead.id: lead.created_at for lead in latest.values() if lead.id not in known}
    too_old = retention.possibly_erased_leads(session, account, unknown)
    digests = {lead: latest.pop(lead).digest for lead in too_old}
    excluded_leads.record_excluded_leads(session, account, digests, read_at=when.served, too_old=True)
    return len(digests)


def _make_storable_leads(
    run: RunContext,
    latest: Mapping[LeadId, Lead],
    known: Mapping[LeadId, LeadFacts],
    tests: Collection[LeadId],
    *,
    when: ReadTimes,
    faults: list[str],
) -> list[StorableLead]:
    """Return what is stored of leads: of a test lead something only if it is on record."""
    received = run.deps.inbox.webhook_events_of(list(latest), to=when.heard)
    return [
        _make_storable_lead(
            run, lead, known.get(name), when, received.get(name, ()), excluded=name in tests, faults=faults
        )
        for name, lead in latest.items()
        if name in known or name not in tests
    ]


def _note_excluded(
    session: Session, account: str, latest: Mapping[LeadId, Lead], tests: Collection[LeadId], when: ReadTimes
) -> None:
    """Note the digests of these test leads, which need not be read again; the others are excluded no longer."""
    digests = {lead: latest[lead].digest for lead in tests}
    excluded_leads.record_excluded_leads(session, account, digests, read_at=when.served)
    excluded_leads.delete_exclusions(session, account, latest.keys() - digests.keys())


def _store_unreadable(
    session: Session, account: str, unreadable: Sequence[UnreadableLead], when: ReadTimes, done: PullResult
) -> None:
    """Store what could not be read, unless it may have left."""
    created = {LeadId(one.id): one.created_at for one in unreadable if one.id and one.created_at}
    gone = retention.possibly_erased_leads(session, account, created)
    there = [one for one in unreadable if one.id not in gone]
    lead_writes.store_unreadable_leads(session, account, there, before=done.unreadable, seen_at=when.served)


def _pass_over_reused(
    session: Session, run: RunContext, reused: Sequence[tuple[Lead, LeadFacts]], when: ReadTimes
) -> None:
    """Store of other leads under known ids only that they are others: the record is about those that had the ids.

    A refusal counts all the same: it may be the same person, whose creation was corrected.
    """
    ledger, ids = run.ledger, [lead.id for lead, _ in reused]
    leads.mark_reused(session, ledger.account, ids, run=ledger.run, seen_at=when.served)
    # As of test leads, nothing of their contact data is hashed.
    readings = [_make_storable_lead(run, lead, facts, when, (), excluded=True, faults=[]) for lead, facts in reused]
    known = {facts.id: facts for _, facts in reused}
    refused = ConsentAnswer.REFUSED
    for signal, some in (
        (ConsentSignalName.AD_USER_DATA, [one for one in readings if one.ad_user_data.answer is refused]),
        (ConsentSignalName.AD_PERSONALIZATION, [one for one in readings if one.ad_personalization.answer is refused]),
    ):
        lead_writes.record_refusals(session, ledger.account, signal, [one.lead.id for one in some])
        consents.record_consent_answers(session, ledger.account, some, known, read_at=when.served)


def _make_storable_lead(
    run: RunContext,
    lead: Lead,
    known: LeadFacts | None,
    when: ReadTimes,
    received: Sequence[ReceivedEvent],
    *,
    excluded: bool,
    faults: list[str],
) -> StorableLead:
    wanted, zone = run.book.extraction, run.book.zone
    user_data = read_consent(ConsentSignalName.AD_USER_DATA, wanted.ad_user_data, lead)
    personalization = read_consent(ConsentSignalName.AD_PERSONALIZATION, wanted.ad_personalization, lead)
    changes, clicks = (known.changes, known.click_ids) if known else ((), ())
    # A new click id counts from the last observation, or from the lead's creation if none could be read before.
    read_before = known if known and not known.stale and known.click_id_problem is None else None
    ended = max(when.served, when.ended)
    new_clicks = newly_seen_click_ids(clicks, lead, previously=read_before.seen_at if read_before else None)
    # Each platform hashes contact data by its own rules; raw contact data goes no further than this.
    hashed_for = {
        route.destination
        for route in run.book.routes
        if not excluded and may_keep_contact(route, user_data.answer, personalization.answer, [*clicks, *new_clicks])
    }
    failed = len(faults)
    identifiers = _hash_contact(run, lead.contact, sorted(hashed_for), faults)
    return StorableLead(
        lead=lead if len(faults) == failed else replace(lead, digest=_TO_HASH_AGAIN),
        label=None if lead.label is None else normalise_label(lead.label),
        ad_user_data=user_data,
        ad_personalization=personalization,
        where=where_condition_values(wanted.where, lead),
        amounts=amounts(wanted.amounts, lead),
        changes=new_status_changes(
            changes,
            lead,
            LeadReadTimes(
                previously=known.seen_at if known else None,
                started=when.started,
                ended=ended,
                read_alike=known.seen_at if known and not known.stale else None,
            ),
            zone=zone,
            webhooks=lead_history_from_webhooks(received, lead.created_at, zone),
            rules=run.book.webhooks,
        ),
        click_ids=new_clicks,
        identifiers=identifiers,
        utm=utm_to_show(lead),
        excluded=excluded,
        reported_by=text_to_show(lead.fields.get(wanted.report_by)) if wanted.report_by else None,
        contact_mark=_contact_mark(run, lead, [*clicks, *new_clicks]) if hashed_for else None,
    )


_TO_HASH_AGAIN = "unhashed"
"""Digest of a lead whose contact data are to be hashed again when it is next shown."""


def _hash_contact(
    run: RunContext, contact: Contact, destinations: Sequence[DestinationId], faults: list[str]
) -> dict[DestinationId, tuple[Identifier, ...]]:
    """Hash contact data by each platform's own rules; a fault in one's leaves it none until the lead is read again."""
    found: dict[DestinationId, tuple[Identifier, ...]] = dict.fromkeys(destinations, ())
    for destination in destinations:
        with ContainedFault(faults, _("contact data could not be hashed"), destination=destination):
            found[destination] = run.deps.sinks[destination].hash_contact(contact)
    return found


def _contact_mark(run: RunContext, lead: Lead, clicks: Sequence[KnownClickId]) -> bytes | None:
    """Return by what a lead is known again under another id, unless it is by a click, or no key for it lies apart."""
    if run.ledger.place is None or click_marks(clicks):
        return None
    from connectors.contact import addresses_of  # noqa: PLC0415 - a night without leads does without it

    return next(map(run.ledger.place.mark_contact, addresses_of(lead.contact)), None)


# ── reading single leads ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FetchedDetails:
    """The outcome of asking for single leads."""

    ids: list[LeadId] = field(default_factory=list)
    """Leads asked for before time was up, in order."""
    deleted: list[LeadId] = field(default_factory=list)
    """Those that no longer exist."""
    as_asked: list[LeadId] = field(default_factory=list)
    """Those whose own page was read."""
    refused: list[LeadId] = field(default_factory=list)
    """Those whose own page was refused and passed."""
    merged: dict[LeadId, LeadId] = field(default_factory=dict)
    """Deleted leads whose own page shows another lead on record, and that lead."""

    @property
    def unseen(self) -> list[LeadId]:
        """Those that are not there, or that the key may not read."""
        return [*self.deleted, *self.refused]


@dataclass(slots=True)
class DetailFetcher:
    """Reads single leads within one pull, past those that the key may not read, but never past a refused key.

    A key that reads the list, or another lead on record, is not refused.
    """

    run: RunContext
    done: PullResult
    until: datetime
    """When time is up, by our clock."""
    started: datetime
    """Start of the pull, by the source's clock."""
    ahead: timedelta = timedelta()
    """How far the source's clock is ahead of ours."""
    afresh: bool = False
    """Whether to store unchanged leads again, since their contact hashes may have been erased."""
    is_key_proven: bool = field(default=False, kw_only=True)
    """Whether the key has read the list, or another lead."""
    _is_page_shown: bool = field(default=False, init=False)
    """Whether the key has read the own page of a lead that the list shows, or of another."""
    _refused_pages: list[LeadId] = field(default_factory=list, init=False)
    """Leads that the list shows and whose own pages were refused, until one is shown."""

    def read(self, ids: Sequence[LeadId]) -> FetchedDetails:
        """Read leads in the given order until all are read, time is up or the source yields no more tonight.

        Raises:
            Misconfigured: the source refuses us. What was read so far is kept.
            Transient: the source kept failing. What was read so far is kept.
        """
        asked = FetchedDetails()
        for start in range(0, len(ids), AT_ONCE):
            if self.run.now() > self.until:
                break
            part = ids[start : start + AT_ONCE]
            self._read(part, asked)
            if len(asked.ids) < start + len(part):
                break
        return asked

    def _read(self, part: Sequence[LeadId], asked: FetchedDetails) -> None:
        began, heard, found = self.run.now(), self.run.deps.inbox.latest_event_id() or 0, []
        try:
            for one in self._fetch(part, asked):
                found.append(one)  # noqa: PERF402 - keeps what arrived before a failure
        finally:
            self._store(found, began, heard, asked)

    def require_right_to_own_pages(
        self, refused: Sequence[LeadId], *, is_any_shown: bool, listed: Sequence[LeadId] = ()
    ) -> None:
        """Raise KeyRefused if many leads of the list were refused on their own pages, and none is shown.

        Before that a few others are asked for, of these `listed` ones and of those on record: a quiet night asks only
        for those that are refused every night, which must not end each.
        """
        self._is_page_shown |= is_any_shown
        self._refused_pages += refused
        if self._is_page_shown or len(self._refused_pages) < MANY:
            return
        if not self._reads_another(self._refused_pages, listed):
            for _found in self.run.deps.source.fetch_each(self._refused_pages[-1:]):
                pass
        self._is_page_shown = True

    def _fetch(self, part: Sequence[LeadId], asked: FetchedDetails) -> Iterator[tuple[LeadId, Found]]:
        """Yield what the source shows of leads, past those that are refused."""
        position = 0
        while position < len(part):
            try:
                for one in self.run.deps.source.fetch_each(part[position:]):
                    position += 1
                    yield one
            except Misconfigured as error:
                lead = part[position]
                if not self._is_about_one_lead(error, lead):
                    raise
                position += 1
                asked.refused.append(lead)
                yield lead, self._refused(lead, error)
            else:
                return

    def _is_about_one_lead(self, error: Misconfigured, lead: LeadId) -> bool:
        """Whether only this lead is refused, and not the key."""
        return isinstance(error, KeyRefused) and error.is_known and self._reads_others(lead)

    def _reads_others(self, lead: LeadId) -> bool:
        """Whether the key has read the list, or reads another lead on record, which is asked for once."""
        self.is_key_proven = self.is_key_proven or self.done.pages > 0 or self._reads_another([lead])
        return self.is_key_proven

    def _reads_another(self, but: Collection[LeadId], listed: Sequence[LeadId] = ()) -> bool:
        """Whether the key reads one of a few other leads, listed or on record; the first may be refused as well."""
        with self.run.ledger.read_transaction() as session:
            on_record = leads.most_recently_seen_leads(session, self.run.ledger.account, but=but, limit=_OTHERS)
        return any(map(self._is_shown, dict.fromkeys([*listed[:_OTHERS], *on_record])))

    def _is_shown(self, lead: LeadId) -> bool:
        try:
            return any(isinstance(found, Lead) for _, found in self.run.deps.source.fetch_each([lead]))
        except KeyRefused as error:
            if not error.is_known:
                raise
            return False

    def _refused(self, lead: LeadId, error: Misconfigured) -> Found:
        """Return what a lead counts as whose page is refused: not as deleted, and not as seen."""
        why = _("its own page fails ({error})", error=error)
        if is_refused := isinstance(error, KeyRefused):
            why = _("the key may not read this lead's own page")
        return UnreadableLead(lead, why, is_refused=is_refused, is_there=False)

    def _note_stored(self, session: Session, found: Sequence[tuple[LeadId, Found]]) -> None:
        """Note, in the transaction that stores them, what was found."""

    def _store(self, found: Sequence[tuple[LeadId, Found]], began: datetime, heard: int, asked: FetchedDetails) -> None:
        account = self.run.ledger.account
        with self.run.ledger.write_transaction() as session:
            merged = self._merged(session, found)
            read = [
                UnreadableLead(lead, _(_OTHER_LEAD)) if isinstance(one, SubstituteLead) and lead not in merged else one
                for lead, one in found
            ]
            shown = [one for one in read if isinstance(one, Lead)]
            listed = [] if self.afresh else [ListedLead(one.id, one.digest) for one in shown]
            known = {one.id for one in leads.unchanged_leads(session, account, listed)}
            page = LeadPage(
                leads=tuple(one for one in shown if one.id not in known),
                unchanged=tuple(known),
                unreadable=tuple(one for one in read if isinstance(one, UnreadableLead)),
                served_at=None,
                resume=None,
            )
            when = self._read_times(began, heard)
            store_lead_page(session, self.run, page, when, self.done)
            leads.record_detail_fetch(session, account, [lead for lead, _ in found], at=self.started)
            self._note_stored(session, found)
        asked.ids.extend(lead for lead, _ in found)
        asked.deleted.extend(lead for lead, one in found if one is None or lead in merged)
        asked.as_asked.extend(lead for lead, one in found if isinstance(one, Lead))
        asked.merged.update(merged)
        self.done.count_details(page)

    def _read_times(self, began: datetime, heard: int) -> ReadTimes:
        """When the leads were observed: between the request for the first and the arrival of the last.

        What a file says was so when it was exported.
        """
        source = self.run.deps.source
        exported_at = source.exported_at if isinstance(source, ReadsExports) else None
        if exported_at is not None:
            return ReadTimes(exported_at, exported_at, self.run.now(), heard)
        return ReadTimes(self.started, max(self.started, began + self.ahead), self.run.now(), heard)

    def _merged(self, session: Session, found: Sequence[tuple[LeadId, Found]]) -> dict[LeadId, LeadId]:
        """Leads on record whose page shows another lead on record; if it shows any other, ids may be misread."""
        others = {lead: one.id for lead, one in found if isinstance(one, SubstituteLead)}
        account, named = self.run.ledger.account, {*others, *others.values()}
        forgotten = forgotten_by_either(session, account, self.run.ledger.place, named)
        on_record = leads.stored_lead_ids(session, account, named) | forgotten.keys()
        return {lead: other for lead, other in others.items() if {lead, other} <= on_record}


@dataclass(slots=True)
class PastRefusedFetcher(DetailFetcher):
    """Reads single leads, past whatever else is refused of one of them, too."""

    def _is_about_one_lead(self, error: Misconfigured, lead: LeadId) -> bool:
        return not isinstance(error, KeyRefused) or super(PastRefusedFetcher, self)._is_about_one_lead(error, lead)
