"""The folder of a walk: verdicts, redacted exchanges and how the account answers; readable, and scanned before use."""

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from connectors.evidence import Dialect, Exchange
from connectors.language import Language, _
from jobs.claims import ClaimId, all_claims
from jobs.evidence.verdicts import ClaimVerdict, Verdict
from jobs.exit_codes import UsageError
from jobs.ledger.storage.state_file import hold_folder, replace_durably
from jobs.privacy.leaks import Planted

FORMAT = 1
EVIDENCE_FILE, EXCHANGES = "evidence.json", "exchanges"
_TELLING_DIGITS = 9
"""The last digits of a telephone number that stay the same however it is written."""
_SHORTEST_TEXT = 4
_INDENT = 1
_MARK = 2
"""Hexadecimal digits: of 256 accounts one has the same, so that nobody can tell by it whose the folder is."""
_FRESH = ".new"
_WORDS = (
    "null true false boolean integer decimal empty text number uuid date epoch deeper lead leads list detail status "
    "values form label code object granted refused platform method path query headers asked answered oplead "
    "other pairs settings fields consent amounts refusals"
)
_OURS = frozenset(_WORDS.split())
"""Words of our own, which a lead may hold by accident: they tell nothing of it."""


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Something that a walk made and that stays."""

    kind: Literal["lead", "subscription", "document"]
    id: str
    """Oplead's; empty as long as it is not known."""
    name: str
    """What it is called in Oplead."""


@dataclass(slots=True)
class Evidence:
    """Everything that the folder keeps beside the exchanges."""

    day: date
    program: str
    mark: str
    """Tells most other accounts from the one that was asked, and is too short to tell which one it is."""
    verdicts: dict[ClaimId, ClaimVerdict] = field(default_factory=dict)
    left_behind: list[LeftBehind] = field(default_factory=list)
    dialect: Mapping[str, Any] | None = None


