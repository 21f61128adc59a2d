"""`evidence` at the sandbox: what each of its switches makes of the claims is known, and so is what must be said."""

import re

import pytest

from connectors.sandbox.oplead.gate import SUPPLIER_KEY
from connectors.sandbox.oplead.server import SWITCHES
from tests.e2e.strangers.verdicts import BY_SWITCH, MEGABYTES, READ_BY_SWITCH, right_at_sandbox
from tests.e2e.support.evidence import WRITE, Folder, made_by_walks, serve_pages, uploads_that_count
from tests.e2e.support.terminal import terminal
from tests.e2e.support.typed import type_in
from tests.e2e.test_evidence import OF_OPLEAD

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(300)]
TURNED = [None, *dict.fromkeys((name, position) for name, position, _claim, _right in BY_SWITCH)]
SETTINGS = {
    "auth": {"auth": {"style": "header", "name": "X-API-KEY"}},
    "path_prefix": {"path_prefix": ""},
}
"""What the account's settings must say where the switch is turned, for its leads to be read."""
OF_LEADS = ("lead_data", "status_dates", "field_names", "list_shape")


def turn(company, name, position):
    """Turn one switch."""
    (wanted,) = [each for each in SWITCHES[name] if str(each) == position]
    company.sandbox.oplead.set_switch(name, wanted)


def agree(company, question):
    """Say yes, and do what only a person can: delete the test lead where that is asked."""
    if re.search(r"deleted\?", question):
        for lead_id in company.sandbox.oplead.leads():
            if f"lead {lead_id} " in question:
                company.sandbox.oplead.delete_lead(lead_id)
    return "yes"


def walked(company, folder):
    """Walk without a terminal; return the folder."""
    done = type_in(company, "evidence", "--out", str(folder))
    # 1 where Oplead could not be read.
    assert done.code in (0, 1), done.out + done.err
    return Folder(folder)


@pytest.mark.parametrize("row", READ_BY_SWITCH, ids=lambda row: " ".join(row[:3]))
def test_what_one_switch_changes_is_seen_by_reading(company, row, tmp_path):
    """The documentation, exact names, zones and the way in."""
    name, position, claim, right = row
    serve_pages(company)
    turn(company, name, position)
    company.settings["oplead"] = SETTINGS.get(name, {})

    assert walked(company, tmp_path / "folder").verdicts[claim] in right


def test_nothing_is_confirmed_at_the_sandbox_that_only_a_write_shows(company, tmp_path):
    """Reading alone."""
    serve_pages(company)
    found = walked(company, tmp_path / "folder").verdicts
    read = ("oplead.documentation", "oplead.lead_data", "oplead.lists")

    assert {"unclear"} == {found[claim] for claim in OF_OPLEAD if claim not in read}


@pytest.mark.parametrize("reads", ["refused", "own"])
def test_a_key_that_sees_no_lead_settles_nothing_about_leads(company, reads, tmp_path):
    """A supplier's, whether the list is refused to it or empty."""
    serve_pages(company)
    turn(company, "supplier_reads", reads)
    company.environ["OPLEAD_TOKEN"] = SUPPLIER_KEY
    found = walked(company, tmp_path / "folder").verdicts

    assert {"unclear"} == {found[f"oplead.{claim}"] for claim in (*OF_LEADS, "key_header")}


@pytest.mark.parametrize("turned", TURNED, ids=str)
def test_what_a_write_shows_is_rightly_judged(company, turned, tmp_path):
    """After a yes to everything, with one switch turned; what stays is said, and deleted by nobody else."""
    serve_pages(company)
    if turned:
        turn(company, *turned)
    company.settings["oplead"] = {"write": WRITE}
    sent = []
    company.before("oplead", "/", lambda request: sent.append(len(request.body)))
    told = ("evidence", "--out", str(tmp_path / "folder"), "--config", str(company.config))
    with terminal(*told, environ=company.environ) as screen:
        code, asked = screen.answer_all(lambda question: agree(company, question))
    folder = Folder(tmp_path / "folder")

    def right(claim):
        if claim not in OF_OPLEAD:
            return {"confirmed", "refuted", "unclear"}
        proved = {"confirmed"} if claim == "oplead.document" and max(sent) >= MEGABYTES else set()
        return right_at_sandbox(claim, turned or ()) | proved

    assert 0 == code, screen.screen
    assert asked
    assert {} == folder.wrong(right)
    assert made_by_walks(company) == [one["id"] for one in folder.evidence["left_behind"] if one["kind"] == "lead"]
    assert not company.sandbox.oplead.subscriptions.all
    assert [] == uploads_that_count(company)
