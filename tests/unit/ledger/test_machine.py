"""Nights, crashes, lost answers and second thoughts in any order: nothing is lost, and nothing is sent twice."""

import itertools
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event

from connectors.records import ClickId, ClickIdKind, Moment, Outcome, OutcomeClass, StatusEntry
from jobs.ledger.fates import FROZEN, Fate, check_move
from jobs.nightly import Deps, Step, run_night
from tests import fakes
from tests.builders import GOOGLE, REACH, TARGET, ReusedState, changed, from_field, lead, route, rulebook

BATCH = 2
LABELS = {"Nouveau": None, "RDV": "appointment", "Gagné": "sale", "Perdu": None}
STEPS = {
    "answer lost, taken": fakes.lost_after,
    "answer lost, not taken": fakes.lost_before,
    "no connection": fakes.not_sent,
    "crash before": fakes.crash_before,
    "crash after": fakes.crash_after,
    "retry": fakes.refuse(OutcomeClass.RETRY),
    "fix config": fakes.refuse(OutcomeClass.FIX_CONFIG),
    "unknown": fakes.refuse(OutcomeClass.UNKNOWN),
    "bad rows named": fakes.refuse_bad(named=True),
    "bad rows not named": fakes.refuse_bad(named=False),
}
LABEL = st.sampled_from(["Gagné", "RDV", "Gagné", "RDV", "Nouveau", "Perdu"])
CONSENT = st.sampled_from(["oui", "oui", "oui", "oui", "non", ""])
AMOUNT = st.sampled_from(["1 200,50 €", "900", "850", "1.250", ""])
MOSTLY = st.sampled_from([True, True, True, False])
WAITS = {"an hour": 1, "seven hours": 7, "a day": 24, "four days": 96, "a month": 720}
MOVING = frozenset({Fate.PENDING, Fate.IN_FLIGHT, Fate.SUBMITTED, Fate.IN_DOUBT})
NOT_COUNTED = frozenset({Fate.SKIPPED, Fate.PENDING, Fate.WITHHELD, Fate.REJECTED, Fate.EXPIRED, Fate.CANCELLED})
BOOK = rulebook(
    route(attach_contact=True, field_value=from_field(otherwise=Decimal(500), wait=timedelta(days=1))),
    route(
        "appointment",
        attach_contact=True,
        fixed_value=Decimal(60),
        labels=frozenset({"rdv"}),
        target=replace(TARGET, action="5"),
    ),
)


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory):
    """One state for every example."""
    Nights.state = ReusedState(tmp_path_factory.mktemp("nights"))


