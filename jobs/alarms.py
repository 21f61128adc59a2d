"""What a human is told of once: leads and statuses nobody could make sense of, and statuses that were renamed."""

from dataclasses import dataclass, field

from sqlmodel import Session

from jobs.ledger import labels, leads
from jobs.ledger.ledger import Ledger
from jobs.rulebook import Rulebook
from jobs.rules.relabel import Relabel

Labels = list[tuple[str, int, int]]
"""Labels, how many leads have each, and how many of those a click id."""


@dataclass(slots=True)
class Told:
    """What is told tonight, and what was told before and still stands."""

    renames: list[str] = field(default_factory=list)
    """Statuses found tonight to have another name now, a sentence each."""
    unreadable: int = 0
    """Leads that cannot be read, told of for the first time."""
    unreadable_before: int = 0
    labels: Labels = field(default_factory=list)
    """Labels no setting names, new on leads with a click id, or on more of them than when last told."""
    labels_before: Labels = field(default_factory=list)

    @property
    def attention(self) -> list[str]:
        """What a human should look at, a sentence each."""
        said = [*self.renames]
        if self.unreadable:
            said.append(f"{self.unreadable} leads could not be read: `status` lists them")
        with_click = sum(clicks for _, _, clicks in self.labels)
        if with_click:
            said.append(f"{with_click} leads with a click id have a status in neither `stages` nor `ignored_statuses`")
        return said

    @property
    def standing(self) -> list[str]:
        """What was told on a night before and still is so, a sentence each."""
        said = []
        if self.unreadable_before:
            said.append(f"{self.unreadable_before} leads still cannot be read")
        names = ", ".join(f"{label!r}" for label, _, clicks in self.labels_before if clicks)
        if names:
            said.append(f"still in neither `stages` nor `ignored_statuses`: {names}")
        return said


def tell(session: Session, ledger: Ledger, book: Rulebook) -> Told:
    """What this run tells, noted so that the next one does not tell it again."""
    unreadable, unreadable_before = leads.tell_unreadable(session, ledger.account, run=ledger.run)
    found = labels.relabels(session, ledger.account)
    unknown = unknown_labels(session, ledger.account, book.known_labels)
    tonight = [Relabel(row.before, row.after, row.leads) for row in found if row.run == ledger.run]
    new = labels.tell(session, ledger.account, {label: clicks for label, _, clicks in unknown}, run=ledger.run)
    # A new name is told as one, not as a status nobody knows.
    new -= {each.after for each in tonight}
    return Told(
        renames=[_renamed(each, book.known_labels) for each in tonight],
        unreadable=unreadable,
        unreadable_before=unreadable_before,
        labels=[each for each in unknown if each[0] in new],
        labels_before=[each for each in unknown if each[0] not in new],
    )


def unknown_labels(session: Session, account: str, known: frozenset[str]) -> Labels:
    """Labels that leads have now and no setting names; an old name that Oplead has no more is none."""
    old = {row.before for row in labels.relabels(session, account)}
    return [each for each in leads.labels(session, account) if each[0] not in known | old]


def _renamed(relabel: Relabel, known: frozenset[str]) -> str:
    said = f"status {relabel.before!r} seems to be called {relabel.after!r} now on {relabel.leads} leads"
    if relabel.after in known:
        return f"{said}: nothing is sent for the new name alone; check that it stands where the old one does"
    where = "under the same stage" if relabel.before in known else "under a stage or `ignored_statuses`"
    return f"{said}: write it {where}"
