"""What config/deploy/ ships fits this program: its files, its commands, and what it needs to write and to read."""

import re
import secrets
import shutil
import subprocess
import sys
import time

import psycopg
import pytest

from jobs.exit_codes import Exit
from jobs.ledger.storage.postgresql import create_or_upgrade_ledger_tables
from tests import postgresql
from tests.recipes import (
    DEPLOY,
    ROOT,
    TREE,
    UNITS,
    copied,
    instructions,
    is_ignored,
    ours,
    seconds,
    services,
    unit,
    unknown_words,
)

ANALYZE = shutil.which("systemd-analyze")
ENDLESS = ("worker", "receiver")
"""Services that go on until they are stopped."""
DRAIN = 60
"""Seconds that a worker gives what is under way."""
SHORT = re.compile(r"[a-z]+:\d+\.\d+[a-z0-9.-]*")
"""An image of the engine's default registry, by a version."""
PAGES = ("fleet.md", "fr/flotte.md", "fleet-operations.md", "fr/fleet-operations.md")
PASSWORD = 'it\'s "quoted" $(here) \\ and `there`'
NAMES_A_HOST = re.compile(r"\b[a-z0-9-]+\.(?:io|com|org|net|dev|fr|eu|local|internal)\b")


def known(arguments):
    """A command line of this program's."""
    unknown = unknown_words(arguments)
    if unknown == ["fleet"]:
        pytest.skip("the fleet's commands are not here yet")
    assert [] == unknown, arguments


def text_of_everything():
    """The files that are shipped, and what each says; not those that whoever tries them has added."""
    places = (DEPLOY.glob("*"), DEPLOY.glob("systemd/*"))
    return {path.name: path.read_text() for place in places for path in place if path.is_file()}


# ── the image ────────────────────────────────────────────────────────────────────────────────────


def test_the_image_is_built_from_files_that_its_builder_is_given():
    """They exist, and .dockerignore lets them through."""
    assert [] == [path for stage in instructions() for path in copied(stage) if not (ROOT / path).exists()]
    assert [] == [path for stage in instructions() for path in copied(stage) if is_ignored(path)]
    assert not is_ignored("jobs/cli/app.py")


@pytest.mark.parametrize(
    "path",
    [".git/config", "config/.env", "config/pipeline.yaml", "state/account.db", "tests/builders.py", ".venv/bin/python",
     "jobs/.env", "jobs/account.db", "connectors/account.db-wal", "jobs/cli/__pycache__/app.cpython-313.pyc"],
)  # fmt: skip
def test_the_images_builder_is_given_no_secret_state_or_test(path):
    """They are none of what it needs, wherever they lie."""
    assert is_ignored(path)


def test_images_are_pinned_by_version_and_name_no_registry():
    """A host would be somebody's own; an image without a version would change by itself."""
    _, *stages = instructions()
    defaults = dict(argument.split("=", 1) for name, argument in instructions()[0] if name == "ARG")
    bases = [argument.split()[0] for stage in stages for name, argument in stage[:1]]
    named = [defaults[base.strip("${}")] for base in bases] + [services()["database"]["image"]]

    assert [] == [image for image in named if not SHORT.fullmatch(image)]


@pytest.mark.parametrize("name", ["Containerfile", "compose.yaml"])
def test_a_digest_is_looked_up_where_it_is_printed(name):
    """`podman pull` prints the image's own number, which no registry takes for a digest."""
    assert "`docker pull " in text_of_everything()[name]
    assert "`podman pull" not in text_of_everything()[name]


def test_the_image_runs_as_nobody_that_has_a_name_and_starts_this_program():
    """Its last stage holds no more than the tree and the user's folder."""
    last = dict(instructions()[-1])

    assert re.fullmatch(r"([1-9]\d{3,}):\1", last["USER"])
    assert '["oplead-sync"]' == last["ENTRYPOINT"]
    assert f"--from=build {TREE} {TREE}" == last["COPY"]
    assert f"{TREE}/bin" in last["ENV"]


