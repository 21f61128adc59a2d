"""Settings that change over an existing ledger: nothing is sent twice, or decided from data read under old settings."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Transient
from connectors.records import Moment, OutcomeClass, StatusEntry
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state_file import LedgerError
from jobs.plan.new_settings import RenamedIdError
from tests import fakes
from tests.builders import TARGET, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT, FakeSink

DAY = timedelta(days=1)


def test_facts_read_under_old_settings_decide_nothing(account):
    """The amount has moved and Oplead is down, so the sale waits instead of being sent at its default."""
    account.book = rulebook(route(field_value=from_field(wait=2.5 * DAY)))
    account.put(lead(fields={"consent": "oui"}))
    account.prepare()
    account.book = rulebook(route(field_value=from_field(path="net", otherwise=900)), extraction_digest="e2")
    account.source.fails = {0: Transient("503")}
    account.clock.time += 2 * DAY
    account.night()

    assert ({"L-1": "to_be_read_again"}, []) == (account.reasons, account.sink.calls)


def test_waiting_lead_is_sent_once_it_is_read_again(account):
    """The next complete reading releases it."""
    test_facts_read_under_old_settings_decide_nothing(account)
    account.source.fails = {}
    account.night()

    assert {"L-1": "submitted"} == account.states


def test_click_id_that_becomes_readable_is_dated_by_lead_creation(account):
    """After `click_ids.bare` is fixed, the click must not seem to have happened last night."""
    account.put(lead(click_ids=(), click_id_problem="a value without a label"))
    account.night()
    account.put(changed(lead(), digest="x"))
    account.night()

    assert {"L-1": "submitted"} == account.states


def test_two_destinations_of_one_customer_count_a_sale_once(account):
    """A lead that moves between the destinations of two regions was already sent to that same action."""
    regions = ("ouest", "est")
    account.sinks.clear()
    account.sinks.update({name: FakeSink() for name in regions})
    account.book = rulebook(
        *(route(destination=name, where=({"region": frozenset({name})},)) for name in regions),
        extraction=replace(rulebook().extraction, where={"region": frozenset(regions)}),
    )
    account.put(lead(fields={"consent": "oui", "region": "ouest"}))
    account.night()
    account.put(lead(fields={"consent": "oui", "region": "est"}))
    account.night()

    assert (1, 0) == tuple(len(account.sinks[name].calls) for name in regions)


def test_former_id_of_a_renamed_conversion_cannot_be_reused(account):
    """The platform already has its keys, for what now has another name."""
    account.put(lead())
    account.night()
    account.book = rulebook(route("vente"), was={"vente": "sale"})
    account.night()
    other = route(target=replace(TARGET, action="5"))
    account.book = rulebook(route("vente"), other, was={"vente": "sale"})

    with pytest.raises(RenamedIdError, match="was the id of what is now 'vente'"):
        account.night()


def test_label_added_to_a_stage_does_not_withhold_conversions(account):
    """A lead signed one day and won the next keeps its sale date, as `Signé` counts only from now on."""
    signed, won = NIGHT - 2 * DAY, NIGHT - DAY
    account.book = rulebook(route(field_value=from_field(wait=9 * DAY)), since={})
    account.night()
    account.clock.time = NIGHT + 3 * DAY
    history = (StatusEntry("Signé", Moment(signed + 3 * DAY)), StatusEntry("Gagné", Moment(won + 3 * DAY)))
    account.put(lead(history=history, created_at=NIGHT, fields={"consent": "oui"}))
    account.night()
    before = account.states
    labels = frozenset({"gagne", "signe"})
    account.book = rulebook(route(labels=labels, field_value=from_field(wait=9 * DAY)), since={}, rules_digest="r2")
    account.night()

    assert ({"L-1": "pending"}, {"L-1": "pending"}) == (before, account.states)


def test_label_replaced_by_its_new_name_sends_no_old_sale(account):
    """Oplead renames `Gagné` without dates; sales won before the start stay skipped."""
    account.put(lead(history=(), updated_at=None))
    account.book = rulebook(since={})
    account.night()
    before = account.states
    account.clock.time += DAY
    account.put(lead(label="Vendu", history=(), updated_at=None))
    account.book = rulebook(route(labels=frozenset({"vendu"})), since={}, rules_digest="r2")
    account.night()

    assert ({"L-1": "skipped"}, {"L-1": "skipped"}, []) == (before, account.states, account.sink.calls)


@pytest.mark.parametrize("database", ["sqlite"])
def test_account_renamed_over_its_state_is_refused(account):
    """Every key includes the account name."""
    account.night()

    with (
        pytest.raises(LedgerError, match="holds account 'maison-test', not 'maison-neuve'"),
        open_locked_ledger(SqliteState(account.path), "maison-neuve", "run", now=NIGHT),
    ):
        pass


def test_erased_click_id_is_never_sent(account):
    """Setting right the clock that caused the erasure does not bring it back."""
    account.put(lead(history=(StatusEntry("Nouveau", Moment(NIGHT - 30 * DAY)),), label="Nouveau"))
    account.prepare()
    account.clock.time += 100 * DAY
    account.prepare()
    account.clock.time = NIGHT + DAY
    account.put(lead())
    account.night()

    assert [] == account.sink.calls


def test_rejected_delivery_is_sent_to_the_corrected_action(account):
    """Its data were right, but its target was wrong."""
    account.put(lead())
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_DATA, rows=(0,)))
    account.night()
    before = account.states
    mended = replace(TARGET, action="5")
    account.book = rulebook(route(target=mended), rules_digest="r2")
    account.night()

    assert ({"L-1": "rejected"}, {"L-1": "submitted"}) == (before, account.states)
