"""What the platforms say beside our own numbers, by examples counted by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.language import Language, using_language
from connectors.records import CountedRowsFilter, PlatformStatement, StatementSubject
from connectors.statement_messages import NO_ANSWER
from jobs.ledger.outbox.platform_statements import OwnCount, RecordedStatement, replace_platform_statements
from jobs.reporting.page.platform_figures import counts_cannot_agree, figure, platform_figures
from tests.builders import ACCOUNT, GOOGLE, PARIS, lead
from tests.fakes import NIGHT

DAY = timedelta(days=1)
TWENTIETH = datetime(2026, 9, 19, 22, tzinfo=UTC)
"""Midnight in Paris."""
SPAN = CountedRowsFilter("google_ads_api", "1234567890", "987654321", TWENTIETH, TWENTIETH + DAY)


@pytest.mark.parametrize(
    ("theirs", "undecided", "accepted", "open_", "differs"),
    [
        (3, 0, 3, 0, False),
        (2, 0, 3, 0, True),
        (4, 0, 3, 0, True),
        (2, 1, 3, 0, False),
        (1, 1, 3, 0, True),
        (4, 0, 3, 1, False),
        (5, 0, 3, 1, True),
        (0, 0, 0, 4, False),
        (0, 2, 0, 0, False),
    ],
)
def test_numbers_differ_if_they_cannot_become_equal(theirs, undecided, accepted, open_, differs):
    """What is undecided on either side may end either way."""
    assert differs == counts_cannot_agree(theirs, OwnCount(accepted, open_), replace(SPAN, undecided=undecided))


@pytest.mark.parametrize(("theirs", "differs"), [(2, True), (3, False), (90, False)])
def test_only_too_few_is_wrong_where_others_send_too(theirs, differs):
    """A website's pixel may count events of the same name."""
    assert differs == counts_cannot_agree(theirs, OwnCount(3, 0), replace(SPAN, is_shared=True))


def shown(subject, name, value, counts=None, own=None):
    """How a statement is shown."""
    return figure(
        RecordedStatement("google_ads", PlatformStatement(subject, name, value, None, counts), NIGHT), own, PARIS
    )


def test_counted_statement_is_shown_beside_our_count():
    """With its action and day, and what is still open on both sides."""
    found = shown(StatementSubject.UPLOAD_SUMMARY, "Vente signée", 1200, replace(SPAN, undecided=3), OwnCount(1204, 1))

    assert "Vente signée (987654321): sent on Sun 20 Sep 2026 and counted" == found.name
    assert ("1,200 and 3 undecided", "1,204 and 1 undecided", True) == (found.theirs, found.ours, found.differs)
    assert ("google_ads", NIGHT) == (found.destination, found.read_at)


def test_longer_span_is_shown_by_its_first_and_last_day():
    """An event whose name is its action is named once."""
    span = replace(SPAN, action="Purchase", until=TWENTIETH + 7 * DAY, is_shared=True)

    assert "Purchase: sent from Sun 20 Sep 2026 to Sat 26 Sep 2026 and counted" == (
        shown(StatementSubject.EVENT_COUNT, "Purchase", 3, span, OwnCount(3, 0)).name
    )


@pytest.mark.parametrize("subject", StatementSubject)
@pytest.mark.parametrize("name", ["", "em"])
def test_other_statements_have_no_number_of_ours(subject, name):
    """They never differ."""
    found = shown(subject, name, "7.2")

    assert found.name
    assert ("7.2", None, False) == (found.theirs, found.ours, found.differs)


def test_what_could_not_be_read_is_said_in_the_readers_language():
    """The ledger keeps the message, not its translation."""
    with using_language(Language.FRENCH):
        found = shown(StatementSubject.EVENT_COUNT, "", NO_ANSWER)

    assert ("ce qui a été reçu", "pas de réponse à temps") == (found.name, found.theirs)


def test_figures_come_from_the_ledger(account):
    """Two conversions were accepted: the platform has one of them; old readings are not shown."""
    account.put(lead(), lead("L-2"))
    account.night()
    account.clock.time += DAY
    account.night()
    target = ("data_manager", "1234567890", "987654321")
    span = CountedRowsFilter(*target, NIGHT, NIGHT + timedelta(hours=1), corrections=True)
    said = [
        PlatformStatement(StatementSubject.EVENT_COUNT, "987654321", 1, None, span),
        PlatformStatement(StatementSubject.REQUEST_WARNINGS, "INTERNAL_ERROR", "2", None),
    ]
    now = account.clock.now()
    with account.hold() as ledger, ledger.write_transaction() as session:
        replace_platform_statements(session, ACCOUNT, GOOGLE, said, now=now)
        found = platform_figures(session, ACCOUNT, now, PARIS, {})
        none = platform_figures(session, "another", now, PARIS, {})
        late = platform_figures(session, ACCOUNT, now + 8 * DAY, PARIS, {})

    assert [("1", "2", True), ("2", None, False)] == [(each.theirs, each.ours, each.differs) for each in found]
    assert ((), ()) == (none, late)
