"""Failures end in a sentence without personal data, and logs never show secrets."""

import dataclasses
import json
import logging
import signal
import threading

import pytest
import structlog
import typer

from connectors.errors import Misconfigured
from connectors.language import Language, using_language
from connectors.records import ContactIdentifierKind, Identifier
from jobs.account.failures import failure_from_error, worst_exit_code
from jobs.cancellation import StoppedBySignal
from jobs.cli.fleet.commands import app as fleet_app
from jobs.cli.output import start_logging
from jobs.exit_codes import Exit
from jobs.ledger.runs import LeaseLostError
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.ledger.storage.state_file import LedgerError
from jobs.logs import Log, start_logging_lazily
from jobs.plan.new_settings import RenamedIdError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LeaseHeldError("held"), Exit.HELD),
        (LeaseLostError("lost"), Exit.HELD),
        (LedgerError("damaged"), Exit.CONFIGURATION),
        (RenamedIdError("renamed?"), Exit.CONFIGURATION),
        (Misconfigured("no such clock"), Exit.CONFIGURATION),
        (PermissionError(13, "Permission denied", "/some/folder"), Exit.CONFIGURATION),
        (StoppedBySignal(signal.SIGTERM), 143),
        (StoppedBySignal(signal.SIGINT), 130),
        (KeyError("jeanne@maison.example"), Exit.BUG),
    ],
)
def test_each_failure_has_its_exit_code(error, code):
    """A scheduler can decide what to do from the code alone."""
    assert code == failure_from_error(error).exit_code


def test_an_unexpected_error_shows_its_place_and_no_data():
    """Its message and that of its cause are hidden: both may hold personal data."""

    def fail():
        try:
            {}["jeanne@maison.example"]
        except KeyError as error:
            raise ValueError("+33199001234") from error

    with pytest.raises(ValueError, match="33199") as caught:
        fail()
    failure = failure_from_error(caught.value)
    said = "\n".join([failure.message, *failure.trace])

    assert "ValueError" in said
    assert "in fail" in said
    assert "jeanne" not in said
    assert "199001234" not in said


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 1], 1), ([1, 75], 75), ([75, 3], 3), ([2, 3, 1], 3), ([2, 75], 2), ([2, 70], 70), ([0, 0], 0)],
)
def test_the_worst_exit_code_of_several_accounts_wins(codes, code):
    """The order is a bug, 3, 2, 75, 1, then 0."""
    assert code == worst_exit_code(codes)


@pytest.fixture
def _own_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.usefixtures("_own_logging")
def test_secrets_never_reach_a_log_line(capsys):
    """Known secrets are blanked in the program's own events and in those of libraries, wherever they stand."""
    start_logging(as_json=True).register_secrets(["s3cr3t-token"])
    log = structlog.stdlib.get_logger("jobs.cli.night.run")
    log.info("asked s3cr3t-token", address="http://x/?key=s3cr3t-token", all=["s3cr3t-token"])
    logging.getLogger("some.library").warning("refused %s", "s3cr3t-token")
    said = capsys.readouterr().err

    assert "s3cr3t" not in said
    assert 2 == len([json.loads(line) for line in said.splitlines()])


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize(
    ("logger", "said"),
    [
        (Log("jobs.some.part"), "refused [secret]"),
        (logging.getLogger("some.library"), "some.library reported"),
    ],
)
def test_logging_starts_with_the_first_message(capsys, logger, said):
    """Whoever writes it, it is written once, and without what is hidden."""
    start_logging_lazily(lambda: start_logging(as_json=False).register_secrets(["s3cr3t-token"]))
    logger.warning("refused s3cr3t-token")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)
    assert "s3cr3t" not in line


