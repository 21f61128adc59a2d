"""The assumptions about the live platforms: what each says, what rests on it, and what would settle it."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, NewType

from connectors.language import Language, current_language

ClaimId = NewType("ClaimId", str)


class ClaimPlatform(StrEnum):
    """Whose behaviour is assumed."""

    OPLEAD = "oplead"
    GOOGLE = "google"
    META = "meta"


class SettledHow(StrEnum):
    """What it takes to settle a claim."""

    READ = "read"
    """Looking."""
    WRITE = "write"
    """Something written, after a yes."""
    NIGHTS = "nights"
    """Time."""
    WORD = "word"
    """The vendor's word."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One assumption."""

    id: ClaimId
    platform: ClaimPlatform
    how: SettledHow
    claim: str
    claim_fr: str
    settled_by: str
    settled_by_fr: str
    rests_on: tuple[str, ...]
    """The files of code that would be wrong without it."""
    confirmed: date | None = None
    """The day of the evidence that confirmed it."""

    @property
    def words(self) -> tuple[str, str]:
        """What is assumed, and what settles it, in the current language."""
        if current_language() is Language.FRENCH:
            return self.claim_fr, self.settled_by_fr
        return self.claim, self.settled_by


_KEYS = {field.name for field in fields(Claim)}


def parse_claims(written: Mapping[str, Any]) -> Mapping[ClaimId, Claim]:
    """Return the claims of a parsed file by id, in its order; raise ValueError if one is doubled or ill-written."""
    if written.keys() != {"claim"}:
        raise ValueError(f"unknown sections: {sorted(written.keys() ^ {'claim'})}")
    parsed = [_parse_claim(one) for one in written["claim"]]
    claims = {one.id: one for one in parsed}
    if len(claims) < len(parsed):
        raise ValueError("two claims have one id")
    return claims


def _parse_claim(written: Mapping[str, Any]) -> Claim:
    if unknown := written.keys() - _KEYS:
        raise ValueError(f"unknown keys: {sorted(unknown)}")
    missing = _KEYS - written.keys() - {"confirmed"}
    if missing:
        raise ValueError(f"missing keys: {sorted(missing)}")
    platform = ClaimPlatform(written["platform"])
    if not written["id"].startswith(f"{platform}."):
        raise ValueError(f"{written['id']} is not of {platform}")
    rests_on = tuple(written["rests_on"])
    return Claim(**{**written, "platform": platform, "how": SettledHow(written["how"]), "rests_on": rests_on})


@cache
def all_claims() -> Mapping[ClaimId, Claim]:
    """Return every assumption about the live platforms, by id."""
    return parse_claims(tomllib.loads(resources.files("jobs").joinpath("claims.toml").read_text("utf-8")))


def count_confirmed(claims: Iterable[Claim]) -> tuple[int, date | None]:
    """Return how many are confirmed, and the day of the latest."""
    days = [one.confirmed for one in claims if one.confirmed]
    return len(days), max(days, default=None)