# ── compose.yaml ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ours())
def test_each_service_runs_a_command_of_this_program(name):
    """With options that it has."""
    known(ours()[name]["command"])


@pytest.mark.parametrize("name", services())
def test_each_service_is_confined(name):
    """It writes to its volumes and to memory only, and can gain no right."""
    service = services()[name]

    assert service["read_only"]
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert "root" not in str(service.get("user"))


@pytest.mark.parametrize("name", ENDLESS)
def test_each_endless_service_is_restarted_and_looked_after(name):
    """A truthful check says whether it is alive."""
    service = services()[name]

    assert "unless-stopped" == service["restart"]
    assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", services())
def test_memory_is_mounted_with_options_that_docker_and_podman_both_know(name):
    """Podman refuses `uid=` and `gid=`: the service would not start there."""
    options = [option for mount in services()[name]["tmpfs"] for option in mount.partition(":")[2].split(",")]

    assert ["mode=1777"] * len(options) == options


@pytest.mark.parametrize("name", ["database", *ENDLESS])
def test_each_check_survives_the_quotes_that_podman_compose_adds(name):
    """It puts the shell's line, or each word of a command, between single quotes and does not look into it."""
    kind, *words = services()[name]["healthcheck"]["test"]

    assert "'" not in "".join(words)
    assert "CMD-SHELL" == kind or " " not in "".join(words)


def test_a_worker_is_given_longer_to_stop_than_it_gives_its_work():
    """Otherwise what is under way would be killed halfway, for others to take up."""
    assert seconds(services()["worker"]["stop_grace_period"]) > DRAIN
    (worker,) = (unit(path) for path in UNITS if "worker" in path.name)
    assert seconds(worker["Service"]["TimeoutStopSec"]) > DRAIN


def test_a_worker_outlives_a_process_that_the_kernel_ends_for_want_of_memory():
    """By default, systemd would stop the worker, and with it what all others are at."""
    (worker,) = (unit(path) for path in UNITS if "worker" in path.name)
    assert "continue" == worker["Service"]["OOMPolicy"]


def test_what_goes_on_starts_on_tables_that_are_up_to_date():
    """First the server, then the deployment, then workers and receivers."""
    assert {"database": {"condition": "service_healthy"}} == services()["deploy"]["depends_on"]
    for name in ENDLESS:
        assert {"deploy": {"condition": "service_completed_successfully"}} == services()[name]["depends_on"]


def test_the_database_is_reached_by_the_fleet_alone():
    """It has no port, and a network that leads nowhere else."""
    assert ["inner"] == services()["database"]["networks"]
    assert "ports" not in services()["database"]


@pytest.mark.parametrize("name", services())
def test_secrets_are_files(name):
    """An environment is shown by the engine; a file is not."""
    environment = dict(services()[name].get("environment", {}))
    environment.pop("OPLEAD_SYNC_SECRETS_FOLDER", None)  # where they are

    assert all(key.endswith("_FILE") and value.startswith("/run/secrets/") for key, value in environment.items())
    assert {value.rpartition("/")[2] for value in environment.values()} <= set(services()[name]["secrets"])


# ── units ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_each_unit_starts_a_command_of_this_program(path):
    """With options that it has."""
    program, *arguments = unit(path)["Service"]["ExecStart"].split()

    assert program.endswith("/bin/oplead-sync")
    known(arguments)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_wrong_settings_are_not_tried_again_and_again(path):
    """Nothing but a human mends what ends with 2; what ends otherwise, as with a database that is away, may."""
    service = unit(path)["Service"]

    assert str(int(Exit.CONFIGURATION)) in service["RestartPreventExitStatus"].split()
    assert str(int(Exit.HELD)) not in service["RestartPreventExitStatus"].split()
    assert service["Restart"] in ("on-failure", "always")


