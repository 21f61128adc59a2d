"""A night asks for a human where histories tell nothing that anybody knows: conversions would have its time."""

from datetime import timedelta

import pytest

from connectors.records import Moment, StatusEntry
from jobs.reporting.sentences import message_in_words
from tests.builders import CREATED, WON, lead, route, rulebook

DAY = timedelta(days=1)


@pytest.fixture
def won(account):
    """The account, with a sale by the text of a status, counted since shortly before the leads were won."""
    account.book = rulebook(
        route(labels=frozenset({"gagne"})), since={"sale": WON - 5 * DAY}, known_labels={"gagne", "nouveau", "perdu"}
    )
    return account


def lost(name, *past):
    """A lead that shows `Perdu`, with these statuses in its history."""
    history = tuple(StatusEntry(label, Moment(CREATED + DAY * day)) for day, label in enumerate(past))
    return lead(name, label="Perdu", history=history)


def test_night_asks_for_a_human_where_no_past_status_is_known(won):
    """Codes alone, beside leads that show texts."""
    won.put(*(lost(f"L-{n}", "S1", "S7", "S8") for n in range(5)))
    summary = won.night()
    (anomaly,) = summary.review.anomalies

    assert 1 == summary.exit_code
    assert message_in_words(anomaly.message).endswith("under a stage or under ignored_statuses: S1, S7, S8")


@pytest.mark.parametrize("past", [("Création", "Gagné", "Perdu"), ("A", "B", "Nouveau"), ("S1",)])
def test_past_statuses_beside_one_that_is_known_ask_for_nobody(won, past):
    """What leads have reached has its own time; nor does one label that every lead begins with."""
    won.put(*(lost(f"L-{n}", *past) for n in range(5)))

    assert [] == won.night().review.anomalies