class Nights(RuleBasedStateMachine):
    """An account's life: leads come and change, nights run and die, the platform answers or does not."""

    state: ReusedState

    def __init__(self):
        super().__init__()
        self.state.clear()
        self.clock = fakes.FakeClock()
        self.source = fakes.FakeSource(page=2, clock=self.clock)
        self.reached = {}
        """Lead → conversions a whole night must have seen it reach."""
        self.ever_refused = set()
        self.crash_at = None
        self.delays = 0

    @initialize(asynchronous=st.booleans(), idempotent=st.booleans(), names_rows=st.booleans())
    def platform(self, asynchronous, idempotent, names_rows):
        """Google's two ways, and Meta's."""
        limits = replace(fakes.LIMITS, batch=BATCH)
        self.sink = fakes.FakeSink(limits=limits, asynchronous=asynchronous, idempotent=idempotent)
        self.sink.names_rows = names_rows
        self.sink.verdict = self.verdict

    def verdict(self, sent):
        """One body in seven is refused for ever; what already counts is never refused, and some rows come too soon."""
        if self.sink.counted[sent.key]:
            return fakes.DONE
        if sum(sent.body) % 7 == 0:
            return Outcome(OutcomeClass.FIX_DATA, "BAD")
        if self.delays:
            self.delays -= 1
            return Outcome(OutcomeClass.DEFER, "TOO_RECENT")
        return fakes.DONE

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    @rule(label=LABEL, dated=st.booleans(), clicked=MOSTLY, consent=CONSENT, amount=AMOUNT)
    @precondition(lambda self: len(self.source.leads) < 6)
    def lead_appears(self, label, dated, clicked, consent, amount):
        """Created long enough ago to be sent tonight."""
        name, now = f"L-{len(self.source.leads) + 1}", self.clock.now()
        self._put(
            lead(
                name,
                created_at=now - timedelta(hours=7),
                updated_at=now,
                label=label,
                history=(StatusEntry(label, Moment(now)),) if dated else (),
                click_ids=(ClickId(ClickIdKind.GCLID, f"gclid-of-{name}"),) if clicked else (),
                fields={"consent": consent, "amount": amount},
            )
        )

    @rule(data=st.data(), label=LABEL, dated=st.booleans())
    @precondition(lambda self: self.source.leads)
    def status_changes(self, data, label, dated):
        """Dated by Oplead or not."""
        old, now = self._some(data), self.clock.now()
        history = (*old.history, StatusEntry(label, Moment(now))) if dated else old.history
        self._put(changed(old, label=label, history=history, updated_at=now))

    @rule(data=st.data(), field=st.sampled_from(["amount", "consent"]))
    @precondition(lambda self: self.source.leads)
    def field_changes(self, data, field):
        """An amount, perhaps unreadable or gone; or consent, given, emptied or taken back."""
        old = self._some(data)
        value = data.draw({"amount": AMOUNT, "consent": CONSENT}[field], label=field)
        self._put(changed(old, fields={**old.fields, field: value}, updated_at=self.clock.now()))

    def _some(self, data):
        return data.draw(st.sampled_from(list(self.source.leads.values())), label="lead")

    def _put(self, some):
        self.source.put(some)
        if some.fields["consent"] == "non":
            self.ever_refused.add(some.id)

    @rule(wait=st.sampled_from(list(WAITS)))
    def time_passes(self, wait):
        """Windows open and close."""
        self.clock.time += timedelta(hours=WAITS[wait])

    @rule(
        steps=st.lists(st.sampled_from(list(STEPS)), max_size=4),
        says=st.lists(st.sampled_from(list(fakes.RESOLUTIONS)), max_size=2),
        delays=st.sampled_from([0, 0, 0, 1, 3]),
        dies_at=st.none() | st.integers(1, 30),
    )
    def night(self, steps, says, delays, dies_at):
        """Run the whole job, whatever the platform does to the first requests and wherever the machine dies."""
        self.sink.script.extend(STEPS[step] for step in steps)
        self.sink.status.extend(fakes.RESOLUTIONS[each] for each in says)
        self.delays, self.crash_at = delays, dies_at
        survived = self._night()
        self._trouble_ends()
        if survived:
            self._check_nothing_is_missing()

    def _trouble_ends(self):
        self.sink.script.clear()
        self.sink.status.clear()
        self.delays, self.crash_at = 0, None

    def _night(self):
        deps = Deps(self.source, {GOOGLE: self.sink}, self.clock, lambda: 0.0, REACH)
        try:
            with self.state.hold(self.clock) as ledger, self._dying(ledger.engine):
                run_night(ledger, BOOK, deps, watch=self._watch)
        except fakes.Crash:
            return False
        return True

    @contextmanager
    def _dying(self, engine):
        left = itertools.count(self.crash_at or 0, -1)
        next(left)

        def on_commit(_connection):
            if next(left) == 0:
                raise fakes.Crash

        event.listen(engine, "commit", on_commit)
        try:
            yield
        finally:
            event.remove(engine, "commit", on_commit)

    def _watch(self, step):
        if step is Step.DELIVER:
            self._check_hashes()
        return nullcontext()

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    def ask(self, statement):
        """Rows of the state, read by SQLite alone."""
        with closing(sqlite3.connect(self.state.path)) as connection:
            return connection.execute(statement).fetchall()

    def _check_hashes(self):
        """Right after a plan, only leads with something still to be sent have contact hashes."""
        idle = self.ask(
            "SELECT lead FROM contact_hash WHERE lead NOT IN "
            "(SELECT lead FROM delivery WHERE fate IN ('pending', 'withheld'))"
        )
        assert [] == idle

    def _check_nothing_is_missing(self):
        """Every stage a lead was seen to reach has exactly one delivery."""
        for each in self.source.leads.values():
            labels = {each.label, *(entry.label for entry in each.history)}
            self.reached.setdefault(each.id, set()).update(filter(None, map(LABELS.get, labels)))
        found = Counter(self.ask("SELECT lead, conversion FROM delivery"))
        expected = {(name, conversion) for name, all_of in self.reached.items() for conversion in all_of}

        assert expected <= set(found)
        assert {1} >= set(found.values())

    @invariant()
    def the_ledger_tells_what_the_platform_counted(self):
        """Accepted counts, once; what was not sent, or was refused, does not."""
        for key, fate in self.ask("SELECT key, fate FROM delivery"):
            count = self.sink.counted[key]
            if fate == Fate.ACCEPTED:
                assert count >= 1, key
            if fate in NOT_COUNTED:
                assert count == 0, (key, fate)

    @invariant()
    def nothing_is_counted_twice(self):
        """An idempotent platform counts each key once, and no platform ever gets other bytes under a counted key."""
        if hasattr(self, "sink"):
            assert all(len(bodies) == 1 for bodies in self.sink.bodies.values())
            assert not self.sink.idempotent or all(count <= 1 for count in self.sink.counted.values())
            known = {key for (key,) in self.ask("SELECT key FROM delivery")}
            assert {call_key for call in self.sink.calls for call_key in call.keys} <= known

    @invariant()
    def the_history_is_a_chain_of_legal_moves(self):
        """Each move begins where the last one ended, and the last one ended where the delivery stands."""
        stands = dict.fromkeys(number for (number,) in self.ask("SELECT id FROM delivery"))
        for number, before, after in self.ask("SELECT delivery, from_fate, to_fate FROM transition ORDER BY id"):
            assert stands[number] == before
            check_move(Fate(before) if before else None, Fate(after))
            stands[number] = after

        assert dict(self.ask("SELECT id, fate FROM delivery")) == stands

    @invariant()
    def bytes_are_kept_exactly_while_frozen(self):
        """They may be with the platform then, and only then."""
        for fate, kept in self.ask("SELECT fate, event IS NOT NULL FROM delivery"):
            assert (fate in FROZEN) == bool(kept), fate

    @invariant()
    def no_person_is_on_disk(self):
        """Neither in a column nor in the file's free pages."""
        assert b"@example.org" not in self.state.path.read_bytes()

    def teardown(self):
        """In a few days without trouble everything comes to its end."""
        if not hasattr(self, "sink"):
            return
        for hours in (0, 25, 24, 24, 1):
            self.clock.time += timedelta(hours=hours)
            assert self._night()
            self.the_ledger_tells_what_the_platform_counted()
            self.nothing_is_counted_twice()
            self.bytes_are_kept_exactly_while_frozen()
        self._check_nothing_is_missing()
        self.the_history_is_a_chain_of_legal_moves()
        for name, conversion, fate, reason in self.ask("SELECT lead, conversion, fate, reason FROM delivery"):
            some = self.source.leads[name]
            sendable = some.fields["consent"] == "oui" and some.click_ids
            unreadable = conversion == "sale" and some.fields.get("amount") == "1.250"
            assert fate not in MOVING, (name, conversion, fate, reason)
            assert fate != Fate.WITHHELD or not sendable or unreadable, (name, conversion, reason)
            assert fate != Fate.CANCELLED or name in self.ever_refused, (name, conversion)
            assert fate != Fate.SKIPPED, (name, conversion)


TestNights = Nights.TestCase
TestNights.settings = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
