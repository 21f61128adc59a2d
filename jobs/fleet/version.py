"""Whether a database has the tables of this version; not in `deploy`, whose users need not all load SQLAlchemy."""

from jobs.fleet.database import Connection, OtherVersionError
from jobs.fleet.deploy import require_deployed
from jobs.ledger.storage.postgresql import parsed_address, refuse_other_schema
from jobs.ledger.storage.state_file import OtherSchemaError

_LEDGERS_SCHEMA = "SELECT version_num FROM public.alembic_version"


def require_own_version(connection: Connection, url: str) -> None:
    """Return if all tables are those of this version, the fleet's and those of the accounts' ledgers.

    Raises:
        OtherVersionError: some are older or newer.
        FleetDatabaseError: tables are missing.
    """
    require_deployed(connection)
    try:
        found = [row["version_num"] for row in connection.execute(_LEDGERS_SCHEMA)]
        refuse_other_schema(found, parsed_address(url))
    except OtherSchemaError as error:
        raise OtherVersionError(str(error)) from None
