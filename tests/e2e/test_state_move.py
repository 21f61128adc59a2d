"""`state move` carries a company's state to a database, where its nights go on."""

import pytest

from jobs.ledger.storage.state_file import LedgerFileKind, state_file_kind
from tests import postgresql
from tests.e2e.support.typed import type_in

TO = "${OPLEAD_SYNC_DATABASE}"


@pytest.fixture
def database(company):
    """A database that is deployed, and whose address the company's environment holds."""
    postgresql.needed()
    name = postgresql.server().create()
    company.environ["OPLEAD_SYNC_DATABASE"] = postgresql.server().url(name)
    yield name
    postgresql.server().drop(name)


@pytest.fixture
def settled(company, database):  # noqa: ARG001 - its address stands in the environment
    """A company after a night."""
    company.serve(company.lead(1, ("Gagné", company.CREATED)))
    company.night()
    company.later()
    return company


def move(company, to=TO):
    """Type the command."""
    return type_in(company, "state", "move", "--to", to)


def test_nights_go_on_from_the_database(settled):
    """Nothing is sent again, and the file is closed."""
    sent = len(settled.posts)
    done = move(settled)

    assert 0 == done.code
    assert "rows were moved and compared. Write `state: ${OPLEAD_SYNC_DATABASE}` in" in done.lines
    refused = type_in(settled, "run")
    assert 2 == refused.code
    assert "this state was moved to postgresql:///" in refused.err
    assert postgresql.PASSWORD not in refused.err
    moved = settled.config.with_name("moved.yaml")
    moved.write_text(settled.config.read_text().replace(f"sqlite:///{settled.state}", TO))
    assert 0 == type_in(settled, "run", file=moved).code
    assert sent == len(settled.posts)


def test_repeated_it_changes_nothing(settled):
    """And says so."""
    move(settled)
    done = move(settled)

    assert 0 == done.code
    assert "This state was moved before; nothing was changed." in done.lines


def test_an_address_with_a_password_is_not_to_be_typed(settled):
    """A shell keeps what is typed; the message speaks of no file and shows nothing."""
    done = move(settled, settled.environ["OPLEAD_SYNC_DATABASE"])

    assert 2 == done.code
    assert "--to: a password must not be written out here: write ${VARIABLE}" in done.err
    assert postgresql.PASSWORD not in done.err
    assert LedgerFileKind.LEDGER is state_file_kind(settled.state)


@pytest.mark.parametrize(
    ("vault", "code", "said"),
    [
        pytest.param("false", 75, "the command ended with 1", id="away"),
        pytest.param("/no/such/vault", 2, "the command cannot be run", id="not there"),
    ],
)
def test_a_vault_that_is_away_may_be_asked_again(settled, vault, code, said):
    """As where settings name the address: what passes by itself is told from what somebody must mend."""
    del settled.environ["OPLEAD_SYNC_DATABASE"]
    settled.environ["OPLEAD_SYNC_SECRETS_COMMAND"] = vault
    done = move(settled)

    assert code == done.code
    assert said in done.err
    assert LedgerFileKind.LEDGER is state_file_kind(settled.state)


def test_a_file_is_no_place_to_move_to(settled):
    """It is a database's ledger that is whole or not there."""
    done = move(settled, "sqlite:///other.db")

    assert 2 == done.code
    assert "--to: this names a file; a state is moved to a database" in done.err
    assert LedgerFileKind.LEDGER is state_file_kind(settled.state)


def test_a_database_that_is_not_deployed_leaves_the_file_in_use(settled):
    """What is missing there is found before the file is closed."""
    with postgresql.server().database() as url:
        settled.environ["OPLEAD_SYNC_DATABASE"] = url
        done = move(settled)

    assert 2 == done.code
    assert "run `oplead-sync fleet deploy` first" in done.err
    assert LedgerFileKind.LEDGER is state_file_kind(settled.state)
