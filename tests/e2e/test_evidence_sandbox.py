"""`evidence` at the sandbox: what each of its switches makes of the claims is known, and so is what must be said."""

import pytest

from connectors.sandbox.oplead.gate import SUPPLIER_KEY
from connectors.sandbox.oplead.server import SWITCHES
from tests.e2e.strangers.verdicts import BY_SWITCH, READ_BY_SWITCH
from tests.e2e.support.evidence import Folder, serve_pages
from tests.e2e.support.typed import type_in
from tests.e2e.test_evidence import OF_OPLEAD

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(300)]
TURNED = [None, *dict.fromkeys((name, position) for name, position, _claim, _right in BY_SWITCH)]
SETTINGS = {
    "update_verb": {"write": {"update": "PUT /leads/{id}"}},
    "auth": {"auth": {"style": "header", "name": "X-API-KEY"}},
    "path_prefix": {"path_prefix": ""},
}
"""What the account's settings must say where the switch is turned, for its leads to be read."""
OF_LEADS = ("lead_data", "status_dates", "field_names", "list_shape")


def turn(company, name, position):
    """Turn one switch."""
    (wanted,) = [each for each in SWITCHES[name] if str(each) == position]
    company.sandbox.oplead.set_switch(name, wanted)


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
