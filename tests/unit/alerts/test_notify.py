"""Each incident is notified once at every address, and an undelivered notice is sent later."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from sqlmodel import select

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.errors import Misconfigured
from connectors.language import Language, using_language
from connectors.records import Outcome, OutcomeClass
from jobs.alerts.notify import Recipient, gather_night_facts, send_undelivered_notices, update_incidents
from jobs.ledger.incidents import incident_from_row
from jobs.ledger.runs import finish_run
from jobs.ledger.schema import Delivery, IncidentRow, Run, is_correction
from jobs.nightly import run_night
from jobs.reporting.sentences import recorded_notice
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, DestinationScope
from jobs.settings.schema import NotificationThresholds
from jobs.webhooks.file_inbox import WebhookInboxFile
from tests import fakes
from tests.builders import PARIS, TARGET, WON, changed, from_field, lead, route, rulebook
from tests.fakes import FakeSink

DAY = timedelta(days=1)
REFUSED = fakes.refuse(OutcomeClass.FIX_CONFIG)


class Inbox:
    """One address, which accepts messages or fails."""

    def __init__(self):
        self.is_up = True
        self.messages = []
        self.tried = 0

    def send_message(self, title, text):
        """Accept a message while the address is up."""
        self.tried += 1
        if self.is_up:
            self.messages.append((title, text))
        return self.is_up

    @property
    def titles(self):
        """The subject of each message."""
        return [title.partition(": ")[2] for title, _ in self.messages]


class Told:
    """An account with nights that send notices."""

    def __init__(self, account):
        self.account = account
        self.inboxes = {"a": Inbox()}
        self.facts = None
        self.standing = ()
        self.undelivered = ()

    @property
    def inbox(self):
        """The only inbox, or the first."""
        return self.inboxes["a"]

    def night(self, *, days=1, when=None):
        """Run a night as the command does, advance to the next one, and return its summary."""
        account = self.account
        with account.hold() as ledger:
            with ledger.write_transaction() as session:
                run = session.get(Run, ledger.run)
                run.command = "run"
            summary = run_night(account.run(ledger))
            finish_run(ledger, summary.exit_code, now=account.clock.now())
            now = account.clock.now()
            with ledger.read_transaction() as session:
                self.facts = gather_night_facts(session, ledger, account.book, account.sinks, summary, now=now)
            self.standing = update_incidents(
                ledger, account.book, account.sinks, summary, when or NotificationThresholds(), now=now
            )
            recipients = {mark: Recipient(f"notify.{mark}", inbox) for mark, inbox in self.inboxes.items()}
            self.undelivered = send_undelivered_notices(
                ledger, recipients, notice_of=partial(recorded_notice, zone=PARIS), now=now
            )
        account.clock.time += days * DAY
        return summary

    @property
    def causes(self):
        """The standing causes, and whether each is new."""
        return [(one.incident.id, one.is_new) for one in self.standing]


GOOGLE, CORRECTIONS = DestinationScope("google_ads"), DestinationScope("google_ads", corrections=True)


@pytest.fixture
def told(account):
    """An account with one address."""
    return Told(account)


# ── once, until it clears ────────────────────────────────────────────────────────────────────────


def test_stopped_destination_is_notified_once_until_it_stops_anew(told):
    """It stops for five nights, and something is sent before it stops again."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 5)
    for _ in range(5):
        told.night()
    assert ["google_ads stopped"] == told.inbox.titles[:1]
    assert 1 == told.inbox.titles.count("google_ads stopped")
    told.night()
    assert IncidentKind.STOPPED not in {one.incident.id.kind for one in told.standing}
    told.account.put(lead("L-2"))
    told.account.sink.script.append(REFUSED)
    told.night()

    assert 2 == told.inbox.titles.count("google_ads stopped")


def test_night_with_nothing_to_send_does_not_clear_a_stop(told):
    """It does not show that the token works again."""
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night(days=100)
    told.night()

    assert [(IncidentId(IncidentKind.STOPPED, GOOGLE), False)] == told.causes


