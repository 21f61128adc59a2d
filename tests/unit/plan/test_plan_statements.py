"""Leads are planned, and what is due is prepared, by as many statements however many there are."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from unittest.mock import Mock, patch

import pytest
from sqlalchemy import event

from jobs.deliver.agenda import SendingOptions
from jobs.deliver.sender import deliver, send_corrections
from jobs.ledger.schema import Delivery
from jobs.plan import planner
from jobs.plan.adjustments import plan_adjustments
from jobs.plan.new_settings import apply_settings_to_ledger
from jobs.plan.planner import plan
from jobs.rules.model import DedupRule, DedupScope
from tests import fakes
from tests.builders import changed, from_field, lead, read, route, rulebook

TARGET = replace(route().target, transport="google_ads_api")


def statements(ledger, do):
    """Count the statements of what is done."""
    made = []

    def count(*_):
        made.append(1)

    event.listen(ledger.engine, "before_cursor_execute", count)
    try:
        do()
    except fakes.Crash:
        pass
    finally:
        event.remove(ledger.engine, "before_cursor_execute", count)
    return len(made)


def two_nights(account, leads):
    """Count the statements of each part up to the call, as leads are won and as their amounts change."""
    account.state.clear()
    account.clock.time = fakes.NIGHT
    account.source.leads.clear()
    account.put(*(lead(f"L-{number:03}") for number in range(leads)))
    found = _night(account, deliver)
    account.prepare()
    account.deliver()
    account.clock.time += timedelta(hours=1)
    account.resolve()
    account.clock.time += timedelta(days=1)
    account.put(
        *(
            changed(each, fields={**each.fields, "amount": Decimal(2000)}, updated_at=account.clock.now())
            for each in list(account.source.leads.values())
        )
    )
    return [*found, *_night(account, send_corrections)]


def _night(account, send):
    dies = {call: Mock(side_effect=fakes.Crash) for call in ("submit", "adjust")}
    with account.hold() as ledger, patch.multiple(account.sink, **dies):
        with ledger.write_transaction() as session:
            apply_settings_to_ledger(session, account.book, now=account.clock.now())
        run = account.run(ledger)
        read(run)
        return [
            statements(ledger, lambda: plan(run, shown_since=run.now())),
            statements(ledger, lambda: plan_adjustments(run)),
            statements(ledger, lambda: send(SendingOptions(run, account.clock.now()))),
        ]


@pytest.mark.parametrize("once", [None, DedupRule(DedupScope.CLICK, timedelta(days=30))])
def test_fifty_leads_take_as_many_statements_as_ten(account, once):
    """Whether a conversion counts for every lead, or once per click."""
    account.book = rulebook(route(target=TARGET, field_value=from_field(), once=once))

    assert two_nights(account, 10) == two_nights(account, 50)


def test_a_new_delivery_costs_one_key_and_no_object_that_the_session_tracks(account):
    """Building and flushing such objects took longer than deciding; each lead's key is computed once."""
    account.book = rulebook(route(), route("other"))
    account.put(*(lead(f"L-{number}") for number in range(3)))
    made, keys = Mock(), Mock(wraps=planner.delivery_key)
    event.listen(Delivery, "init", made)
    with patch.object(planner, "delivery_key", keys):
        account.prepare()
    event.remove(Delivery, "init", made)

    assert {f"L-{number}": "pending" for number in range(3)} == account.states
    assert (0, 6) == (made.call_count, keys.call_count)
