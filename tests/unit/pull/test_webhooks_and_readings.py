"""A change that webhooks, runs between nights and nights tell of, in any order, makes one conversion."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.errors import Transient
from connectors.records import LeadId, Moment
from jobs.ledger.runs import INBOX
from jobs.nightly import run_night
from jobs.run_context import RunReadingScope, SyncMode
from jobs.webhooks.file_inbox import WebhookInboxFile
from tests import suite
from tests.builders import REACH, lead, route, rulebook
from tests.fakes import NIGHT
from tests.unit.conftest import Account

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
STAGES = {"sale": "Gagné", "appointment": "RDV"}
ROUTES = [
    route(conversion, labels=frozenset({label.lower().replace("é", "e")})) for conversion, label in STAGES.items()
]
LABELS = ["Nouveau", "RDV", "Perdu", "Gagné"]


@dataclass(frozen=True)
class Change:
    """A lead's entry into a status; Oplead itself shows the present one only."""

    at: datetime
    name: str
    label: str


@dataclass(frozen=True)
class Run:
    """A night, or a run between nights, during which Oplead may be unreachable."""

    at: datetime
    is_night: bool
    is_up: bool


@dataclass(frozen=True)
class Arrival:
    """The arrival of a webhook about a change, by the true clock and by the receiver's."""

    at: datetime
    change: Change
    received_at: datetime
    is_anew: bool
    """Whether it comes with an id of its own, as by a second subscription; otherwise it may be a redelivery."""

    @property
    def digest(self):
        """By what the inbox knows it."""
        return sha256(repr(self if self.is_anew else self.change).encode()).hexdigest()


@dataclass
class Model:
    """What webhooks and readings can know together."""

    shown: dict = field(default_factory=dict)
    """The status each lead is in, and since when."""
    created: dict = field(default_factory=dict)
    """When each lead was created."""
    heard: list = field(default_factory=list)
    """The changes that webhooks have told so far, each at its own time, or at its arrival if that seems earlier."""
    digests: set = field(default_factory=set)
    """What is in the inbox."""
    news: set = field(default_factory=set)
    """The leads that they told of since they were last taken up."""
    known: dict = field(default_factory=dict)
    """By lead and conversion that Oplead has shown: the earliest and the latest time it may be given."""

    def take(self, run):
        """Learn what a run can know."""
        if not run.is_up:
            return
        for name in self.shown if run.is_night else self.news:
            for conversion, label in STAGES.items():
                times = [one.at for one in self.heard if (one.name, one.label) == (name, label)]
                shown, since = self.shown[name]
                if shown == label:
                    self.known.setdefault((name, conversion), (min([since, *times]), run.at + 5 * MINUTE))
        self.news = set()


@st.composite
def stories(draw):
    """A few days of two leads, of the webhooks about them and of the runs, in order."""
    skew = draw(st.sampled_from([-6, 0, 6])) * HOUR
    steps = []
    for name in ("L-1", "L-2"):
        when, label = NIGHT + draw(st.integers(10, 2_000)) * MINUTE, "Nouveau"
        steps.append(Change(when, name, label))
        for gap in draw(st.lists(st.integers(15, 900), min_size=1, max_size=4)):
            when, label = when + gap * MINUTE, draw(st.sampled_from([one for one in LABELS if one != label]))
            change = Change(when, name, label)
            steps.append(change)
            for delay in draw(st.lists(st.integers(0, 3_000), max_size=2)):
                arrived = when + delay * MINUTE + timedelta(seconds=1)
                steps.append(Arrival(arrived, change, arrived + skew, draw(st.booleans())))
    minutes = draw(st.lists(st.integers(10, 6_000), max_size=5, unique=True))
    runs = [
        Run(NIGHT + minute * MINUTE + timedelta(seconds=30), draw(st.booleans()), draw(st.booleans()))
        for minute in minutes
    ]
    steps = sorted([*steps, *runs], key=lambda step: step.at)
    return [*steps, Run(steps[-1].at + 7 * HOUR, is_night=True, is_up=True)]


def begun(reused_state, inbox, style):
    """An account to which no status is new, after its first night."""
    reused_state.clear()
    inbox.unlink(missing_ok=True)
    account = Account(reused_state)
    account.inbox, account.book = inbox, rulebook(*ROUTES)
    account.sync_window = replace(REACH, style=style)
    account.put(*(lead(f"S-{label}", label=label, history=(), click_ids=()) for label in LABELS))
    account.night()
    return account


def perform(account, step):
    """Have a step happen."""
    account.clock.time = step.at
    match step:
        case Change():
            before = account.source.leads.get(step.name)
            created = before.created_at if before else step.at
            account.put(lead(step.name, label=step.label, history=(), created_at=created, updated_at=None))
        case Arrival(change=change):
            event = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(change.name), change.label, Moment(change.at))
            writing = WebhookInboxFile(account.inbox).open_inbox_for_writing()
            writing.append_events([ReceivedEvent(event, step.received_at, step.digest, is_unique=True)])
            writing.close()
        case Run():
            source, account.source = account.source, account.source if step.is_up else Unreachable()
            if step.is_night:
                account.night()
            else:
                with account.hold(INBOX) as ledger:
                    run_night(account.run(ledger), reading=RunReadingScope.WEBHOOKS)
            account.source = source


class Unreachable:
    """Oplead while it cannot be reached."""

    is_budget_spent = False
    made = 0

    def fetch_changes(self, *_args, **_more):
        """Fail."""
        raise Transient("no answer")

    def fetch_each(self, _ids):
        """Fail."""
        raise Transient("no answer")


def follow(model, step):
    """Have the model follow a step."""
    match step:
        case Change():
            model.created.setdefault(step.name, step.at)
            model.shown[step.name] = step.label, step.at
        case Arrival(change=change):
            if step.digest not in model.digests:
                model.digests.add(step.digest)
                own = change.at <= step.received_at + 5 * MINUTE
                at = change.at if own else max(step.received_at, model.created[change.name])
                model.heard.append(replace(change, at=at))
                model.news.add(change.name)
        case Run():
            model.take(step)


@settings(deadline=None, derandomize=True, max_examples=suite.examples(10, 100))
@given(story=stories(), style=st.sampled_from(SyncMode))
def test_each_status_is_one_conversion_at_its_own_time(reused_state, tmp_path_factory, story, style):
    """Late, twice or never by webhook, by day or by night, with Oplead away and the receiver's clock wrong.

    What a webhook alone tells is none. What Oplead shows has a time at which it happened, as far as runs can know.
    """
    account, model = begun(reused_state, tmp_path_factory.getbasetemp() / "inbox.db", style), Model()
    for step in story:
        perform(account, step)
        follow(model, step)
    rows = {(row.lead, row.conversion): row for row in account.rows() if not row.lead.startswith("S-")}
    sent = [event.key for call in account.sink.calls for event in call.events]

    assert model.known.keys() == rows.keys()
    assert sorted(sent) == sorted(row.key for row in rows.values())
    for which, (earliest, latest) in model.known.items():
        assert earliest <= rows[which].at <= latest