@pytest.mark.parametrize("of_target", [False, True])
def test_stop_of_corrections_stands_until_a_correction_arrives(told, of_target):
    """Neither a night without one nor a conversion that arrives clears it."""
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
    with account.hold() as ledger, ledger.write_transaction() as session:
        for row in session.exec(select(Delivery).where(is_correction())):
            row.deferred_until = account.clock.time + 2 * DAY
    told.night()

    assert [f"{cause} stopped"] == told.inbox.titles
    assert [(IncidentId(IncidentKind.STOPPED, cause), False)] == told.causes

    told.night()
    told.night()

    assert () == told.standing


def test_stopped_source_is_notified_and_clears_with_the_next_reading(told):
    """Each new stop sends a new notice."""
    for _ in range(2):
        told.account.source.fails[0] = Misconfigured("401: the token is refused")
        told.night()
        told.night()

    assert ["Oplead cannot be read"] * 2 == told.inbox.titles


def test_what_still_stands_is_said_in_the_language_of_the_day(told):
    """It was found while another was spoken."""
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    with using_language(Language.ENGLISH):
        told.night()
    (row,) = told.account.rows(IncidentRow)
    with using_language(Language.FRENCH):
        again = recorded_notice(incident_from_row(row), row, PARIS)

    assert "maison-test: google_ads stopped" == told.inbox.messages[0][0]
    assert "google_ads s’est arrêté" == again.title
    assert "`oplead-sync check --live` montre ce que répond la plateforme." in again.text


def test_every_address_gets_every_notice(told):
    """Each gets one message."""
    told.inboxes["b"] = Inbox()
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night()

    assert told.inboxes["a"].messages == told.inboxes["b"].messages
    assert "maison-test: google_ads stopped" == told.inbox.messages[0][0]


# ── undelivered notices ──────────────────────────────────────────────────────────────────────────


def test_undelivered_notice_is_sent_by_the_next_run(told):
    """It is no longer new by then; the failed address is named so that it can be logged."""
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


def test_only_the_failed_address_gets_the_notice_later(told):
    """The other one has it already."""
    told.inboxes["b"] = Inbox()
    told.inboxes["b"].is_up = False
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 2)
    told.night()
    told.inboxes["b"].is_up = True
    told.night()

    assert [1, 1] == [len(inbox.messages) for inbox in told.inboxes.values()]


def test_failed_address_is_tried_once_a_night(told):
    """However many notices it is owed, a night waits ten seconds for it and not more."""
    told.account.sinks["meta"] = other = FakeSink()
    told.account.book = rulebook(route(), route("lead", labels=frozenset({"nouveau"}), destination="meta"))
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    other.script.append(REFUSED)
    told.inbox.is_up = False
    told.night()

    assert (1, 2) == (told.inbox.tried, len(told.undelivered))


def test_notice_that_reached_nobody_goes_to_a_corrected_address(told):
    """The wrong address is no longer in the settings, and the message would be lost with it."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 2)
    told.inbox.is_up = False
    told.night()
    told.inboxes = {"mended": Inbox()}
    told.night()

    assert ["google_ads stopped"] == told.inboxes["mended"].titles


def test_undelivered_notice_of_a_cleared_incident_says_it_is_over(told):
    """A human was needed, and nobody knew."""
    told.account.source.fails[0] = Misconfigured("401")
    told.inbox.is_up = False
    told.night()
    told.inbox.is_up = True
    told.night()
    ((_, text),) = told.inbox.messages

    assert "Found on Thu 10 Sep 2026; it is over by now." in text


def test_new_address_gets_no_notice_that_another_already_has(told):
    """An account's first address, however, gets a notice of what stands."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 3)
    told.inboxes = {}
    told.night()
    told.inboxes = {"a": Inbox()}
    told.night()
    told.inboxes["b"] = Inbox()
    told.night()

    assert [1, 0] == [len(inbox.messages) for inbox in told.inboxes.values()]


# ── the facts of a night ─────────────────────────────────────────────────────────────────────────


def test_expiry_at_a_stopped_destination_is_notified_with_its_date(told):
    """The click is 30 days old and Google accepts 90, so the notice comes four days before the end."""
    told.account.put(lead())
    told.account.sink.script.extend([REFUSED] * 3)
    told.night(days=55)
    told.night(days=1)
    before = "google_ads: 1 conversion will expire" in told.inbox.titles
    told.night()

    assert (False, True) == (before, "google_ads: 1 conversion will expire" in told.inbox.titles)
    assert "expires at Mon 9 Nov 2026" in told.inbox.messages[-1][1]


