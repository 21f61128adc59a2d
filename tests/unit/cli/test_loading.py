"""Each command loads what it needs: counted in modules, as seconds depend on the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.crm import CrmEventKind
from connectors.records import ClickIdKind
from jobs.cli.oplead.commands import CrmEventName
from jobs.oplead_commands.creation.value_names import CLICK_ID_KINDS
from tests import quick
from tests.builders import hold
from tests.fakes import FakeClock

ROOT = Path(__file__).parents[3]
SETTINGS = """
account: maison-test
currency: EUR
oplead: { token: "${OPLEAD_TOKEN}" }
stages: { won: [Gagné] }
consent: { ad_user_data: { field: c, granted: [oui], refused: [non] } }
google_ads: { customer_id: 123-456-7890, credentials: "${KEY_FILE}" }
meta: { dataset_id: "1", access_token: "${META_TOKEN}" }
conversions:
  - { id: sale, stage: won, value: 60, google_ads: { conversion_action: 987654322 }, meta: { event: Purchase } }
"""
KEY = {
    "type": "service_account",
    "client_email": "job@project.example",
    "private_key": "none",
    "token_uri": "https://oauth2.example/token",
}
TOLD = """
import sys
from jobs.cli import main
try:
    main()
finally:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""
NETWORK = {"httpx", "requests", "google.auth", "google.ads", "facebook_business", "grpc", "uvicorn", "apprise"}
CONTACT_DATA = {"phonenumbers", "email_validator"}
NIGHT = {"jobs.nightly", "jobs.wiring.night", "jobs.scheduler", "apscheduler", "rich.progress", "alembic"}
STATE = {"sqlalchemy", "sqlmodel", "jobs.ledger.schema"}
LOG = {"structlog", "rich.traceback"}
EVERYTHING = NETWORK | CONTACT_DATA | NIGHT | STATE | LOG


@pytest.fixture
def loaded(tmp_path):
    """The modules that a command loads in a fresh process, with an account's settings."""
    (tmp_path / "pipeline.yaml").write_text(SETTINGS)
    (tmp_path / "key.json").write_text(json.dumps(KEY))

    def run(*arguments, code=0):
        secrets = {"OPLEAD_TOKEN": "t", "META_TOKEN": "t", "KEY_FILE": str(tmp_path / "key.json")}
        result = subprocess.run(
            [sys.executable, "-c", TOLD, *arguments],
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
            | secrets
            | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code == result.returncode, result.stdout
        return set(result.stderr.splitlines())

    return run


@pytest.fixture
def state(tmp_path):
    """The state of an account without leads, after a run."""
    with hold(quick.with_state(tmp_path / "maison-test.db"), FakeClock()):
        pass


def test_help_loads_no_library_but_its_own(loaded):
    """Neither settings nor logs nor records are needed to say what there is."""
    more = {"pydantic", "rich", "ruamel.yaml", "structlog", "jobs.settings", "connectors.records", "connectors.crm"}
    assert not loaded("--help") & (EVERYTHING | more)


def test_help_offers_what_there_is():
    """What `--help` writes out, so as not to load it, is all there is of it."""
    assert [kind.value for kind in CrmEventKind] == [name.value for name in CrmEventName]
    assert [kind.value for kind in ClickIdKind] == list(CLICK_ID_KINDS.values())


def test_check_loads_no_database_library(loaded):
    """It reads a file, and without a state no more."""
    assert not loaded("check", "-c", "pipeline.yaml") & EVERYTHING


@pytest.mark.usefixtures("state")
def test_check_reads_a_state_without_the_database_library(loaded):
    """All it wants of a state are the starts, which SQLite alone can tell."""
    assert not loaded("check", "-c", "pipeline.yaml") & EVERYTHING


@pytest.mark.usefixtures("state")
def test_status_loads_no_network_library_and_no_night(loaded):
    """It only reads the state."""
    found = loaded("status", "-c", "pipeline.yaml")

    assert STATE <= found
    assert not found & (EVERYTHING - STATE)


@pytest.mark.usefixtures("state")
def test_status_for_a_program_gathers_nothing_for_people(loaded):
    """What the report's page says first is for people."""
    assert "jobs.reporting.page.gather" not in loaded("status", "-c", "pipeline.yaml", "--json")


def test_status_and_explain_for_a_program_load_nothing_for_people():
    """What draws tables and knows other languages' numbers waits until somebody reads them."""
    some = {"rich", "babel", "jobs.reporting.console", "jobs.run_summary", "jobs.deliver", "jobs.pull"}
    code = f"import sys, jobs.cli.lead.explain, jobs.cli.reporting.status; print(*sys.modules.keys() & {some!r})"
    assert "" == _printed(code)


def test_no_plugin_of_pydantic_is_loaded(loaded, tmp_path):
    """An installed package that brings one would see the settings' secrets, and looking for them takes time."""
    (tmp_path / "curious.py").write_text("plugin = None\n")
    (tmp_path / "curious-1.dist-info").mkdir()
    (tmp_path / "curious-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: curious\nVersion: 1\n")
    (tmp_path / "curious-1.dist-info" / "entry_points.txt").write_text("[pydantic]\ncurious = curious:plugin\n")
    assert "curious" not in loaded("check", "-c", "pipeline.yaml")


@pytest.mark.usefixtures("state")
def test_explain_loads_no_network_library_and_no_night(loaded):
    """It judges by the rules and the platforms' limits, which need no library; here there is no such lead."""
    found = loaded("explain", "L-1", "-c", "pipeline.yaml", code=2)

    assert STATE <= found
    assert not found & (EVERYTHING - STATE - LOG | {"jobs.deliver", "jobs.alerts", "jobs.pull", "jobs.run_summary"})


def test_python_does_not_search_what_stays_as_it_ends():
    """Of what libraries made, nothing is garbage until the process is gone."""
    at_exit = "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > 0))"
    assert _printed(f"{at_exit}; from jobs.cli import main; sys.argv[1:] = ['--version']; main()").endswith("True")


def test_connectors_load_nothing_that_only_leads_need():
    """A night in which nothing has changed reads no e-mail address and no phone number, and signs nothing."""
    unwanted = CONTACT_DATA | {"google.auth", "requests"}
    for modules, some in (
        ("connectors.oplead, connectors.google_ads.sink", unwanted),
        ("connectors.meta.sink", CONTACT_DATA),
    ):
        assert "" == _printed(f"import sys, {modules}; print(*sys.modules.keys() & {some!r})")


def test_no_validator_of_a_row_is_built():
    """Rows are validated by nobody: the database's own constraints hold them."""
    code = "from jobs.ledger.schema import Delivery; print(Delivery.__pydantic_complete__)"
    assert "False" == _printed(code)


def test_settings_are_loaded_without_reading_sources():
    """What keys mean is in docstrings, which only an error, the schema and the docs need."""
    code = "import linecache, jobs.settings; print(*(file for file in linecache.cache if 'settings' in file))"
    assert "" == _printed(code)


def _printed(code):
    """What a fresh process prints."""
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return told.stdout.strip()


@pytest.mark.usefixtures("state")
def test_run_loads_no_scheduler_and_nothing_that_sends(loaded):
    """Here it ends at the key file, before anything is asked; nor does it load a library that signs or sends."""
    found = loaded("run", "-c", "pipeline.yaml", code=2)

    assert "jobs.nightly" in found
    unwanted = {"jobs.scheduler", "apscheduler", "alembic", "google.ads", "facebook_business", "grpc"}
    assert not found & (unwanted | {"google.auth", "requests"})