@pytest.mark.usefixtures("_own_logging")
def test_logging_starts_once_for_messages_of_several_threads(capsys):
    """A message written while logging starts waits until it has, and what is to be hidden is known by then."""
    starts, threads = [], []

    def start():
        starts.append(threading.current_thread())
        if len(starts) == 1:
            threads.append(threading.Thread(target=Log("jobs.account").warning, args=("refused s3cr3t-token",)))
            threads[0].start()
            threads[0].join(timeout=0.2)
        start_logging(as_json=False).register_secrets(["s3cr3t-token"])

    start_logging_lazily(start)
    Log("jobs.other").warning("also s3cr3t-token")
    threads[0].join(timeout=10)

    assert [threading.current_thread()] == starts
    assert ["also [secret]", "refused [secret]"] == sorted(capsys.readouterr().err.splitlines())


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize("as_json", [True, False])
def test_hashes_of_contact_data_never_reach_a_log_line(capsys, as_json):
    """However they come: bare, in a conversion's record, in a list, as a message's argument, in an error's text."""
    jeanne = Identifier.hash_normalized_value(ContactIdentifierKind.EMAIL, "jeanne@maison.example")
    holder = dataclasses.make_dataclass("Holder", ["identifiers"])((jeanne,))
    start_logging(as_json=as_json)
    log = Log("jobs.some.part")
    log.warning(f"refused {jeanne} {holder} {jeanne!r:>40} {[jeanne]}")  # noqa: G004 - as someone might
    log.warning("refused", who=jeanne, several=(jeanne,), known={"who": [jeanne]}, holder=holder)
    logging.getLogger("jobs.some.part").warning("refused %s %r %s", jeanne, holder, (jeanne, 1))
    said = capsys.readouterr().err

    assert jeanne.sha256[:8] not in said
    assert 3 == len(said.splitlines())
    assert "ContactIdentifierKind.EMAIL" in said


@pytest.mark.usefixtures("_own_logging")
def test_library_log_lines_with_addresses_are_dropped(capsys):
    """The HTTP library logs whole addresses at INFO, and they may hold personal data."""
    start_logging(as_json=True)
    logging.getLogger("httpx").info("GET http://127.0.0.1/v1/leads?email=jeanne@maison.example")
    logging.getLogger("urllib3.connectionpool").debug("http://127.0.0.1/?token=x")

    assert "" == capsys.readouterr().err


@pytest.mark.usefixtures("_own_logging")
def test_a_logged_exception_shows_its_type_and_no_data(capsys):
    """A library's `log.exception` must not print what the exception holds."""
    start_logging(as_json=True)
    try:
        int("jeanne@maison.example")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    said = capsys.readouterr().err

    assert "ValueError" in said
    assert "jeanne" not in said


@pytest.mark.usefixtures("_own_logging")
def test_a_failure_is_logged_as_plain_text_at_a_terminal(capsys):
    """The sentence comes first, and its trace below."""
    start_logging(as_json=False)
    structlog.stdlib.get_logger("jobs.cli.night.run").error(
        "the state is damaged", trace=["jobs/pull/sync.py:3 in pull"], exit_code=70
    )

    assert "the state is damaged\n  jobs/pull/sync.py:3 in pull\n" == capsys.readouterr().err


@pytest.mark.usefixtures("_own_logging")
def test_what_an_account_is_told_at_a_terminal_has_its_name_as_the_language_writes_it(capsys):
    """French has a space before a colon."""
    start_logging(as_json=False)
    with using_language(Language.FRENCH):
        structlog.stdlib.get_logger("jobs.cli.night.run").warning("registre absent", account="ma-maison")

    assert "ma-maison\xa0: registre absent\n" == capsys.readouterr().err


def test_every_command_of_a_fleet_says_what_it_ends_with_when_the_database_is_away():
    """`backfill` in the words of all commands that act for an account."""
    group = typer.main.get_command(fleet_app)
    accounts = group.commands["accounts"].commands

    for each in (*group.commands.values(), *accounts.values()):
        if each.name != "accounts":
            assert "; 75 " in each.epilog, each.name
            assert "Exit codes: 0 " in each.epilog, each.name