def test_night_numbers_add_up_all_runs_of_a_date(told):
    """What was only planned was not sent."""
    told.account.put(*[lead(f"A-{number}") for number in range(3)])
    told.night(days=0)
    told.account.put(lead("B-1"))
    told.night()
    told.night()
    told.account.put(lead("C-1"))
    told.night(days=0)
    google, _ = told.facts.destinations

    assert ([4, 0], 1) == ([night.sent for night in google.before], google.tonight.sent)


def test_expected_rejections_are_not_counted(told):
    """A lead without an ad raises no alarm."""
    told.account.put(*[lead(f"L-{number}") for number in range(8)])
    answers = [fakes.DONE] * 2 + [Outcome(OutcomeClass.DROP, "BAD")] * 5
    answers.append(Outcome(OutcomeClass.DROP_EXPECTED, "NO_CLICK"))
    told.account.sink.script.append(fakes.answer(*answers))
    told.night()
    google, _ = told.facts.destinations

    assert (2, 5, 8) == (google.tonight.accepted, google.tonight.rejected, google.tonight.sent)
    assert IncidentKind.REJECTED in {one.incident.id.kind for one in told.standing}
    assert "rejected. The codes: BAD." in told.inbox.messages[0][1]


def test_lost_answer_is_notified_and_clears_with_the_replay(told):
    """Lost answers happen, and a human may look into each."""
    told.account.put(lead())
    told.account.sink.script.extend([fakes.lost_before] * 5)
    told.night()
    first = [one.incident.id for one in told.standing]
    told.night()

    assert (IncidentId(IncidentKind.IN_DOUBT, GOOGLE) in first, [], 1) == (
        True,
        [one.incident.id for one in told.standing],
        told.inbox.titles.count("google_ads: 1 conversion in doubt"),
    )


# ── corrections ──────────────────────────────────────────────────────────────────────────────────


REJECTED = Outcome(OutcomeClass.DROP, "TOO_MANY_ADJUSTMENTS")


def corrected(told, count):
    """Send this many sales through the Google Ads API, then change their amounts."""
    account = told.account
    account.book = rulebook(route(field_value=from_field(), target=replace(TARGET, transport="google_ads_api")))
    account.sink.asynchronous = False
    names = [f"L-{number}" for number in range(count)]
    account.put(*map(lead, names))
    told.night()
    account.put(*(changed(lead(name), fields={"consent": "oui", "amount": Decimal(1200)}) for name in names))


def test_rejected_corrections_have_a_notice_of_their_own(told):
    """It has codes and leads of its own, apart from the conversions of that night."""
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
        (
            "google_ads rejects 71 % of what it settles",
            "5 of 7 conversions settled tonight were rejected. The codes: BAD.",
        ),
        (
            "google_ads rejects 50 % of the corrections it settles",
            "5 of 10 corrections settled tonight were rejected. The codes: TOO_MANY_ADJUSTMENTS.",
        ),
    ] == list(zip(told.inbox.titles, [text.partition("\n")[0] for _, text in told.inbox.messages], strict=True))
    assert "for lead M-0, M-1, M-2, M-3, M-4." in told.inbox.messages[0][1]
    assert "for lead L-0, L-1, L-2, L-3, L-4." in told.inbox.messages[1][1]


def test_rejected_corrections_notice_stands_until_corrections_arrive(told):
    """Neither a night without any nor a conversion clears it."""
    corrected(told, 6)
    told.account.sink.adjust_script.append(fakes.answer(*[REJECTED] * 5, fakes.DONE))
    told.night()
    told.account.put(lead("M-1"))
    told.night()
    standing = [one.incident.id for one in told.standing]
    told.account.put(changed(lead("M-1"), fields={"consent": "oui", "amount": Decimal(1200)}))
    told.night()

    assert ([IncidentId(IncidentKind.REJECTED, CORRECTIONS)], ()) == (standing, told.standing)


def test_expected_rejections_of_corrections_send_no_notice(told):
    """The same holds for conversions."""
    corrected(told, 6)
    expected = Outcome(OutcomeClass.DROP_EXPECTED, "NO_CLICK")
    told.account.sink.adjust_script.append(fakes.answer(*[expected] * 5, fakes.DONE))
    told.night()

    assert [] == told.inbox.titles


