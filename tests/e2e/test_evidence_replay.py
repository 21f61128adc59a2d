"""Each folder of evidence is an Oplead to rehearse with: `sandbox --evidence` answers as that account did.

The folders under `tests/evidence/` are what `oplead-sync evidence` wrote of the Opleads in `strangers/`; one that
somebody sends is put beside them. The leads are the sandbox's own, so the night must be that of any other sandbox with
the same leads, whatever the account calls things.
"""

import functools
import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from connectors.sandbox.oplead.leads.rendering import wire_lead_id
from jobs.cli.app import app
from jobs.cli.demo.sandbox import InventedLeadsSpec, as_in_evidence, serve_sandbox_for_block
from tests.e2e.support.typed import _as_it_was, type_in
from tests.e2e.support.webhook_receiver import SECRET, ReceiverProcess

EVIDENCE = Path(__file__).parents[1] / "evidence"
FOLDERS = sorted(folder.name for folder in EVIDENCE.iterdir() if folder.is_dir())
LEADS = 137
SENT = """SELECT lead, conversion, destination, occurrence, at, value, click_id_kind FROM delivery
WHERE event_sha256 IS NOT NULL"""
SERVERS = {"clock": "clock", "endpoint": "data_manager", "ads-api-endpoint": "google_ads", "graph-url": "meta"}
STAGES = {
    "appointment": ("Rendez-vous", "RDV pris"),
    "quote_sent": ("Devis à relancer",),
    "won": ("Gagné",),
    "lost": ("Perdu", "Sans suite"),
}
ACTIONS = {"appointment": "987654321", "won": "987654322", "quote_sent": "987654323"}
DONE = (0, 1)
pytestmark = pytest.mark.timeout(300)
EACH = [pytest.param(name, marks=pytest.mark.xdist_group(f"evidence {name}")) for name in FOLDERS]
"""What is asked of one folder is asked by one worker, which plays its night once."""


class Replay:
    """A sandbox in a folder, and commands on it with the settings that it wrote."""

    def __init__(self, stage):
        self.stage = stage
        self.settings = stage.settings
        self.sandbox = stage.sandbox
        self.environ = {**stage.environ, "HOOK": SECRET}

    @property
    def dialect(self):
        """How the account answered."""
        return self.sandbox.oplead.recorded.dialect

    def write(self, **more):
        """Change the settings."""
        yaml = YAML()
        settings = yaml.load(self.settings)
        settings |= more
        for conversion in settings["conversions"]:
            conversion["since"] = "2026-08-01"
        for platform in ("google_ads", "meta"):
            settings[platform]["max_per_run"] = 10 * LEADS
        yaml.dump(settings, self.settings)

    def type(self, *arguments):
        """Run a command; return how it ended."""
        return type_in(self, *arguments, file=self.settings)

    def readable(self):
        """How many leads there are that are leads at all, with an id."""
        return sum(isinstance(lead, dict) and "id" in lead for lead in self.sandbox.oplead.leads().values())

    def sent(self):
        """What the first night sent: (number of the lead, conversion, destination) to (time, value, click id)."""
        with closing(sqlite3.connect(self.settings.with_name("maison-demo.db"))) as ledger:
            return {
                (lead, *which): tuple(what)
                for lead, *rest in ledger.execute(SENT)
                for which, what in [(rest[:3], rest[3:])]
            }


def in_environment(one, *arguments):
    """Run a command that takes no settings file."""
    with _as_it_was():
        return CliRunner().invoke(app, list(map(str, arguments)), env=one.environ | {"COLUMNS": "200"})


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    """Replay a folder, once: `replay(name)`; without a name, an ordinary sandbox with the same leads."""
    with ExitStack() as stack:

        def play(name):
            folder = tmp_path_factory.mktemp("replay")
            cast = InventedLeadsSpec(leads=LEADS)
            if name:
                gone = shutil.copytree(EVIDENCE / name, folder / "evidence")
                cast = as_in_evidence(cast, gone, folder / "sandbox")
                shutil.rmtree(gone)
            return Replay(stack.enter_context(serve_sandbox_for_block(folder / "sandbox", cast)))

        yield functools.cache(play)


@pytest.fixture(scope="module")
def night(replay):
    """Replay a folder's first night, once; the settings are those that the sandbox wrote, and a start."""

    def played(name):
        one = replay(name)
        one.write()
        code = one.type("run", "--first-run").code
        assert code in DONE
        return one

    return functools.cache(played)


