"""A lead that Oplead finishes late is found by `schedule` and by the night, and sent once."""

from datetime import timedelta

import pytest

from connectors.sandbox.platform import FaultKind, PlannedFault
from jobs.exit_codes import Exit
from jobs.oplead_commands import lead_writes
from jobs.oplead_commands.creation.outbox import LeadCreationState, lead_creation_outbox_path, open_outbox
from tests.e2e.support.typed import type_in
from tests.e2e.test_reads_only import schedule

EMAIL = "jeanne.exemple@example.com"
LEAD = ("--email", EMAIL, "--last-name", "Exemple", "--yes")


def with_email(email):
    """The command that creates the lead of a person, without its agreement."""
    return ("oplead", "leads", "create", "--email", email, "--last-name", "Exemple")


CREATE = with_email(EMAIL)


def create_late(company, email=EMAIL):
    """Create a lead that Oplead finishes five minutes after the connection was cut."""
    company.settings.setdefault("oplead", {})["write"] = {
        "fields": {"email": "contact.email", "last_name": "contact.lastname"}
    }
    company.sandbox.faults.plant(PlannedFault("oplead", FaultKind.FINISHED_LATE, path="/v1/leads", seconds=300))
    return type_in(company, *with_email(email), "--yes")


def states(company):
    """The state of each lead on record."""
    path = lead_creation_outbox_path(company.state.parent, company.settings["account"])
    with open_outbox(path) as outbox:
        return [one.state for one in outbox._select("", ())]


def of_email(company):
    """How many leads Oplead has of the person."""
    return sum(
        (lead.get("contact") or {}).get("email") == "jeanne.exemple@example.com"
        for lead in company.sandbox.oplead.leads().values()
        if lead
    )


@pytest.mark.parametrize("look", [schedule, lambda company: type_in(company, "run")], ids=["schedule", "night"])
def test_a_lead_that_was_finished_late_is_found_without_its_command(company, look):
    """Nobody types anything again, and it is there once."""
    company.settings["schedule"] = {"daily": "05:30"}
    company.night()
    assert Exit.ATTENTION == create_late(company).code
    assert [LeadCreationState.IN_DOUBT] == states(company)
    company.clock.advance(company.clock.now() + timedelta(minutes=6))

    look(company)

    assert [LeadCreationState.CREATED] == states(company)
    assert 1 == of_email(company)


@pytest.mark.parametrize("option", ["--created", "--not-created", "--create-again"])
def test_an_answer_about_values_that_are_not_in_doubt_sends_nothing(company, option):
    """One wrong letter in an address would otherwise make a new lead in the CRM."""
    assert Exit.ATTENTION == create_late(company).code
    there = set(company.sandbox.oplead.leads())

    said = type_in(company, "oplead", "leads", "create", "--email", "jeane.exemple@example.com", *LEAD[2:], option)

    assert Exit.CONFIGURATION == said.code
    assert f"or leave {option} out" in " ".join(said.err.split())
    assert "POST" not in said.out
    assert there == set(company.sandbox.oplead.leads())
    assert [LeadCreationState.IN_DOUBT] == states(company)


def lose(company):
    """Create a lead whose answer is lost and which Oplead never has, and look for it until somebody decides."""
    company.settings.setdefault("oplead", {})["write"] = {
        "fields": {"email": "contact.email", "last_name": "contact.lastname"}
    }
    company.sandbox.faults.plant(PlannedFault("oplead", FaultKind.CUT_BEFORE, path="/v1/leads"))
    type_in(company, *CREATE, "--yes")
    company.clock.advance(company.clock.now() + timedelta(minutes=31))
    type_in(company, *CREATE, "--yes")


def posts(company):
    """How many leads were sent to Oplead."""
    log = company.sandbox.servers["oplead"].log.dump()["log"]
    return sum((entry["method"], entry["path"]) == ("POST", "/v1/leads") for entry in log)


NOTED = {
    "--created": ("noted", "Noted: it is in Oplead. Nothing was sent.", [LeadCreationState.CREATED]),
    "--not-created": ("not_created", "It is no longer on record", []),
}


