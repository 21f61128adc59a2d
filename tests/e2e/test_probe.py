"""`probe`: its output can be pasted, a run then reads every lead, and no personal data is printed."""

import re

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from connectors.sandbox.oplead.server import ADMIN_KEY
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from jobs.cli.app import app
from tests import quick
from tests.e2e.support.typed import _as_it_was, documented

LEADS = 260
SECTION = re.compile(r"^oplead:\n(?:[ #].*\n)+", re.MULTILINE)


@pytest.fixture(scope="module")
def population():
    """The generated leads."""
    return InventedLeads.generate(7, LEADS)


class Account:
    """A sandbox with settings, and commands typed in this process."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.file = sandbox.write_settings()
        written = self.file.with_name("sandbox.env").read_text().splitlines()
        self.environ = dict(line.split("=", 1) for line in written)

    def type(self, *arguments, **environ):
        """Type a command; return the exit code and everything printed."""
        with _as_it_was():
            env = self.environ | {"COLUMNS": "80"} | environ
            done = CliRunner().invoke(app, list(arguments), env=env, prog_name="oplead-sync")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    def paste(self, block):
        """Replace the settings' own section with a block."""
        text, count = SECTION.subn(block.rstrip("\n") + "\n", self.file.read_text())
        assert count == 1
        self.file.write_text(text)

    @property
    def where(self):
        """The options that name the platform when there is no file."""
        addresses = self.sandbox.sandbox_server_urls
        return ("--base-url", addresses["oplead"], "--clock", addresses["clock"])

    @property
    def listed(self):
        """The leads that exist now."""
        return [lead for lead in self.sandbox.oplead.leads().values() if isinstance(lead, dict)]


@pytest.fixture
def account(tmp_path, population):
    """A fresh account."""
    with Sandbox(quick.with_key(tmp_path / "sandbox"), population) as sandbox:
        yield Account(sandbox)


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param({"pagination": "next_url"}, marks=pytest.mark.exhaustive),
        pytest.param(
            {"pagination": "cursor", "filters": True, "list_has_details": False}, marks=pytest.mark.exhaustive
        ),
        pytest.param({"pagination": "page", "page_total": True, "status_dates": "none"}, marks=pytest.mark.exhaustive),
        {"pagination": "page", "filters": True, "status_dates": "status_date"},
    ],
)
def test_suggested_settings_can_be_pasted(account, switches):
    """`check` passes with them, and a dry run reads every lead."""
    for name, position in switches.items():
        account.sandbox.oplead.set_switch(name, position)
    sketch = account.file.with_name("sketch.yaml")
    addresses = account.sandbox.sandbox_server_urls
    sketch.write_text(
        f"clock: {addresses['clock']}\noplead:\n  token: ${{OPLEAD_TOKEN}}\n  base_url: {addresses['oplead']}\n"
    )
    code, out, _ = account.type("probe", "--config", str(sketch))
    account.paste(out[out.index("\noplead:\n") + 1 :])

    assert 0 == code
    assert 0 == account.type("check", "--config", str(account.file))[0]
    _, out, _ = account.type("run", "--dry-run", "--json", "--config", str(account.file))
    night = documented(out)
    pulled = night["pulled"]
    listed = [lead for lead in account.sandbox.oplead.leads().values() if lead is not None]
    assert len(listed) == pulled["seen"] + len(pulled["unreadable"])
    assert not night["stopped"]


def test_complete_file_reports_unmapped_statuses_and_answers(account):
    """The suggested block keeps settings that `probe` did not examine."""
    text = account.file.read_text().replace("  token:", "  rate: 60\n  token:").replace(", Nurserie]", "]")
    account.file.write_text(text)
    code, out, _ = account.type("probe", "--config", str(account.file), "--json")
    told = documented(out)

    assert 0 == code
    assert "Nurserie" in told["unmapped"]
    assert "Gagné" not in told["unmapped"]
    assert told["unknown_consents"]["leadData.consent"] > 0
    assert "  rate: 60\n" in told["settings"]


