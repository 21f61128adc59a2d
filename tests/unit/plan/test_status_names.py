"""A history that tells a status's code alone is read by what leads' present statuses show, whenever they show it."""

from datetime import timedelta

import pytest

from connectors.records import Moment, StatusEntry
from jobs.ledger.schema import StatusChange
from jobs.reporting.sentences import message_in_words
from tests.builders import CREATED, WON, changed, lead, route, rulebook

DAY = timedelta(days=1)
LATER = WON + timedelta(hours=3)
CODES = {"Nouveau": "S1", "Gagné": "S7", "Perdu": "S8"}
UNTOLD = object()


@pytest.fixture
def won(account):
    """The account, with a sale by the text of a status, counted since shortly before the leads were won."""
    account.book = rulebook(
        route(labels=frozenset({"gagne"})), since={"sale": WON - 5 * DAY}, known_labels={"gagne", "nouveau", "perdu"}
    )
    return account


def one(name, *steps, code=UNTOLD, **more):
    """A lead whose history tells codes alone, and whose present status has a text and a code, if it has."""
    label = steps[-1][0]
    history = tuple(StatusEntry(CODES.get(each, each), Moment(at)) for each, at in steps)
    names = (CODES[label],) if code is UNTOLD else code
    return lead(name, label=label, also_called=names, history=history, **more)


def through(name, end="Perdu", **more):
    """A lead that was won and then lost."""
    return one(name, ("Nouveau", CREATED), ("Gagné", WON), (end, LATER), **more)


def times(account):
    """The time of each sale that a platform counted, by lead."""
    return {row.lead: row.at for row in account.rows() if row.key in account.sink.counted}


def labels(account):
    """Every label that a lead on record entered."""
    return {row.label for row in account.rows(StatusChange)}


def test_past_status_counts_by_its_text_though_a_later_page_shows_it(won):
    """The one lead that shows the code with its text comes last; each sale has its own time, not the night's."""
    won.source.page = 1
    won.put(through("A"), one("B", ("Nouveau", CREATED)), one("C", ("Nouveau", CREATED), ("Gagné", WON)))
    summary = won.night()

    assert {"A": WON, "C": WON} == times(won)
    assert {"nouveau", "gagne", "perdu"} == labels(won)
    assert ([], []) == (summary.review.renames, summary.review.anomalies)


def test_past_status_counts_once_a_later_night_shows_what_it_is(won):
    """As if it had been known: its sale goes out once, with its own time, though its lead is not read again."""
    won.put(through("A"))
    won.night()
    before = times(won)
    won.clock.time += DAY
    won.put(one("C", ("Nouveau", CREATED), ("Gagné", WON)))
    won.night()
    won.night()

    assert ({}, {"A": WON, "C": WON}) == (before, times(won))
    assert {1} == set(won.sink.counted.values())


def test_code_is_known_on_nights_that_do_not_show_its_status(won):
    """A list of what has changed may show one lead, which has left the status already."""
    won.put(one("C", ("Nouveau", CREATED), ("Gagné", WON)))
    won.night()
    won.source.delete("C")
    won.put(through("A"))
    won.clock.time += DAY
    won.night()

    assert WON == times(won)["A"]


def test_code_that_two_statuses_have_means_neither(won):
    """Whichever page shows which: a kind of status, such as `OPEN`, is no name of one."""
    won.source.page = 1
    won.put(through("A"), one("C", ("Gagné", WON), code=("S7",)), one("D", ("Signé", WON), code=("S7",)))
    won.night()
    won.put(through("E"))
    won.night()

    assert {"A", "E"}.isdisjoint(times(won))
    assert "s7" in labels(won)


def test_number_that_differs_among_leads_of_a_status_is_no_name_of_it(won):
    """It is the number of a change; it may happen to be another status's code."""
    won.put(*(one(f"C-{number}", ("Gagné", WON), code=(f"S{number}",)) for number in (7, 70)))
    won.night()
    won.put(through("A"))
    won.night()

    assert "A" not in times(won)


def test_code_that_the_settings_list_is_a_label_of_its_own(won):
    """They may place it elsewhere."""
    won.book = rulebook(
        route(labels=frozenset({"gagne"})), since={"sale": WON - 5 * DAY}, known_labels={"gagne", "s7", "perdu"}
    )
    won.put(through("A"), one("C", ("Nouveau", CREATED), ("Gagné", WON)))
    won.night()

    assert "s7" in labels(won)


def test_renamed_status_keeps_its_code_and_floods_nothing(won):
    """The code means the new text from then on."""
    won.book = rulebook(
        route(labels=frozenset({"signe"})), since={"sale": WON - 5 * DAY}, known_labels={"signe", "nouveau", "perdu"}
    )
    won.put(*(one(f"C-{n}", ("Nouveau", CREATED), ("Gagné", WON)) for n in range(6)))
    won.night()
    won.clock.time += DAY
    won.put(*(changed(each, label="Signé") for each in list(won.source.leads.values())))
    summary = won.night()
    won.clock.time += DAY
    won.night()

    assert (1, {}) == (len(summary.review.renames), times(won))


def test_night_asks_for_a_human_where_no_past_status_is_known(won):
    """Nothing shows what the codes mean, so sales have the time of the night: not everything is all right."""
    won.put(*(through(f"L-{n}", code=()) for n in range(5)))
    summary = won.night()
    (anomaly,) = summary.review.anomalies

    assert 1 == summary.exit_code
    assert message_in_words(anomaly.message).endswith("under a stage or under ignored_statuses: S1, S7, S8")


@pytest.mark.parametrize("named", [CODES, {"Nouveau": "Création", "Gagné": "Gagné", "Perdu": "Perdu"}])
def test_past_statuses_that_are_known_ask_for_nobody(won, named, monkeypatch):
    """By what leads show; nor does a first entry that is no status."""
    monkeypatch.setitem(globals(), "CODES", named)
    won.put(*(through(f"L-{n}") for n in range(5)), one("N", ("Nouveau", CREATED)), one("G", ("Gagné", WON)))

    assert [] == won.night().review.anomalies