@pytest.mark.parametrize(("option", "outcome", "said", "after"), [(name, *told) for name, told in NOTED.items()])
def test_what_is_merely_noted_shows_no_request_and_asks_nobody(company, option, outcome, said, after):
    """No POST is printed as if it were sent, in its rehearsal neither, and no --yes is wanted."""
    lose(company)
    sent = posts(company)
    rehearsed, as_json = (type_in(company, *CREATE, option, "--dry-run", *more) for more in ((), ("--json",)))
    still = states(company)
    noted = type_in(company, *CREATE, option)
    shown = rehearsed.out + as_json.out + noted.out

    assert (Exit.DONE,) * 3 == (rehearsed.code, as_json.code, noted.code)
    assert "POST" not in shown
    assert "Lead created" not in shown
    assert "Nothing would be sent." in rehearsed.lines
    assert [{"rehearsed": True, "outcome": outcome}] == as_json.objects
    assert said in noted.lines
    assert ([LeadCreationState.IN_DOUBT], after, sent) == (still, states(company), posts(company))


def test_what_a_human_saw_is_noted_in_json_too(company):
    """Whether or not the look finds its id; the outcome is not `written`."""
    lose(company)
    (unfound,) = type_in(company, *CREATE, "--created", "--json").objects

    create_late(company, "other.exemple@example.com")
    company.clock.advance(company.clock.now() + timedelta(minutes=6))
    (found,) = type_in(company, *with_email("other.exemple@example.com"), "--created", "--json").objects

    assert {"outcome": "noted", "id": None, "exit_code": 0} == unfound
    assert ("noted", True) == (found["outcome"], bool(found["id"]))


def test_only_what_is_sent_once_more_is_shown_as_a_request(company):
    """The same command without a verdict, or before Oplead has had its time, sends nothing and shows no POST."""
    create_late(company)
    early, looked = (type_in(company, *CREATE, "--yes", *more) for more in (("--create-again",), ("--dry-run",)))
    company.clock.advance(company.clock.now() + timedelta(minutes=31))
    (again,) = type_in(company, *CREATE, "--create-again", "--dry-run", "--json").objects

    assert "POST" not in early.out + looked.out
    assert "The next look is on" in early.lines
    assert "The next look is on" in looked.lines
    assert "POST /v1/leads" == again["request"]


def test_what_was_created_before_names_the_command_that_changes_it(company):
    """Without an id on record too: how to find it, and a command with its place; no request is shown first."""
    lose(company)
    type_in(company, *CREATE, "--created")
    typed, rehearsed = type_in(company, *CREATE, "--yes"), type_in(company, *CREATE, "--dry-run")

    for told in (typed, rehearsed):
        assert Exit.ATTENTION == told.code
        assert "POST" not in told.out
        assert "oplead leads list --since " in told.lines
        assert "oplead leads update LEAD --config" in told.lines


def test_an_import_announces_only_what_it_sends(company, tmp_path):
    """A line whose answer was lost is neither counted nor shown as a request, unless it is sent once more."""
    lose(company)
    file = tmp_path / "leads.csv"
    file.write_text(f"email,last_name\n{EMAIL},Exemple\n", encoding="utf-8")
    rehearse = ("oplead", "leads", "import", str(file), "--dry-run")
    (noted,), (again,) = (
        type_in(company, *rehearse, option, "--json").objects for option in ("--created", "--create-again")
    )

    assert ((0, ""), (1, "POST /v1/leads")) == tuple((each["to_create"], each["request"]) for each in (noted, again))
    assert "1 whose answer was lost is not sent by this command." in type_in(company, *rehearse).lines


def test_a_lead_that_another_command_settles_meanwhile_is_not_sent_unasked(company, monkeypatch):
    """It was in doubt when this command began, and so nobody was shown a request."""
    lose(company)
    sent, lock = posts(company), lead_writes.lock_lead_creation_outbox

    def settle_first(*args, **more):
        monkeypatch.setattr(lead_writes, "lock_lead_creation_outbox", lock)
        type_in(company, *CREATE, "--not-created")
        return lock(*args, **more)

    monkeypatch.setattr(lead_writes, "lock_lead_creation_outbox", settle_first)
    typed = type_in(company, *CREATE, "--yes")

    assert (Exit.CONFIGURATION, sent) == (typed.code, posts(company))
    assert "Another command has changed what is on record meanwhile" in " ".join((typed.out + typed.err).split())
