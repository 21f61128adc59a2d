"""One walk through the assumptions: the account at hand, what may be asked of the person, and what is left behind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from connectors.evidence import ExchangeRecorder
from connectors.ports import Clock
from jobs.claims import ClaimId
from jobs.evidence.verdicts import ClaimVerdict
from jobs.settings.load import PartialSettings
from jobs.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Something that a walk made and that stays."""

    kind: Literal["lead", "subscription", "document"]
    id: str
    name: str
    """What it is called in Oplead."""


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
    test_dataset: str | None = None
    """A dataset at Meta that was made for tests."""
    left_behind: list[LeftBehind] = field(default_factory=list)
    """What was made so far, in this walk and before; it is saved after each check, and by `save`."""
    verdicts: Mapping[ClaimId, ClaimVerdict] = field(default_factory=dict)
    """What is known so far, in this walk and before."""
    save: Callable[[], None] = lambda: None
    """Writes it down at once: called before a request leaves that makes something."""
