"""Nights, crashes, lost answers and later changes in any order lose nothing and send nothing twice."""

import itertools
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event

from connectors.records import ClickId, ClickIdKind, Moment, Outcome, OutcomeClass, StatusEntry
from jobs.nightly import run_night
from jobs.rules.delivery_state import FROZEN, DeliveryState, check_delivery_move
from jobs.run_context import Deps, NightStep, RunContext
from tests import fakes, postgresql, suite
from tests.builders import GOOGLE, REACH, TARGET, ReusedState, changed, from_field, lead, route, rulebook

BATCH = st.sampled_from([1, 2, 2, 5, 50])
"""Rows per request: what is written of many at once must be what is written of each alone."""
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
WAIT = st.sampled_from([24, 24, 24, 1, 7, 96, 720])
"""Hours until the next night."""
TROUBLE = st.lists(st.sampled_from(list(STEPS)), max_size=3) | st.tuples(st.sampled_from(list(STEPS))).map(
    lambda one: [*one] * 5
)
"""Several failures in turn, or one failure all night long."""
ODDITIES = st.lists(st.sampled_from(list(fakes.RESOLUTIONS)), max_size=2)
MOVING = frozenset({DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.SUBMITTED, DeliveryState.IN_DOUBT})
NOT_COUNTED = frozenset(
    {
        DeliveryState.SKIPPED,
        DeliveryState.PENDING,
        DeliveryState.WITHHELD,
        DeliveryState.REJECTED,
        DeliveryState.EXPIRED,
        DeliveryState.CANCELLED,
    }
)
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


pytestmark = pytest.mark.timeout(600)  # it runs for seconds, but shrinking a failure takes minutes


def appears(life, label, *, dated=True, clicked=True, consent="oui", amount="900"):
    """Add a lead created long enough ago to be sent tonight."""
    name, now = f"L-{len(life.source.leads) + 1}", life.clock.now()
    life.put(
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


def status_changes(life, number, label, *, dated):
    """Move a lead to any other status, dated by Oplead or not."""
    old, now = life.one(number), life.clock.now()
    history = (*old.history, StatusEntry(label, Moment(now))) if dated else old.history
    life.put(changed(old, label=label, history=history, updated_at=now))


def field_changes(life, number, field, value):
    """Change an amount, perhaps to unreadable or empty, or give, empty or withdraw consent."""
    old = life.one(number)
    life.put(changed(old, fields={**old.fields, field: value}, updated_at=life.clock.now()))


NUMBER = st.sampled_from([0, 0, 1, 2, 3])
EDITED = st.builds(partial, st.just(field_changes), number=NUMBER, field=st.just("amount"), value=AMOUNT)
CHANGES = st.lists(
    st.builds(
        partial, st.just(appears), label=LABEL, dated=st.booleans(), clicked=MOSTLY, consent=CONSENT, amount=AMOUNT
    )
    | st.builds(partial, st.just(status_changes), number=NUMBER, label=LABEL, dated=st.booleans())
    | EDITED
    | EDITED
    | st.builds(partial, st.just(field_changes), number=NUMBER, field=st.just("consent"), value=CONSENT),
    max_size=4,
)


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory):
    Nights.folder = tmp_path_factory.mktemp("nights")


