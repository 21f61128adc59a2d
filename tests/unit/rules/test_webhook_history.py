"""Status changes from webhooks and from readings are one history, whatever arrives first, again or never."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment, StatusEntry
from jobs.rules.adjustment import how_lead_left_stage
from jobs.rules.decision import Decision, decide
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.labels import APPOINTMENT_SET
from jobs.rules.model import StatusEntered, StatusTimeOrigin, UndoRule
from jobs.rules.reasons import Reason
from jobs.rules.status_changes import LeadReadTimes, first_entry, new_status_changes
from jobs.rules.webhook_confirmation import ReportVerdict, StageOrder, WebhookRules, judge_report
from jobs.rules.webhook_history import lead_history_from_webhooks
from tests.builders import PARIS, START, facts, lead, reported, route, starts
from tests.fakes import NIGHT

HOUR, DAY, MINUTE, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
KEY = "0" * 39
BORN = NIGHT - DAY
"""When the lead is created, as `Nouveau`."""
NEXT = NIGHT + DAY
NINE, ELEVEN, THREE = (NIGHT.replace(hour=hour, minute=0) for hour in (7, 9, 13))
"""Nine, eleven and three in the afternoon in Paris, between the two nights."""
PLACES = {"rdv": 0, "devis": 1, "gagne": 2}
RULES = WebhookRules(StageOrder(PLACES, PLACES | {"perdu": 2}))
"""A sale, which `Perdu` undoes, after an appointment and a quote."""
THE_DAY = ((NINE, "RDV"), (ELEVEN, "Devis"), (THREE, "Gagné"))
"""Three changes in a day."""


def event(label, happened=None, *, received=None, kind=CrmEventKind.STATUS_CHANGE, unique=True, **more):
    """A webhook as received, two seconds after what it reports unless a test says otherwise."""
    told = WebhookEvent(kind, LeadId("L-1"), label=label, at=None if happened is None else Moment(happened), **more)
    received = received or happened + 2 * SECOND
    body = f"{label} {happened}" if unique else f"{label}"
    return ReceivedEvent(told, received, sha256(body.encode()).hexdigest(), is_unique=unique)


def undated(label, received):
    """A webhook with neither an id nor a time of its own."""
    return event(label, received=received, unique=False)


class Record:
    """One lead's changes on record."""

    rules = RULES

    def __init__(self):
        self.changes = []
        self.seen_at = None
        self.read(BORN, (), "Nouveau")

    def read(self, when, received=(), label=None, history=(), **over):
        """Read the lead as it is at a time, with what had arrived about it; return what that added."""
        some = lead(created_at=BORN, label=label, history=tuple(history), **({"updated_at": None} | over))
        at = LeadReadTimes(self.seen_at, started=when, ended=when, read_alike=self.seen_at)
        told = lead_history_from_webhooks(received, BORN, PARIS)
        added = new_status_changes(self.changes, some, at, zone=PARIS, webhooks=told, rules=self.rules)
        self.changes += added
        self.seen_at = when
        return added

    @property
    def told(self):
        """Label, time and how it is known of each change since the first, in order."""
        inside = sorted(self.changes[1:], key=lambda change: change.at)
        return [(change.label, change.at, change.origin) for change in inside]


def entry(label, when):
    """One entry of Oplead's history."""
    return StatusEntry(label, Moment(when))


