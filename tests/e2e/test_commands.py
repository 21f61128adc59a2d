"""The command as people and schedulers use it, against a sandbox in this process."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from connectors.sandbox.oplead.server import ADMIN_KEY
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.rules import RULES
from connectors.sandbox.sandbox import Sandbox
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.lock import hold_lock
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.wiring.account import compile_rules_only, open_clock
from jobs.wiring.night import open_connectors
from tests import quick, suite
from tests.builders import leads_at_time
from tests.e2e.support.company import FUNNEL, Company, ended
from tests.e2e.support.forked import Forked
from tests.e2e.support.typed import documented, type_in

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("oplead-sync")
PATIENCE = 40  # seconds before a command times out
LEADS = 150
HEAVY = (
    "google.ads",
    "google.cloud",
    "google.auth",
    "facebook_business",
    "grpc",
    "requests",
    "sqlalchemy",
    "sqlmodel",
    "httpx",
    "connectors.sandbox",
    "phonenumbers",
    "email_validator",
    "uvicorn",
    "starlette",
)
"""Modules that load slowly and that a help text does not need."""


class Account:
    """One sandbox and its settings, and a call that runs the command on them."""

    def __init__(self, folder, population):
        self.sandbox = Sandbox(quick.with_key(folder), population)
        self.folder = self.sandbox.directory
        self.population = population

    def __enter__(self):
        self.sandbox.start()
        self.settings = self.sandbox.write_settings()
        written = self.settings.with_name("sandbox.env").read_text().splitlines()
        self.environ = dict(line.split("=", 1) for line in written)
        quick.with_state(self.state)
        return self

    def __exit__(self, *_):
        self.sandbox.stop()

    @property
    def state(self):
        """The path of the state."""
        return self.folder / "maison-demo.db"

    def __call__(self, *arguments, config=True, prelude="", **changed):
        """Run `oplead-sync` with these arguments, on this account's settings unless `config` is false."""
        more = ["--config", str(self.settings)] if config else []
        return oplead_sync(*arguments, *more, environ=self.environ | changed, prelude=prelude)

    def days_later(self, days=3):
        """Advance the sandbox's clock."""
        self.sandbox.clock.advance(self.sandbox.clock.now() + timedelta(days=days))

    def begin(self):
        """Create the state, as a first run does."""
        with open_locked_ledger(SqliteState(self.state), "maison-demo", "run", now=self.sandbox.clock.now()):
            pass

    def edit(self, old, new):
        """Change the settings as a person would."""
        text = self.settings.read_text()
        assert old in text
        self.settings.write_text(text.replace(old, new))

    def asked(self, server):
        """How many requests a sandbox server has received."""
        return self.sandbox.servers[server].log.count

    def query(self, sql):
        """Query rows of the state."""
        with closing(sqlite3.connect(self.state)) as state:
            return state.execute(sql).fetchall()


def oplead_sync(*arguments, environ=None, prelude=""):
    """Run the command in its own process and return its output and exit code."""
    with ended(Forked(arguments, environ=_environ(environ or {}), cwd=ROOT, prelude=prelude)) as process:
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def installed(*arguments, environ=None):
    """Run the installed command and return its output and exit code."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=_environ(environ or {}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _environ(more):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | more


@pytest.fixture(scope="module")
def population():
    """The generated leads."""
    return InventedLeads.generate(7, LEADS)


@pytest.fixture
def account(tmp_path, population):
    """A fresh account without any run yet."""
    with Account(tmp_path / "sandbox", population) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def played(tmp_path_factory, population):
    """An account after a first night and three days; read-only for tests."""
    with Account(tmp_path_factory.mktemp("played"), population) as old:
        assert old("run").returncode in (0, 1)
        old.days_later()
        assert old("run", "--wait", "1h").returncode in (0, 1)
        yield old


def _events(result):
    return [json.loads(line) for line in result.stderr.splitlines()]


# ── the command itself ───────────────────────────────────────────────────────────────────────────


def test_help_lists_commands_without_loading_heavy_modules():
    """`--help` answers at once: it loads no SDK and no database."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", COMMAND, "--help"],
        env=_environ({}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}

    assert 0 == result.returncode
    for command in ("run", "check", "status", "explain", "sandbox", "demo"):
        assert f"\n  {command} " in result.stdout
    assert not loaded & {*HEAVY}


