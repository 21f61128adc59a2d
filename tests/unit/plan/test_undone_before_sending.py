"""A lead that disappears and returns ends like one that never left: the same is sent for it, once."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.records import Moment, StatusEntry
from jobs.run_context import SyncMode
from tests import suite
from tests.builders import REACH, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT
from tests.unit.conftest import Account

DAY = timedelta(days=1)
NIGHTS = 7
EDITS = st.sampled_from(["amount", "unknown", "granted", "lost", "nothing"])


def edited(one, edit, now):
    """Return the lead after this edit."""
    match edit:
        case "amount":
            return changed(one, fields=dict(one.fields) | {"amount": Decimal(900)}, updated_at=now)
        case "unknown" | "granted":
            said = {"unknown": "bof", "granted": "oui"}[edit]
            return changed(one, fields=dict(one.fields) | {"consent": said}, updated_at=now)
        case "lost":
            step = StatusEntry("Perdu", Moment(now))
            return changed(one, history=(*one.history, step), label="Perdu", updated_at=now)
    return one


def live(reused_state, style, lives):
    """Return states and counts of leads that were edited nightly and absent on some nights."""
    reused_state.clear()
    account = Account(reused_state)
    account.book = rulebook(route(field_value=from_field(), attach_contact=True))
    account.sync_window = replace(REACH, style=style)
    sold = (StatusEntry("Gagné", Moment(NIGHT - DAY)),)
    leads = {name: lead(name, history=sold, fields={"consent": "oui"}) for name in lives}
    for number in range(NIGHTS + 4):
        for name, (edits, away) in lives.items():
            leads[name] = edited(leads[name], edits[number], account.clock.now()) if number < NIGHTS else leads[name]
            account.source.leads.pop(name, None)
            if number not in away:
                account.put(leads[name])
        account.put(lead("L-0", history=(), label="Nouveau", click_ids=()))
        account.night()
        account.clock.time += DAY
    return [(row.lead, row.state, row.at, row.value, account.sink.counted[row.key]) for row in account.rows()]


LIVES = st.lists(
    st.tuples(st.lists(EDITS, min_size=NIGHTS - 2, max_size=NIGHTS - 2), st.integers(1, 3), st.integers(0, 3)),
    min_size=4,
    max_size=4,
)
"""Edits and nights of absence of four leads; a fifth absence would look like an API key with fewer rights."""


@settings(deadline=None, max_examples=suite.examples(1, 3))
@given(style=st.sampled_from([SyncMode.LIST, SyncMode.DETAILS]), drawn=LIVES)
def test_absent_leads_are_neither_lost_nor_sent_twice(reused_state, style, drawn):
    """The result equals that of the same leads without any absence."""
    lives = {
        f"L-{number}": ([*edits, "granted", "amount"], range(first, first + nights))
        for number, (edits, first, nights) in enumerate(drawn, 1)
    }
    never_away = {name: (edits, ()) for name, (edits, _) in lives.items()}

    assert live(reused_state, style, never_away) == live(reused_state, style, lives)