def test_stages_have_their_french_names_where_french_is_spoken(account):
    """As on every screen; in the settings they keep their own."""
    _, out, _ = account.type("probe", "--config", str(account.file), LC_ALL="fr_FR.UTF-8", COLUMNS="140")
    rows = dict(re.findall(r"^(Gagné|Perdu|Nouveau|RDV pris) .* (\S+) *$", out, re.MULTILINE))

    assert {"Gagné": "vente", "Perdu": "perdu", "Nouveau": "ignorés", "RDV pris": "rendez-vous"} == rows


def test_reports_configured_names_that_no_lead_has(account):
    """Each comes with its line and a suggestion, and names are compared as in a run."""
    text = account.file.read_text().replace("leadData.consent,", "Lead_Data.CONSENT,")
    text = text.replace("leadData.adPersonalization", "adPersonalization").replace("[Gagné]", "[Gagnée]")
    account.file.write_text(text)
    lines = text.splitlines()
    at = 1 + next(number for number, line in enumerate(lines) if "field: adPersonalization" in line)
    _, out, _ = account.type("probe", "--json", "--config", str(account.file))
    told = documented(out)

    assert told["unknown_consents"]["leadData.consent"] > 0
    personal, status = sorted(told["unmatched"], key=lambda one: "status" in one)
    assert f"{account.file}:{at}:" in personal
    assert 'did you mean "leadData.adPersonalization"?' in personal
    assert 'did you mean "Gagné"?' in status


def test_works_without_a_settings_file(account, tmp_path):
    """The key comes from the environment or a file, never from the command line."""
    (tmp_path / "key").write_text(f"{ADMIN_KEY}\n")
    by_variable = account.type("probe", *account.where, "--leads", "20")
    by_file = account.type(
        "probe", *account.where, "--token-file", str(tmp_path / "key"), "--leads", "20", OPLEAD_TOKEN=""
    )

    assert (0, 0) == (by_variable[0], by_file[0])
    assert 'token: "${OPLEAD_TOKEN}"' in by_variable[1]
    assert f'token: "file:{tmp_path}/key"' in by_file[1]


def test_init_merges_spellings_typed_by_hand(account, tmp_path):
    """Spellings of one status or answer become one with all their leads, and `check` accepts what `init` wrote."""
    spellings = ("GAGNÉ", "Gagne\u0301", "gagné", "Devis\u00a0à relancer")
    answers = ("OUI", "Oui", "true", "1")
    whole = [(lead_id, lead) for lead_id, lead in account.sandbox.oplead.leads().items() if isinstance(lead, dict)]
    for number, (lead_id, lead) in enumerate(one for one in whole if isinstance(one[1].get("leadData"), dict)):
        if number < 40:
            told = {"status": spellings[number % 4], "leadData": {**lead["leadData"], "consent": answers[number % 4]}}
            account.sandbox.oplead.put(lead_id, {**lead, **told})
    said = (*account.where, "--account", "maison", "--meta-dataset-id", "77", "--dir", str(tmp_path / "mine"))
    code, out, err = account.type("init", *said, "--graph-url", account.sandbox.sandbox_server_urls["meta"])
    text = (tmp_path / "mine" / "pipeline.yaml").read_text()

    assert (0, True) == (code, "check: nothing is wrong with the file" in out), out + err
    assert re.search(r"^  won: \[Gagné\]$", text, re.MULTILINE)
    assert re.search(r"^  quote_sent: \[Devis à relancer\]$", text, re.MULTILINE)
    assert re.search(r'^    granted: \[oui, "true"\]$', text, re.MULTILINE | re.IGNORECASE)
    assert 0 == account.type("check", "--config", str(tmp_path / "mine" / "pipeline.yaml"))[0]