@dataclass(eq=False)
class EvidenceFolder:
    """One folder on disk; every file is whole or absent."""

    path: Path
    personal: frozenset[str] = field(default=frozenset(), repr=False)
    """What no file may hold: contact data that was read, and keys. Never changed: what is searched for is kept."""
    withheld: int = 0
    """How many exchanges were left out because they held some of it."""
    _searched: str = field(default="", init=False, repr=False)
    """How the account answers, as it was searched last: it stays the same from verdict to verdict."""

    @contextmanager
    def open(self, today: date, program: str, mark: str) -> Iterator[Evidence]:
        """Yield what an earlier walk has left here, or nothing yet; every other walk is kept out meanwhile.

        Raises:
            UsageError: another walk holds it, it is no folder, or it holds something else, another account's evidence,
                or some that cannot be read.
        """
        with ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(hold_folder(self.path.resolve(), fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                raise UsageError(
                    _("{folder} is in use by another `evidence`: wait for its end", folder=self.path)
                ) from None
            except OSError as error:
                raise _unwritable(self.path, error) from None
            file = self.path / EVIDENCE_FILE
            evidence = Evidence(today, program, mark)
            if file.exists():
                try:
                    evidence = _parsed(json.loads(file.read_text(encoding="utf-8")), today, program)
                except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                    raise UsageError(
                        _("{file} cannot be read ({name}): name a new folder", file=file, name=type(error).__name__)
                    ) from None
            elif any(map(_is_not_ours, self.path.iterdir())):
                raise UsageError(
                    _("{folder} holds something else: name a new folder, or one of an earlier walk", folder=self.path)
                )
            if evidence.mark != mark:
                raise UsageError(
                    _("{folder} is of another account or another Oplead: name a new folder", folder=self.path)
                )
            yield evidence

    def save(self, evidence: Evidence, summaries: Mapping[str, str]) -> None:
        """Write the verdicts, and the summaries by file name.

        Raises:
            UsageError: a file would hold personal data or a key; nothing is written.
        """
        known = all_claims()
        content = {
            "version": FORMAT,
            "program": evidence.program,
            "day": evidence.day.isoformat(),
            "mark": evidence.mark,
            "verdicts": [_verdict_json(evidence.verdicts[one]) for one in known if one in evidence.verdicts],
            "left_behind": [asdict(one) for one in evidence.left_behind],
            "dialect": evidence.dialect,
        }
        # All else is in words of ours.
        dialect = _json(content["dialect"])
        if dialect != self._searched:
            if self._holds_personal_data(dialect):
                raise UsageError(
                    _("{name} would hold personal data, and is not written: please report this", name=EVIDENCE_FILE)
                )
            self._searched = dialect
        for name, text in {EVIDENCE_FILE: _json(content), **summaries}.items():
            self._write(name, text)

    def add(self, exchanges: Iterable[Exchange]) -> tuple[int, ...]:
        """Write exchanges that are not there yet; return their numbers, leaving out those that hold personal data."""
        numbers = []
        for exchange in exchanges:
            text = _json(asdict(exchange))
            if text not in self._known:
                if self._holds_personal_data(text):
                    self.withheld += 1
                    continue
                self._known[text] = len(self._known) + 1
                self._write(f"{EXCHANGES}/{self._known[text]:03}.json", text)
            numbers.append(self._known[text])
        return tuple(dict.fromkeys(numbers))

    @cached_property
    def _known(self) -> dict[str, int]:
        """The numbers of the exchanges on disk, by their text."""
        files = sorted((self.path / EXCHANGES).glob("[0-9]*.json"))
        return {file.read_text(encoding="utf-8"): int(file.stem) for file in files}

    @cached_property
    def _planted(self) -> Planted:
        digits = {text: "".join(filter(str.isdecimal, text))[-_TELLING_DIGITS:] for text in self.personal}
        numbers = {text: one for text, one in digits.items() if len(one) == _TELLING_DIGITS}
        numbers = {text: one for text, one in numbers.items() if len(set(one)) > 1}  # our dates are of zeros
        rest = [
            text
            for text in self.personal
            if text not in digits or len(digits[text]) < _TELLING_DIGITS
            if len(text.strip()) >= _SHORTEST_TEXT and text.strip().lower() not in _OURS
        ]
        # A single word may be part of one of ours: a Mme Court, and "courtier".
        codes = {text: text.strip().lower() for text in rest if text.strip().isalpha()}
        return Planted(words={text: text for text in rest if text not in codes}, numbers=numbers, codes=codes)

    def _holds_personal_data(self, text: str) -> bool:
        return bool(self._planted.found_in(text.encode()))

    def _write(self, name: str, text: str) -> None:
        file = self.path / name
        try:
            replace_durably(file, file.with_name(f".{file.name}{_FRESH}"), text)
        except OSError as error:
            raise _unwritable(file, error) from None


def mark_of(account: str, host: str) -> str:
    """Return the mark of an account at a host."""
    return sha256(f"{account}\0{host}".encode()).hexdigest()[:_MARK]


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(_("{file} cannot be written ({strerror})", file=path, strerror=error.strerror))


def _is_not_ours(file: Path) -> bool:
    """Whether a file is none that a walk was killed in the middle of writing."""
    return not (file.name.startswith(".") and file.name.endswith(_FRESH))


def dialect_json(dialect: Dialect) -> Mapping[str, Any]:
    """Return how an account answers, as the folder keeps it."""
    return json.loads(json.dumps(asdict(dialect)))  # type: ignore[no-any-return]  # an object


def _verdict_json(one: ClaimVerdict) -> Mapping[str, object]:
    return {
        "claim": one.claim,
        "verdict": one.verdict,
        "why": dict(one.why),
        "day": one.day.isoformat(),
        "exchanges": list(one.exchanges),
    }


def _parsed(content: Mapping[str, Any], today: date, program: str) -> Evidence:
    if content["version"] != FORMAT:
        raise ValueError("written by another version")
    verdicts = [
        ClaimVerdict(
            ClaimId(one["claim"]),
            Verdict(one["verdict"]),
            {Language(name): text for name, text in one["why"].items()},
            date.fromisoformat(one["day"]),
            tuple(one["exchanges"]),
        )
        for one in content["verdicts"]
    ]
    return Evidence(
        today,
        program,
        content["mark"],
        {one.claim: one for one in verdicts},
        [LeftBehind(**one) for one in content.get("left_behind", [])],
        content["dialect"],
    )


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=_INDENT) + "\n"
