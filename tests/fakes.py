"""The outside world in memory: a clock, a source of leads and a platform that keep to the ports' promises."""

import hashlib
import json
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from connectors.errors import KeyRefused, Misconfigured, Transient
from connectors.records import (
    AdjustmentKind,
    AnswerLost,
    ClickIdKind,
    ContactIdentifierKind,
    CorrectionSupport,
    ForgottenRequest,
    Identifier,
    LeadPage,
    ListedLead,
    Outcome,
    OutcomeClass,
    PartlyRefused,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
    SinkLimits,
    StillPending,
    SubstituteLead,
    utc,
)

NIGHT = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
"""When the first night of a test begins."""

LIMITS = SinkLimits(
    batch=1000,
    click_ids=(ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID),
    contact_with=frozenset({ClickIdKind.GCLID}),
    opens_after_click=timedelta(hours=6),
    click_window=timedelta(days=90),
    contact_window=timedelta(days=63),
    needs_personalization=False,
    resolve_after=timedelta(minutes=30),
    corrects={
        "data_manager": CorrectionSupport(
            frozenset({AdjustmentKind.RESTATEMENT}), within=timedelta(days=54), batch=1000, by_resending=True
        ),
        "google_ads_api": CorrectionSupport(
            frozenset(AdjustmentKind),
            within=timedelta(days=54),
            batch=1000,
            by_resending=False,
            except_by=frozenset({ClickIdKind.WBRAID}),
        ),
    },
)
"""A platform like Google; tests bend it with `dataclasses.replace`."""

DONE = Outcome(OutcomeClass.DONE, "OK")


class Crash(BaseException):
    """The process dies here: nothing may catch it."""


class FakeClock:
    """A clock that moves only when somebody sleeps or a test says so."""

    def __init__(self, start=NIGHT):
        self.time = start
        self.slept = []
        """How long each sleep was."""

    def now(self):
        """The present instant."""
        return self.time

    def sleep_until(self, moment):
        """Move there at once."""
        self.slept.append(moment - self.time)
        self.time = max(self.time, moment)


@contextmanager
def slot(pacer):
    """Wait for one of a pacer's slots, as the client does, and hold it for one request."""
    while (free_at := pacer.take_request_slot()) is not None:
        pacer._clock.sleep_until(free_at)
    try:
        yield
    finally:
        pacer.release_request_slot()


def finder_of(known):
    """What a source asks for a page's known leads, where these pairs of id and digest are on record."""
    return lambda listed: [one for one in listed if (one.id, one.digest) in known]


