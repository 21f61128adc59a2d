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
        is_sandbox: bool = False,
    ) -> None:
        """Open nothing yet.

        Args:
            state: where the account's state lies.
            clock: tells the time.
            cancel_token: called before each request; may raise to prevent it.
            database_at: returns the database at an address, whose server's clock counts.
            is_sandbox: `clock` is a sandbox's, and counts in its place.
        """
        self._clock = clock
        self._cancel_token = cancel_token
        self._is_sandbox = is_sandbox
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
            self._pacers[place] = self._pacer(place)
        return ProjectQuota(project, self._pacers[place], self._clock)

    def close(self) -> None:
        """Close the connection."""
        if self._database is not None:
            self._database.close()

    def _pacer(self, place: "tuple[str, str, ReadOrWrite]") -> "Pacer":
        from connectors.google_ads.quota import PER_DAY, PER_MINUTE  # noqa: PLC0415
        from connectors.rate_limit import Pacer, pace_key  # noqa: PLC0415

        if self._database is None:
            return Pacer(self._clock, PER_MINUTE, cancel_token=self._cancel_token)
        from jobs.wiring.pace import DatabaseRequestHistory  # noqa: PLC0415 - few need its driver

        address, project, direction = place
        key = pace_key(address, f"{project} {direction}")
        shared = DatabaseRequestHistory(self._database, key, is_sandbox=self._is_sandbox)
        return Pacer(self._clock, PER_MINUTE, per_day=PER_DAY, shared=shared, cancel_token=self._cancel_token)
