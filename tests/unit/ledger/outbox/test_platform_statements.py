"""Our own counts of what a platform's numbers count, by rows written by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import CountedRowsFilter, DestinationId, OutcomeClass
from jobs.ledger.outbox.platform_statements import OwnCount, count_own_accepted_rows, sent_requests
from jobs.ledger.schema import Attempt, Delivery, LeadRow, Request
from tests.builders import ACCOUNT, GOOGLE
from tests.fakes import NIGHT

HOUR = timedelta(hours=1)
SPAN = CountedRowsFilter("data_manager", "1234567890", "987654321", NIGHT, NIGHT + 2 * HOUR)
OURS = {"account": ACCOUNT, "destination": GOOGLE, "transport": SPAN.transport, "owner": SPAN.owner}


@pytest.fixture
def session(account):
    """A ledger with one lead, being written."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        lead = dict.fromkeys(("digest", "ad_user_data", "ad_personalization", "facts", "amount_paths"), "")
        times = {"created_at": NIGHT, "seen_at": NIGHT}
        session.add(LeadRow(account=ACCOUNT, id="L-1", fresh=True, to_plan=False, **lead, **times))
        session.flush()
        yield session


@pytest.fixture
def send(session):
    """Write one request with rows of these outcomes; None is one that is not known."""
    keys = iter(range(100))

    def sending(*outcomes, after=HOUR, happened=HOUR, state="settled", original=None, twice=False, **other):
        request = Request(run=1, action=SPAN.action, sent_at=NIGHT + after, rows=len(outcomes), state=state, **OURS)
        for name, value in other.items():
            setattr(request, name, value)
        session.add(request)
        session.flush()
        for position, outcome in enumerate(outcomes):
            number = next(keys)
            delivery = Delivery(
                **OURS,
                lead="L-1",
                conversion="sale",
                occurrence=number,
                kind="restatement" if original else "conversion",
                original=original,
                number=1 if original else 0,
                key=f"key-{number}",
                state="accepted",
                at=NIGHT + happened,
                may_count_twice=twice,
            )
            session.add(delivery)
            session.flush()
            attempt = Attempt(request=request.id, position=position, delivery=delivery.id, outcome=outcome)
            session.add(attempt)
            session.flush()
        return delivery

    return sending


def counted(session, span=SPAN):
    """Our count of a span."""
    return count_own_accepted_rows(session, ACCOUNT, GOOGLE, span)


def test_accepted_rows_of_the_span_count(session, send):
    """Its end is outside; what was refused, or had to come again, is not among them."""
    send(OutcomeClass.DONE, OutcomeClass.DONE, OutcomeClass.DROP, OutcomeClass.RETRY, OutcomeClass.DUPLICATE)
    send(OutcomeClass.DONE, after=timedelta())
    send(OutcomeClass.DONE, after=2 * HOUR)
    send(OutcomeClass.DONE, after=-HOUR)

    assert OwnCount(3, 0) == counted(session)


@pytest.mark.parametrize("outcome", [None, OutcomeClass.UNKNOWN])
def test_unknown_outcomes_are_undecided(session, send, outcome):
    """The platform may have counted them or not, or may yet."""
    send(OutcomeClass.DONE, outcome, outcome, state="lost")

    assert OwnCount(1, 2) == counted(session)


@pytest.mark.parametrize("state", ["not_sent", "refused"])
def test_requests_that_left_nothing_do_not_count(session, send, state):
    """The platform has kept nothing of them."""
    send(None, state=state)

    assert OwnCount(0, 0) == counted(session)
    assert [] == sent_requests(session, ACCOUNT, GOOGLE, SPAN.since, SPAN.until)


@pytest.mark.parametrize("database", ["sqlite"])
def test_other_accounts_do_not_count(session, send):
    """On PostgreSQL, nobody writes another account's rows."""
    send(OutcomeClass.DONE, account="another")

    assert OwnCount(0, 0) == counted(session)


@pytest.mark.parametrize("other", ["destination", "transport", "owner", "action"])
def test_other_targets_do_not_count(session, send, other):
    """Whatever differs, the platform's number is not about it."""
    send(OutcomeClass.DONE, **{other: "another"})

    assert OwnCount(0, 0) == counted(session)


def test_corrections_count_where_the_platform_counts_them(session, send):
    """Where it is not known whether it does, they are undecided."""
    original = send(OutcomeClass.DONE)
    send(OutcomeClass.DONE, original=original.id)

    assert OwnCount(1, 1) == counted(session)
    assert OwnCount(2, 0) == counted(session, replace(SPAN, corrections=True))


def test_possible_doubles_are_undecided(session, send):
    """The first copy may have been counted before the span."""
    send(OutcomeClass.DONE, twice=True)

    assert OwnCount(0, 1) == counted(session)


def test_shared_numbers_certainly_count_what_also_happened_in_the_span(session, send):
    """The platform may count an event when it was received or when it happened."""
    send(OutcomeClass.DONE)
    send(OutcomeClass.DONE, happened=-HOUR)

    assert OwnCount(2, 0) == counted(session)
    assert OwnCount(1, 1) == counted(session, replace(SPAN, is_shared=True))


def test_sent_requests_are_in_order(session, send):
    """With what a platform needs to tell about them."""
    send(OutcomeClass.DONE, after=HOUR, ticket="second")
    send(OutcomeClass.DONE, OutcomeClass.DROP, after=timedelta(), ticket="first")
    found = sent_requests(session, ACCOUNT, GOOGLE, SPAN.since, SPAN.until)

    assert [("first", 2, NIGHT), ("second", 1, NIGHT + HOUR)] == [
        (each.ticket, each.rows, each.sent_at) for each in found
    ]
    assert {("data_manager", "1234567890", "987654321")} == {
        (each.target.transport, each.target.owner, each.target.action) for each in found
    }
    assert [] == sent_requests(session, ACCOUNT, DestinationId("other"), SPAN.since, SPAN.until)
