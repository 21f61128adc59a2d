"""How many statements a night takes in which nothing has changed."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from connectors.records import ClickIdKind
from jobs.alerts.review import review_run
from jobs.ledger.report import queries
from jobs.nightly import run_night
from jobs.plan.new_settings import apply_settings_to_ledger
from jobs.plan.planner import PlanningResult
from tests.builders import ACCOUNT, lead, route, rulebook

ROUTES = [route(name) for name in ("sale", "visit", "quote")]


class Statements(list):
    """The statements of what is done while it is entered."""

    def __init__(self, engine):
        super().__init__()
        self._engine = engine

    def _note(self, _connection, _cursor, statement, *_more):
        self.append(statement)

    def __enter__(self):
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_error):
        event.remove(self._engine, "before_cursor_execute", self._note)


@pytest.fixture
def made(reused_state):
    """The statements made."""
    return Statements(reused_state.engine)


@pytest.fixture
def account(account):
    """An account with three conversions, after a night that sent some leads and one that learnt their outcomes."""
    account.book = rulebook(*ROUTES)
    account.put(*(lead(f"L-{number}") for number in range(5)))
    for _night in range(2):
        with account.hold() as ledger:
            run_night(account.run(ledger))
        account.clock.time += timedelta(days=1)
    return account


@pytest.mark.parametrize("routes", [1, 3])
def test_settings_are_adopted_by_as_many_reads_however_many_conversions(account, made, routes):
    """Starts are read at once; renamed statuses before and after those that the settings overrule are made void."""
    account.book = rulebook(*ROUTES)
    with account.hold() as ledger, ledger.write_transaction() as session:
        apply_settings_to_ledger(session, account.book, now=account.clock.now())
    account.book = rulebook(*ROUTES[:routes])
    with account.hold() as ledger, ledger.write_transaction() as session, made:
        apply_settings_to_ledger(session, account.book, now=account.clock.now())

    assert 1 == sum("FROM start " in each and "DISTINCT" not in each and "label = " not in each for each in made)
    assert 2 == sum("FROM status_rename" in each for each in made)


def test_the_latest_click_ids_of_all_kinds_are_read_at_once(account, made):
    """Newest first, each kind by its own index."""
    with account.hold() as ledger, ledger.read_transaction() as session, made:
        found = queries.latest_click_ids(session, ACCOUNT)

    assert ["BEGIN DEFERRED"] == made[:-1]
    assert {ClickIdKind.GCLID} == {kind for kind, _ in found}
    assert 5 == len(found)


def test_a_review_reads_the_renamed_statuses_once(account, made):
    """Those of tonight, and those whose old names are known."""
    with account.hold() as ledger, ledger.write_transaction() as session, made:
        review_run(session, ledger, account.book, PlanningResult(), now=account.clock.now())

    assert 1 == sum("FROM status_rename" in each for each in made)


def test_a_night_looks_once_at_all_contact_hashes(account, made):
    """What its own moves left without use is found by them."""
    with account.hold() as ledger, made:
        run_night(account.run(ledger))

    looks = [each for each in made if each.startswith("SELECT DISTINCT contact_hash.destination")]
    assert ["transition.run" in each for each in looks] == [False, True]


def test_an_idle_night_takes_few_statements(account, made):
    """None for each conversion, and none for each kind of click id."""
    with account.hold() as ledger, made:
        run_night(account.run(ledger))

    assert 119 >= len(made)
