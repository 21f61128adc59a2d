"""`probe`: what it prints can be pasted, and a night then reads every lead; nobody's data is printed."""

import re

import pytest
from typer.testing import CliRunner

from connectors.sandbox.oplead.server import ADMIN_KEY
from connectors.sandbox.population.company import Population
from connectors.sandbox.sandbox import Sandbox
from jobs.cli.app import app
from tests import quick
from tests.e2e.support.typed import _as_it_was, documented

LEADS = 260
SECTION = re.compile(r"^oplead:\n(?:[ #].*\n)+", re.MULTILINE)


@pytest.fixture(scope="module")
def population():
    """The invented leads."""
    return Population.generate(7, LEADS)


class Account:
    """A sandbox with settings, and commands typed on them in this process."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.file = sandbox.write_settings()
        written = self.file.with_name("sandbox.env").read_text().splitlines()
        self.environ = dict(line.split("=", 1) for line in written)

    def type(self, *arguments, **environ):
        """The exit code and everything printed."""
        with _as_it_was():
            env = self.environ | {"COLUMNS": "80"} | environ
            done = CliRunner().invoke(app, list(arguments), env=env, prog_name="oplead-sync")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    def paste(self, block):
        """Put a block in place of the settings' own section."""
        text, count = SECTION.subn(block.rstrip("\n") + "\n", self.file.read_text())
        assert count == 1
        self.file.write_text(text)

    @property
    def where(self):
        """Where the platform is, as it is typed without a file."""
        addresses = self.sandbox.addresses
        return ("--base-url", addresses["oplead"], "--clock", addresses["clock"])

    @property
    def listed(self):
        """The leads there are now."""
        return [lead for lead in self.sandbox.oplead.leads().values() if isinstance(lead, dict)]


@pytest.fixture
def account(tmp_path, population):
    """A fresh account."""
    with Sandbox(quick.with_key(tmp_path / "sandbox"), population) as sandbox:
        yield Account(sandbox)


@pytest.mark.parametrize(
    "switches",
    [
        {"pagination": "next_url"},
        pytest.param(
            {"pagination": "cursor", "filters": True, "list_has_details": False}, marks=pytest.mark.exhaustive
        ),
        pytest.param({"pagination": "page", "page_total": True, "status_dates": "none"}, marks=pytest.mark.exhaustive),
        {"pagination": "page", "filters": True, "status_dates": "status_date"},
    ],
)
def test_what_is_printed_can_be_pasted(account, switches):
    """`check` passes with it, and a rehearsed night reads every lead there is."""
    for name, position in switches.items():
        account.sandbox.oplead.switch(name, position)
    sketch = account.file.with_name("sketch.yaml")
    addresses = account.sandbox.addresses
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


def test_a_file_that_is_complete_tells_what_is_unmapped(account):
    """Statuses in no stage, answers in no list, and a settings block that keeps what was not looked into."""
    text = account.file.read_text().replace("  token:", "  rate: 60\n  token:").replace(", Nurserie]", "]")
    account.file.write_text(text)
    code, out, _ = account.type("probe", "--config", str(account.file), "--json")
    told = documented(out)

    assert 0 == code
    assert "Nurserie" in told["unmapped"]
    assert "Gagné" not in told["unmapped"]
    assert told["unknown_consents"]["leadData.consent"] > 0
    assert "  rate: 60\n" in told["settings"]


def test_what_a_file_names_and_no_lead_has_is_told(account):
    """With its line, what may have been meant, and the same comparison of names as a night's."""
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


def test_no_file_is_needed(account, tmp_path):
    """The key comes from the environment or a file, never from the command line."""
    (tmp_path / "key").write_text(f"{ADMIN_KEY}\n")
    by_variable = account.type("probe", *account.where, "--leads", "20")
    by_file = account.type(
        "probe", *account.where, "--token-file", str(tmp_path / "key"), "--leads", "20", OPLEAD_TOKEN=""
    )

    assert (0, 0) == (by_variable[0], by_file[0])
    assert 'token: "${OPLEAD_TOKEN}"' in by_variable[1]
    assert f'token: "file:{tmp_path}/key"' in by_file[1]


def test_a_first_file_of_leads_that_were_typed_by_hand_may_run(account, tmp_path):
    """Spellings of one status and of one answer are one, with all their leads; `check` takes what `init` wrote."""
    spellings = ("GAGNÉ", "Gagne\u0301", "gagné", "Devis\u00a0à relancer")
    answers = ("OUI", "Oui", "true", "1")
    whole = [(lead_id, lead) for lead_id, lead in account.sandbox.oplead.leads().items() if isinstance(lead, dict)]
    for number, (lead_id, lead) in enumerate(one for one in whole if isinstance(one[1].get("leadData"), dict)):
        if number < 40:
            told = {"status": spellings[number % 4], "leadData": {**lead["leadData"], "consent": answers[number % 4]}}
            account.sandbox.oplead.put(lead_id, {**lead, **told})
    said = (*account.where, "--account", "maison", "--meta-dataset-id", "77", "--dir", str(tmp_path / "mine"))
    code, out, err = account.type("init", *said, "--graph-url", account.sandbox.addresses["meta"])
    text = (tmp_path / "mine" / "pipeline.yaml").read_text()

    assert (0, True) == (code, "check: nothing is wrong with the file" in out), out + err
    assert re.search(r"^  won: \[Gagné\]$", text, re.MULTILINE)
    assert re.search(r"^  quote_sent: \[Devis à relancer\]$", text, re.MULTILINE)
    assert re.search(r'^    granted: \[oui, ("true", "1"|"1", "true")\]$', text, re.MULTILINE | re.IGNORECASE)
    assert 0 == account.type("check", "--config", str(tmp_path / "mine" / "pipeline.yaml"))[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token-file", "/nowhere"], "--token-file"),
        (["--base-url", "http://example.org"], "plain http"),
        (["--config", "/nowhere.yaml"], "the file does not exist"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(account, arguments, said):
    """Exit code 2, and nothing is asked."""
    code, _, err = account.type("probe", *arguments)

    assert (2, True) == (code, said in err)


def test_a_refused_key_is_exit_code_two(account):
    """With the setting to write, and without the key."""
    code, out, err = account.type("probe", *account.where, OPLEAD_TOKEN="wrong-key-0123456789")

    assert 2 == code
    assert "oplead.auth" in err
    assert "wrong-key-0123456789" not in out + err


def test_a_sandbox_asked_without_its_clock_is_told(account):
    """Within seconds, with what to write."""
    code, _, err = account.type("probe", "--base-url", account.sandbox.addresses["oplead"])

    assert 2 == code
    assert "--clock URL" in err


def test_what_could_not_be_told_is_exit_code_one(account):
    """No status is told by any lead, and no field is guessed."""
    for lead_id, lead in list(account.sandbox.oplead.leads().items()):
        if isinstance(lead, dict) and "id" in lead:
            account.sandbox.oplead.put(lead_id, {name: lead[name] for name in lead if not name.startswith("status")})
    code, out, _ = account.type("probe", *account.where)

    assert 1 == code
    assert "oplead.fields.status" in out


def test_nobodys_data_is_printed(account):
    """Neither as text nor as JSON, on neither stream."""
    shown = "".join("".join(account.type("probe", *account.where, *more)[1:]) for more in ([], ["--json"]))

    people = [lead.get("contact") or {} for lead in account.listed]
    secrets = {str(person[name]) for person in people for name in ("email", "phone", "lastname") if person.get(name)}
    assert len(secrets) > 100
    assert [] == [secret for secret in secrets if len(secret) > 4 and secret in shown]
    assert ADMIN_KEY not in shown
