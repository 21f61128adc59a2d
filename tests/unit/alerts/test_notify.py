"""A human is told once of each cause, at every address; what does not arrive stays owed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from sqlmodel import select

from connectors.errors import Misconfigured
from connectors.records import Outcome, OutcomeClass
from jobs.alerts.notify import NotifyAddress, gather, send_undelivered, update_incidents
from jobs.ledger.incidents import IncidentId, IncidentKind
from jobs.ledger.runs import finish
from jobs.ledger.schema import Adjustment, IncidentRow, Run
from jobs.nightly import run_night
from jobs.reporting.sentences import incident_words, notice_text
from jobs.rules.reasons import AnomalyCause, AnomalyKind, Scope
from jobs.settings.schema import NotifyWhen
from tests import fakes
from tests.builders import PARIS, TARGET, WON, changed, from_field, lead, route, rulebook
from tests.fakes import FakeSink

DAY = timedelta(days=1)
REFUSED = fakes.refuse(OutcomeClass.FIX_CONFIG)


class Inbox:
    """One address, which takes what it is given or does not."""

    def __init__(self):
        self.is_up = True
        self.messages = []
        self.tried = 0

    def send(self, title, text):
        """Take a message."""
        self.tried += 1
        if self.is_up:
            self.messages.append((title, text))
        return self.is_up

    @property
    def titles(self):
        """What each message was about."""
        return [title.partition(": ")[2] for title, _ in self.messages]


class Told:
    """An account whose nights are told."""

    def __init__(self, account):
        self.account = account
        self.inboxes = {"a": Inbox()}
        self.facts = None
        self.standing = ()
        self.undelivered = ()

    @property
    def inbox(self):
        """The only one, or the first."""
        return self.inboxes["a"]

    def night(self, *, days=1, when=None):
        """A night as the command makes it, and on to the next; its summary."""
        account = self.account
        with account.state.hold(account.clock) as ledger:
            with ledger.writing() as session:
                run = session.get(Run, ledger.run)
                run.command = "run"
            summary = run_night(account.run(ledger))
            finish(ledger, summary.exit_code, now=account.clock.now())
            now = account.clock.now()
            with ledger.reading() as session:
                self.facts = gather(session, ledger, account.book, account.sinks, summary, now=now)
            self.standing = update_incidents(
                ledger, account.book, account.sinks, summary, when or NotifyWhen(), words=incident_words, now=now
            )
            addresses = {mark: NotifyAddress(f"notify.{mark}", inbox) for mark, inbox in self.inboxes.items()}
            self.undelivered = send_undelivered(ledger, addresses, text_of=partial(notice_text, zone=PARIS), now=now)
        account.clock.time += days * DAY
        return summary

    @property
    def causes(self):
        """What stands, and whether it is new."""
        return [(one.cause, one.is_new) for one in self.standing]


GOOGLE, CORRECTIONS = Scope("google_ads"), Scope("google_ads", corrections=True)


@pytest.fixture
def told(account):
    """An account with one address."""
    return Told(account)


# ── once, until it clears ────────────────────────────────────────────────────────────────────────


def test_a_destination_stopped_for_five_nights_is_told_once_and_again_when_it_comes_back(told):
    """In between something went out."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 5)
    for _ in range(5):
        told.night()
    assert ["google_ads stopped"] == told.inbox.titles[:1]
    assert 1 == told.inbox.titles.count("google_ads stopped")
    told.night()
    assert IncidentKind.STOPPED not in {one.cause.kind for one in told.standing}
    told.account.put(lead("L-2"))
    told.account.sink.script.append(REFUSED)
    told.night()

    assert 2 == told.inbox.titles.count("google_ads stopped")


def test_a_night_with_nothing_to_send_does_not_end_a_stop(told):
    """Nobody knows whether the token holds again."""
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night(days=100)
    told.night()

    assert [(IncidentId(IncidentKind.STOPPED, GOOGLE), False)] == told.causes