@pytest.mark.parametrize("name", EACH)
def test_probe_suggests_what_was_found_at_the_account(replay, name):
    """Nothing that the stand-in answers speaks against the settings by which the account was read."""
    one = replay(name)
    looked = one.type("probe", "--json")

    assert looked.code == 0, looked.out + looked.err
    survey = looked.objects[-1]["survey"]
    assert [] == survey["undecided"]
    assert one.dialect.settings == survey["suggestion"]
    assert {**one.dialect.fields} == {**one.dialect.fields} | {
        each["field"]: each["path"] for each in survey["fields"] if each["filled"]
    }


@pytest.mark.parametrize("name", EACH)
def test_the_first_night_sends_what_any_sandbox_with_these_leads_sends(night, name):
    """The same leads, conversions, times, values and kinds of click ids."""
    one, usual = night(name), night(None)
    ids = one.sandbox.oplead.shape.ids

    expected = {(str(wire_lead_id(lead, ids)), *which): what for (lead, *which), what in usual.sent().items()}
    assert len(expected) > 30
    assert expected == one.sent()


@pytest.mark.parametrize("name", EACH)
def test_init_comes_through_with_nothing_but_the_key_and_the_address(replay, name):
    """Without the settings that were found at the account; what it writes reads every lead."""
    one = replay(name)
    dialect, leads = one.dialect, one.sandbox.oplead.recorded.leads
    consent, folder = dialect.consent[0], one.settings.with_name("mine")
    urls = one.sandbox.sandbox_server_urls
    options = {
        **{option: urls[server] for option, server in SERVERS.items()},
        "base-url": urls["oplead"],
        "dir": folder,
        "account": "maison-init",
        "consent-field": consent.path,
        "granted": ",".join(consent.granted),
        "refused": ",".join(consent.refused),
        "amount-field": dialect.amounts[0],
        "tax": "included",
        "otherwise": "900",
        "google-customer-id": "123-456-7890",
        "google-login-customer-id": "111-222-3333",
    }
    stages = {stage: ",".join(map(leads.shown_status, labels)) for stage, labels in STAGES.items()}
    typed = [part for option, value in options.items() for part in (f"--{option}", str(value))]
    typed += [part for each in stages.items() for part in ("--stage", "=".join(each))]
    typed += [part for each in ACTIONS.items() for part in ("--action", "=".join(each))]
    done = in_environment(one, "init", "--yes", *typed)

    assert done.exit_code == 0, done.output
    night = type_in(one, "run", "--first-run", "--json", file=folder / "pipeline.yaml")
    assert night.code in DONE, night.out + night.err
    assert one.readable() == night.objects[-1]["pulled"]["seen"]


@pytest.mark.parametrize("name", EACH)
def test_what_is_written_is_shown_and_heard_of(night, name, tmp_path):
    """A lead created and a status set in the account's names; its webhooks are stored, and wake it."""
    one = night(name)
    shown = one.sandbox.oplead.recorded.leads.shown_status
    receiver = ReceiverProcess(tmp_path / "hook")
    receiver.settings, receiver.inbox = one.settings, tmp_path / "inbox.db"
    receiver.environ |= one.environ
    address = f"127.0.0.1:{receiver.port}"
    hooks = {"secret": "${HOOK}", "listen": address, "public_url": f"http://{address}", "inbox": str(receiver.inbox)}
    one.write(webhooks=hooks)
    person = ("--email", "camille.exemple@example.org", "--last-name", "Exemple", "--gclid", "Cj0KCQjw" + "aB3" * 20)
    with receiver:
        assert one.type("oplead", "webhooks", "subscribe", "--yes").code == 0
        created = one.type("oplead", "leads", "create", *person, "--postcode", "44000", "--yes", "--json")
        assert created.code == 0, created.out + created.err
        key = created.objects[-1]["id"]
        status = one.type("oplead", "status", "set", key, shown("Devis à relancer"), "--force", "--yes")
        assert status.code == 0, status.out + status.err
        one.sandbox.oplead.deliver_webhooks()
        receiver.stop()

    told = one.type("oplead", "leads", "get", key, "--json")
    kept = [lead for lead in one.sandbox.oplead.leads().values() if isinstance(lead, dict)][-1]
    assert {"email": "camille.exemple@example.org", "lastname": "Exemple"} == kept["contact"]
    assert {"postcode": "44000"} == kept["address"]
    assert kept["leadData"]["externalID"].startswith("gclid=Cj0KCQjw")
    assert "Devis à relancer" == kept["status"]
    assert shown(kept["status"]) in told.out
    assert {key} == set(receiver.stored())
    woken = one.type("run", "--inbox")
    assert woken.code in DONE, woken.out + woken.err
    assert "1 lead with news" in woken.lines
