"""Leads, facts, routes and rules for tests: a plain one each, bent by keyword."""

import hashlib
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.records import (
    ClickId,
    ClickIdKind,
    Contact,
    DestinationId,
    Lead,
    LeadId,
    Moment,
    StatusEntry,
    Target,
    Utm,
)
from jobs.ledger.runs import _begin, open_locked_ledger
from jobs.ledger.schema import Delivery
from jobs.ledger.storage.database import open_engine
from jobs.ledger.storage.lock import hold_lock, lock_path
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.plan.planner import new_delivery
from jobs.pull.ingest import PullResult
from jobs.pull.sync import pull
from jobs.reporting.sentences import message_in_words, stop_sentence
from jobs.rules.extraction import ConsentField, RequiredLeadData
from jobs.rules.model import (
    ConsentAnswer,
    ConversionRoute,
    CountingStarts,
    KnownClickId,
    LeadFacts,
    StatusEntered,
    StatusTimeOrigin,
    ValueFromFieldRule,
)
from jobs.run_context import PullOptions, SyncMode
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook
from tests import quick
from tests.fakes import LIMITS, NIGHT

PARIS = ZoneInfo("Europe/Paris")
ACCOUNT = "maison-test"
GOOGLE = DestinationId("google_ads")
TARGET = Target("data_manager", "1234567890", "987654321", "WEB")
START = NIGHT - timedelta(days=60)
"""When changes begin to count, unless a test says otherwise."""
CREATED = NIGHT - timedelta(days=30)
"""When a lead is created, unless a test says otherwise."""
WON = NIGHT - timedelta(days=2)
"""When a lead is won, unless a test says otherwise."""


def at(text):
    """An instant, UTC where the text names no zone."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# ── what a source serves ─────────────────────────────────────────────────────────────────────────


def lead(name="L-1", **over):
    """A lead won two days ago, with a gclid and consent; its digest follows its content."""
    plain = {
        "id": LeadId(name),
        "created_at": CREATED,
        "updated_at": WON,
        "label": "Gagné",
        "history": (StatusEntry("Nouveau", Moment(CREATED)), StatusEntry("Gagné", Moment(WON))),
        "click_ids": (ClickId(ClickIdKind.GCLID, f"gclid-of-{name}"),),
        "click_id_problem": None,
        "utm": Utm(),
        "contact": Contact(emails=(f"{name.lower()}@example.org",)),
        "fields": {"consent": "oui", "amount": Decimal(1000)},
        "digest": "",
    }
    return sealed(Lead(**(plain | over)))


def sealed(bare):
    """The lead with the digest of its content."""
    content = repr((replace(bare, digest=""), bare.contact.emails, sorted(bare.fields.items())))
    return replace(bare, digest=hashlib.sha256(content.encode()).hexdigest())


def changed(old, **over):
    """A lead after an edit, under a digest of its own."""
    return sealed(replace(old, **over))


# ── what the rules know ──────────────────────────────────────────────────────────────────────────


def reported(label, when, *, seen=NIGHT, date_only=False):
    """A status change that Oplead dates."""
    return StatusEntered(label, when, date_only, StatusTimeOrigin.REPORTED, seen)


def click(value="gclid-1", when=CREATED, *, kind=ClickIdKind.GCLID, estimated=True):
    """A click id on record."""
    return KnownClickId(kind, value, when, estimated)


def facts(**over):
    """A lead won two days ago, with a gclid and consent, as the rules know it."""
    plain = {
        "id": LeadId("L-1"),
        "created_at": CREATED,
        "seen_at": NIGHT,
        "fresh": True,
        "stale": False,
        "changes": (reported("nouveau", CREATED), reported("gagne", WON)),
        "click_ids": (click(),),
        "click_id_problem": None,
        "ad_user_data": ConsentAnswer.GRANTED,
        "ad_personalization": ConsentAnswer.NOT_ASKED,
        "where": {},
        "amounts": {},
        "identifiers": {},
    }
    return LeadFacts(**(plain | over))


def route(conversion="sale", **over):
    """A conversion at its plainest: won, no value, by click id."""
    plain = {
        "account": ACCOUNT,
        "zone": PARIS,
        "conversion": conversion,
        "destination": GOOGLE,
        "target": TARGET,
        "limits": LIMITS,
        "on_creation": False,
        "labels": frozenset({"gagne"}),
        "where": (),
        "fixed_value": None,
        "field_value": None,
        "currency": "EUR",
        "click_window": timedelta(days=90),
        "contact_only": False,
        "attach_contact": False,
        "assume_consent": False,
    }
    return ConversionRoute(**(plain | over))


def delivery(lead="L-1", **over):
    """A lead's conversion on that route, as a row without a state."""
    return Delivery(**vars(new_delivery(route(), lead, **over)))