DATED = [event(label, when) for when, label in THE_DAY]
UNDATED = [undated(label, when) for when, label in THE_DAY]
HISTORY = [entry("Nouveau", BORN), *(entry(label, when) for when, label in THE_DAY)]
BY_WEBHOOK = [
    ("rdv", NINE, StatusTimeOrigin.WEBHOOK),
    ("devis", ELEVEN, StatusTimeOrigin.WEBHOOK),
    ("gagne", THREE, StatusTimeOrigin.WEBHOOK),
]
BY_NIGHT = [("gagne", NEXT, StatusTimeOrigin.BOUNDED)]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([(NEXT, DATED)], BY_WEBHOOK, id="by webhook, three changes with three times"),
        pytest.param([(NEXT, UNDATED)], BY_WEBHOOK, id="without a time of its own, at its arrival"),
        pytest.param([(NEXT, DATED[::-1])], BY_WEBHOOK, id="in whatever order they arrive"),
        pytest.param([(NEXT, DATED * 3)], BY_WEBHOOK, id="redelivered"),
        pytest.param([(NEXT, ())], BY_NIGHT, id="by night only, what can be known"),
        pytest.param([(NEXT, DATED), (NEXT + DAY, DATED)], BY_WEBHOOK, id="the next night adds nothing"),
        pytest.param([(NINE + HOUR, DATED[:1], "RDV"), (NEXT, DATED)], BY_WEBHOOK, id="by and by"),
        pytest.param(
            [(NEXT, DATED[1:]), (NEXT + DAY, [*DATED[1:], event("RDV", NINE, received=NEXT + HOUR)])],
            BY_WEBHOOK,
            id="one arrives after the night that read the lead",
        ),
        pytest.param([(NEXT, ()), (NEXT + DAY, DATED)], [*BY_WEBHOOK[:2], *BY_NIGHT], id="after the night, times stay"),
        pytest.param(
            [(NEXT, [DATED[0], DATED[2]])], [BY_WEBHOOK[0], BY_WEBHOOK[2]], id="a change that nobody reports is unknown"
        ),
        pytest.param(
            [(NEXT, DATED[:2])], [*BY_WEBHOOK[:2], *BY_NIGHT], id="the last one lost, the night finds it all the same"
        ),
    ],
)
def test_a_day_of_three_changes(readings, expected):
    """Webhooks give each its time; a night alone knows the last and its bounds; both together are as by webhook."""
    record = Record()

    for when, received, *label in readings:
        record.read(when, received, *(label or ["Gagné"]))

    assert expected == record.told


def test_a_day_of_three_changes_by_night_only_is_known_by_its_bounds():
    """The last status is entered between the two readings; the other two leave no trace."""
    record = Record()
    record.read(NIGHT, (), "Nouveau")

    [change] = record.read(NEXT, (), "Gagné")
    assert ("gagne", StatusTimeOrigin.BOUNDED, NIGHT, NEXT) == (
        change.label,
        change.origin,
        change.after,
        change.seen_at,
    )


@pytest.mark.parametrize("first", ["webhooks", "history"])
@pytest.mark.parametrize("apart", [timedelta(), 2 * SECOND, 9 * MINUTE])
def test_what_oplead_dates_and_what_a_webhook_reports_is_one_change(first, apart):
    """The same label within ten minutes is the same change, whichever comes first."""
    record = Record()
    received = [undated(label, when + apart) for when, label in THE_DAY]
    shown = [((), HISTORY), (received, ())] if first == "history" else [(received, ()), ((), HISTORY)]

    for day, (webhooks, history) in enumerate(shown):
        record.read(NEXT + day * DAY, webhooks, "Gagné", history)

    assert ["rdv", "devis", "gagne"] == [label for label, *_ in record.told]


@pytest.mark.parametrize("later", [5 * SECOND, 2 * HOUR])
def test_a_status_reported_again_is_not_entered_again(later):
    """Two subscriptions, or an update of something else, report a status that the lead is in already."""
    record = Record()
    record.read(NEXT, [DATED[0], event("RDV", NINE + later), *DATED[1:]], "Gagné")

    assert BY_WEBHOOK == record.told


def test_a_webhook_is_more_exact_than_a_day():
    """Where Oplead gives days only, each change keeps its webhook's time."""
    record = Record()
    day = date(2026, 9, 10)
    record.read(NEXT, DATED, "Gagné", [entry(label, day) for _, label in THE_DAY])

    assert BY_WEBHOOK == record.told


def test_a_webhook_about_a_change_on_record_by_its_day_adds_nothing():
    """Its time stays as it was fixed."""
    record = Record()
    days = [entry("Gagné", date(2026, 9, 10))]
    record.read(NEXT, (), "Gagné", days)

    assert [] == record.read(NEXT + DAY, DATED[2:], "Gagné", days)


def test_a_day_lasts_to_its_end_whatever_a_webhook_dates_within_it():
    """The status shown is the one that Oplead dates by its day: it is entered once, and nothing is added beside it."""
    record = Record()
    record.read(NEXT, DATED[:1], "Gagné", [entry("Gagné", date(2026, 9, 10))])

    assert [("gagne", StatusTimeOrigin.REPORTED), ("rdv", StatusTimeOrigin.WEBHOOK)] == [
        (label, how) for label, _, how in record.told
    ]


