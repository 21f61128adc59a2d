"""What the latest leads say of the settings: which statuses each stage meets, and which consent answers no list has."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.records import Lead, LeadId
from jobs.routes import IGNORED
from jobs.rulebook import Rulebook
from jobs.rules.facts import Answer
from jobs.rules.intake import ConsentField, answer
from jobs.rules.labels import normalise_label
from jobs.rules.shape import shape
from jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class LabelSeen:
    """A status label of the settings or of the leads, and how many leads have it."""

    stage: str | None
    """The stage that names it, `IGNORED` where it means nothing; None where the settings do not name it."""
    label: str
    """As Oplead writes it, or the settings where no lead has it."""
    now: int = 0
    """Leads that are in it."""
    ever: int = 0
    """Leads that are or were in it."""
    example: LeadId | None = None
    """The latest lead that is in it, else one that was."""


@dataclass(frozen=True, slots=True)
class AnswersSeen:
    """What leads answer at one consent field."""

    path: str
    answered: int
    """Leads with any answer there."""
    unlisted: Mapping[str, int] = field(default_factory=dict)
    """How many have an answer that is neither granted nor refused, by its shape: the answer itself may be anything."""

    @property
    def unlisted_count(self) -> int:
        """How many those are."""
        return sum(self.unlisted.values())


def labels_seen(settings: Settings, leads: Sequence[Lead]) -> tuple[LabelSeen, ...]:
    """Every label of the settings in their order, then those that only leads have, most frequent first.

    Args:
        settings: the account's.
        leads: the latest first.
    """
    now: dict[str, list[Lead]] = {}
    ever: dict[str, list[Lead]] = {}
    spelled: dict[str, str] = {}
    for lead in leads:
        for label in _labels_of(lead):
            spelled.setdefault(normalise_label(label), label)
            ever.setdefault(normalise_label(label), []).append(lead)
        if lead.label:
            now.setdefault(normalise_label(lead.label), []).append(lead)

    def seen(stage: str | None, label: str) -> LabelSeen:
        normal = normalise_label(label)
        are, were = now.get(normal, []), ever.get(normal, [])
        example = next((lead.id for lead in (*are, *were)), None)
        return LabelSeen(stage, spelled.get(normal, label), len(are), len(were), example)

    named = [seen(stage, label) for stage, labels in settings.stages.items() for label in labels]
    named += [seen(IGNORED, label) for label in settings.ignored_statuses]
    known = {normalise_label(one.label) for one in named}
    others = [seen(None, label) for normal, label in spelled.items() if normal not in known]
    return (*named, *sorted(others, key=lambda one: -one.ever))


def answers_seen(book: Rulebook, leads: Sequence[Lead]) -> tuple[AnswersSeen, ...]:
    """What the leads answer at each consent field."""
    wanted = book.extraction
    return tuple(_answers(one, leads) for one in (wanted.ad_user_data, wanted.ad_personalization) if one)


def _answers(asked: ConsentField, leads: Iterable[Lead]) -> AnswersSeen:
    found = [(answer(asked, lead), str(lead.fields.get(asked.path, ""))) for lead in leads]
    unlisted = Counter(shape(raw) for said, raw in found if said is Answer.UNKNOWN)
    return AnswersSeen(asked.path, sum(said is not Answer.MISSING for said, _ in found), dict(unlisted.most_common()))


def _labels_of(lead: Lead) -> Iterator[str]:
    """The labels a lead has or had, each once."""
    found = [lead.label, *(entry.label for entry in lead.history)]
    yield from {normalise_label(label): label for label in found if label and normalise_label(label)}.values()