def test_help_of_each_command_loads_no_heavy_module():
    """No command's help loads a vendor, database or HTTP library."""
    script = f"""
import sys, typer
from jobs.cli.app import app
command = typer.main.get_command(app)
for name in command.commands:
    assert command.main([name, "--help"], prog_name="oplead-sync", standalone_mode=False) == 0, name
print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
print("asked about:", *command.commands)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=_environ({}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (0, "") == (result.returncode, result.stderr.strip())
    commands = (
        "run schedule init check probe evidence backfill retry status report notify explain forget export-person "
        "sandbox demo"
    )
    assert f"asked about: {commands}" in result.stdout
    assert "--validate-only" in result.stdout


@pytest.mark.parametrize(
    ("shell", "typed", "completed"),
    [
        pytest.param(
            "bash",
            {"COMP_WORDS": "oplead-sync pro", "COMP_CWORD": "1"},
            "probe",
            marks=pytest.mark.exhaustive,
        ),
        ("bash", {"COMP_WORDS": "oplead-sync run --dry", "COMP_CWORD": "2"}, "--dry-run"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "oplead-sync expl"}, "explain"),
    ],
)
def test_completes_commands_and_options(shell, typed, completed):
    """The environment is what the shell's completion script sets."""
    result = installed(environ={"_OPLEAD_SYNC_COMPLETE": f"complete_{shell}", **typed})

    assert (0, True) == (result.returncode, completed in result.stdout), result.stderr


