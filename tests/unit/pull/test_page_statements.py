"""A page of leads is stored by the same statements, however many leads it has, and as if they came one by one."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import event
from sqlmodel import SQLModel, select

from connectors import contact
from connectors.records import ClickId, ClickIdKind, Contact, Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import (
    ClickIdRow,
    ContactHash,
    Cursor,
    Delivery,
    ExcludedTestLead,
    LabelMove,
    LeadRow,
    StatusChange,
    StatusLabel,
    StatusRename,
    UnreadableLeadRow,
)
from jobs.rules.extraction import ExclusionCriteria
from jobs.run_context import SyncMode
from tests import suite
from tests.builders import CREATED, REACH, changed, lead, read, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
TABLES = (
    *(LeadRow, StatusChange, ClickIdRow, ContactHash, UnreadableLeadRow, ExcludedTestLead),
    *(StatusLabel, LabelMove, StatusRename, Cursor, Delivery),
)
LABELS = ["Nouveau", "nouveau", "RDV", "Gagné", "Vendu", "Perdu", "Devis à relancer"]
NEW, UNCHANGED, CHANGED = 20, 8, 26
"""The statements of a page, with both BEGINs."""
OURS = Contact(emails=("claire@maison-durand.fr",))


@pytest.fixture
def account(account):
    """An account that keeps contact data, and excludes its own test leads."""
    book = rulebook(route(attach_contact=True))
    exclude = ExclusionCriteria(email_domains=frozenset({"maison-durand.fr"}))
    account.book = replace(book, extraction=replace(book.extraction, exclude=exclude))
    return account


def test_contact_data_is_not_kept_in_memory_once_a_page_is_stored(account):
    """Neither what was cleaned nor the text that it was cleaned from."""
    account.put(lead("L-1", contact=Contact(emails=("jeanne@example.org",), phones=("06 12 34 56 78",))))
    with account.hold() as ledger:
        read(account.run(ledger))

    assert [0, 0] == [kept.cache_info().currsize for kept in (contact._emails, contact._numbers)]


# ── statements ───────────────────────────────────────────────────────────────────────────────────


def statements(account, leads, size):
    """Count the statements of a pull of these leads in pages of a size."""
    account.source.page = size
    account.put(*leads)
    made = []
    with account.hold() as ledger:

        def count(*_):
            made.append(1)

        event.listen(ledger.engine, "before_cursor_execute", count)
        try:
            read(account.run(ledger))
        finally:
            event.remove(ledger.engine, "before_cursor_execute", count)
    return len(made)


def of_a_page(account, state, leads, size, *, before=()):
    """Count what one more page of leads takes."""
    counts = []
    for pages in (1, 2):
        state.clear()
        account.source.leads.clear()
        if before:
            statements(account, before[: pages * size], size)
            account.clock.time += DAY
        counts.append(statements(account, leads[: pages * size], size))
    return counts[1] - counts[0]


def some(count, **over):
    """So many leads."""
    return [lead(f"L-{number:03}", **over) for number in range(count)]


@pytest.mark.parametrize("size", [10, 100])
def test_a_page_of_new_leads_takes_as_many_statements_whatever_their_number(account, reused_state, size):
    """One asks what is known, and one writes each table."""
    assert NEW == of_a_page(account, reused_state, some(2 * size), size)


@pytest.mark.parametrize("size", [10, 100])
def test_a_page_of_unchanged_leads_takes_one_query_and_one_update(account, reused_state, size):
    """Besides those of the transaction: the lease, and the place to resume from."""
    assert UNCHANGED == of_a_page(account, reused_state, some(2 * size), size, before=some(2 * size))


@pytest.mark.parametrize("size", [10, 100])
def test_a_page_of_changed_leads_takes_as_many_statements_whatever_their_number(account, reused_state, size):
    """Another status, and another click id."""
    again = {"label": "Perdu", "history": (), "click_ids": (ClickId(ClickIdKind.GCLID, "another"),)}
    assert CHANGED == of_a_page(account, reused_state, some(2 * size, **again), size, before=some(2 * size))


# ── one by one, or a page at a time ──────────────────────────────────────────────────────────────


def anything(random, number):
    """Any lead of this number."""
    history = [StatusEntry(random.choice(LABELS), Moment(CREATED + day * DAY)) for day in range(random.randrange(3))]
    undated = random.random() < 0.5
    return lead(
        f"L-{number}",
        label=random.choice(LABELS) if undated or not history else history[-1].label,
        history=tuple(history),
        updated_at=random.choice([None, NIGHT - timedelta(hours=random.randrange(48))]),
        click_ids=tuple(ClickId(ClickIdKind.GCLID, f"{number}-{part}") for part in range(random.randrange(3))),
        contact=random.choice([OURS, Contact(), *(Contact(emails=(f"{number}@example.org",)),) * 5]),
        fields={"consent": random.choice(["oui", "oui", "oui", "non", "?"])},
    )


def live(random, source):
    """Have leads come, change, take a status' new name, or go; some cannot be read."""
    for number in range(12):
        if random.random() < 0.3:
            source.put(anything(random, number))
    if random.random() < 0.3:
        old, new = random.sample(LABELS, 2)
        for each in list(source.leads.values()):
            if each.label == old:
                source.put(changed(each, label=new))
    for number in list(source.leads):
        if random.random() < 0.05:
            source.delete(number)
    source.unreadable = tuple(
        UnreadableLead(random.choice([None, "L-1", "L-20"]), "no date") for _ in range(random.randrange(3))
    )


def nights(account, state, seed, size):
    """Return every table after some nights in which leads are read in pages of a size."""
    random = Random(seed)
    state.clear()
    account.clock.time = NIGHT
    account.source.leads.clear()
    account.source.page = size
    for _ in range(5):
        live(random, account.source)
        account.prepare()
        account.clock.time += DAY
    with account.hold() as ledger, ledger.read_transaction() as session:
        return {
            table.__name__: [row.model_dump() for row in session.exec(select(table).order_by(*keys(table)))]
            for table in TABLES
        }


def keys(table: type[SQLModel]):
    """A table's primary key."""
    return table.__table__.primary_key.columns


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
@pytest.mark.parametrize("seed", range(suite.examples(4, 40)))
def test_a_page_of_leads_is_stored_as_if_they_came_one_by_one(account, reused_state, seed, style):
    """Whatever they are, and whatever was known of them."""
    account.sync_window = replace(REACH, style=style)
    one_by_one, at_once = (nights(account, reused_state, seed, size) for size in (1, 100))

    assert one_by_one == at_once
    assert one_by_one["LeadRow"]
