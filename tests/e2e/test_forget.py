"""Somebody is forgotten: nothing of them is left in any file, they do not come back, and a kill changes neither."""

import signal
from datetime import timedelta
from fractions import Fraction

import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import ClickId, ClickIdKind, Contact, LeadId, Moment
from jobs.ledger.incidents import stored_incident_id
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.schema import IncidentRow
from jobs.ledger.stored_values import values_from_json, values_to_json
from jobs.oplead_commands.creation.identity import lead_fingerprint
from jobs.oplead_commands.creation.outbox import LeadToCreate, lock_lead_creation_outbox
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import DestinationScope
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.wiring.account import identifiers_of_person
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
EMAIL = "Jeanne.Oubliee+devis@Exemple-Prive.fr"
PHONE = "06 99 00 47 11"
CONTACT = Contact(emails=(EMAIL,), phones=(PHONE,))
KILLED = -signal.SIGKILL
REFERENCE = "reference of the lead to forget"
LABEL = "rendez-vous demandé par webhook"


@pytest.fixture
def company(company):
    """A company with a lead of everything: one conversion sent, one held back, webhooks, a creation, and a page."""
    company.settings["report"] = {"folder": "reports"}
    yesterday = company.START - DAY
    company.serve(
        company.lead(1, ("Gagné", yesterday), amount="à voir", contact={"email": EMAIL, "phone": PHONE}),
        company.lead(2, ("Gagné", yesterday)),
    )
    company.night()
    with company.inbox() as inbox:
        inbox.append_events(
            [event(company, "L-2"), event(company, "L-1"), event(company, "L-1", CrmEventKind.APPOINTMENT)]
        )
    with lock_lead_creation_outbox(company.state.with_name("maison-test.oplead.db"), now=company.clock.now) as outbox:
        ids = (ClickId(ClickIdKind.GCLID, company.gclid(1)),)
        mark = lead_fingerprint(ids, CONTACT, outbox.salt)
        outbox.record_request_in_flight(
            LeadToCreate(REFERENCE, "content", mark, has_provider_url=False), now=company.clock.now()
        )
        outbox.record_lead_created(REFERENCE, "L-1")
    assert 0 == type_in(company, "report").code
    return company


def event(company, lead, kind=CrmEventKind.STATUS_CHANGE):
    """Return a webhook about a lead as it was received."""
    now = company.clock.now()
    told = WebhookEvent(kind, LeadId(lead), LABEL if lead == "L-1" else "Gagné", Moment(now), None, "")
    return ReceivedEvent(told, now, f"{lead} {kind}", is_unique=True)


def traces(company):
    """Return where something of the forgotten lead stands, its id in the tombstone apart."""
    secrets = [company.gclid(1), EMAIL, EMAIL.lower(), PHONE, LABEL, REFERENCE]
    secrets += [each.sha256 for each in identifiers_of_person(CONTACT)]
    found = {(name, text) for name, data in company.contents().items() for text in secrets if text.encode() in data}
    named = {(name, "L-1") for name, data in company.contents().items() if b"L-1" in data and has_no_tombstone(name)}
    return found | named


def has_no_tombstone(name):
    """Whether a file is none of the ledger's, or which of a database's tables."""
    return not name.startswith("state.db") and name != "forgotten_lead"


def killed(company, point, *whom):
    """Forget until the kill; return the exit code."""
    return company.killed(point, command=("forget", *whom), points="killed_forget")


def test_nothing_is_left_of_a_forgotten_person(company):
    """The other lead's outcome arrives, and the lead is not read in again."""
    assert ("maison-test-report.html", "L-1") in traces(company)
    done = company.command("forget", "--phone", PHONE, "--dry-run")
    assert (0, True) == (done[0], "would be forgotten" in done[1]), done
    assert traces(company)

    code, out, err = company.command("forget", "--phone", PHONE)
    assert (0, set()) == (code, traces(company)), (out, err)
    assert PHONE not in out + err
    assert "Already sent" in out
    assert "cancelled for good" in out

    company.clock.advance(company.clock.now() + DAY)
    summary = company.later()

    assert 1 == summary.pulled.forgotten
    assert {"L-2"} == {lead for lead, _ in company.states()}
    assert {"accepted"} == set(company.states().values())
    assert set() == traces(company)


