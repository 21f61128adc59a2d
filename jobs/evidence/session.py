"""One walk through the assumptions: the account at hand, what may be asked of the person, and what is known so far."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors.evidence import ExchangeRecorder, OpleadLook
from connectors.ports import Clock
from jobs.evidence.folder import Evidence
from jobs.settings.load import PartialSettings
from jobs.settings.schema import Settings


@dataclass(eq=False, kw_only=True)
class Session:
    """What the checks share."""

    known: PartialSettings
    """How the account's Oplead is read and written."""
    settings: Settings | None
    """All of the account's settings; None if the file has none for the platforms yet."""
    clock: Clock
    recorder: ExchangeRecorder
    """Hears every exchange with Oplead; a check that talks to another platform tells it of its own."""
    agrees: Callable[[str], bool]
    """Asks the person whether something may be written, in the language of the walk; nobody there means no."""
    evidence: Evidence
    """What is known and was made so far, in this walk and before."""
    save: Callable[[], None]
    """Writes the evidence down at once: called before a request leaves that makes something."""
    look: OpleadLook | None = None
    """What reading Oplead has shown; None if it could not be read."""
    test_dataset: str | None = None
    """A dataset at Meta that was made for tests."""