def test_correction_in_doubt_then_unconfirmed_is_notified(told):
    """Its answer is lost, then three times more, and its outcome stays unknown."""
    corrected(told, 1)
    told.account.sink.adjust_script.extend([fakes.lost_before] * 40)
    for _ in range(5):
        told.night()

    titles = [title for title in told.inbox.titles if "stopped" not in title]

    assert ["google_ads: 1 correction in doubt", "google_ads: 1 correction unconfirmed"] == titles
    assert "1 correction was sent to google_ads, and the answer was lost" in told.inbox.messages[0][1]
    assert IncidentId(IncidentKind.UNCONFIRMED, CORRECTIONS) in {one.incident.id for one in told.standing}

    told.night()

    assert not {IncidentKind.IN_DOUBT, IncidentKind.UNCONFIRMED} & {one.incident.id.kind for one in told.standing}


def test_night_without_corrections_sends_no_notice(told):
    """Their number follows from what becomes of sales, so no number is usual."""
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


def test_volume_guard_hold_and_anomaly_are_both_notified(told):
    """Each has the sentence of the report."""
    told.account.put(*[lead(f"L-{number}") for number in range(51)])
    told.night(days=0)
    told.account.put(*[lead(f"M-{number}", click_ids=(), created_at=WON - DAY) for number in range(120)])
    told.night()

    assert "google_ads: far more than usual is held" in told.inbox.titles
    assert "Conversions may be missing" in told.inbox.titles


@pytest.mark.parametrize("conversion", ["sale", "funnel:sale"])
def test_where_that_matches_no_lead_is_notified_until_one_matches(told, conversion):
    """It is notified once, also for a funnel's stage, which has a colon in its id."""
    channel = {"channel": frozenset({"web"})}
    told.account.book = rulebook(
        route(conversion, where=(channel,)), extraction=replace(rulebook().extraction, where=channel)
    )
    told.account.put(*(lead(f"L-{number}") for number in range(5)))
    cause = IncidentId(IncidentKind.ANOMALY, AnomalyIdentity(AnomalyKind.WHERE, (conversion, "google_ads")))
    seen = []
    for _ in range(2):
        told.night()
        seen.append(told.causes)

    assert [[(cause, True)], [(cause, False)]] == seen

    told.account.put(lead("L-9", fields={"consent": "oui", "channel": "web"}))
    told.night()

    assert () == told.standing
    assert 1 == len(told.inbox.messages)


def test_recorded_incident_keeps_when_it_was_first_seen(told):
    """This is the first night of this occurrence, not of the one before."""
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night()
    told.night()
    told.account.put(lead("L-2"))
    told.account.sink.script.append(REFUSED)
    third = told.account.clock.now()
    told.night()
    (row,) = [row for row in told.account.rows(IncidentRow) if incident_from_row(row).id.kind is IncidentKind.STOPPED]

    assert (third, third, None) == (row.first_seen_at, row.notified_at, row.cleared_at)


def test_reported_lead_that_does_not_exist_is_told_once_though_the_first_night_dies(told, tmp_path):
    """By the night that opens the incident, and by no later one."""
    account = told.account
    account.inbox = tmp_path / "inbox.db"
    inbox = WebhookInboxFile(account.inbox).open_inbox_for_writing()
    event = WebhookEvent(CrmEventKind.STATUS_CHANGE, "X-99")
    inbox.append_events([ReceivedEvent(event, account.clock.now(), "digest", is_unique=True)])
    inbox.close()
    account.night()
    account.clock.time += timedelta(hours=1)
    codes = [told.night().exit_code for _ in range(3)]

    assert [1, 0, 0] == codes
    assert 1 == len(told.inbox.messages)


def test_notice_contains_no_personal_data(told):
    """It has no e-mail address, click id, label or lead id."""
    told.account.put(lead())
    told.account.sink.script.append(REFUSED)
    told.night()
    said = " ".join(" ".join(message) for message in told.inbox.messages)

    assert said
    for witness in ("example.org", "gclid-of", "Gagné", "L-1"):
        assert witness not in said