class FakeSource:
    """Leads in memory, served in pages in the order they were put."""

    def __init__(self, *leads, page=100, filters=False, clock=None):
        self.leads = {lead.id: lead for lead in leads}
        self.unreadable = ()
        self.page = page
        self.filters = filters
        self.clock = clock
        """Whose time is served; None serves none."""
        self.fails = {}
        """Page number, from 0, or a lead's id: the error raised instead of it, once."""
        self.calls = []
        """(since, resume) of every pull."""
        self.read_whole = []
        """The leads that were not known already, in the order they were read."""
        self.asked = []
        """The leads asked for one by one."""
        self.merged = {}
        """Leads on whose own pages other leads stand, and which."""
        self.unlisted = set()
        """Leads that no page shows."""
        self.moves = False
        """Whether the list is seen to shift while it is read."""
        self.entry = lambda lead: lead.digest
        """The digest of a lead's entry in the list."""
        self.dates_entries = True
        """Whether a lead's entry in the list says when it was created."""
        self.allowed = None
        """How many requests a night may make; None for any number."""
        self.made = 0
        """How many this night made."""

    @property
    def is_budget_spent(self):
        """Whether this night made as many as it may."""
        return self.allowed is not None and self.made >= self.allowed

    def put(self, lead):
        """Serve a lead as it now is."""
        self.leads[lead.id] = lead

    def delete(self, *names):
        """Have leads no more."""
        for name in names:
            del self.leads[name]

    def fetch_changes(self, since, *, resume, find_known):
        """Serve pages; where it filters, only of leads updated since."""
        self.calls.append((since, resume))
        filtered = self.filters and since is not None
        listed = [lead for lead in self.leads.values() if lead.id not in self.unlisted]
        wanted = [lead for lead in listed if not filtered or (lead.updated_at or lead.created_at) >= since]
        start = int(resume or 0)
        pages = range(start, max(1, -(-len(wanted) // self.page)))
        for number in pages:
            if number > start and self.is_budget_spent:
                return
            self.made += 1
            if number in self.fails:
                raise self.fails.pop(number)
            shown = [self.leads.get(lead.id, lead) for lead in wanted[number * self.page :][: self.page]]
            yield self._page(shown, find_known, number, last=number == pages[-1])

    def _listed(self, lead):
        return ListedLead(lead.id, self.entry(lead), lambda: lead.created_at if self.dates_entries else None)

    def _page(self, leads, find_known, number, *, last):
        known = {one.id for one in find_known([self._listed(lead) for lead in leads])}
        fresh = tuple(replace(lead, digest=self.entry(lead)) for lead in leads if lead.id not in known)
        self.read_whole += [lead.id for lead in fresh]
        return LeadPage(
            leads=fresh,
            unchanged=tuple(lead.id for lead in leads if lead.id in known),
            unreadable=self.unreadable if last else (),
            served_at=self.clock.now() if self.clock else None,
            resume=None if last else str(number + 1),
            moved=self.moves,
        )

    def fetch_each(self, ids):
        """The leads, or None where there is none."""
        for lead_id in ids:
            if self.is_budget_spent:
                return
            self.made += 1
            self.asked.append(lead_id)
            if lead_id in self.fails:
                raise self.fails.pop(lead_id)
            yield lead_id, SubstituteLead(self.merged[lead_id]) if lead_id in self.merged else self.leads.get(lead_id)

    def fetch_latest(self, count):
        """The last created, newest first."""
        return sorted(self.leads.values(), key=lambda lead: lead.created_at, reverse=True)[:count]


def refuse_pages(source, *names):
    """Refuse these leads' own pages to the key, whenever they are asked for."""
    real = source.fetch_each

    def fetch_each(ids):
        for lead_id in ids:
            if lead_id in names:
                refused = KeyRefused("not this one")
                refused.is_known = True
                raise refused
            yield from real([lead_id])

    source.fetch_each = fetch_each


@dataclass
class Call:
    """One wire call as the platform saw it."""

    target: object
    events: tuple

    @property
    def keys(self):
        """The keys of its rows, in order."""
        return [event.key for event in self.events]


@dataclass
class Ticket:
    """A request that was taken in: what became of each row, and when that is told."""

    outcomes: tuple
    answers: deque = field(default_factory=deque)
    """Resolutions to give before the true one, or errors to raise."""


class FakeSink:
    """A platform in memory that keeps one promise above all: it never forgets what it counted.

    Unscripted it takes every row in and answers later (`asynchronous`) or at once. A test scripts the next calls by
    appending to `script` one of the functions below, and what a row is worth by `verdict`.
    """

    def __init__(self, *, limits=LIMITS, asynchronous=True, idempotent=True):
        self.limits = limits
        self.asynchronous = asynchronous
        self.idempotent = idempotent
        """Whether a key counts once however often it comes."""
        self.names_rows = True
        """Whether the status of a request tells rows apart."""
        self.verdict = lambda _event: DONE
        """What a row is worth; the same for the same bytes."""
        self.script = deque()
        self.status = deque()
        """Resolutions to give (or errors to raise) before the true one, whatever the ticket."""
        self.calls = []
        self.asked = []
        """Tickets in the order they were asked about."""
        self.tickets = {}
        self.counted = Counter()
        """How often each key counts in the platform's numbers."""
        self.bodies = {}
        """Every body that was counted, or would have been but for its key, by key."""
        self.corrections = []
        """Calls of `adjust`."""
        self.adjust_script = deque()
        """What the next of them come to: steps as of `script`."""
        self.retracted = set()
        """The keys that count no more."""
        self.values = {}
        """The latest value of each key that was corrected, as text."""
        self._adjusted_at = {}

    def hash_contact(self, contact):
        """E-mail addresses, hashed."""
        emails = [email.strip().lower() for email in contact.emails]
        return tuple(Identifier(ContactIdentifierKind.EMAIL, sha(email)) for email in emails if email)

    def encode(self, event):
        """Everything the event says, as JSON."""
        said = {
            "key": event.key,
            "action": event.target.action,
            "source": event.target.source,
            "at": utc(event.at).isoformat(),
            "click": event.click_id and (event.click_id.kind, event.click_id.value),
            "identifiers": [(each.kind, each.sha256) for each in sorted(event.identifiers)],
            "value": event.value and str(event.value.amount),
            "currency": event.value and event.value.currency,
            "consent": [event.consent.ad_user_data, event.consent.ad_personalization],
        }
        return json.dumps(said, sort_keys=True).encode()

    def submit(self, target, batch):
        """Take one request as scripted, or in full."""
        self.calls.append(Call(target, tuple(batch)))
        if len(batch) > self.limits.batch:
            return Refused(Outcome(OutcomeClass.BUG, "TOO_MANY_EVENTS"))
        step = self.script.popleft() if self.script else take
        return step(self, tuple(batch))

    def encode_adjustment(self, adjustment):
        """Everything the correction says, as JSON; the whole event too where it is sent anew."""
        correction = self.limits.corrects.get(adjustment.target.transport)
        if correction is None or adjustment.kind not in correction.kinds:
            raise ValueError("it cannot be corrected so")
        if (adjustment.value is None) != (adjustment.kind is AdjustmentKind.RETRACTION):
            raise ValueError("a restatement has a value, a retraction none")
        if correction.by_resending and (adjustment.event is None or adjustment.event.key != adjustment.key):
            raise ValueError("it needs the event")
        said = {
            "key": adjustment.key,
            "target": [adjustment.target.transport, adjustment.target.owner, adjustment.target.action],
            "adjusts": adjustment.kind.value,
            "value": adjustment.value and str(adjustment.value.amount),
            "currency": adjustment.value and adjustment.value.currency,
        }
        if correction.by_resending:
            said["event"] = self.encode(replace(adjustment.event, value=adjustment.value)).decode()
        else:
            said["at"] = utc(adjustment.at).isoformat()
        return json.dumps(said, sort_keys=True).encode()

    def adjust(self, target, batch):
        """Take one request of corrections as scripted, or in full."""
        self.corrections.append(Call(target, tuple(batch)))
        if len(batch) > self.limits.corrects[target.transport].batch:
            return Refused(Outcome(OutcomeClass.BUG, "TOO_MANY_ADJUSTMENTS_IN_REQUEST"))
        step = self.adjust_script.popleft() if self.adjust_script else take
        return step(self, tuple(batch))

    def fetch_request_outcomes(self, ticket, *, rows):
        """Tell what became of a request: every row where it can be told, else how many failed."""
        self.asked.append(ticket)
        known = self.tickets.get(ticket)
        if known is None:
            return ForgottenRequest("NOT_FOUND")
        waiting = known.answers or self.status
        if waiting:
            answer = waiting.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer
        assert rows == len(known.outcomes)
        failed = [outcome.code for outcome in known.outcomes if outcome.kind is not OutcomeClass.DONE]
        if self.names_rows or len(failed) in (0, rows):
            return RowOutcomes(known.outcomes)
        return PartlyRefused(len(failed), rows, tuple(sorted(set(failed))))

    # ── what the platform does with rows ─────────────────────────────────────────────────────────

    def process(self, batch):
        """Count the rows that are worth it; the outcome of each."""
        return tuple(self._process(event) for event in batch)

    def _process(self, event):
        outcome = self.verdict(event)
        if outcome.kind is not OutcomeClass.DONE:
            return outcome
        if correction := _correction(event):
            return self._correct(event.key, correction)
        again = self.counted[event.key] > 0
        self.bodies.setdefault(event.key, set()).add(event.body)
        if not again or not self.idempotent:
            self.counted[event.key] += 1
        if again and self.idempotent and not self.asynchronous:
            return Outcome(OutcomeClass.DUPLICATE, "ALREADY_EXISTS")
        return DONE

    def _correct(self, key, said):
        if "event" in said:
            self.counted[key] = max(self.counted[key], 1)  # a key it does not know is a new conversion
            self.values[key] = said["value"]
            return DONE
        before = self._adjusted_at.get(key, "")
        if not self.counted[key] and key not in self.retracted:
            return Outcome(OutcomeClass.DEFER, "CONVERSION_NOT_FOUND")
        if key in self.retracted:
            kind = OutcomeClass.DROP if said["value"] else OutcomeClass.DUPLICATE
            return Outcome(kind, "CONVERSION_ALREADY_RETRACTED")
        if said["at"] < before:
            return Outcome(OutcomeClass.DROP, "MORE_RECENT_RESTATEMENT_FOUND")
        if said["value"] and said["at"] == before:
            return Outcome(OutcomeClass.DUPLICATE, "RESTATEMENT_ALREADY_EXISTS")
        self._adjusted_at[key] = said["at"]
        self.values[key] = said["value"] or "0"
        if said["value"] is None:
            self.retracted.add(key)
            self.counted[key] = 0
        return DONE

    def receipt(self, batch):
        """Take rows in, and answer as this platform does; corrections that are not sent anew are answered at once."""
        outcomes = self.process(batch)
        at_once = [each for each in map(_correction, batch) if each and "event" not in each]
        if not self.asynchronous or at_once:
            return RowOutcomes(outcomes)
        ticket = f"request-{len(self.tickets) + 1}"
        self.tickets[ticket] = Ticket(outcomes)
        return ReceivedForProcessing(ticket)


def _correction(event):
    """What frozen bytes say, where they are a correction's; tests also send bytes that are no JSON."""
    if b'"adjusts"' not in event.body:
        return None
    return json.loads(event.body)


def sha(text):
    """Lower-case hex, as platforms take contact data."""
    return hashlib.sha256(text.encode()).hexdigest()


# ── steps of a script: what a platform does with one request ─────────────────────────────────────


def take(sink, batch):
    """Take every row in."""
    return sink.receipt(batch)


def answer(*outcomes):
    """Answer these outcomes, row by row, and count what is done."""

    def step(sink, batch):
        for event, outcome in zip(batch, outcomes, strict=True):
            sink.counted[event.key] += outcome.kind is OutcomeClass.DONE
        return RowOutcomes(outcomes)

    return step


def refuse(kind, code="REFUSED", *, rows=(), **more):
    """Refuse the request whole, process nothing of it, and blame these rows."""
    return lambda _sink, _batch: Refused(Outcome(kind, code, **more), rows)


def not_sent(_sink, _batch):
    """Never be reached."""
    return RequestNotSent("no connection")


def lost_after(sink, batch):
    """Take every row in, and lose the answer."""
    sink.receipt(batch)
    return AnswerLost("timed out")


def lost_before(_sink, _batch):
    """Take nothing in, and lose the answer."""
    return AnswerLost("cut")


def crash_before(_sink, _batch):
    """Die before anything left the machine."""
    raise Crash


def crash_after(sink, batch):
    """Die when the platform has taken every row in."""
    sink.receipt(batch)
    raise Crash


def refuse_bad(*, named, kind=OutcomeClass.FIX_DATA):
    """Refuse the request where a row's verdict is `kind`, naming the first such row or none; else take it."""

    def step(sink, batch):
        bad = [row for row, event in enumerate(batch) if sink.verdict(event).kind is kind]
        if bad:
            return Refused(sink.verdict(batch[bad[0]]), tuple(bad[:1]) if named else ())
        return sink.receipt(batch)

    return step


RESOLUTIONS = {
    "still pending": StillPending(),
    "partly refused": PartlyRefused(1, 2, ("BAD",)),
    "forgotten": ForgottenRequest("NOT_FOUND"),
    "transient": Transient("later"),
    "misconfigured": Misconfigured("no access"),
}
"""What a platform may say of a request instead of its outcome."""