def test_a_status_shown_again_after_its_day_is_entered_again():
    """The lead was seen in another status, which a webhook dates later than the day."""
    record = Record()
    told, past = [event("RDV", NINE + DAY)], [entry("Gagné", date(2026, 9, 10))]
    record.read(ELEVEN + DAY, told, "RDV", past)
    record.read(NEXT + DAY, told, "Gagné", past)

    assert ("gagne", StatusTimeOrigin.BOUNDED) == (record.told[-1][0], record.told[-1][2])


DAY_OF = date(2026, 9, 10)
"""The day of the three changes, in Paris."""


@pytest.mark.parametrize(
    ("happened", "arrived", "expected"),
    [
        pytest.param(NINE, ELEVEN, NINE, id="told, arrived later"),
        pytest.param(NINE + 4 * MINUTE, NINE, NINE + 4 * MINUTE, id="told, a little ahead of its arrival"),
        pytest.param(NINE + 6 * MINUTE, NINE, NINE, id="told, ahead of its arrival"),
        pytest.param(NINE + 2 * HOUR, NINE, NINE, id="told in Paris' time as if it were UTC"),
        pytest.param(NINE, BORN - DAY, BORN, id="told, arrived before the creation by a slow clock"),
        pytest.param(BORN - SECOND, NINE, NINE, id="told, before the creation"),
        pytest.param(DAY_OF, NINE, NINE, id="told by the day, arrived on it"),
        pytest.param(DAY_OF, NINE - DAY, NINE - DAY, id="told by the day, arrived earlier"),
        pytest.param(DAY_OF, NEXT, DAY_OF, id="told by the day, arrived later"),
        pytest.param(DAY_OF - 2 * DAY, NINE, NINE, id="told by the day, before the creation"),
        pytest.param(None, NINE, NINE, id="untold"),
        pytest.param(None, BORN - SECOND, BORN, id="untold, arrived before the creation by a slow clock"),
    ],
)
def test_an_event_happens_when_it_says_if_it_arrives_later_and_otherwise_when_it_arrives(happened, arrived, expected):
    """Whenever it is read."""
    told = lead_history_from_webhooks([event("RDV", happened, received=arrived)], BORN, PARIS)
    wanted = (expected, False) if isinstance(expected, datetime) else (datetime(2026, 9, 9, 22, tzinfo=UTC), True)

    assert [wanted] == [one.time for one in told.entries]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (NINE + 4 * MINUTE, (NINE + 4 * MINUTE, StatusTimeOrigin.WEBHOOK)),
        (NINE + 6 * MINUTE, (NINE, StatusTimeOrigin.BOUNDED)),
    ],
)
def test_a_time_ahead_of_the_reading_dates_nothing(told, expected):
    """However late the receiver's clock says that it arrived."""
    record = Record()
    [added] = record.read(NINE, [event("Gagné", told, received=THREE)], "Gagné")

    assert expected == (added.at, added.origin)


@pytest.mark.parametrize("later", [[], [HOUR / 2], [HOUR], [HOUR / 2, HOUR]])
def test_a_time_ahead_of_its_arrival_is_never_taken(later):
    """Not even by a reading after it, as at night: what a change's time is does not depend on when it was read."""
    record = Record()
    ahead = [event(label, when + 2 * HOUR, received=when) for when, label in THE_DAY]
    for when, label in THE_DAY:
        for after in later:
            record.read(when + after, [one for one in ahead if one.received_at <= when], label)
    record.read(NEXT, ahead, "Gagné")

    assert BY_WEBHOOK == record.told


@pytest.mark.parametrize("apart", [timedelta(), 9 * MINUTE])
def test_a_slow_receiver_moves_no_change_that_oplead_dates(apart):
    """Its clock is six hours behind: what it takes for the time of arrival lies before each change."""
    record = Record()
    slow = [event(label, when + apart, received=when - 6 * HOUR) for when, label in THE_DAY]
    record.read(NEXT, slow, "Gagné", HISTORY)

    assert [(label, at, StatusTimeOrigin.REPORTED) for label, at, _ in BY_WEBHOOK] == record.told
    assert [] == record.read(NEXT + DAY, slow, "Gagné")


