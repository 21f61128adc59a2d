"""An incident on record that this version cannot read is shown, stays open, and leaves the others alone."""

import json
from datetime import timedelta
from functools import partial

import pytest

from connectors.records import OutcomeClass
from jobs.alerts.notify import Recipient, send_undelivered_notices, update_incidents
from jobs.ledger.incidents import incident_from_row
from jobs.ledger.schema import IncidentRow
from jobs.nightly import run_night
from jobs.reporting.page.tasks import tasks_for_humans
from jobs.reporting.sentences import incident_notice, recorded_notice
from jobs.rules.incident import IncidentKind
from jobs.settings.schema import NotificationThresholds
from tests import fakes
from tests.builders import PARIS, lead

SCOPE = {"destination": "google_ads", "corrections": False, "former": [], "action": ""}
REFUSED = {"stop": ["refused", ["token revoked"], None, 1]}
HELD = {"kind": "held", "about": SCOPE}


class Messages:
    """An address that takes everything."""

    def __init__(self):
        self.titles = []

    def send_message(self, title, text):  # noqa: ARG002 - the port has it
        """Keep the title."""
        self.titles.append(title.partition(": ")[2])
        return True


class Account:
    """An account whose google_ads is refused tonight, with incidents of other versions on record."""

    def __init__(self, account):
        self.account = account
        self.sent = Messages()
        account.put(lead())
        account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG))

    def record(self, cause, details):
        """Put an open incident on record, as text."""
        with self.account.hold() as ledger, ledger.write_transaction() as session:
            now = self.account.clock.now()
            session.add(IncidentRow(account=ledger.account, cause=cause, details=details, first_seen_at=now))
        self.account.clock.time += timedelta(days=1)

    def night(self):
        """Run a night, and return the titles of what is open afterwards: on its screen, and on the page."""
        account = self.account
        with account.hold("run") as ledger:
            summary = run_night(account.run(ledger))
            now = account.clock.now()
            standing = update_incidents(ledger, account.book, account.sinks, summary, NotificationThresholds(), now=now)
            notice_of = partial(recorded_notice, zone=PARIS)
            send_undelivered_notices(ledger, {"a": Recipient("notify", self.sent)}, notice_of=notice_of, now=now)
            with ledger.read_transaction() as session:
                shown = [task.title for task in tasks_for_humans(session, account.book, run=None, now=now)]
        return sorted(incident_notice(each.incident).title for each in standing), shown

    def open_causes(self):
        """What is open on record."""
        return [row.cause for row in self.account.rows(IncidentRow) if row.cleared_at is None]


@pytest.fixture
def stopped(account):
    """The account."""
    return Account(account)


UNREADABLE = {
    "no JSON": ("{", "An incident that cannot be read"),
    "a kind of a newer version": ('{"kind":"quota","about":null}', "An incident that cannot be read: quota"),
    "a kind that is no text": ('{"kind":7,"about":null}', "An incident that cannot be read"),
    "about something else": ('{"kind":"stopped","about":"v21"}', "An incident that cannot be read: stopped"),
    "about more than is known": (
        json.dumps({"kind": "stopped", "about": {**SCOPE, "country": "FR"}}),
        "An incident that cannot be read: stopped",
    ),
    "a reason of a newer version": (
        '{"kind":"anomaly","about":{"kind":"stopped","about":["sanctioned"]}}',
        "An incident that cannot be read: anomaly",
    ),
    "an anomaly without its destination": (
        '{"kind":"anomaly","about":{"kind":"where","about":["sale"]}}',
        "An incident that cannot be read: anomaly",
    ),
}


@pytest.mark.parametrize(("cause", "title"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_incident_of_another_version_stays_open_and_is_shown(stopped, cause, title):
    """The stop of the same night is found, told and shown as ever, and is resolved when it is over."""
    stopped.record(cause, "{}")
    on_screen, on_page = stopped.night()

    assert sorted([title, "google_ads stopped"]) == on_screen
    assert set(on_screen) <= set(on_page)
    assert sorted([title, "google_ads stopped"]) == sorted(stopped.sent.titles)
    for _ in range(2):
        on_screen, _ = stopped.night()
    assert ([title], [cause]) == (on_screen, stopped.open_causes())


DETAILS = {
    "no JSON": "{",
    "no object": "[]",
    "a message of a newer version": '{"why": {"message": ["moon_phase", {}]}}',
    "a reason of a newer version": '{"why": {"reason": "sanctioned"}}',
    "a value of a newer kind": '{"why": {"colour": "red"}}',
    "two kinds at once": '{"why": {"reason": "due", "day": "2026-11-01"}}',
    "an ill-typed value": '{"why": {"seconds": "soon"}}',
    "a share of nothing": '{"why": {"fraction": "1/0"}}',
    "a missing value": "{}",
    "a message without its values": '{"why": {"message": ["held_there", {"scope": "meta"}]}}',
}


@pytest.mark.parametrize("details", DETAILS.values(), ids=DETAILS.keys())
def test_unreadable_values_are_shown_with_the_kind(details):
    """They stop nothing: neither the screen, nor the page, nor the messages."""
    row = IncidentRow(account="a", cause=json.dumps(HELD), details=details, first_seen_at=fakes.NIGHT)
    notice = recorded_notice(incident_from_row(row), row, PARIS)

    assert "An incident that cannot be read: held" == notice.title
    assert IncidentKind.HELD is incident_from_row(row).id.kind


def test_incident_found_again_becomes_readable(stopped):
    """The night knows the values that the record has lost; it is no new incident."""
    cause = json.dumps({"kind": "stopped", "about": SCOPE}, separators=(",", ":"))
    stopped.record(cause, "{")
    on_screen, _ = stopped.night()

    assert (["google_ads stopped"], [cause]) == (on_screen, stopped.open_causes())
