"""A batch that is being taken apart: whom the refusals blame, while nothing of it passes."""

from dataclasses import dataclass, field

from connectors.records import Outcome
from jobs.rules.isolate import MANY, NOTHING_PASSES, SAMPLE, sample


@dataclass(frozen=True, slots=True)
class Suspect:
    """A delivery that a refused request blames: at fault once something else has passed."""

    delivery: int
    request: int
    outcome: Outcome


@dataclass(slots=True)
class Trial:
    """Refusals one after another, nothing being taken between them.

    Until something passes nobody can tell a few bad rows from settings that make every row bad. So the blamed ones
    wait as they are, pending or in doubt: a run that dies or stops here has rejected nothing.
    """

    suspects: list[Suspect] = field(default_factory=list)
    refusals: int = 0
    """How many there were in a row; of several codes they count alike, for settings can be wrong in several ways."""
    reasons: dict[str, Outcome] = field(default_factory=dict)
    """What was said in them, by its code."""
    sampled: int | None = None
    """How many refusals there were when single rows were first asked; None before."""
    has_passed: bool = False
    """Whether anything of the batch was ever taken."""

    def refused(self, outcome: Outcome, blamed: list[Suspect]) -> None:
        """One more refusal, and whom it blames."""
        self.refusals += 1
        for said in (outcome, *(suspect.outcome for suspect in blamed)):
            self.reasons.setdefault(said.code, said)
        self.suspects += blamed

    def passed(self) -> list[Suspect]:
        """Something was taken: the refusals were about rows. Gives back who is at fault, and begins again."""
        self.has_passed = True
        self.refusals, self.sampled = 0, None
        self.reasons.clear()
        return self.found_guilty()

    def found_guilty(self) -> list[Suspect]:
        """Gives back who is at fault, once."""
        at_fault, self.suspects = self.suspects, []
        return at_fault

    def next(self, waiting: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """What to send next: once too much was refused, single rows before all else."""
        if self.refusals < NOTHING_PASSES or self.sampled is not None or not waiting:
            return waiting
        self.sampled = self.refusals
        return sample(waiting)

    @property
    def is_general(self) -> bool:
        """Whether the sample was refused too."""
        return self.sampled is not None and self.refusals >= self.sampled + SAMPLE

    @property
    def blames_all(self) -> bool:
        """Whether everything was blamed, and too much to be chance."""
        return len(self.suspects) >= MANY and not self.has_passed