def test_only_a_status_change_dates_a_status():
    """Other events show the status, too, but the lead may have had it for long."""
    received = [event("RDV", NINE, kind=kind) for kind in (CrmEventKind.NEW_LEAD, CrmEventKind.APPOINTMENT, None)]

    assert () == lead_history_from_webhooks(received, BORN, PARIS).entries


def test_a_late_redelivery_adds_nothing():
    """A body with neither an id nor a time may come again long after the lead moved on."""
    record = Record()
    record.read(NEXT, UNDATED, "Gagné")

    assert [] == record.read(NEXT + DAY, [*UNDATED, undated("Devis", NEXT + HOUR)], "Gagné")


def test_the_same_body_dates_a_return_that_a_reading_confirms():
    """The lead is in that status again, and nothing else says since when."""
    record = Record()
    record.read(NEXT, UNDATED, "Gagné")
    back = NEXT + HOUR

    assert [("devis", back, StatusTimeOrigin.WEBHOOK)] == [
        (one.label, one.at, one.origin) for one in record.read(NEXT + DAY, [*UNDATED, undated("Devis", back)], "Devis")
    ]


@pytest.mark.parametrize("told", [event("S7", ELEVEN), undated("S7", ELEVEN)], ids=["dated", "by its arrival"])
def test_a_webhook_that_tells_a_status_by_its_code_dates_it(told):
    """The reading shows which status the code is; at the next, nothing is new."""
    record = Record()
    record.read(NIGHT, (), "Nouveau")
    record.read(NEXT, [told], "Gagné", also_called=("S7",))

    assert [("gagne", ELEVEN, StatusTimeOrigin.WEBHOOK)] == record.told
    assert [] == record.read(NEXT + DAY, [told], "Gagné", also_called=("S7",))


def test_a_webhook_that_tells_a_code_of_another_status_dates_nothing():
    """Nothing shows what that code is."""
    record = Record()
    record.read(NIGHT, (), "Nouveau")
    record.read(NEXT, [event("S8", ELEVEN)], "Gagné", also_called=("S7",))

    assert [("gagne", NEXT, StatusTimeOrigin.BOUNDED)] == record.told


def test_a_change_missed_after_a_webhook_is_bounded_by_it():
    """The webhook showed the lead elsewhere, later than the last reading did."""
    record = Record()
    added = record.read(NEXT, DATED[:1], "Gagné")

    assert NINE == added[-1].after


def test_a_status_entered_by_webhook_after_the_pull_began_precedes_what_was_read_later():
    """The undated change that followed it cannot lie before it."""
    record = Record()
    some = lead(created_at=BORN, label="Gagné", history=(), updated_at=None)
    when = LeadReadTimes(BORN, started=NINE - HOUR, ended=NINE + HOUR)
    told = lead_history_from_webhooks(DATED[:1], BORN, PARIS)
    added = new_status_changes(record.changes, some, when, zone=PARIS, webhooks=told, rules=RULES)

    assert [NINE, NINE] == [change.at for change in added]


@pytest.mark.parametrize("label", ["Gagné", "RDV", "Nonsense", "Nouveau"])
@pytest.mark.parametrize(("created", "expected"), [(START - DAY, Reason.BASELINE), (START + HOUR, Reason.DUE)])
def test_no_event_turns_a_baseline_into_an_entry(label, created, expected):
    """Whatever label it tells: only a lead created after the start is known to have been outside before."""
    some = lead(created_at=created, label="Gagné", history=(), updated_at=None)
    told = lead_history_from_webhooks([event(label, THREE)], created, PARIS)
    when = LeadReadTimes(None, started=NEXT, ended=NEXT)
    added = new_status_changes((), some, when, zone=PARIS, webhooks=told, rules=RULES)
    decision = decide(route(), facts(created_at=created, changes=tuple(added)), starts(), KEY, now=NEXT)

    assert expected is decision.reason


def test_a_webhook_dates_a_lead_that_is_read_for_the_first_time():
    """One created after the start, since its creation is its first observation."""
    some = lead(created_at=BORN, label="Gagné", history=(), updated_at=None)
    told = lead_history_from_webhooks(DATED[2:], BORN, PARIS)
    added = new_status_changes((), some, LeadReadTimes(None, started=NEXT, ended=NEXT), zone=PARIS, webhooks=told)
    decision = decide(route(), facts(created_at=BORN, changes=tuple(added)), starts(), KEY, now=NEXT)

    assert isinstance(decision, Decision)
    assert (DeliveryState.PENDING, StatusTimeOrigin.WEBHOOK, THREE) == (
        decision.state,
        decision.entry.origin,
        decision.entry.at,
    )