@pytest.mark.parametrize(
    ("field", "code", "said"),
    [
        ("suivi.phase", 0, "check: nothing is wrong with the file"),
        ("Suivi.Phases", 2, "has Suivi.Phases; most like it: suivi.phase, "),
    ],
)
def test_init_reads_statuses_from_the_field_it_is_told(account, tmp_path, field, code, said):
    """Its statuses are surveyed and the file names it; a field that no lead has is refused with the nearest ones."""
    for lead_id, lead in account.sandbox.oplead.leads().items():
        if isinstance(lead, dict) and "status" in lead:
            account.sandbox.oplead.put(
                lead_id, {**lead, "status": "ouvert", "statusHistory": [], "suivi": {"phase": lead["status"]}}
            )
    options = (*account.where, "--account", "maison", "--meta-dataset-id", "77", "--dir", str(tmp_path / "mine"))
    done, out, err = account.type(
        "init", *options, "--status-field", field, "--graph-url", account.sandbox.sandbox_server_urls["meta"]
    )
    file = tmp_path / "mine" / "pipeline.yaml"

    assert (code, True) == (done, said in out + err), out + err
    assert (0 == code) == file.exists()
    if file.exists():
        told = YAML(typ="safe", pure=True).load(file.read_text())
        assert ("suivi.phase", ["Gagné"]) == (told["oplead"]["fields"]["status"], told["stages"]["won"])


@pytest.mark.parametrize(("dates", "is_said"), [("none", True), ("status_date", False)])
def test_init_doubts_a_long_past_of_undated_statuses(account, tmp_path, dates, is_said):
    """Whatever leads show on the first night would be sent as of that night."""
    account.sandbox.oplead.set_switch("status_dates", dates)
    options = (*account.where, "--account", "maison", "--meta-dataset-id", "77", "--dir", str(tmp_path / "mine"))
    _, out, _ = account.type("init", *options, "--imported-until", "2026-07-31")
    _, none, _ = account.type("init", *options, "--force")

    assert is_said == ("no lead says since when it has its status" in out), out
    assert "since when it has its status" not in none


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token-file", "/nowhere"], "--token-file"),
        (["--base-url", "http://example.org"], "plain http"),
        (["--config", "/nowhere.yaml"], "the file does not exist"),
    ],
)
def test_wrong_usage_exits_with_2(account, arguments, said):
    """A sentence names the wrong option or file."""
    code, _, err = account.type("probe", *arguments)

    assert (2, True) == (code, said in err)


def test_refused_key_exits_with_2(account):
    """The message names the setting to write and does not show the key."""
    code, out, err = account.type("probe", *account.where, OPLEAD_TOKEN="wrong-key-0123456789")

    assert 2 == code
    assert "oplead.auth" in err
    assert "wrong-key-0123456789" not in out + err


def test_sandbox_without_its_clock_exits_with_2(account):
    """The message says what to write."""
    code, _, err = account.type("probe", "--base-url", account.sandbox.sandbox_server_urls["oplead"])

    assert 2 == code
    assert "--clock URL" in err


def test_undecided_field_exits_with_1(account):
    """No lead has a status, and `probe` does not guess the field."""
    for lead_id, lead in list(account.sandbox.oplead.leads().items()):
        if isinstance(lead, dict) and "id" in lead:
            account.sandbox.oplead.put(lead_id, {name: lead[name] for name in lead if not name.startswith("status")})
    code, out, _ = account.type("probe", *account.where)

    assert 1 == code
    assert "oplead.fields.status" in out


def test_prints_no_personal_data(account):
    """Text and JSON are checked, on stdout and stderr."""
    shown = "".join("".join(account.type("probe", *account.where, *more)[1:]) for more in ([], ["--json"]))

    people = [lead.get("contact") or {} for lead in account.listed]
    secrets = {str(person[name]) for person in people for name in ("email", "phone", "lastname") if person.get(name)}
    assert len(secrets) > 100
    assert [] == [secret for secret in secrets if len(secret) > 4 and secret in shown]
    assert ADMIN_KEY not in shown
