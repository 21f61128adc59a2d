"""A batch that is being taken apart: whom the refusals blame, while nothing of it passes."""

from dataclasses import dataclass, field

from connectors.records import Outcome
from jobs.rules.isolate import ALL_ALIKE, NOTHING_PASSES, SAMPLE, sample


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
    alike: int = 0
    """How many refusals in a row had the code of the last."""
    last: Outcome | None = None
    sampled: int | None = None
    """How many refusals there were when single rows were first asked; None before."""

    def refused(self, outcome: Outcome, blamed: list[Suspect]) -> None:
        """One more refusal, and whom it blames."""
        same = self.last is not None and self.last.code == outcome.code
        self.alike, self.last = (self.alike + 1 if same else 1), outcome
        self.suspects += blamed

    def passed(self) -> list[Suspect]:
        """Something was taken: the refusals were about rows. Gives back who is at fault, and begins again."""
        at_fault, self.suspects = self.suspects, []
        self.alike, self.last, self.sampled = 0, None, None
        return at_fault

    def next(self, waiting: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """What to send next: once too much was refused alike, single rows before all else."""
        if self.alike < NOTHING_PASSES or self.sampled is not None or not waiting:
            return waiting
        self.sampled = self.alike
        return sample(waiting)

    @property
    def is_general(self) -> bool:
        """Whether the sample was refused too."""
        return self.sampled is not None and self.alike >= self.sampled + SAMPLE

    @property
    def blames_all(self) -> bool:
        """Whether everything was blamed alike, and too much to be chance."""
        return len(self.suspects) >= ALL_ALIKE and len({suspect.outcome.code for suspect in self.suspects}) == 1