# ── what a reading confirms ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reported", "shown", "was_in", "expected"),
    [
        pytest.param("gagne", "gagne", "nouveau", ReportVerdict.CONFIRMED, id="the same label"),
        pytest.param("rdv", "gagne", "nouveau", ReportVerdict.CONFIRMED, id="a stage written later"),
        pytest.param("rdv", "perdu", "nouveau", ReportVerdict.CONFIRMED, id="lost, below what it undoes"),
        pytest.param("gagne", "perdu", "nouveau", ReportVerdict.HELD, id="lost, which undoes it"),
        pytest.param("gagne", "rdv", "nouveau", ReportVerdict.HELD, id="an earlier stage"),
        pytest.param("gagne", "nurserie", "nouveau", ReportVerdict.HELD, id="an ignored or unmapped label"),
        pytest.param("gagne", "nouveau", None, ReportVerdict.HELD, id="nobody knows where it was before"),
        pytest.param("gagne", None, None, ReportVerdict.HELD, id="no label at all"),
        pytest.param("nurserie", "gagne", "nouveau", ReportVerdict.HELD, id="a label without a place"),
        pytest.param("gagne", "nouveau", "nouveau", ReportVerdict.REFUTED, id="still where it was"),
        pytest.param("rdv", "gagne", "gagne", ReportVerdict.REFUTED, id="still where it was, further on"),
    ],
)
def test_a_reported_status_is_held_until_a_reading_confirms_it(reported, shown, was_in, expected):
    """And refuted by one that shows the lead where it was."""
    assert expected is judge_report(reported, shown, was_in=was_in, order=RULES.order)


@pytest.mark.parametrize("history", [(), ("Nouveau",)])
@pytest.mark.parametrize("label", ["Gagné", "RDV", "Nonsense"])
def test_a_forged_event_adds_nothing(label, history):
    """Oplead shows the lead as it was, whether or not it dates that."""
    record = Record()
    dated = [entry(one, BORN) for one in history]

    assert [] == record.read(NEXT, [event(label, THREE)], "Nouveau", dated)
    assert [] == record.read(NEXT + DAY, [event(label, THREE)], "Nouveau", dated)


def test_a_dated_history_without_a_reported_status_refutes_it():
    """It tells where the lead was at that time: nothing is concluded from what the lead shows later."""
    record = Record()
    history = [entry("Nouveau", BORN), entry("Gagné", THREE)]
    record.read(NEXT, [event("RDV", NINE)], "Gagné", history)

    assert [("gagne", THREE, StatusTimeOrigin.REPORTED)] == record.told
    assert [] == record.read(NEXT + DAY, [event("RDV", NINE)], "Gagné", history)


def test_a_dated_history_refutes_a_status_that_was_held():
    """A reading that shows a later stage enters nothing that its history lacks."""
    record = Record()
    history = [entry("Nouveau", BORN), entry("Nurserie", ELEVEN), entry("Gagné", NEXT + HOUR)]
    record.read(NEXT, [event("RDV", NINE)], "Nurserie")
    record.read(NEXT + DAY, [event("RDV", NINE)], "Gagné", history)

    assert "rdv" not in [label for label, *_ in record.told]


@pytest.mark.parametrize("listed", [("Gagné", "Perdu"), ("Gagné",)], ids=["to its end", "but not the loss"])
def test_an_old_entry_of_the_history_confirms_no_new_one(listed):
    """A sale that was won and lost is not won again because somebody says so."""
    record = Record()
    past = [entry(label, when) for label, when in zip(listed, (NINE, ELEVEN), strict=False)]
    record.read(NEXT + 2 * DAY, (), "Perdu", past)
    again = [event("Gagné", NEXT + 2 * DAY + HOUR)]

    assert [] == record.read(NEXT + 3 * DAY, again, "Perdu", past)


