"""The quotas of the Google Cloud projects that an account's keys are of."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import SecretStr

from connectors.http import CancelToken
from connectors.ports import Clock
from jobs.settings.schema import GoogleAdsSettings
from jobs.settings.types import StateDatabaseAddress, StateFile
from jobs.wiring.inbox import shared_database

if TYPE_CHECKING:
    from connectors.google_ads.quota import ProjectQuota, ReadOrWrite
    from connectors.rate_limit import Pacer
    from jobs.ledger.storage.postgresql import SharedDatabase


class GoogleQuotas:
    """Gives one quota for each project and direction, shared through the database of the account's state.

    Beside a state in a file, each process has a quota of its own, and for a minute only: what one company's nights
    would send in a day is far from the limit.
    """

    def __init__(
        self,
        state: StateFile | StateDatabaseAddress | None,
        clock: Clock,
        cancel_token: CancelToken,
        *,
        database_at: "Callable[[SecretStr], SharedDatabase]" = shared_database,
    ) -> None:
        """Open nothing yet; `database_at` returns the database at an address."""
        self._clock = clock
        self._cancel_token = cancel_token
        self._database = database_at(state.url) if isinstance(state, StateDatabaseAddress) else None
        self._pacers: dict[tuple[str, str, ReadOrWrite], Pacer] = {}

    def quota(self, google: GoogleAdsSettings, direction: "ReadOrWrite") -> "ProjectQuota":
        """Return the quota of a destination's project.

        Raises:
            Misconfigured: its key file cannot be used.
        """
        from connectors.google_ads.options import read_key  # noqa: PLC0415
        from connectors.google_ads.quota import ProjectQuota, project_of  # noqa: PLC0415

        address, project = str(google.endpoint), project_of(read_key(google.credentials))
        place = (address, project, direction)
        if place not in self._pacers:
            self._pacers[place] = _pacer(place, self._clock, self._cancel_token, self._database)
        return ProjectQuota(project, self._pacers[place], self._clock)

    def close(self) -> None:
        """Close the connection."""
        if self._database is not None:
            self._database.close()


def _pacer(
    place: "tuple[str, str, ReadOrWrite]", clock: Clock, cancel_token: CancelToken, database: "SharedDatabase | None"
) -> "Pacer":
    from connectors.google_ads.quota import PER_DAY, PER_MINUTE  # noqa: PLC0415
    from connectors.rate_limit import Pacer, pace_key  # noqa: PLC0415

    if database is None:
        return Pacer(clock, PER_MINUTE, cancel_token=cancel_token)
    from jobs.wiring.pace import DatabaseRequestHistory  # noqa: PLC0415 - few need its driver

    address, project, direction = place
    shared = DatabaseRequestHistory(database, pace_key(address, f"{project} {direction}"))
    return Pacer(clock, PER_MINUTE, per_day=PER_DAY, shared=shared, cancel_token=cancel_token)
