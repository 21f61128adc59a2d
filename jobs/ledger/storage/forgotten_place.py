"""The second place that remembers who was forgotten, and how far a ledger had come, should its backup be restored.

It identifies nobody: of each forgotten lead it has a salted hash and a day. Whoever holds the account writes it, always
the whole file, so that a process that dies leaves the one before or the one after.
"""

import errno
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from connectors.language import _
from connectors.records import LeadId
from jobs.ledger.storage.state import Lock
from jobs.ledger.storage.state_file import LedgerError, replace_durably

_OURS = "oplead-sync-forgotten"
_LONGEST = 100_000_000  # bytes


@dataclass(slots=True)
class ForgottenPlace:
    """What the second place holds for one account."""

    path: Path
    account: str
    salt: str
    epoch: int = 0
    """The ledger's epoch in the last run that wrote here, or 0."""
    last_request_id: int = 0
    days: dict[str, date] = field(default_factory=dict)
    """When each lead was forgotten, by its hash."""
    is_rehearsal: bool = False
    """Whether it belongs to another ledger than the one in use, a copy, so that nothing is written."""
    unmatched: frozenset[str] = frozenset()
    """The hashes that the ledger knows no lead for."""

    @property
    def identity(self) -> str:
        """What tells this place from one that was begun anew; public."""
        return self._digest("")[:16]

    def remember(self, leads: Collection[LeadId], on: date) -> None:
        """Remember durably that these leads were forgotten; the first date stays."""
        self._remember({self._digest(lead): on for lead in leads})

    def _remember(self, days: Mapping[str, date]) -> None:
        if days.keys() - self.days:
            self.days = {**days, **self.days}
            self._write()

    def days_of(self, leads: Iterable[LeadId]) -> dict[LeadId, date]:
        """Return which of these leads were forgotten that the ledger does not know as such, and when."""
        if not self.unmatched:
            return {}
        digests = ((lead, self._digest(lead)) for lead in leads)
        return {lead: self.days[digest] for lead, digest in digests if digest in self.unmatched}

    def mark_contact(self, address: str) -> bytes:
        """Return what knows an e-mail address or a number again; without the salt, it says nothing of it.

        Its first bytes say under which salt, and of which of the two it was made: see `jobs.rules.twins.COMPARED`.
        """
        kind = b"@" if "@" in address else b"+"
        keyed = hmac.digest(self.salt.encode(), f"{self.account}\0{address}".encode(), "sha256")
        return bytes.fromhex(self.identity)[:4] + kind + keyed[:16]

    def match(self, known: Mapping[LeadId, date]) -> None:
        """Learn which leads the ledger knows as forgotten; what is lacking here is remembered."""
        days = {self._digest(lead): day for lead, day in known.items()}
        self._remember(days)
        self.unmatched = frozenset(self.days.keys() - days.keys())

    def record_ledger_progress(self, epoch: int, request: int) -> None:
        """Record the ledger's progress durably."""
        self.epoch, self.last_request_id = epoch, request
        self._write()

    def _digest(self, lead: str) -> str:
        return hashlib.sha256(f"{self.salt}\0{self.account}\0{lead}".encode()).hexdigest()

    def _write(self) -> None:
        if self.is_rehearsal:
            return
        days = {digest: day.isoformat() for digest, day in self.days.items()}
        document = {
            "program": _OURS,
            "salt": self.salt,
            "identity": self.identity,
            "epoch": self.epoch,
            "request": self.last_request_id,
            "forgotten": days,
        }
        draft = self.path.with_name(f".{self.path.name}.draft")
        with _explaining_errors(self.path):
            replace_durably(self.path, draft, json.dumps(document))


def read_forgotten_place(path: Path, account: str, *, is_rehearsal: bool = False) -> ForgottenPlace:
    """Return what is at the second place; if there is no file yet, or an empty one, a new one that is not written yet.

    Raises:
        LedgerError: its folder is missing, it cannot be read, or it is another account's or no such file.
    """
    with _explaining_errors(path):
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        try:
            # Whoever could write through a link would choose what is erased.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8") as file:
                text = file.read(_LONGEST)
        except FileNotFoundError:
            text = ""
    if not text:
        return ForgottenPlace(path, account, secrets.token_hex(32), is_rehearsal=is_rehearsal)
    try:
        found = json.loads(text)
        place = ForgottenPlace(
            path,
            account,
            str(found["salt"]),
            int(found["epoch"]),
            int(found["request"]),
            {str(digest): date.fromisoformat(day) for digest, day in found["forgotten"].items()},
            is_rehearsal,
        )
        is_this = found["program"] == _OURS and found["identity"] == place.identity
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        is_this = False
    if not is_this:
        raise LedgerError(
            _(
                "forgotten: {path} is damaged, another account's, or no such file of oplead-sync, and was left as it "
                "is: restore it, or name another file",
                path=path,
            )
        )
    return place


@contextmanager
def _explaining_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise LedgerError(
            _(
                "forgotten: {path} cannot be used: {problem}. It tells who must not come back with a restored backup: "
                "mount it, or give this user write access to its folder; nothing goes on without it",
                path=path,
                problem=problem,
            )
        ) from None


def refuse_other_place(place: ForgottenPlace, known: str | None) -> None:
    """Refuse a place that is not the one which the ledger last wrote to: whom that knows would come back."""
    if known not in (None, place.identity):
        raise LedgerError(
            _(
                "forgotten: {path} is not the file that this account last wrote: it is missing, empty or another. "
                "Bring that one back (mount its volume, or restore it). Only if it is lost for good, "
                "`oplead-sync state restored` goes on with a new one, which learns whom the state knows as forgotten",
                path=place.path,
            )
        )


@dataclass(frozen=True, slots=True)
class LockWithPlace:
    """An account's held lock, and the second place, which remembers how far the ledger had come as well."""

    lock: Lock
    place: ForgottenPlace

    @property
    def name(self) -> str:
        """The lock's name."""
        return self.lock.name

    @property
    def epoch(self) -> int:
        """The latest epoch that either knows."""
        return max(self.lock.epoch, self.place.epoch)

    @property
    def last_request_id(self) -> int:
        """The last request that either knows; a later epoch counts its requests anew after a restore."""
        both = ((self.lock.epoch, self.lock.last_request_id), (self.place.epoch, self.place.last_request_id))
        return max(both)[1]

    def record_ledger_progress(self, epoch: int, request: int) -> None:
        """Record the ledger's progress durably in both."""
        self.place.record_ledger_progress(epoch, request)
        self.lock.record_ledger_progress(epoch, request)