@pytest.mark.parametrize(
    "listed", [[], [("Gagné", THREE)], [("Nouveau", BORN), ("Devis", ELEVEN)]], ids=["none", "from later on", "behind"]
)
def test_a_history_that_does_not_tell_of_that_time_refutes_nothing(listed):
    """What it lacks, it may lack for that reason: a stage that counts proves an earlier one, as without a history."""
    record = Record()
    record.read(NEXT, [event("RDV", NINE)], "Gagné", [entry(*one) for one in listed])

    assert ("rdv", NINE, StatusTimeOrigin.WEBHOOK) == record.told[0]


def test_an_event_of_before_the_last_reading_dates_nothing():
    """The status that Oplead shows now is entered between the two readings, whatever an event says."""
    record = Record()
    record.read(ELEVEN, (), "Nouveau")
    record.read(NEXT, [event("Gagné", NINE, received=THREE)], "Gagné")

    assert [("gagne", NEXT, StatusTimeOrigin.BOUNDED)] == record.told


def test_an_event_that_oplead_dates_otherwise_dates_nothing():
    """Its own time wins, also if it would come later."""
    record = Record()
    record.read(NEXT, [event("Gagné", NINE)], "Gagné", [entry("Gagné", THREE)])

    assert [("gagne", THREE, StatusTimeOrigin.REPORTED)] == record.told


def test_a_status_between_two_readings_of_a_stage_is_no_second_entry():
    """Neither under a label without a place nor under an earlier one."""
    record = Record()
    record.read(NINE, (), "Gagné")

    assert [] == record.read(NEXT, [event("Nonsense", ELEVEN), event("RDV", THREE)], "Gagné")


@pytest.mark.parametrize(("days", "passed"), [(2, ["rdv"]), (40, [])])
def test_a_held_status_that_a_later_reading_proves_is_entered_with_what_proves_it(days, passed):
    """Its event's time lies before a reading that did not show it; after `confirm_within` it proves nothing."""
    record = Record()
    told = [event("RDV", NINE)]
    record.read(NEXT, told, "Nurserie")
    later = NEXT + days * DAY
    record.read(later, told, "Gagné")

    assert [(one, later, StatusTimeOrigin.BOUNDED) for one in [*passed, "gagne"]] == record.told[1:]
    assert [] == record.read(later + DAY, told, "Gagné")


def test_a_refuted_status_is_not_proven_later():
    """A reading showed that the lead had not moved."""
    record = Record()
    told = [event("RDV", NINE)]
    record.read(NEXT, told, "Nouveau")
    record.read(NEXT + DAY, told, "Devis")

    assert ["devis"] == [label for label, *_ in record.told]


def test_a_lead_that_came_back_to_where_it_was_refutes_what_was_held():
    """Moved to a status that proves nothing, and back: it stays refuted, whatever the lead reaches afterwards."""
    record = Record()
    told = [event("RDV", NINE)]
    for days, label in enumerate(["Nurserie", "Nouveau", "Devis"]):
        record.read(NEXT + days * DAY, told, label)

    assert ["nurserie", "nouveau", "devis"] == [label for label, *_ in record.told]


# ── any sequence of changes, any part of its webhooks, any readings ──────────────────────────────


@dataclass(frozen=True)
class Life:
    """What truly happened to a lead, what webhooks arrived of it, and when it was read."""

    changes: list
    """Time and label, from its creation on."""
    received: list
    readings: list

    def label_at(self, when):
        """The status it then had."""
        return [label for at, label in self.changes if at <= when][-1]

    def entered(self, label, until):
        """When it entered a status, up to a time."""
        return [at for at, other in self.changes if other == label and at <= until]


DELAYS = st.integers(0, 5_000)


@st.composite
def lives(draw, *, dated=None, delay=DELAYS, lost=True):
    """A lead's life over a few days, with times in minutes that are never less than a quarter of an hour apart."""
    dated = draw(st.booleans()) if dated is None else dated
    gaps = draw(st.lists(st.integers(15, 600), min_size=1, max_size=7))
    changes = [(BORN, "a")]
    for gap in gaps:
        label = draw(st.sampled_from([name for name in "abc" if name != changes[-1][1]]))
        changes.append((changes[-1][0] + gap * MINUTE, label))
    received = []
    for at, label in changes[1:]:
        for copy in range(draw(st.integers(0 if lost else 1, 3))):
            after = draw(delay) * MINUTE if dated or copy else timedelta()
            received.append(event(label, at, received=at + after) if dated else undated(label, at + after))
    received.sort(key=lambda one: one.received_at)
    last = max([changes[-1][0], *(one.received_at for one in received)])
    minutes = draw(st.lists(st.integers(1, 10_000), min_size=1, max_size=5, unique=True))
    readings = sorted({BORN + (minute + 0.5) * MINUTE for minute in minutes} | {last + MINUTE})
    return Life(changes, as_kept(received), readings)