@pytest.mark.parametrize("of_target", [False, True])
def test_a_stop_of_corrections_stands_until_a_correction_arrives(told, of_target):
    """Neither a night without one nor a conversion that arrives says anything of it."""
    account = told.account
    account.book = rulebook(route(field_value=from_field(), target=replace(TARGET, transport="google_ads_api")))
    account.sink.asynchronous = False
    account.put(lead())
    told.night()
    cause = replace(CORRECTIONS, action="987654321") if of_target else CORRECTIONS
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(1200)}))
    account.sink.adjust_script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, of_target=of_target))
    told.night()
    account.put(lead("L-2"))
    with account.hold() as ledger, ledger.writing() as session:
        for row in session.exec(select(Adjustment)):
            row.deferred_until = account.clock.time + 2 * DAY
    told.night()

    assert [f"{cause} stopped"] == told.inbox.titles
    assert [(IncidentId(IncidentKind.STOPPED, cause), False)] == told.causes

    told.night()
    told.night()

    assert () == told.standing


def test_a_source_that_stops_is_told_and_clears_with_the_next_reading(told):
    """Each time it stops anew."""
    for _ in range(2):
        told.account.source.fails[0] = Misconfigured("401: the token is refused")
        told.night()
        told.night()

    assert ["Oplead cannot be read"] * 2 == told.inbox.titles


def test_every_address_gets_every_notice(told):
    """One message each."""
    told.inboxes["b"] = Inbox()
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night()

    assert told.inboxes["a"].messages == told.inboxes["b"].messages
    assert "maison-test: google_ads stopped" == told.inbox.messages[0][0]


# ── what does not arrive ─────────────────────────────────────────────────────────────────────────


def test_what_did_not_arrive_is_told_by_the_next_run_though_it_is_not_new(told):
    """And named, so that it can be logged."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 3)
    told.inbox.is_up = False
    told.night()
    named = told.undelivered
    told.inbox.is_up = True
    told.night()
    told.night()

    assert [("notify.a", "google_ads stopped")] == named
    assert ["google_ads stopped"] == told.inbox.titles


def test_only_the_address_that_was_down_gets_it_later(told):
    """The other one has it already."""
    told.inboxes["b"] = Inbox()
    told.inboxes["b"].is_up = False
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 2)
    told.night()
    told.inboxes["b"].is_up = True
    told.night()

    assert [1, 1] == [len(inbox.messages) for inbox in told.inboxes.values()]


def test_an_address_that_is_down_is_tried_once_a_night(told):
    """However many notices it is owed: a night waits ten seconds for it and not more."""
    told.account.sinks["meta"] = other = FakeSink()
    told.account.book = rulebook(route(), route("lead", labels=frozenset({"nouveau"}), destination="meta"))
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    other.script.append(REFUSED)
    told.inbox.is_up = False
    told.night()

    assert (1, 2) == (told.inbox.tried, len(told.undelivered))


def test_what_reached_nobody_goes_to_the_address_that_was_mended(told):
    """The wrong one is gone from the settings, and with it would be the message."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 2)
    told.inbox.is_up = False
    told.night()
    told.inboxes = {"mended": Inbox()}
    told.night()

    assert ["google_ads stopped"] == told.inboxes["mended"].titles


def test_what_is_over_before_anybody_heard_of_it_is_told_as_over(told):
    """A human was needed, and nobody knew."""
    told.account.source.fails[0] = Misconfigured("401")
    told.inbox.is_up = False
    told.night()
    told.inbox.is_up = True
    told.night()
    ((_, text),) = told.inbox.messages

    assert "Found on 2026-09-10; it is over by now." in text


def test_a_new_address_is_not_told_of_what_another_one_knows(told):
    """But an account's first address hears of what stands."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 3)
    told.inboxes = {}
    told.night()
    told.inboxes = {"a": Inbox()}
    told.night()
    told.inboxes["b"] = Inbox()
    told.night()

    assert [1, 0] == [len(inbox.messages) for inbox in told.inboxes.values()]


# ── what facts are made of ───────────────────────────────────────────────────────────────────────


def test_what_expires_at_a_stopped_destination_is_told_with_its_day(told):
    """The click is 30 days old and Google remembers 90; four days before the end it is time."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 3)
    told.night(days=55)
    told.night(days=1)
    before = "google_ads: 1 conversion will expire" in told.inbox.titles
    told.night()

    assert (False, True) == (before, "google_ads: 1 conversion will expire" in told.inbox.titles)
    assert "expires by 2026-11-09" in told.inbox.messages[-1][1]