class Nights(RuleBasedStateMachine):
    """The life of an account: leads appear and change, nights run and crash, the platform answers or does not."""

    def __init__(self):
        super().__init__()
        self.state = self.empty_state()
        self.state.clear()
        self.clock = fakes.FakeClock()
        self.source = fakes.FakeSource(page=2, clock=self.clock)
        self.reached = {}
        """The conversions that each lead must have reached as seen by a complete night."""
        self.ever_refused = set()
        self.crash_at = None
        self.delays = 0

    folder: Path

    @classmethod
    @cache
    def empty_state(cls):
        """Reuse one state for every example."""
        return ReusedState(cls.folder)

    @initialize(
        asynchronous=st.booleans(),
        idempotent=st.booleans(),
        names_rows=st.booleans(),
        bad=st.integers(0, 4),
        batch=BATCH,
    )
    def platform(self, asynchronous, idempotent, names_rows, bad, batch):
        """Set up either of Google's interfaces or Meta's, and three leads to send."""
        limits = replace(fakes.LIMITS, batch=batch)
        self.sink = fakes.FakeSink(limits=limits, asynchronous=asynchronous, idempotent=idempotent)
        self.sink.names_rows = names_rows
        self.sink.verdict = self.verdict
        self.bad = bad
        for label in ("Gagné", "RDV", "Gagné"):
            appears(self, label)

    def verdict(self, sent):
        """Refuse one body in five for ever, but never one that already counts, and defer some rows as too recent."""
        if self.sink.counted[sent.key]:
            return fakes.DONE
        if sum(sent.body) % 5 == self.bad:
            return Outcome(OutcomeClass.FIX_DATA, "BAD")
        if self.delays:
            self.delays -= 1
            return Outcome(OutcomeClass.DEFER, "TOO_RECENT")
        return fakes.DONE

    # ── rules ────────────────────────────────────────────────────────────────────────────────────

    # Each step is a day with its night: separate rules for each change would leave few nights in an example.

    @rule(changes=CHANGES, wait=WAIT, steps=TROUBLE, says=ODDITIES, rows=st.sampled_from([0, 0, 1, 3]))
    def night(self, changes, wait, steps, says, rows):
        """Run a night with failing first requests, odd resolutions, and some rows too recent."""
        self.sink.status.extend(fakes.RESOLUTIONS[each] for each in says)
        self.delays = rows
        self._run(changes, wait, steps)

    @rule(changes=CHANGES, wait=WAIT, steps=TROUBLE, commit=st.integers(1, 30))
    def night_that_dies(self, changes, wait, steps, commit):
        """Crash in the middle of a night, as a transaction is about to commit."""
        self.crash_at = commit
        self._run(changes, wait, steps)

    def _run(self, changes, wait, steps):
        for change in changes:
            change(self)
        self.sink.script.extend(STEPS[step] for step in steps)
        self.clock.time += timedelta(hours=wait)
        survived = self._night()
        self._trouble_ends()
        if survived and not self._only_went_on():
            self._check_nothing_is_missing()

    def _only_went_on(self):
        """Whether the night resumed a crashed reading; changes since on its first pages are seen the next night."""
        _since, resumed_at = self.source.calls[-1]
        return resumed_at is not None

    def one(self, number):
        """One of the existing leads."""
        return list(self.source.leads.values())[number % len(self.source.leads)]

    def put(self, some):
        """Serve a lead as it now is, and remember a refusal."""
        self.source.put(some)
        if some.fields["consent"] == "non":
            self.ever_refused.add(some.id)

    def _trouble_ends(self):
        self.sink.script.clear()
        self.sink.status.clear()
        self.delays, self.crash_at = 0, None

    def _night(self):
        deps = Deps(self.source, {GOOGLE: self.sink}, self.clock, lambda: 0.0, REACH, watch=self._watch)
        try:
            with self.state.hold(self.clock) as ledger, self._dying(ledger.engine):
                run_night(RunContext(ledger, BOOK, deps))
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

    def _watch(self, step, _summary, **_more):
        if step is NightStep.DELIVER:
            self._check_hashes()
        return nullcontext()

    # ── invariants ───────────────────────────────────────────────────────────────────────────────

    def ask(self, statement):
        """Rows of the state, read past the ledger."""
        return self.state.ask(statement)

    def _check_hashes(self):
        """Right after a plan, only leads with an open delivery or correction have contact hashes."""
        idle = self.ask(
            "SELECT lead FROM contact_hash WHERE lead NOT IN (SELECT lead FROM delivery "
            "WHERE state IN ('pending', 'withheld', 'in_flight', 'in_doubt', 'submitted'))"
        )
        assert [] == idle

    def _check_nothing_is_missing(self):
        """Every stage a lead was seen to reach has exactly one delivery."""
        for each in self.source.leads.values():
            labels = {each.label, *(entry.label for entry in each.history)}
            self.reached.setdefault(each.id, set()).update(filter(None, map(LABELS.get, labels)))
        found = Counter(self.ask("SELECT lead, conversion FROM delivery WHERE original IS NULL"))
        expected = {(name, conversion) for name, all_of in self.reached.items() for conversion in all_of}

        assert expected <= set(found)
        assert {1} >= set(found.values())

    @invariant()
    def the_ledger_tells_what_the_platform_counted(self):
        """Accepted deliveries are counted, and those unsent or refused are not."""
        for key, state in self.ask("SELECT key, state FROM delivery WHERE original IS NULL"):
            count = self.sink.counted[key]
            if state == DeliveryState.ACCEPTED:
                assert count >= 1, key
            if state in NOT_COUNTED:
                assert count == 0, (key, state)
        # The last accepted correction sets what the key is worth there, unless the outcome of a later one is unknown.
        made = self.ask("SELECT key, value, state FROM delivery WHERE original IS NOT NULL ORDER BY original, number")
        open_ones = {key for key, _, state in made if state in ("in_doubt", "submitted", "unconfirmed")}
        uploaded = {key: value for key, value, state in made if state == "accepted" and key not in open_ones}
        assert uploaded == {key: self.sink.values[key] for key in uploaded}

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
        for number, before, after in self.ask("SELECT delivery, from_state, to_state FROM transition ORDER BY id"):
            assert stands[number] == before
            check_delivery_move(DeliveryState(before) if before else None, DeliveryState(after))
            stands[number] = after

        assert dict(self.ask("SELECT id, state FROM delivery")) == stands

    @invariant()
    def bytes_are_kept_exactly_while_frozen(self):
        """The platform may hold them then, and only then."""
        for state, kept in self.ask("SELECT state, event IS NOT NULL FROM delivery"):
            assert (state in FROZEN) == bool(kept), state

    @invariant()
    def no_person_is_on_disk(self):
        """Neither a column nor the file's free pages contain an e-mail address."""
        assert b"@example.org" not in self.state.contents()

    def teardown(self):
        """A few days without failures settle everything."""
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
        ended = "SELECT lead, conversion, state, reason FROM delivery WHERE original IS NULL"
        for name, conversion, state, reason in self.ask(ended):
            some = self.source.leads[name]
            sendable = some.fields["consent"] == "oui" and some.click_ids
            unreadable = conversion == "sale" and some.fields.get("amount") == "1.250"
            assert state not in MOVING, (name, conversion, state, reason)
            assert state != DeliveryState.WITHHELD or not sendable or unreadable, (name, conversion, reason)
            assert state != DeliveryState.CANCELLED or name in self.ever_refused, (name, conversion)
            assert state != DeliveryState.SKIPPED, (name, conversion)


class NightsOnPostgreSQL(Nights):
    """The same on PostgreSQL."""

    @classmethod
    @cache
    def empty_state(cls):
        """Reuse one state for every example."""
        return postgresql.State()


TestNights = Nights.TestCase
TestNightsOnPostgreSQL = NightsOnPostgreSQL.TestCase
ALL = settings(
    max_examples=suite.examples(4, 40),
    stateful_step_count=8,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestNights.settings = ALL
# Their nights take three times as long.
TestNightsOnPostgreSQL.settings = settings(ALL, max_examples=suite.examples(2, 12))
