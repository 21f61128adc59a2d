"""A run's agenda ends: what had its turn is no longer due, or its target has stopped."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import Outcome, OutcomeClass, RowOutcomes
from jobs.deliver.agenda import Agenda
from jobs.ledger.outbox import outbox
from tests import fakes, suite
from tests.builders import lead, route, rulebook

SEEDS = suite.mostly_exhaustive(range(40), *range(8))


def _fail(_sink, _batch):
    raise KeyError("nobody foresaw this")


def _answer_each(draw):
    """Answer each row for itself, in whichever way."""

    def step(_sink, batch):
        kinds = draw.choices(list(OutcomeClass), k=len(batch))
        return RowOutcomes(tuple(Outcome(kind, f"ROW_{kind.name}") for kind in kinds))

    return step


def _steps(draw):
    """Answers of every kind, in any order; most of a night is refused, deferred or unanswered."""
    refusals = [fakes.refuse(kind, f"ALL_{kind.name}") for kind in OutcomeClass if kind is not OutcomeClass.DONE]
    late = fakes.refuse(OutcomeClass.DEFER, "LATER", retry_after=timedelta(seconds=1))
    ways = [fakes.take, fakes.lost_after, fakes.lost_before, fakes.not_sent, late, _answer_each(draw), *refusals]
    return [_fail if draw.random() < 0.01 else draw.choice(ways) for _ in range(1000)]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_has_a_second_turn_as_if_it_were_new(account, monkeypatch, seed):
    """Or the run would never end; whatever a platform answers, and in whichever order."""
    draw = random.Random(seed)
    account.sink.limits = replace(account.sink.limits, batch=draw.randrange(1, 6))
    account.sink.asynchronous = draw.random() < 0.5
    account.book = rulebook(route(limits=account.sink.limits))
    account.put(*(lead(f"L-{number}") for number in range(12)))
    account.prepare()
    account.sink.script.extend(_steps(draw))
    turns = Counter()
    original = Agenda._due_batches

    def checked(self, target, due):
        for batch in original(self, target, due):
            turns.update(batch)
            yield batch
            with self.run_context.ledger.read_transaction() as session:
                now = self.run_context.now()
                still = outbox.due_deliveries(
                    session, replace(due, now=now), new_by=self.sending.due_by, after=None, limit=100
                )
            assert self.stops.cover(target) or {number for _, number in still}.isdisjoint(batch)

    monkeypatch.setattr(Agenda, "_due_batches", checked)
    account.deliver()

    assert turns
    assert {1} == set(turns.values())
    assert {"in_flight"}.isdisjoint(account.states.values())