def from_field(**over):
    """A value read from the lead's `amount`."""
    return ValueFromFieldRule(
        **({"path": "amount", "tax": "included", "otherwise": None, "wait": timedelta(days=3)} | over)
    )


def starts(since=START, **labels):
    """Starts of a conversion, and of labels added later."""
    return CountingStarts(since, labels)


def rulebook(*routes, **over):
    """The rules of an account with these routes; every conversion counts from `START`."""
    known = over.pop("known_labels", frozenset({"nouveau", "gagne", "perdu"}))
    since = over.pop("since", {one.conversion: START for one in routes or (route(),)})
    routes = tuple(replace(one, since=since.get(one.conversion)) for one in routes or (route(),))
    plain = {
        "account": ACCOUNT,
        "zone": PARIS,
        "extraction": RequiredLeadData(
            ad_user_data=ConsentField("consent", frozenset({"oui"}), frozenset({"non"})),
            ad_personalization=None,
            where={},
            amounts={one.field_value.path: frozenset({one.field_value.tax}) for one in routes if one.field_value},
        ),
        "routes": routes,
        "was": {},
        "meanings": {label: _place(label, routes) for label in known},
        "extraction_digest": "e1",
        "rules_digest": "r1",
    }
    return Rulebook(**(plain | over))


def _place(label, routes):
    """Where settings with these routes would name a label: under the stage of one, or as ignored."""
    return next((one.conversion for one in routes if label in one.labels), "")


REACH = PullOptions(style=SyncMode.LIST, overlap=timedelta(days=3), budget=timedelta(hours=4))


def read(run):
    """Pull once; what was read."""
    done = PullResult()
    pull(run, until=run.now() + run.deps.sync_window.budget, done=done)
    return done


def hold(path, clock, command="test"):
    """Hold the account's state for a run of its own."""
    return open_locked_ledger(SqliteState(quick.with_state(path)), ACCOUNT, command, now=clock.now())


class ReusedState:
    """A state that is emptied instead of made anew: compiling its statements takes longer than a night's use."""

    def __init__(self, folder):
        self.path = quick.with_state(folder / "state.db")
        self.engine = open_engine(self.path, for_writing=True)
        self.engine.dispose()
        self._empty = shutil.copy(self.path, folder / "empty.db")

    def clear(self):
        """Begin again with empty tables."""
        shutil.copy(self._empty, self.path)
        lock_path(self.path).unlink(missing_ok=True)

    def contents(self):
        """Every byte of it, wherever it lies."""
        return b"".join(file.read_bytes() for file in self.path.parent.iterdir())

    def ask(self, statement):
        """Rows of it, read by plain SQL."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def hold(self, clock, command="test", **more):
        """Hold the state for a run of its own; at the end its connections close, as a dead process's would."""
        try:
            with hold_lock(self.path, now=clock.now()) as lock:
                yield _begin(self.engine, SqliteState(self.path), ACCOUNT, command, lock, now=clock.now(), **more)
        finally:
            self.engine.dispose()


def leads_at_time(population, now):
    """Return the leads of a generated CRM that exist at a time, by id."""
    return {lead_id: one for lead_id, one in population.leads_including_deleted(now).items() if one is not None}


def attention(summary):
    """What a person reads that a human is needed for."""
    return [message_in_words(message) for message in summary.attention]


def stops(done):
    """What stopped a night, or one of its steps, and why, as a person reads it."""
    stopped = done.stopped_scopes if isinstance(done, RunSummary) else done.stopped
    return {str(scope): stop_sentence(stop) for scope, stop in stopped.items()}
