"""How one account is spoken of in what people read."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Account:
    """How one account wants its results told."""

    name: str
    zone: ZoneInfo
    currency: str
    conversions: Mapping[str, str]
    """What marketing calls each conversion, by its id."""

    def conversion(self, conversion: str) -> str:
        """A conversion's name; its id where the settings have none, or no longer have it.

        A funnel's stage (`funnel:sale`) is told as Meta has it: sale (funnel).
        """
        kind, of_a_kind, name = conversion.partition(":")
        return f"{name} ({kind})" if of_a_kind else self.conversions.get(conversion, conversion)