@pytest.mark.parametrize("page", PAGES)
def test_workers_run_as_a_user_to_whom_keys_can_belong(page):
    """One that exists only while a worker runs could own no file that settings name."""
    (worker,) = (unit(path)["Service"] for path in UNITS if "worker" in path.name)
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")

    assert "DynamicUser" not in worker
    assert re.search(rf"^ *useradd --system .* {worker['User']}$", text, re.MULTILINE)
    assert f"install -D --owner={worker['User']} --mode=0400" in text


@pytest.mark.parametrize("page", [page for page in PAGES if "operations" in page])
def test_the_pages_change_all_that_ties_the_receiver_to_one_companys_checkout(page):
    """A list goes on from the unit's own unless it is emptied first; a folder that is missing keeps a unit down."""
    (receiver,) = (unit(path)["Service"] for path in UNITS if "receiver" in path.name)
    (worker,) = (unit(path)["Service"] for path in UNITS if "worker" in path.name)
    (text,) = re.findall(
        r"```ini\n\[Service\]\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL
    )
    lines = [line.split("=", 1) for line in text.splitlines()]
    changed = dict(lines)
    tied = {key for key, value in receiver.items() if "/srv/oplead-sync" in value}

    assert tied <= set(changed)
    assert "/srv/oplead-sync" not in text
    assert tied - {"WorkingDirectory"} == {key for key, value in lines if not value}
    same = ("User", "WorkingDirectory")
    assert [worker[key] for key in same] == [changed[key] for key in same]
    program, *arguments = changed["ExecStart"].split()
    assert worker["ExecStart"].split()[0] == program
    known(arguments)


def test_the_receiver_holds_no_key_of_oplead_and_writes_to_its_inbox_alone():
    """It faces the internet; whoever takes it over finds the webhooks' secrets and no other."""
    (receiver,) = (unit(path)["Service"] for path in UNITS if "receiver" in path.name)
    others = [unit(path)["Service"] for path in UNITS if "receiver" not in path.name]

    assert receiver["EnvironmentFile"] not in {each["EnvironmentFile"] for each in others}
    assert "/srv/oplead-sync/config/inbox" == receiver["ReadWritePaths"]
    assert "-/srv/oplead-sync/config/.env" == receiver["InaccessiblePaths"]
    assert services()["worker"]["volumes"] != services()["receiver"]["volumes"]
    assert not [each for each in services()["receiver"]["volumes"] if "secrets/accounts" in each or "data:" in each]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_wait_for_the_network_and_for_no_database_of_this_machine(path):
    """It is mostly elsewhere, and `postgresql.service` here would not be it."""
    section = unit(path)["Unit"]

    assert {"network-online.target"} == {section["After"], section["Wants"]}


@pytest.mark.skipif(not ANALYZE, reason="needs systemd")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_understands_each_unit_and_finds_it_confined(path, tmp_path):
    """It ignores what it does not know, so that a typing error would leave a door open."""
    copy = tmp_path / path.name
    copy.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", path.read_text()))

    for check in (["verify"], ["security", "--offline=yes", "--threshold=20"]):
        done = subprocess.run([ANALYZE, *check, copy], check=False, capture_output=True, text=True, timeout=30)
        assert 0 == done.returncode, done.stdout + done.stderr
        assert path.name not in done.stderr, done.stderr


# ── the pages ────────────────────────────────────────────────────────────────────────────────────


def told():
    """Each command that the pages about a fleet tell to type, in either language, but for what stands for a value."""
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES]
    code = [found for page in pages for found in (*re.findall(r"`([^`\n]+)`", page), *page.splitlines())]
    typed = re.compile(r"(?:.* (?:deploy|worker) |.*oplead-sync )?((?:fleet|state|forget|status) [^`]*)")
    return sorted({match[1] for match in map(typed.fullmatch, code) if match})