def test_the_numbers_of_a_night_are_those_of_its_date_and_of_the_nights_before(told):
    """Two runs of one date are one night; what was only planned was not sent."""
    told.account.put(*[lead(f"A-{number}") for number in range(3)])
    told.night(days=0)
    told.account.put(lead("B-1"))
    told.night()
    told.night()
    told.account.put(lead("C-1"))
    told.night(days=0)
    google, _ = told.facts.destinations

    assert ([4, 0], 1) == ([night.sent for night in google.before], google.tonight.sent)


def test_rejections_are_counted_but_for_those_to_be_expected(told):
    """A lead without an ad alarms nobody."""
    told.account.put(*[lead(f"L-{number}") for number in range(8)])
    answers = [fakes.DONE] * 2 + [Outcome(OutcomeClass.DROP, "BAD")] * 5
    answers.append(Outcome(OutcomeClass.DROP_EXPECTED, "NO_CLICK"))
    told.account.sink.script.append(fakes.answer(*answers))
    told.night()
    google, _ = told.facts.destinations

    assert (2, 5, 8) == (google.tonight.accepted, google.tonight.rejected, google.tonight.sent)
    assert IncidentKind.REJECTED in {one.cause.kind for one in told.standing}
    assert "rejected (BAD)" in told.inbox.messages[0][1]


def test_a_lost_answer_is_told_and_clears_with_the_replay(told):
    """It happens, and it is looked at."""
    told.account.put(lead())
    told.account.sink.script.extend([fakes.lost_before] * 5)
    told.night()
    first = [one.cause for one in told.standing]
    told.night()

    assert (IncidentId(IncidentKind.IN_DOUBT, GOOGLE) in first, [], 1) == (
        True,
        [one.cause for one in told.standing],
        told.inbox.titles.count("google_ads: 1 conversion in doubt"),
    )


# ── corrections ──────────────────────────────────────────────────────────────────────────────────


REJECTED = Outcome(OutcomeClass.DROP, "TOO_MANY_ADJUSTMENTS")


def corrected(told, count):
    """So many sales, accepted by the Google Ads API, and worth another amount since."""
    account = told.account
    account.book = rulebook(route(field_value=from_field(), target=replace(TARGET, transport="google_ads_api")))
    account.sink.asynchronous = False
    names = [f"L-{number}" for number in range(count)]
    account.put(*map(lead, names))
    told.night()
    account.put(*(changed(lead(name), fields={"consent": "oui", "amount": Decimal(1200)}) for name in names))


def test_rejected_corrections_are_told_as_such(told):
    """Apart from what became of conversions that night, by codes and leads of their own."""
    corrected(told, 10)
    told.account.put(*[lead(f"M-{number}") for number in range(7)])
    told.account.sink.script.append(fakes.answer(*[Outcome(OutcomeClass.DROP, "BAD")] * 5, *[fakes.DONE] * 2))
    told.account.sink.adjust_script.append(fakes.answer(*[REJECTED] * 5, *[fakes.DONE] * 5))
    summary = told.night()
    google, corrections = told.facts.destinations

    assert (5, 5, 10) == (corrections.tonight.accepted, corrections.tonight.rejected, corrections.tonight.sent)
    assert (2, 5, 7) == (google.tonight.accepted, google.tonight.rejected, google.tonight.sent)
    assert {GOOGLE: "M", CORRECTIONS: "L"} == {place: one[0] for one, _, place, _ in summary.rejected}
    assert [
        ("google_ads rejects 71 % of what it settles", "5 of 7 conversions settled tonight were rejected (BAD)."),
        (
            "google_ads rejects 50 % of the corrections it settles",
            "5 of 10 corrections settled tonight were rejected (TOO_MANY_ADJUSTMENTS).",
        ),
    ] == list(zip(told.inbox.titles, [text.partition("\n")[0] for _, text in told.inbox.messages], strict=True))
    assert "for lead M-0, M-1, M-2, M-3, M-4." in told.inbox.messages[0][1]
    assert "for lead L-0, L-1, L-2, L-3, L-4." in told.inbox.messages[1][1]


def test_the_notice_of_rejected_corrections_stands_until_corrections_arrive(told):
    """A night without any says nothing of it, nor does a conversion."""
    corrected(told, 6)
    told.account.sink.adjust_script.append(fakes.answer(*[REJECTED] * 5, fakes.DONE))
    told.night()
    told.account.put(lead("M-1"))
    told.night()
    standing = [one.cause for one in told.standing]
    told.account.put(changed(lead("M-1"), fields={"consent": "oui", "amount": Decimal(1200)}))
    told.night()

    assert ([IncidentId(IncidentKind.REJECTED, CORRECTIONS)], ()) == (standing, told.standing)


