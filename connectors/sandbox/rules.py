"""What each server holds its callers to, and how that is known."""

from dataclasses import dataclass
from typing import Literal

Evidence = Literal["documented", "observed", "read in the library", "inferred", "assumed"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One strict rule of one server, and the page it rests on."""

    server: str
    rule: str
    """A sentence: what is refused, or promised."""
    evidence: Evidence
    source: str
    """The vendor page's address; `assumed` where there is none."""