@pytest.mark.parametrize("line", told())
def test_the_pages_tell_commands_of_this_program(line):
    """With options that it has."""
    known(line.split())


def test_the_pages_tell_of_commands():
    """The pattern above finds them."""
    assert {"fleet deploy", "fleet status --json"} <= set(told())
    assert any(line.startswith("state move --config") for line in told())


@pytest.mark.parametrize("name", [name for name in PAGES if "operations" in name])
def test_the_pages_run_what_asks_oplead_or_a_platform_where_it_reaches_them(name):
    """`deploy` is on the network that leads nowhere."""
    typed = re.findall(
        r"run --rm (\S+) (fleet backfill|fleet accounts|fleet status|check)", (ROOT / "docs" / name).read_text()
    )

    assert ["inner"] == services()["deploy"]["networks"]
    assert "outer" in services()["worker"]["networks"]
    assert ("worker", "fleet backfill") in typed
    assert [] == [each for each in typed if each in {("deploy", "fleet backfill"), ("deploy", "check")}]


# ── no secrets, no hosts ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", text_of_everything())
def test_no_file_names_a_host_or_holds_a_secret(name):
    """They are the same for everybody."""
    text = text_of_everything()[name]

    assert [] == NAMES_A_HOST.findall(text)
    assert [] == [word for word in re.findall(r"://[^\s:/]+:([^@\s]+)@", text) if word != "OWNER_PASSWORD"]
    assert [] == re.findall(r"(?i)(?:password|token|secret|key)[\"']?\s*[:=]\s*[\"']?[a-z0-9]{12,}", text)


# ── the server's first start ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def prepared(tmp_path):
    """A server that `postgres-init.sh` has prepared, under a name of its own; yields that name."""
    postgresql.needed()
    server, name = postgresql.server(), f"shipped_{secrets.token_hex(4)}"
    script, password = tmp_path / "init.sh", tmp_path / "password"
    script.write_text((DEPLOY / "postgres-init.sh").read_text().replace("oplead", name))
    password.write_text(f"{PASSWORD}\n")
    path = {"PATH": f"{postgresql._programs()}:/usr/bin:/bin"}
    place = {"PGHOST": str(server.folder), "OWNER_PASSWORD_FILE": str(password)}
    subprocess.run(["/bin/sh", script], check=True, env=path | place, timeout=30)
    try:
        yield name
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE {name}")


def test_the_owner_is_no_superuser_and_can_deploy(prepared):
    """PostgreSQL would show a superuser every account's rows."""
    server = postgresql.server()
    with server.connect() as connection:
        rights = "rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolpassword"
        *may, stored = connection.execute(
            f"SELECT {rights} FROM pg_authid WHERE rolname = %s",  # noqa: S608 - columns
            [prepared],
        ).fetchone()

    assert [False] * 4 == may
    assert stored.startswith("SCRAM-SHA-256$")
    create_or_upgrade_ledger_tables(server.url(prepared, user=prepared))
    with server.connect(prepared, user=prepared) as connection:
        assert (0,) == connection.execute("SELECT count(*) FROM lead").fetchone()


def test_the_password_is_taken_as_it_stands_in_its_file(prepared):
    """Neither the shell nor SQL understands any of it."""
    server = postgresql.server()
    (server.folder / "data" / "pg_hba.conf").write_text(
        f"local {prepared} {prepared} scram-sha-256\nlocal all all trust\nhost all all samehost trust\n"
    )
    server.execute("SELECT pg_reload_conf()")
    where = {"host": str(server.folder), "dbname": prepared, "user": prepared}
    until = time.monotonic() + 10
    while not refuses(where | {"password": "another"}):
        assert time.monotonic() < until

    psycopg.connect(**where, password=PASSWORD).close()


def refuses(where):
    """Whether the server lets nobody in so."""
    try:
        psycopg.connect(**where).close()
    except psycopg.OperationalError:
        return True
    return False
