"""A night on the upgraded state of an older version finds what that version knew, or reads it again."""

import shutil
from datetime import timedelta
from functools import partial

import pytest
from alembic import command
from sqlalchemy import create_engine

from connectors.records import LeadId, OutcomeClass
from jobs.alerts.notify import Recipient, send_undelivered_notices, update_incidents
from jobs.ledger.outbox import consents
from jobs.ledger.schema import IncidentRow
from jobs.ledger.storage.database import open_engine
from jobs.nightly import run_night
from jobs.reporting.sentences import incident_notice, recorded_notice
from jobs.settings.schema import NotificationThresholds
from tests import fakes
from tests.builders import ACCOUNT, PARIS, changed, lead
from tests.unit.alerts.test_unreadable_incidents import Messages
from tests.unit.ledger.storage.test_migrations import config, raw

REFUSED = fakes.refuse(OutcomeClass.FIX_CONFIG)
WORDS = {"title": "'google_ads stopped'", "text": "'token revoked'"}
"""What older versions stored of an incident in place of its values."""


def take_back(path, revision):
    """Make a state as a version with this revision would have left it, and upgrade that."""
    older = path.with_name(f"{revision}.db")
    engine = create_engine(f"sqlite:///{older}")
    with engine.connect() as connection, connection.begin():
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, revision)
    engine.dispose()
    with raw(older) as connection:
        connection.execute("PRAGMA foreign_keys=off")
        connection.execute("ATTACH ? AS newer", (str(path),))
        tables = "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
        both = f"{tables.format('main')} INTERSECT {tables.format('newer')}"
        for (table,) in connection.execute(both).fetchall():
            connection.execute(copying(connection, table))
    shutil.copy(older, path)
    older.unlink()
    open_engine(path, for_writing=True).dispose()


def copying(connection, table):
    """The statement that copies a table's rows, in the columns that both versions have."""
    then, now = (
        [name for _, name, *_ in connection.execute(f"PRAGMA {schema}.table_info({table})")]
        for schema in ("main", "newer")
    )
    columns = {f'"{name}"': f'"{name}"' for name in then if name in now}
    columns |= {name: words for name, words in WORDS.items() if table == "incident" and name in then}
    names, values = ", ".join(columns), ", ".join(columns.values())
    return f'INSERT INTO main."{table}" ({names}) SELECT {values} FROM newer."{table}"'  # noqa: S608 - names of ours


class Nights:
    """An account whose nights notify an address."""

    def __init__(self, account):
        self.account = account
        self.address = Messages()
        self.is_reachable = True

    def send_message(self, title, text):
        """Take a message, if the address can be reached."""
        return self.is_reachable and self.address.send_message(title, text)

    def night(self):
        """Run a night; return the titles of the open incidents, and whether each is new."""
        account = self.account
        with account.hold("run") as ledger:
            summary = run_night(account.run(ledger))
            now = account.clock.now()
            found = update_incidents(ledger, account.book, account.sinks, summary, NotificationThresholds(), now=now)
            notice_of = partial(recorded_notice, zone=PARIS)
            send_undelivered_notices(ledger, {"a": Recipient("notify", self)}, notice_of=notice_of, now=now)
        account.clock.time += timedelta(days=1)
        return [(incident_notice(each.incident).title, each.is_new) for each in found]

    def stop(self):
        """Have a night end with a refusal."""
        self.account.put(lead())
        self.account.sink.script.append(REFUSED)
        return self.night()


@pytest.fixture
def nights(account):
    """The account."""
    return Nights(account)


def test_an_open_incident_is_found_again_and_told_once(nights):
    """It is the same incident, with the same first night, whose words come from what the night finds."""
    nights.stop()
    first = [row.first_seen_at for row in nights.account.rows(IncidentRow)]
    take_back(nights.account.path, "0008")
    nights.account.sink.script.append(REFUSED)

    assert [("google_ads stopped", False)] == nights.night()
    assert first == [row.first_seen_at for row in nights.account.rows(IncidentRow)]
    assert ["google_ads stopped"] == nights.address.titles


def test_an_open_incident_that_no_night_looks_for_stays_open(nights):
    """Nothing tells that it is over: it is shown without its values until something does."""
    nights.stop()
    take_back(nights.account.path, "0008")
    nights.account.clock.time += timedelta(days=100)  # what waited expires

    assert ("An incident that cannot be read: stopped", False) in nights.night()


def test_a_notice_that_was_owed_is_still_sent(nights):
    """The address was down when it was found, and nobody has been told yet."""
    nights.is_reachable = False
    nights.stop()
    take_back(nights.account.path, "0008")
    nights.is_reachable = True
    nights.account.sink.script.append(REFUSED)
    nights.night()

    assert ["google_ads stopped"] == nights.address.titles


def test_consent_answers_of_leads_on_record_are_read_again(account):
    """No older version kept which field an answer stood in: the first night reads every lead, changed or not."""
    account.put(changed(lead(), fields={"consent": "oui"}))
    account.night()
    account.clock.time += timedelta(days=1)
    take_back(account.path, "0007")
    account.night()
    with account.hold() as ledger, ledger.read_transaction() as session:
        found = consents.consent_evidence(session, ACCOUNT, LeadId("L-1"))

    assert [("granted", "consent", "oui", account.clock.now())] == [
        (each.answer, each.field, each.value, each.read_at) for each in found.answers
    ]
    assert {} == found.sent_on
