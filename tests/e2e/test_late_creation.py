"""A lead that Oplead finishes late is found by `schedule` and by the night, and sent once."""

from datetime import timedelta

import pytest

from connectors.sandbox.platform import FaultKind, PlannedFault
from jobs.exit_codes import Exit
from jobs.oplead_commands.creation.outbox import LeadCreationState, lead_creation_outbox_path, open_outbox
from tests.e2e.support.typed import type_in
from tests.e2e.test_reads_only import schedule

LEAD = ("--email", "jeanne.exemple@example.com", "--last-name", "Exemple", "--yes")


def create_late(company):
    """Create a lead that Oplead finishes five minutes after the connection was cut."""
    company.settings.setdefault("oplead", {})["write"] = {
        "fields": {"email": "contact.email", "last_name": "contact.lastname"}
    }
    company.sandbox.faults.plant(PlannedFault("oplead", FaultKind.FINISHED_LATE, path="/v1/leads", seconds=300))
    return type_in(company, "oplead", "leads", "create", *LEAD)


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
    assert there == set(company.sandbox.oplead.leads())
    assert [LeadCreationState.IN_DOUBT] == states(company)


def test_a_lead_that_a_human_saw_is_noted_not_told_as_created(company):
    """Nothing is sent then."""
    create_late(company)

    said = type_in(company, "oplead", "leads", "create", *LEAD, "--created")

    assert (Exit.DONE, [LeadCreationState.CREATED]) == (said.code, states(company))
    assert "Noted: it is in Oplead. Nothing was sent." in said.lines
    assert "Lead created" not in said.lines