def test_night_erases_what_webhooks_report_of_a_forgotten_lead(company):
    """The receiver knows of nobody that they are forgotten; another lead's event stays."""
    assert 0 == company.command("forget", "--lead", "L-1")[0]
    inbox = WebhookInboxFile(company.state.with_name("maison-test.inbox.db")).open_inbox_for_writing()
    inbox.append_events([event(company, "L-1"), event(company, "L-2", CrmEventKind.APPOINTMENT)])
    assert {("maison-test.inbox.db-wal", LABEL)} <= traces(company)
    company.clock.advance(company.clock.now() + DAY)
    code, out, err = company.command("run")
    left = inbox.webhook_events_of([LeadId("L-1"), LeadId("L-2")])
    inbox.close()

    assert (0, set()) == (code, traces(company)), (out, err)
    assert {"L-2": 2} == {lead: len(events) for lead, events in left.items()}


@pytest.mark.parametrize("state_in", ["file", pytest.param("database", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    ("point", "whom"),
    [
        ("in the ledger's commit", ("--lead", "L-1")),
        ("ledger committed", ("--email", EMAIL)),
        ("events erased", ("--lead", "L-1")),
        ("creations erased", ("--email", EMAIL)),
        ("a file rewritten", ("--lead", "L-1")),
        ("page to be written", ("--email", EMAIL)),
    ],
)
def test_killed_anywhere_and_repeated_it_ends_the_same(company, point, whom):
    """What the ledger had is gone with the tombstone; the next command does the rest, even if it finds nobody."""
    assert KILLED == killed(company, point, *whom)

    code, out, err = company.command("forget", *whom)

    assert set() == traces(company), (out, err)
    assert [("maison-test", "L-1", "2026-09-10")] == [tuple(map(str, row)) for row in company.rows_of("forgotten_lead")]
    assert {"L-2"} == {row[1] for row in company.rows_of("lead")}
    assert code in (0, 1), err


@pytest.mark.parametrize("state_in", ["file", "database"])
def test_killed_command_is_finished_although_the_person_is_not_found_again(company):
    """The hashes are gone with the ledger's rows, so only the tombstone says whose events are left."""
    company.state.with_name("maison-test.oplead.db").unlink()
    assert KILLED == killed(company, "ledger committed", "--email", EMAIL)
    left = {name for name, _ in traces(company)}
    code, out, _ = company.command("forget", "--email", EMAIL)

    assert {"maison-test.inbox.db", "webhook_event"} & {name.removesuffix("-wal") for name in left}
    assert (1, set()) == (code, traces(company))
    assert "Nothing is held that could be matched" in out


def test_what_is_held_on_a_person_is_exported(company, tmp_path):
    """Everything of the lead and nothing of another; the file is its owner's only."""
    out = tmp_path / "person.json"
    out.touch(mode=0o644)
    done = type_in(company, "export-person", "--lead", "L-1")
    assert 0 == type_in(company, "export-person", "--lead", "L-1", "--out", str(out)).code
    (person,) = done.objects

    assert (0o600, done.out) == (out.stat().st_mode & 0o777, out.read_text())
    assert [company.gclid(1)] == [each["value"] for each in person["click_ids"]]
    assert {each.sha256 for each in identifiers_of_person(CONTACT)} >= {
        each["sha256"] for each in person["contact_hashes"]
    }
    appointment, sale = person["deliveries"]
    assert ["pending", "in_flight", "submitted"] == [each["to_state"] for each in appointment["transitions"]]
    assert ["received"] == [each["state"] for each in appointment["attempts"]]
    assert "adIdentifiers.gclid" in appointment["fields_sent"]
    assert ("withheld", []) == (sale["state"], sale["attempts"])
    assert [LABEL, LABEL] == [each["label"] for each in person["webhook_events"]]
    assert ["created"] == [each["state"] for each in person["created_from_here"]]
    assert "L-2" not in done.out
    assert company.gclid(2) not in done.out


def test_explain_and_export_say_only_that_a_lead_was_forgotten(company):
    """And when; forgetting it again says so too."""
    (done,) = type_in(company, "forget", "--lead", "L-1", "--json").objects
    again = type_in(company, "forget", "--lead", "L-1")
    (explained,) = type_in(company, "explain", "L-1", "--json").objects
    (person,) = type_in(company, "export-person", "--lead", "L-1").objects

    assert ["submitted"] == [each["state"] for each in done["leads"][0]["sent"]]
    assert ["withheld"] == [each["state"] for each in done["leads"][0]["cancelled"]]
    assert (2, 1, []) == (done["events"], done["creations"], done["unfinished"])
    assert {"account": "maison-test", "lead": "L-1", "forgotten_on": "2026-09-10"} == explained
    assert "was forgotten on" in again.lines
    assert 0 == again.code
    assert {"account", "id", "forgotten_on"} == {name for name, held in person.items() if held}
    assert "was forgotten on Thu 10 Sep 2026" in type_in(company, "explain", "L-1").lines


def test_no_incident_names_a_forgotten_lead(company):
    """The notice that did is named; what is on record of it says how many were rejected, and the other lead's id."""
    about = IncidentId(IncidentKind.REJECTED, DestinationScope("google_ads"))
    told = {"rejected": 2, "settled": 2, "share": Fraction(1), "codes": ("INVALID",), "leads": ("L-1", "L-2")}
    now = company.clock.now()
    row = IncidentRow(
        account="maison-test",
        cause=stored_incident_id(about),
        details=values_to_json(told),
        first_seen_at=now,
        notified_at=now,
    )
    with (
        open_locked_ledger(company.ledger, "maison-test", "run", now=now) as ledger,
        ledger.write_transaction() as session,
    ):
        session.add(row)
    said = "a notice about rejected conversions, which was sent, names the lead's id"
    done = [type_in(company, "forget", "--lead", "L-1", *more) for more in (["--dry-run"], [], [])]
    ((_, _, details, *_),) = company.rows_of("incident")

    assert [True, True, False] == [said in each.lines for each in done]
    assert told | {"leads": ("L-2",)} == values_from_json(details)
    assert set() == traces(company)


def test_mistyped_id_is_refused_and_blocks_no_lead(company):
    """A tombstone cannot be taken back, so it is written of an unknown lead only where that is asked for."""
    rehearsed = type_in(company, "forget", "--lead", "L-3", "--dry-run")
    refused = type_in(company, "forget", "--lead", "L-3")
    assert ({2}, []) == ({rehearsed.code, refused.code}, company.rows_of("forgotten_lead"))
    assert "nothing is held on lead L-3, and nothing was written" in refused.err
    assert 2 == type_in(company, "forget", "--email", EMAIL, "--not-on-record").code
    kept_out = type_in(company, "forget", "--lead", "L-3", "--not-on-record")
    assert (0, True) == (kept_out.code, "L-3: nothing was held on it. From now on" in kept_out.lines)

    company.serve(company.lead(3, ("Gagné", company.clock.now())), company.lead(4, ("Gagné", company.clock.now())))
    summary = company.later(DAY)

    assert (1, {"L-1", "L-2", "L-4"}) == (summary.pulled.forgotten, {row[1] for row in company.rows_of("lead")})
    assert 0 == type_in(company, "forget", "--lead", "L-3").code


def test_lead_that_only_a_webhook_has_named_is_forgotten(company):
    """It is on record in the inbox: its event goes, and it is kept out."""
    inbox = WebhookInboxFile(company.state.with_name("maison-test.inbox.db")).open_inbox_for_writing()
    inbox.append_events([event(company, "L-5")])
    inbox.close()

    assert 0 == type_in(company, "forget", "--lead", "L-5").code
    assert b"L-5" not in b"".join(data for name, data in company.contents().items() if has_no_tombstone(name))


def test_person_who_cannot_be_matched_is_said_to_be_looked_up(company):
    """Nothing is guessed, and what was given is not repeated."""
    done = type_in(company, "forget", "--email", "nobody@example.org")

    assert 1 == done.code
    assert "Nothing is held that could be matched" in done.lines
    assert "nobody" not in done.out + done.err
    assert 2 == type_in(company, "forget", "--email", "not an address").code
    assert 2 == type_in(company, "forget").code