def test_rejected_corrections_that_were_to_be_expected_alarm_nobody(told):
    """As it is with conversions."""
    corrected(told, 6)
    expected = Outcome(OutcomeClass.DROP_EXPECTED, "NO_CLICK")
    told.account.sink.adjust_script.append(fakes.answer(*[expected] * 5, fakes.DONE))
    told.night()

    assert [] == told.inbox.titles


def test_a_correction_in_doubt_or_given_up_is_told_as_such(told):
    """Its answer is lost, and three times more; nobody will know."""
    corrected(told, 1)
    told.account.sink.adjust_script.extend([fakes.lost_before] * 40)
    for _ in range(5):
        told.night()

    titles = [title for title in told.inbox.titles if "stopped" not in title]

    assert ["google_ads: 1 correction in doubt", "google_ads: 1 correction unconfirmed"] == titles
    assert "1 correction was sent to google_ads, and the answer was lost" in told.inbox.messages[0][1]
    assert IncidentId(IncidentKind.UNCONFIRMED, CORRECTIONS) in {one.cause for one in told.standing}

    told.night()

    assert not {IncidentKind.IN_DOUBT, IncidentKind.UNCONFIRMED} & {one.cause.kind for one in told.standing}


def test_nights_without_corrections_and_worse_ones_are_no_alarm(told):
    """Their number is what becomes of sales, not what is usual."""
    corrected(told, 6)
    for number in range(8):
        told.account.put(
            *(
                changed(one, fields={"consent": "oui", "amount": Decimal(2000 + 500 * number)})
                for one in map(lead, [f"L-{index}" for index in range(6)])
            )
        )
        told.night()
    usual = [night.sent for night in told.facts.destinations[1].before]
    told.night()

    assert (7, []) == (usual.count(6), told.inbox.titles)


def test_a_surge_and_an_alarm_are_told(told):
    """Each by the sentence of the report."""
    told.account.put(*[lead(f"L-{number}") for number in range(51)])
    told.night(days=0)
    told.account.put(*[lead(f"M-{number}", click_ids=(), created_at=WON - DAY) for number in range(120)])
    told.night()

    assert "google_ads: far more than usual is held" in told.inbox.titles
    assert "Conversions may be missing" in told.inbox.titles


@pytest.mark.parametrize("conversion", ["sale", "funnel:sale"])
def test_a_where_that_lets_nobody_in_is_told_once_and_clears_with_the_first_it_lets_in(told, conversion):
    """Also of a stage of a funnel, whose id has a colon."""
    channel = {"channel": frozenset({"web"})}
    told.account.book = rulebook(
        route(conversion, where=(channel,)), extraction=replace(rulebook().extraction, where=channel)
    )
    told.account.put(*(lead(f"L-{number}") for number in range(5)))
    cause = IncidentId(IncidentKind.ANOMALY, AnomalyCause(AnomalyKind.WHERE, (conversion, "google_ads")))
    seen = []
    for _ in range(2):
        told.night()
        seen.append(told.causes)

    assert [[(cause, True)], [(cause, False)]] == seen

    told.account.put(lead("L-9", fields={"consent": "oui", "channel": "web"}))
    told.night()

    assert () == told.standing
    assert 1 == len(told.inbox.messages)


def test_a_notice_on_record_keeps_since_when_it_stands(told):
    """The first night of this time, not of the one before."""
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night()
    told.night()
    told.account.put(lead("L-2"))
    told.account.sink.script.append(REFUSED)
    third = told.account.clock.now()
    told.night()
    (row,) = [row for row in told.account.rows(IncidentRow) if row.title == "google_ads stopped"]

    assert (third, third, None) == (row.first_seen_at, row.notified_at, row.cleared_at)


def test_nothing_of_a_person_is_in_a_notice(told):
    """Neither an address, nor a click id, nor the label."""
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night()
    said = " ".join(" ".join(message) for message in told.inbox.messages)

    assert said
    for witness in ("example.org", "gclid-of", "Gagné", "L-1"):
        assert witness not in said