def as_kept(received):
    """What the inbox keeps of them: no event twice, and no body twice in a row."""
    kept = []
    for one in received:
        latest = kept[-1].digest if kept else None
        if not (one.digest in {each.digest for each in kept} if one.is_unique else one.digest == latest):
            kept.append(one)
    return kept


def played(life, shape):
    """The lead's record after each reading, with the time of that reading."""
    record = Record.__new__(Record)
    record.changes, record.seen_at = [], None
    for when in life.readings:
        past = [entry(label, at) for at, label in life.changes if at <= when]
        history = {"none": [], "current": past[-1:], "full": past}[shape]
        received = [one for one in life.received if one.received_at <= when]
        record.read(when, received, life.label_at(when), history)
        yield when, record, received, history


SHAPES = st.sampled_from(["none", "current", "full"])


@given(lives(), SHAPES)
def test_the_record_ends_where_the_lead_is(life, shape):
    """After every reading, whatever had arrived by then."""
    for when, record, _, _ in played(life, shape):
        last = max(reversed(record.changes), key=lambda change: change.at)

        assert life.label_at(when) == last.label


@given(lives(), SHAPES)
def test_a_change_is_never_doubled(life, shape):
    """A lead enters a status no more often on record than it did."""
    for when, record, _, _ in played(life, shape):
        in_order = [change.label for change in sorted(record.changes, key=lambda change: change.at)]
        entries = [label for label, before in zip(in_order, [None, *in_order], strict=False) if label != before]

        for label in set(entries):
            assert entries.count(label) <= len(life.entered(label, when))


@given(lives(), SHAPES)
def test_no_time_is_worse_than_its_bounds(life, shape):
    """What is dated has a time at which it happened; what is bounded happened between its bounds."""
    for when, record, _, _ in played(life, shape):
        for change in record.changes:
            true = life.entered(change.label, when)

            if change.origin in (StatusTimeOrigin.BOUNDED, StatusTimeOrigin.BASELINE):
                assert any(change.after <= at <= change.seen_at for at in true)
            else:
                assert change.at in true or not any(one.is_unique for one in life.received)


@given(lives(), SHAPES)
def test_the_same_again_adds_nothing(life, shape):
    """Neither a second reading nor the same events change the record."""
    for when, record, received, history in played(life, shape):
        assert [] == record.read(when, received, life.label_at(when), history)


@given(lives(dated=True, delay=st.just(0), lost=False), SHAPES)
def test_with_every_webhook_each_status_that_a_reading_finds_has_its_own_time(life, shape):
    """However often the lead is read, and whatever Oplead shows of its history."""
    before = None
    for when, record, _, _ in played(life, shape):
        shown = life.label_at(when)
        if before is not None and shown != life.label_at(before):
            since = [at for at in life.entered(shown, when) if at > before]

            assert any(change.label == shown and change.at in since for change in record.changes)
        before = when


# ── appointments ─────────────────────────────────────────────────────────────────────────────────

SET = event(None, NINE, kind=CrmEventKind.APPOINTMENT, appointment_at=Moment(NEXT))
CALLED_OFF = event(None, NINE, kind=CrmEventKind.APPOINTMENT)
SHOWN = event("RDV", ELEVEN, appointment_at=Moment(NEXT))


SEEN = {"has_appointment": True}


def appointments(record):
    """When the appointment was set, and how that is known."""
    return [(change.at, change.origin) for change in record.changes if change.label == APPOINTMENT_SET]


