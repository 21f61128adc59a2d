"""The Data Manager API's quota of a Google Cloud project, which everyone with a key of that project uses together.

https://developers.google.com/data-manager/api/devguides/limits
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from connectors.errors import Transient
from connectors.language import _
from connectors.ports import Clock
from connectors.rate_limit import Pacer

PER_MINUTE = 300
PER_DAY = 100_000
LONGEST_WAIT = timedelta(minutes=5)
"""How long a request waits for its turn; then what it was to carry is left for a later run."""


_SPREAD = timedelta(seconds=5)
"""Over how long those that wait for the same turn ask for it again: many at once would only wait for one another."""


class ReadOrWrite(StrEnum):
    """What a request does: each direction has the whole quota."""

    WRITE = "write"
    READ = "read"


class QuotaFullError(Transient):
    """No request may go out now; `retry_after` says for how long."""


@dataclass(frozen=True, slots=True)
class ProjectQuota:
    """What a project may still ask in one direction."""

    project: str
    pacer: Pacer
    clock: Clock
    jitter: Callable[[], float] = random.random
    """Returns a number from 0 to 1 that spreads out those that wait."""

    @contextmanager
    def wait_for_quota(self, *, longest: timedelta = LONGEST_WAIT) -> Iterator[None]:
        """Wait for no longer than this until one more request may go out, and count it for the block.

        Raises:
            QuotaFullError: the minute stays full, or the day's quota is used up.
        """
        until = self.clock.now() + longest
        while (free_at := self.pacer.take_request_slot()) is not None:
            if free_at > until:
                raise QuotaFullError(
                    _(
                        "the quota of requests that the accounts of the Google Cloud project {project} share has no "
                        "room left",
                        project=self.project,
                    ),
                    retry_after=free_at - self.clock.now(),
                )
            self.clock.sleep_until(free_at + self.jitter() * _SPREAD)
        try:
            yield
        finally:
            self.pacer.release_request_slot()


def quota_turn(quota: ProjectQuota | None, *, longest: timedelta = LONGEST_WAIT) -> AbstractContextManager[None]:
    """Take a turn of a quota for the block, as `ProjectQuota.wait_for_quota` does; without one there is no limit."""
    return nullcontext() if quota is None else quota.wait_for_quota(longest=longest)


def project_of(key: Mapping[str, object]) -> str:
    """Return the project of a service account by its key file's fields: the one that Google counts its requests for.

    Google would count them for another that the request names as `x-goog-user-project`; ours name none.
    """
    if isinstance(project := key.get("project_id"), str) and project:
        return project
    # NAME@PROJECT.iam.gserviceaccount.com
    email = str(key["client_email"])
    return email.rpartition("@")[2].removesuffix(".iam.gserviceaccount.com") or email