def test_install_completion_writes_the_script_to_home(tmp_path):
    """The script names the command."""
    # The calling process identifies bash, not a variable alone.
    result = subprocess.run(
        ["/bin/bash", "-c", f"'{COMMAND}' --install-completion; exit $?"],
        env=_environ({"HOME": str(tmp_path), "SHELL": "/bin/bash"}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert 0 == result.returncode, result.stderr
    assert "oplead-sync" in (tmp_path / ".bash_completions" / "oplead-sync.sh").read_text()


def test_prints_version():
    """`--version` shows which version is installed."""
    result = installed("--version")

    assert 0 == result.returncode
    assert result.stdout.startswith("oplead-sync ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("nothing-like-this",),
        ("status",),
        ("sandbox",),
        ("run", "--config", "x.yaml", "--wait", "soon"),
        ("run", "--config", "x.yaml", "--dry-run", "--validate-only"),
        ("run", "--config", "x.yaml", "--validate-only", "--wait", "45m"),
        ("demo", "--google-transport", "google_ads"),
        ("sandbox", "--out", "x", "--google-transport", "both"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments):
    """A missing or unknown argument is reported without a traceback."""
    result = oplead_sync(*arguments)

    assert 2 == result.returncode
    assert "Error" in result.stderr
    assert "Traceback" not in result.stderr


# ── check ────────────────────────────────────────────────────────────────────────────────────────


def test_check_lists_assumptions_for_a_valid_file(account):
    """It also notes likely slips."""
    account.edit("leadData.consent, granted: [oui]", "leadData.consent, granted: [oui, 'yes']")
    result = account("check")

    assert 0 == result.returncode
    assert f"{account.settings}: may run (no mistakes in the file)" == result.stdout.splitlines()[-1]
    assert "looked at: the file; not looked at: Oplead, google_ads, meta (--live asks them)" in result.stdout
    assert "note: " in result.stdout
    assert "click window of conversion action 987654321 is taken as 90 days" in result.stdout
    assert "987654322" not in result.stdout
    assert "`oplead.fields.id` is permanent" in result.stdout
    assert "sale: counts from the first run that sees it" in result.stdout


@pytest.mark.parametrize(("undo_when", "lost"), [("", ""), ("undo_when: [lost]", ", lost (appointment, quote_sent)")])
def test_check_says_which_stage_proves_what_a_webhook_reports(account, undo_when, lost):
    """A loss proves nothing unless the settings say what it undoes."""
    account.edit("click_ids:", "webhooks: { secret: '${HOOK}' }\nclick_ids:")
    account.edit("undo_when: [lost]", undo_when)
    shown = account("check", HOOK="a-secret-of-twenty-or-more").stdout

    proofs = f"quote_sent (appointment), won (appointment, quote_sent){lost}"
    assert f"in a later one that proves it: {proofs}\n" in shown


@pytest.mark.xdist_group("a played account")
def test_check_shows_conversion_start_fixed_by_a_run(played):
    """What a run has settled is no longer an assumption, and `check` needs no open sandbox to know it."""
    assumed = documented(played("check", "--json").stdout)["assumed"]

    assert (
        "sale: counts from Tue 1 Sep 2026 05:30, when a run first saw it; older changes are not sent (see `since`)"
        in assumed
    )
    assert not [said for said in assumed if "the first run that sees it" in said]


def test_check_locates_each_problem(account):
    """Each problem is one line that an editor can jump to."""
    account.edit("currency: EUR", "curency: EUR")
    account.edit("stage: won", "stage: wonn")
    result = account("check")
    lines = result.stdout.splitlines()

    assert 2 == result.returncode
    assert len(lines) >= 3
    assert f"{account.settings}: must not run ({len(lines) - 2} problems, named above)" == lines[-1]
    assert all(re.match(rf"{re.escape(str(account.settings))}:\d+:\d+: \S", line) for line in lines[:-2])
    assert any("curency" in line for line in lines)


# ── run ──────────────────────────────────────────────────────────────────────────────────────────


def test_successive_runs_send_only_changes_and_are_recorded(account):
    """The first run only records leads, the second sends and waits for outcomes, and the third has nothing to send."""
    first = documented(account("run", "--json").stdout)
    account.days_later()
    second = documented(account("run", "--json", "--wait", "45m").stdout)
    third = documented(account("run", "--json").stdout)
    books = [*account.sandbox.data_manager.conversions_json(), *account.sandbox.meta.conversions_json()]

    assert 0 == first["delivered"]["requests"]
    assert second["delivered"]["requests"] >= 1
    assert 0 == third["delivered"]["requests"]
    assert [] == [each for each in second["deliveries"] if each["state"] == "submitted"]
    accepted = sum(each["count"] for each in second["deliveries"] if each["state"] == "accepted")
    assert len(books) == accepted >= 1
    ended = account.query("select command, exit_code, ended_at is not null from run order by id")
    assert [("run", each["exit_code"], 1) for each in (first, second, third)] == ended


def test_gitignore_covers_files_a_run_creates(account, tmp_path):
    """The ledger holds personal data, and lies in the clone unless the settings say otherwise."""
    clone = tmp_path / "clone"
    settings = account.sandbox.write_settings(clone / "config")
    shutil.copy(ROOT / ".gitignore", clone)
    git = shutil.which("git")
    subprocess.run([git, "init", "--quiet", clone], check=True)

    first = oplead_sync("run", "--first-run", "--config", str(settings), environ=account.environ)
    assert first.returncode in (0, 1)
    with closing(sqlite3.connect(settings.with_name("maison-demo.db"))) as opened:
        opened.execute("SELECT count(*) FROM lead").fetchone()
        left = {file.suffix for file in (clone / "config").iterdir()}
        seen = subprocess.run(
            [git, "-C", clone, "status", "--porcelain", "--untracked-files=all"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[1::2]

    assert {".db", ".db-wal", ".db-shm", ".lock", ".pace"} <= left
    assert {".gitignore", "config/pipeline.yaml", "config/sandbox.env"} == set(seen)


def test_dry_run_sends_nothing_and_creates_no_state(account):
    """It reads Oplead, and before any run leaves no file but the rate limiter's."""
    account.state.unlink()
    before = sorted(account.folder.iterdir())
    result = account("run", "--dry-run")

    assert result.returncode in (0, 1)
    assert "nothing was sent or changed" in result.stdout
    assert before == sorted(path for path in account.folder.iterdir() if path.suffix != ".pace")
    assert 0 == account.asked("data_manager")
    assert account.asked("oplead") > 0


def test_dry_run_predicts_the_next_run(account):
    """The next run sends exactly what the dry run listed, and the dry run leaves the state unchanged."""
    account("run")
    account.days_later()
    before = account.query("select id, state, reason from delivery"), account.query("select * from run")
    told = documented(account("run", "--dry-run", "--json").stdout)
    after = account.query("select id, state, reason from delivery"), account.query("select * from run")
    done = documented(account("run", "--json").stdout)

    assert before == after
    assert told["rehearsed"]
    foretold = _counts(each for each in told["deliveries"] if each["reason"] == "due")
    assert foretold == _counts(each for each in done["deliveries"] if each["state"] in ("submitted", "accepted"))
    assert {"google_ads", "meta"} == {destination for _, destination in foretold}


def _counts(deliveries):
    return {(each["conversion"], each["destination"]): each["count"] for each in deliveries}


def test_logs_are_json_lines_without_secrets(account):
    """Without a terminal, each line on stderr is an event that names its account, and none contains a token."""
    result = account("run")
    events = _events(result)

    assert "night ended" == events[-1]["event"]
    assert {"maison-demo"} == {event["account"] for event in events}
    assert {"reading leads", "deciding", "sending"} <= {event.get("step") for event in events}
    assert ADMIN_KEY not in result.stderr + result.stdout
    assert "ya29." not in result.stderr + result.stdout


def test_log_line_of_a_night_counts_what_was_read_and_uploaded(account):
    """Its uploads are those that the platforms received, corrections included, whatever Oplead was asked."""
    servers = ("data_manager", "meta")
    account("run")
    account.days_later(3)
    before = sum(map(account.asked, servers))
    night = _events(account("run"))[-1]

    assert night["seen"] > 0
    assert sum(map(account.asked, servers)) - before == night["uploads"] > 0
    assert "requests" not in night


def test_terminal_shows_progress_instead_of_json(account):
    """With a terminal on stderr, the steps are drawn."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [COMMAND, "run", "--config", str(account.settings)],
            env=_environ(account.environ | {"TERM": "xterm", "COLUMNS": "100"}),
            stdout=subprocess.PIPE,
            stderr=follower,
        )
        os.close(follower)
        seen = _read_all(leader)
        printed, _ = process.communicate(timeout=PATIENCE)
    finally:
        os.close(leader)

    assert process.returncode in (0, 1)
    assert "reading leads" in seen
    assert "{" not in seen
    assert b"maison-demo" in printed


def _read_all(terminal):
    """Read what is written to a terminal until its last writer exits."""
    parts = []
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # how Linux reports that the other end is closed
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode(errors="replace")


def test_broken_account_does_not_stop_the_others(account, tmp_path):
    """Accounts run one after the other, and the worst exit code wins."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("account: [\n")
    result = account("run", "--config", str(broken), "--json")
    told = [documented(line) for line in result.stdout.splitlines()]

    assert 2 == result.returncode
    assert [2, "maison-demo"] == [told[0]["exit_code"], told[1]["account"]]
    assert account.state.exists()


# ── failures ─────────────────────────────────────────────────────────────────────────────────────


def _assert_told(result, code, *words):
    """Assert that the command exited with this code and a message with these words, without a traceback."""
    said = result.stderr + result.stdout

    assert code == result.returncode, said
    assert "Traceback" not in said
    assert "not foreseen" not in said
    for word in words:
        assert word in said


def test_missing_settings_file_exits_with_2(account):
    """The message names the path."""
    _assert_told(account("run", "--config", "nowhere.yaml", config=False), 2, "nowhere.yaml", "does not exist")


def test_missing_secret_names_its_variable(account):
    """Operations learns which variable to set, and in which file."""
    del account.environ["OPLEAD_TOKEN"]

    line = f"OPLEAD_TOKEN=…  into {account.settings.with_name('.env')}"

    _assert_told(account("run"), 2, "OPLEAD_TOKEN is not set", "oplead.token", line)


@pytest.mark.parametrize("command", suite.mostly_exhaustive(["run", "check", "probe"], "run", "check"))
def test_reads_env_file_beside_the_settings(account, command):
    """A forgotten `set -a` costs no run; lax file permissions are reported, and no secret is shown."""
    file = account.settings.with_name(".env")
    account.begin()
    file.write_text("".join(f"{name}={value}\n" for name, value in account.environ.items()))
    file.chmod(0o644)
    secret = account.environ["OPLEAD_TOKEN"]
    account.environ.clear()
    result = account(command)

    assert result.returncode != 2, result.stderr
    assert f"read from {file}: " in result.stderr
    assert "OPLEAD_TOKEN" in result.stderr
    assert f"chmod 600 {file}" in result.stderr
    assert secret not in result.stdout + result.stderr


def test_invalid_yaml_names_the_file_and_line(account):
    """A typo is easy to find."""
    account.edit("stages:", "stages")

    _assert_told(account("run"), 2, f"{account.settings}:")


def test_wrong_oplead_token_exits_with_3(account):
    """The output does not repeat the token."""
    result = account("run", OPLEAD_TOKEN="wrong-token-of-the-test")

    _assert_told(result, 3, "reading stopped", "401")
    assert "wrong-token-of-the-test" not in result.stderr + result.stdout
    assert [(3,)] == account.query("select exit_code from run")


def test_unreachable_oplead_exits_with_3(account):
    """Retries are bounded and wait on the sandbox's clock."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    account.edit(account.sandbox.sandbox_server_urls["oplead"], nobody)

    _assert_told(account("run"), 3, "reading stopped")


def test_unreachable_sandbox_clock_exits_with_2(account):
    """The message says that the sandbox is closed."""
    account.sandbox.stop()

    _assert_told(account("run"), 2, "no sandbox clock answers")


def test_refused_google_key_exits_with_3_and_loses_nothing(account):
    """The next run sends what this one held back."""
    account("run")
    account.days_later()
    account.sandbox.oauth.set_switch("refuse_tokens", True)
    refused = account("run")
    account.sandbox.oauth.set_switch("refuse_tokens", False)
    mended = documented(account("run", "--json").stdout)

    _assert_told(refused, 3, "google_ads stopped")
    assert 0 == len(account.sandbox.data_manager.conversions_json())
    assert mended["delivered"]["requests"] >= 1


def test_overlapping_run_exits_with_75_and_names_the_holder(account):
    """The second run does nothing."""
    with hold_lock(account.state, now=datetime(2026, 9, 1, 3, 30, tzinfo=UTC)):
        result = account("run")

    _assert_told(result, 75, f"process {os.getpid()}", "2026-09-01T03:30:00")
    assert 0 == account.asked("oplead")


def test_foreign_file_at_the_state_path_is_untouched(account):
    """A `state:` that points at another file exits with 2."""
    account.state.write_bytes(b"these are somebody's notes, not a database" * 100)
    before = account.state.read_bytes()

    _assert_told(account("run"), 2, "not a state of oplead-sync")
    assert before == account.state.read_bytes()


def test_damaged_state_exits_with_2(account):
    """Pages inside the file are overwritten."""
    account.begin()
    with account.state.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)

    _assert_told(account("run"), 2, "damaged")


def test_locked_state_exits_with_2(account):
    """The run waits a few seconds for the other program's transaction."""
    account.begin()
    with closing(sqlite3.connect(account.state, isolation_level=None)) as other:
        other.execute("begin immediate")
        result = account("run", prelude="from jobs.ledger.storage import database\ndatabase.BUSY_MS = 100")

    _assert_told(result, 2, "another program is writing to it")


def test_state_of_a_newer_version_is_refused(account):
    """The run refuses it before writing anything."""
    account.begin()
    with closing(sqlite3.connect(account.state)) as state, state:
        state.execute("update alembic_version set version_num = '9999'")

    _assert_told(account("run"), 2, "newer oplead-sync")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only files")
def test_read_only_state_exits_with_2(account):
    """The message names the file that cannot be written."""
    account.begin()
    account.state.chmod(0o400)

    _assert_told(account("run"), 2, "cannot be written", str(account.state))


def test_uncreatable_state_folder_exits_with_2(account):
    """A file exists where the folder should be."""
    (account.folder / "taken").write_text("")
    account.edit("# state: maison-demo.db, beside this file", "state: sqlite:///taken/maison.db")

    _assert_told(account("run"), 2, "cannot use the state")


def test_renamed_conversion_requires_was(account):
    """A vanished id beside a new one with the same target is refused, with what to write."""
    account("run")
    account.edit("id: sale", "id: signed")

    _assert_told(account("run"), 2, "was: sale", "was: none")


def test_sigterm_ends_the_run_cleanly_and_the_next_resumes(account):
    """While Oplead is slow, the current request ends at once, no other begins, and the exit code is recorded."""
    account.sandbox.faults.plant(PlannedFault("oplead", FaultKind.LATENCY, seconds=3, count=10))
    arguments = ["run", "--config", str(account.settings)]
    with ended(Forked(arguments, environ=_environ(account.environ), cwd=ROOT)) as process:
        _wait_until(lambda: account.state.exists() and account.sandbox.faults.dump()[0]["count"] != 10)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    asked = account.asked("oplead")
    account.sandbox.faults.clear()

    assert 143 == process.returncode
    assert asked <= 1
    assert "the next run goes on from here" in said
    assert [(143, None)] == account.query("select exit_code, night from run")
    assert account("run").returncode in (0, 1)


def _wait_until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def _killed_at_the_end(process):
    try:
        yield
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


# ── accounts with one platform ───────────────────────────────────────────────────────────────────

TOLD = """
import json, os, sys, typer
from jobs.cli.app import app
command = typer.main.get_command(app)
for arguments in json.loads(sys.argv[1]):
    assert command.main(arguments, prog_name="oplead-sync", standalone_mode=False) in (0, None), arguments
open(os.environ["LOADED"], "w").write("\\n".join(sys.modules))
"""
"""Commands one after the other in one process, which then writes the names of its loaded modules."""
LIBRARIES = ("facebook_business", "google.ads.datamanager_v1", "google.ads.googleads", "google.auth", "grpc", "uvicorn")
USED = {
    "meta": (Company.use_meta_alone, {"facebook_business"}),
    "data_manager": (lambda _: None, {"google.ads.datamanager_v1", "google.auth", "grpc"}),
    "google_ads_api": (Company.use_ads_api, {"google.ads.googleads", "google.auth", "grpc"}),
}
"""By platform: how to make an account use it alone, and the libraries it needs."""


def _loaded(company, *commands):
    """The libraries loaded by these commands in a fresh process."""
    loaded = company.directory / "loaded"
    lines = json.dumps([[*arguments, "--config", str(company.config)] for arguments in commands])
    result = subprocess.run(
        [sys.executable, "-c", TOLD, lines],
        env=_environ(company.environ | {"LOADED": str(loaded)}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert 0 == result.returncode, result.stderr
    modules = set(loaded.read_text().split())
    return {library for library in LIBRARIES if library in modules}


@pytest.mark.parametrize("platform", suite.mostly_exhaustive(USED, "meta", "data_manager"))
def test_run_loads_only_the_libraries_of_its_platform(company, platform):
    """An account needs only its own platform's, and only for a call; `status`, `check` and `explain` load none."""
    use, needed = USED[platform]
    use(company)
    company.serve(company.lead(1, ("Gagné", company.START - timedelta(hours=20)), clicks=company.both(1)))

    assert needed == _loaded(company, ["run", "--wait", "8h"])
    assert 2 == len(company.sandbox.meta.conversions_json() if platform == "meta" else _received(company))
    # There is nothing to send.
    assert set() == _loaded(company, ["run"], ["status"], ["check"], ["explain", "L-1"])


@pytest.mark.parametrize("transport", ["data_manager", "google_ads_api"])
def test_rules_without_connections_equal_those_of_a_run(company, transport):
    """`explain` compiles its rules without connecting to a platform; they include the platforms' limits."""
    company.use_meta()
    company.settings["google_ads"]["transport"] = transport
    settings = company.read_settings()
    with open_clock(settings) as clock, open_connectors(settings, clock) as (book, _):
        assert book == compile_rules_only(settings)


def _received(company):
    """Everything Google has received, an hour later."""
    company.clock.advance(company.clock.now() + timedelta(hours=1))
    return company.platform.conversions_json()


def _whole(company, lead):
    """Type every command in the order of a first week; return the exit codes and `explain`'s final verdicts."""
    codes = [
        type_in(company, *arguments).code
        for arguments in (
            ("check",),
            ("check", "--live"),
            ("run", "--dry-run"),
            ("run", "--validate-only"),
            ("run", "--wait", "1h"),
            ("run",),
            ("status",),
        )
    ]
    return codes, type_in(company, "explain", lead, "--json").objects[0]["verdicts"]


def test_every_command_works_without_google(company):
    """With a funnel and one conversion, a form lead is reported by stage and an ad lead by event."""
    company.use_meta_alone(funnel=FUNNEL, funnel_since="2026-08-20")
    del company.conversion("appointment")["meta"]
    company.settings["conversions"] = [company.conversion("sale")]
    way = [("RDV pris", company.START - timedelta(hours=30)), ("Gagné", company.START - timedelta(hours=20))]
    created = company.START - timedelta(hours=50)
    company.serve(company.lead(1, *way, created=created, clicks="lead_id=l:5434340000000941"))
    company.serve(company.lead(2, *way, created=created, clicks=f"fbclid={company.fbclid(2)}"))
    codes, verdicts = _whole(company, "L-1")

    assert [0] * 7 == codes
    assert {("L-1", f"funnel:{name}") for name in FUNNEL.values()} | {("L-2", "sale")} == {
        name for name, state in company.states("meta").items() if state == "accepted"
    }
    assert ["Purchase", "appointment_set", "lead_received", "sale"] == sorted(
        line["event_name"] for line in company.sandbox.meta.conversions_json()
    )
    assert [] == company.asked("data_manager") + company.asked("google_ads") + company.asked("oauth")
    assert {"sale": None} | {f"funnel:{name}": "accepted" for name in FUNNEL.values()} == {
        verdict["conversion"]: verdict["state"] for verdict in verdicts
    }


@pytest.mark.parametrize("transport", suite.mostly_exhaustive(["data_manager", "google_ads_api"], "data_manager"))
def test_every_command_works_without_meta(company, transport):
    """No request goes to Meta, and the verdicts do not mention it."""
    company.settings["google_ads"]["transport"] = transport
    company.serve(company.lead(1, ("Gagné", company.START - timedelta(hours=20))))
    codes, verdicts = _whole(company, "L-1")

    assert [0] * 7 == codes
    assert {("L-1", "appointment"): "accepted", ("L-1", "sale"): "accepted"} == company.states()
    assert 2 == len(company.platform.conversions_json())
    assert [] == company.asked("meta")
    assert {"google_ads"} == {verdict["destination"] for verdict in verdicts}


# ── status and explain ───────────────────────────────────────────────────────────────────────────


@pytest.mark.xdist_group("a played account")
def test_status_shows_all_deliveries_and_the_last_run(played):
    """The table has marketing's names and reasons in words; the JSON has the codes."""
    shown = played("status")
    told = documented(played("status", "--json").stdout)

    assert 0 == shown.returncode
    for words in ("last run", "Vente signée", "before its start", "What to do"):
        assert words in shown.stdout
    count = played.query("select count(*) from delivery")[0][0]
    assert count == sum(each["count"] for each in told["tallies"])
    assert "run" == told["run"]["command"]


def test_status_before_any_run_exits_with_2(account):
    """`status` creates no state."""
    account.state.unlink()
    _assert_told(account("status"), 2, "there is no state here")
    assert not account.state.exists()


@pytest.mark.xdist_group("a played account")
def test_status_works_while_the_sandbox_is_closed(played):
    """After a demonstration the kept folder can still be queried, as of its last run."""
    text = played.settings.read_text()
    alone = played.settings.with_name("alone.yaml")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        alone.write_text(
            text.replace(played.sandbox.sandbox_server_urls["clock"], f"http://127.0.0.1:{free.getsockname()[1]}")
        )
    result = played("status", "--config", str(alone), config=False)

    assert 0 == result.returncode
    assert "Fri 4 Sep 2026" in result.stdout


@pytest.mark.xdist_group("a played account")
def test_explain_shows_the_full_story_of_a_sent_lead(played):
    """The output covers state, time and its source, click id, value, key and history."""
    lead, key = played.query("select lead, key from delivery where state = 'accepted' order by id limit 1")[0]
    result = played("explain", lead)

    assert 0 == result.returncode
    for words in (lead, key, "accepted", "dated by Oplead", "€", "history", "request"):
        assert words in result.stdout


@pytest.mark.xdist_group("a played account")
def test_explain_shows_why_nothing_was_sent_and_what_to_do(played):
    """A withheld lead has its reason in a sentence, and stages not reached are listed too."""
    held_back = "select lead from delivery where state = 'withheld' and reason like 'consent_%' limit 1"
    lead = played.query(held_back)[0][0]
    result = played("explain", lead)
    told = documented(played("explain", lead, "--json").stdout)

    assert 0 == result.returncode
    assert "consent" in result.stdout
    assert "What to do: " in result.stdout
    funnel = {f"funnel:{name}" for name in FUNNEL.values()}
    assert {"appointment", "quote", "sale"} | funnel == {verdict["conversion"] for verdict in told["verdicts"]}


@pytest.mark.xdist_group("a played account")
def test_explain_shows_no_contact_data_or_full_click_id(played, population):
    """It prints no name, email address, phone number or full click id of a sent lead."""
    truth = population.ground_truth()
    leads = [lead for (lead,) in played.query("select distinct lead from delivery where state = 'accepted' limit 1")]
    secrets = [value for (value,) in played.query("select value from click_id")]
    for lead in leads:
        said = played("explain", lead).stdout + played("explain", lead, "--json").stdout
        served = leads_at_time(population, played.sandbox.clock.now())[lead]
        people = [served["contact"].get(name) for name in ("firstname", "lastname", "email", "phone", "mobile")]

        assert not [
            value
            for value in (*people, truth[lead].person.email, *truth[lead].person.phones)
            if value and value in said
        ]
        assert not [value for value in secrets if value in said]


@pytest.mark.xdist_group("a played account")
def test_explain_suggests_ids_for_an_unknown_lead(played):
    """A mistyped id exits with 2."""
    known = played.query("select id from lead order by id limit 1")[0][0]

    _assert_told(played("explain", known[:-1]), 2, "no lead", "did you mean", known)


def test_explain_says_why_a_lead_is_unreadable(account):
    """A lead that could not be read is not called unknown."""
    account.sandbox.oplead.put("L-99", {"id": "L-99", "createdAt": "31/02/2026 25:61", "status": "Nouveau"})
    account("run")

    _assert_told(account("explain", "L-99"), 2, "could not be read", "created_at")


# ── sandbox and demo ─────────────────────────────────────────────────────────────────────────────


def test_sandbox_rules_lists_each_rule_with_its_evidence():
    """`sandbox --rules` needs no folder and covers every server."""
    result = oplead_sync("sandbox", "--rules", environ={"COLUMNS": "1000"})

    assert 0 == result.returncode
    assert [] == [
        rule.rule
        for rule in RULES
        if not any(rule.rule in line and rule.evidence in line for line in result.stdout.splitlines())
    ]


def test_sandbox_resumes_with_the_same_addresses_and_leads(tmp_path):
    """The command it prints can be typed as is."""
    folder = tmp_path / "box"
    first = _serve_and_run(folder)
    ports = _moved_to_quiet_ports(folder)
    second = _serve_and_run(folder)

    assert ports >= {urlsplit(address).port for address in second.addresses}
    assert len(first.addresses) == len(second.addresses) > 0
    assert first.seen == second.seen > 0
    assert "saved" in second.said


def _moved_to_quiet_ports(folder):
    """Move a closed sandbox to ports the system will not assign meanwhile, unlike its own, and return them."""
    file = folder / "sandbox.json"
    state = json.loads(file.read_text())
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    quiet = filter(_is_free, range(20_000 + 100 * worker, 32_000))
    state["ports"] = dict(zip(state["ports"], quiet, strict=False))
    file.write_text(json.dumps(state))
    return set(state["ports"].values())


def _is_free(port):
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) != 0


class _Served:
    """One session of an open sandbox."""

    def __init__(self, process, folder):
        lines = []
        while not (lines and lines[-1].startswith("Ctrl-C")):
            lines.append(process.stdout.readline())
            assert lines[-1], "it ended before it was open"
        self.addresses = [line.split()[-1] for line in lines if re.match(r"  \S.*  http://127", line)]
        typed = next(line for line in lines if "oplead-sync run" in line).strip()
        night = subprocess.run(
            ["/bin/sh", "-c", f"{typed} --json"],
            env=_environ({"PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert night.returncode in (0, 1), night.stderr
        self.seen = documented(night.stdout)["pulled"]["seen"]
        process.send_signal(signal.SIGTERM)
        self.said = process.communicate(timeout=PATIENCE)[0]
        assert 0 == process.returncode
        assert (folder / "sandbox.json").exists()


def _serve_and_run(folder):
    process = subprocess.Popen(
        [COMMAND, "sandbox", "--out", str(folder), "--leads", "40"],
        env=_environ({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with _killed_at_the_end(process):
        return _Served(process, folder)


def test_demo_is_repeatable_and_its_books_agree(tmp_path):
    """Two runs print the same, and `--keep` keeps the folder and refuses one that holds a demonstration."""
    kept = tmp_path / "kept"
    first = oplead_sync("demo", "--leads", "60", "--nights", "4")
    second = oplead_sync("demo", "--leads", "60", "--nights", "4", "--keep", str(kept))
    third = oplead_sync("demo", "--keep", str(kept))

    assert 0 == first.returncode, first.stderr
    assert "it sent nothing, as it should be" in first.stdout
    assert "The books agree." in first.stdout
    until = "What to type next"
    assert first.stdout.partition(until)[0] == second.stdout.partition(until)[0]
    assert (kept / "pipeline.yaml").exists()
    pages = [Path(each.stdout.splitlines()[-1].strip()) for each in (first, second)]
    assert kept / "maison-demo-report.html" == pages[1]
    assert ["maison-demo" in page.read_text(encoding="utf-8") for page in pages] == [True, True]
    shutil.rmtree(pages[0].parent)
    _assert_told(third, 2, "holds a demonstration already")


@pytest.mark.parametrize("transport", suite.mostly_exhaustive(["data_manager", "google_ads_api"], "google_ads_api"))
def test_demo_sends_to_both_destinations_over_either_transport(tmp_path, transport):
    """The output names all three platforms, both destinations have accepted conversions, and the books agree."""
    kept = tmp_path / "kept"
    result = oplead_sync(
        "demo", "--leads", "150", "--nights", "3", "--google-transport", transport, "--keep", str(kept)
    )
    with closing(sqlite3.connect(kept / "maison-demo.db")) as state:
        accepted = state.execute(
            "select distinct destination, transport from delivery where state = 'accepted' order by destination"
        ).fetchall()

    assert 0 == result.returncode, result.stderr
    assert "The books agree." in result.stdout
    for platform in ("Oplead", "Google", "Meta", "→ google_ads", "→ meta"):
        assert platform in result.stdout
    assert [("google_ads", transport), ("meta", "conversions_api")] == accepted