@pytest.mark.parametrize(
    ("received", "over", "expected"),
    [
        pytest.param([SET], {}, (NEXT + DAY, StatusTimeOrigin.BOUNDED), id="not by an event alone"),
        pytest.param([SET, SHOWN], SEEN, (NINE, StatusTimeOrigin.WEBHOOK), id="by the first of them"),
        pytest.param(
            [SHOWN], SEEN, (ELEVEN, StatusTimeOrigin.BOUNDED), id="shown by another webhook, by then at the latest"
        ),
        pytest.param([], {"has_appointment": True}, (NEXT, StatusTimeOrigin.BOUNDED), id="read, between two readings"),
        pytest.param(
            [],
            {"has_appointment": True, "updated_at": NINE},
            (NINE, StatusTimeOrigin.BOUNDED),
            id="read, dated by the update",
        ),
        pytest.param([SET], {"has_appointment": True}, (NINE, StatusTimeOrigin.WEBHOOK), id="both"),
        pytest.param([CALLED_OFF], {}, (NEXT + HOUR, StatusTimeOrigin.WEBHOOK), id="not by one that calls it off"),
    ],
)
def test_an_appointment_is_set_once(received, over, expected):
    """A change, a cancellation and every later event leave it as it is."""
    record = Record()
    record.read(NEXT, received, "Nouveau", **over)
    moved = replace(SET, received_at=NEXT + HOUR, event=replace(SET.event, at=Moment(NEXT + HOUR)), digest="moved")
    record.read(NEXT + DAY, [*received, moved], "Nouveau", has_appointment=True)

    assert [expected] == appointments(record)


def test_an_appointment_found_at_first_sight_is_baseline():
    """Nobody knows since when it is there."""
    some = lead(label=None, history=(), has_appointment=True, updated_at=None)
    [change] = new_status_changes((), some, LeadReadTimes(None, started=NIGHT, ended=NIGHT), zone=PARIS)

    assert (APPOINTMENT_SET, StatusTimeOrigin.BASELINE, some.created_at) == (change.label, change.origin, change.after)


def test_an_appointment_is_no_status():
    """The lead keeps the status it had, and a reading that shows it adds nothing."""
    record = Record()
    record.read(NEXT, [SET], "Nouveau", **SEEN)

    assert [] == record.read(NEXT + DAY, [SET], "Nouveau", **SEEN)


@pytest.mark.parametrize(
    ("received", "expected"),
    [([SET], (NINE, StatusTimeOrigin.WEBHOOK)), ([SHOWN], (ELEVEN, StatusTimeOrigin.BOUNDED))],
)
def test_an_event_sets_an_appointment_that_no_reading_shows_only_where_that_is_trusted(received, expected):
    """A human wrote why, as Oplead does not show appointments."""
    trusting, wary = Record(), Record()
    trusting.rules = replace(RULES, trusts_appointments=True)
    for record in (trusting, wary):
        record.read(NEXT, received, "Nouveau")

    assert ([expected], []) == (appointments(trusting), appointments(wary))


def appointment(when):
    """An appointment set by webhook."""
    return StatusEntered(APPOINTMENT_SET, when, False, StatusTimeOrigin.WEBHOOK, NEXT)


STAGE = route(labels=frozenset({"rdv", APPOINTMENT_SET}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([appointment(NINE)], (NINE, APPOINTMENT_SET)),
        ([appointment(NINE), reported("rdv", ELEVEN)], (NINE, APPOINTMENT_SET)),
        ([reported("rdv", NINE), appointment(ELEVEN)], (NINE, "rdv")),
    ],
)
def test_a_stage_is_entered_by_an_appointment_or_a_status(changes, expected):
    """Whichever comes first."""
    entered = first_entry(STAGE, facts(changes=(reported("nouveau", BORN), *changes)), starts(), KEY, after=None)

    assert expected == (entered.at, entered.label)


def test_an_appointment_takes_no_lead_out_of_a_stage():
    """A sale before it is not won a second time after it."""
    changes = (reported("gagne", NINE), appointment(ELEVEN), reported("gagne", THREE))

    assert first_entry(route(), facts(changes=changes), starts(), KEY, after=NINE) is None


def test_an_appointment_restores_nothing_that_was_lost():
    """A lost lead with an appointment is lost."""
    changes = (reported("rdv", NINE), reported("devis", ELEVEN), appointment(THREE))
    undone = replace(STAGE, undo=UndoRule(frozenset({"devis"}), 3 * DAY))

    assert how_lead_left_stage(undone, facts(changes=changes), NINE, KEY, {}).is_still_there
