"""What a first night made of an Oplead, beside what it should have: right and wrong, kind by kind."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tests.e2e.strangers.people import STAGES

KINDS = ("created", "status", "stages", "click ids", "consent", "sent")
_CONSENT = {True: "granted", False: "refused", None: "missing"}
_EXAMPLES = 3


@dataclass
class Sheet:
    """The score of one dialect.

    Attributes:
        typed: the paths that were written by hand.
        stuck: why the first night never came, if it did not.
    """

    dialect: str
    typed: list = field(default_factory=list)
    stuck: str = ""
    right: Counter = field(default_factory=Counter)
    wrong: Counter = field(default_factory=Counter)
    examples: dict = field(default_factory=dict)

    def compare(self, oplead, explained):
        """Compare what `explain --json` says of each lead with the oracle."""
        for life in oplead.lives:
            told = explained.get(str(oplead.lead_id(life)))
            for kind, (wanted, found) in _pairs(life, told, oplead).items():
                # Each entry counts: a time that is right counts even where the next is wrong.
                for name in wanted.keys() | found.keys():
                    if name in wanted and wanted[name] == found.get(name):
                        self.right[kind] += 1
                    else:
                        self._note(
                            kind, f"{life.number} {name}: {_short(found.get(name))} for {_short(wanted.get(name))}"
                        )

    def _note(self, kind, example):
        self.wrong[kind] += 1
        self.examples.setdefault(kind, []).append(example)

    @property
    def is_right(self):
        """Whether the first night came and nothing is wrong."""
        return not self.stuck and not self.wrong.total() and self.right.total() > 0

    def __str__(self):
        """One line, and some of what is wrong."""
        cells = [f"{kind} {self.right[kind]}/{self.right[kind] + self.wrong[kind]}" for kind in KINDS]
        lines = [
            f"{self.dialect:<8} typed {len(self.typed)}  "
            + (f"STUCK: {self.stuck}" if self.stuck else "  ".join(cells))
        ]
        lines += [f"         {kind}: {'; '.join(each[:_EXAMPLES])}" for kind, each in self.examples.items()]
        return "\n".join(lines)


def _pairs(life, told, oplead):
    """By kind: what is wanted, and what was found."""
    told = told or {"click_ids": [], "changes": [], "verdicts": []}
    since: dict = {}
    states = {name: state for names in (oplead.LABELS, oplead.CODES, oplead.PAST) for state, name in names.items()}
    for each in sorted(told["changes"], key=lambda change: change["at"]):
        if states.get(each["label"]) in STAGES:
            since.setdefault(STAGES[states[each["label"]]], _time(each["at"]))
    clicks = {kind: value for kind, value in (("gclid", life.gclid), ("fbclid", life.fbclid)) if value}
    sent = {
        (each["destination"], each["conversion"]): (
            _time(each["happened_at"]),
            each["value"] and Decimal(each["value"]),
        )
        for each in told["verdicts"]
        if each["state"] == "accepted" and not str(each["conversion"]).startswith("funnel")
    }
    return {
        "created": ({"": life.created}, {"": _time(told.get("created_at"))}),
        "status": ({"": life.state}, {"": states.get(told.get("label"))}),
        "stages": (life.first_reached(), since),
        "click ids": (clicks, dict(_click(each, clicks) for each in told["click_ids"])),
        "consent": ({"": _CONSENT[life.consent]}, {"": told.get("ad_user_data")}),
        "sent": (life.sent(), sent),
    }


def _click(each, wanted):
    """The kind and value of a click id; it is shown shortened, so the wanted one if that would be shown so."""
    # Meta's cookie holds its click id: fb.1.<milliseconds>.<fbclid>
    kind = "fbclid" if each["kind"] == "fbc" else each["kind"]
    value, shown = wanted.get(kind, ""), each["shown"]
    start, _, rest = shown.partition("…")
    length = len(value) + (len("fb.1.1234567890123.") if each["kind"] == "fbc" else 0)
    is_it = rest == f"{value[-3:]} ({length} characters)" and (kind != each["kind"] or value.startswith(start))
    return kind, value if is_it else shown


def _time(text):
    return None if text is None else datetime.fromisoformat(text)


def _short(value):
    match value:
        case datetime():
            return f"{value:%d %b %H:%M:%S}"
        case tuple():
            return " ".join(map(_short, value))
    return str(value)
