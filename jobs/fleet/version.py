"""Whether a database has the tables of this version; not in `deploy`, whose users need not all load SQLAlchemy."""

from jobs.fleet.database import FleetAwayError, FleetDatabase, FleetDatabaseError, OtherVersionError
from jobs.fleet.deploy import require_deployed
from jobs.ledger.storage.postgresql import require_own_schema
from jobs.ledger.storage.state_file import LedgerError, OtherSchemaError, StateAwayError


def require_own_version(database: FleetDatabase) -> None:
    """Return if all tables are those of this version, the fleet's and those of the accounts' ledgers.

    Raises:
        OtherVersionError: some are older or newer.
        FleetAwayError: the database is away.
        FleetDatabaseError: tables are missing, or the database cannot be used.
    """
    with database.connect() as connection:
        require_deployed(connection)
    try:
        require_own_schema(database.url)
    except OtherSchemaError as error:
        raise OtherVersionError(str(error)) from None
    except StateAwayError as error:
        raise FleetAwayError(str(error)) from None
    except LedgerError as error:
        raise FleetDatabaseError(str(error)) from None
