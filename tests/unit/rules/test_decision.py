"""What becomes of one conversion, and which question is asked first."""

from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import ClickId, ClickIdKind, Consent, Event, Identifier, IdentifierKind, Money, Signal
from jobs.rules.decision import Decision, NotConcerned, decide
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.extraction import ERASED
from jobs.rules.model import ConsentAnswer, Origin, StatusEntered, Undo, UnreadableAmount
from tests.builders import CREATED, GOOGLE, START, TARGET, WON, click, facts, from_field, reported, route, starts
from tests.fakes import NIGHT

KEY = "0" * 40
DAY = timedelta(days=1)
HASHES = {GOOGLE: (Identifier(IdentifierKind.EMAIL, "a" * 64),)}
SKIPPED, WITHHELD, EXPIRED = DeliveryState.SKIPPED, DeliveryState.WITHHELD, DeliveryState.EXPIRED
ELSEWHERE = ({"channel": frozenset({"site web"})},)


def judged(lead, *, now=NIGHT, since=START, entered_after=None, **over):
    """The decision on a lead for a route bent by keyword."""
    return decide(route(**over), lead, starts(since), KEY, now=now, entered_after=entered_after)


def outcome(decision):
    """The state a decision asks for; "send" where it may go out at once."""
    return None if isinstance(decision, NotConcerned) else "send" if decision.event else decision.state


def test_a_conversion_with_everything_goes_out():
    """The event says what is known, no more."""
    expected = Event(
        key=KEY,
        target=TARGET,
        at=WON,
        click_id=ClickId(ClickIdKind.GCLID, "gclid-1", CREATED),
        identifiers=(),
        value=Money(Decimal(60), "EUR"),
        consent=Consent(Signal.GRANTED, None),
    )

    assert expected == judged(facts(), fixed_value=Decimal(60)).event


# Each row mends the first fault of the row before it: what is left is the next question's business.
FAULTS = [
    ("where_does_not_match", {}, {"where": ELSEWHERE}),
    ("stage_not_reached", {"where": {"channel": "site web"}}, {}),
    ("before_since", {"changes": (reported("gagne", CREATED - 50 * DAY),)}, {}),
    ("window_closed", {"changes": (reported("gagne", CREATED - DAY),)}, {"now": NIGHT + 300 * DAY}),
    ("time", {}, {"now": NIGHT}),
    ("consent_missing", {"changes": (reported("gagne", WON),)}, {}),
    ("no_click_id", {"ad_user_data": ConsentAnswer.GRANTED}, {}),
    ("value_missing", {"click_ids": (click(),)}, {}),
    ("value_awaited", {"changes": (reported("gagne", NIGHT - DAY),)}, {}),
    (
        "click_too_recent",
        {"amounts": {"amount": Decimal(5)}, "click_ids": (click(when=NIGHT - DAY - timedelta(hours=1)),)},
        {"now": NIGHT - DAY},
    ),
    ("due", {}, {"now": NIGHT}),
]


def test_the_order_of_questions():
    """A lead with every fault at once is told the first; each mended in turn brings up the next."""
    lead = {
        "where": {},
        "changes": (),
        "ad_user_data": ConsentAnswer.MISSING,
        "click_ids": (),
        "amounts": {},
    }
    asked = {"where": ELSEWHERE, "field_value": from_field(wait=2 * DAY), "since": START}
    reasons = []
    for _, mended, question in FAULTS:
        lead |= mended
        asked |= question
        decision = judged(facts(**lead), **asked)
        reasons.append(decision.reason)

    assert [reason for reason, _, _ in FAULTS] == reasons


@pytest.mark.parametrize(("value", "expected"), [("site web", "send"), ("<text, 5 characters>", None), (None, None)])
def test_every_condition_must_hold(value, expected):
    """The conversion's and the destination's, on values the settings list."""
    conditions = ({"channel": frozenset({"site web", "salon"})}, {"agency": frozenset({"lyon"})})
    where = {"agency": "lyon"} | ({"channel": value} if value else {})

    assert expected == outcome(judged(facts(where=where), where=conditions))


@pytest.mark.parametrize(("since", "expected"), [(WON, "send"), (WON + timedelta(microseconds=1), SKIPPED)])
def test_a_change_at_the_very_start_counts(since, expected):
    """Changes before the start do not."""
    assert expected == outcome(judged(facts(), since=since))


def test_a_label_added_later_has_its_own_start():
    """The stage's other labels keep theirs."""
    lead = facts(changes=(reported("vendu", WON),))
    wanted = route(labels=frozenset({"gagne", "vendu"}))
    later = starts(START, vendu=WON + DAY)

    assert "before_since" == decide(wanted, lead, later, KEY, now=NIGHT).reason
    assert "send" == outcome(decide(wanted, facts(), later, KEY, now=NIGHT))


def baseline(created):
    """A lead first seen already won, undated."""
    change = StatusEntered("gagne", NIGHT, False, Origin.BASELINE, NIGHT, created)
    return facts(created_at=created, changes=(change,), click_ids=(click(when=created),))


@pytest.mark.parametrize(
    ("created", "expected"),
    [(START - DAY, ("baseline", SKIPPED)), (START, ("due", "send")), (START + DAY, ("due", "send"))],
)
def test_a_lead_first_seen_in_a_stage_undated(created, expected):
    """Created before the start it is baseline; created after, its creation is the observation before."""
    decision = judged(baseline(created))

    assert expected == (decision.reason, outcome(decision))


def test_a_baseline_never_becomes_a_conversion_by_waiting():
    """Night after night it stays skipped."""
    lead = baseline(START - DAY)

    assert {"baseline"} == {judged(lead, now=NIGHT + days * DAY).reason for days in range(20)}


def test_a_lead_without_a_click_id_says_why_its_own_could_not_be_read():
    """That may be mended, and so may none at all."""
    unread = facts(click_ids=(), click_id_problem="a UUID")

    assert [("no_click_id", "a UUID"), ("no_click_id", None)] == [
        (decision.reason, decision.detail) for decision in map(judged, (unread, facts(click_ids=())))
    ]


FBCLID, FBP = click(kind=ClickIdKind.FBCLID), click(kind=ClickIdKind.FBP)


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        ((FBCLID,), "only fbclid"),
        ((click(kind=ClickIdKind.MSCLKID), FBCLID), "only fbclid, msclkid"),
        ((click(kind=ClickIdKind.TTCLID),), "only ttclid"),
        ((click(f"{ERASED}{'0' * 64}", kind=ClickIdKind.FBCLID), FBP), "only fbclid"),
    ],
)
@pytest.mark.parametrize("mended", [{}, {"changes": ()}, {"changes": (reported("gagne", CREATED - 50 * DAY),)}])
def test_a_lead_of_another_platforms_ad_is_no_business_of_this_one(clicks, expected, mended):
    """Wherever it stands, and whenever it came there: there is no such conversion, and nothing to be mended."""
    assert NotConcerned("another_platform", expected) == judged(facts(click_ids=clicks, **mended))


@pytest.mark.parametrize(
    ("lead", "over", "expected"),
    [
        ({"click_ids": (click(), FBCLID)}, {}, "send"),
        ({"click_ids": ()}, {}, WITHHELD),
        ({"click_ids": (FBP,)}, {}, WITHHELD),
        ({"click_ids": (FBCLID,), "click_id_problem": "cut short"}, {}, WITHHELD),
        ({"click_ids": (FBCLID, click(when=NIGHT))}, {}, WITHHELD),
        ({"click_ids": (FBCLID,), "identifiers": HASHES}, {"contact_only": True}, "send"),
        ({"click_ids": (FBCLID,)}, {"contact_only": True}, WITHHELD),
    ],
)
def test_a_lead_that_may_be_this_platforms_is_its_business(lead, over, expected):
    """It has an id of its own, late or unreadable though it be, or none at all; or contact data would do."""
    assert expected == outcome(judged(facts(**lead), **over))


def test_contact_data_stands_in_where_the_route_allows_it():
    """`audience: all`."""
    lead = facts(click_ids=(), identifiers=HASHES)

    assert (None, HASHES[GOOGLE]) == (
        judged(lead, contact_only=True).event.click_id,
        judged(lead, contact_only=True).event.identifiers,
    )
    assert "no_click_id" == judged(lead).reason


def test_a_lead_nobody_could_recognise_waits_for_an_identifier():
    """Where contact data would do, there is none."""
    assert "no_identifier" == judged(facts(click_ids=()), contact_only=True).reason


@pytest.mark.parametrize("when", [CREATED - timedelta(microseconds=1), NIGHT + timedelta(minutes=5, microseconds=1)])
def test_a_time_that_cannot_be_is_withheld(when):
    """Before the lead existed, or ahead of the clock that read it."""
    lead = facts(changes=(reported("gagne", when),))

    assert "time" == judged(lead, now=NIGHT + DAY, since=START).reason


def test_an_unreadable_value_is_shown_by_its_shape():
    """Not by what was typed."""
    decision = judged(facts(amounts={"amount": UnreadableAmount("text, 8 characters")}), field_value=from_field())

    assert Decision(WITHHELD, "value_unreadable", decision.entry, CREATED + 90 * DAY, "text, 8 characters") == decision


def test_an_awaited_value_is_due_when_both_the_wait_and_the_click_allow_it():
    """The later of the two."""
    won = NIGHT - timedelta(minutes=1)
    lead = facts(created_at=won, changes=(reported("gagne", won),), click_ids=(click(when=won),))
    decision = judged(lead, field_value=from_field(wait=timedelta(hours=1)))

    expected = Decision("pending", "value_awaited", decision.entry, won + 90 * DAY, not_before=won + timedelta(hours=6))
    assert expected == decision


def test_a_closed_window_outlives_every_other_fault():
    """What cannot be mended in time is not waited for."""
    lead = facts(ad_user_data=ConsentAnswer.REFUSED, click_ids=())

    assert EXPIRED == outcome(judged(lead, now=CREATED + 90 * DAY + timedelta(microseconds=1)))


@pytest.mark.parametrize(
    ("lead", "over", "expected"),
    [
        ({}, {}, None),
        ({"changes": (reported("gagne", CREATED - timedelta(microseconds=1)),)}, {}, "time"),
        ({"ad_user_data": ConsentAnswer.MISSING, "click_ids": ()}, {}, "consent_missing"),
        ({"ad_user_data": ConsentAnswer.REFUSED}, {}, "consent_refused"),
        ({"ad_user_data": ConsentAnswer.UNKNOWN}, {}, "consent_unknown"),
        ({"click_ids": ()}, {}, "no_click_id"),
        ({"click_ids": (), "click_id_problem": "a UUID"}, {}, "no_click_id"),
        ({"click_ids": ()}, {"contact_only": True}, "no_identifier"),
        ({"click_ids": (), "identifiers": HASHES}, {"contact_only": True}, None),
        ({}, {"field_value": from_field()}, "value_missing"),
        ({}, {"field_value": from_field(otherwise=Decimal(500))}, None),
        (
            {"amounts": {"amount": UnreadableAmount("text, 8 characters")}},
            {"field_value": from_field(otherwise=Decimal(500))},
            "value_unreadable",
        ),
    ],
)
def test_what_comes_too_late_tells_what_else_stood_in_its_way(lead, over, expected):
    """By code, in the same order; None where it would have gone out, had it come in time."""
    decision = judged(facts(**lead), now=NIGHT + 300 * DAY, **over)

    assert Decision(EXPIRED, "window_closed", decision.entry, decision.closes_at, held_for=expected) == decision


def test_a_click_id_that_was_erased_at_its_windows_end_is_not_told_as_missing():
    """Nobody is to look for an error in the form: the lead had one, and it is too old."""
    at = CREATED + 100 * DAY
    old = click(f"{ERASED}{'0' * 64}", CREATED - 2 * DAY)
    lead = facts(changes=(reported("gagne", at, seen=at),), click_ids=(old,), seen_at=at)
    decision = judged(lead, now=at)

    assert Decision(EXPIRED, "window_closed", decision.entry, CREATED + 88 * DAY) == decision


def test_a_cancelled_delivery_needs_a_later_entry():
    """The one it was cancelled for does not come back by itself."""
    again = facts(changes=(reported("gagne", WON), reported("perdu", WON + DAY), reported("gagne", NIGHT)))

    assert "stage_not_reached" == judged(facts(), entered_after=WON).reason
    assert NIGHT == judged(again, entered_after=WON).event.at


def test_a_creation_is_a_conversion_of_its_own():
    """`created` is built in: no label, the lead's own time."""
    decision = judged(facts(changes=()), on_creation=True, labels=frozenset())

    assert (CREATED, None) == (decision.entry.at, decision.entry.label)


def test_a_creation_ahead_of_the_clock_is_withheld():
    """No lead is created tomorrow."""
    lead = facts(created_at=NIGHT + DAY, changes=(), click_ids=(click(when=NIGHT),))

    assert "time" == judged(lead, on_creation=True, labels=frozenset()).reason


def test_whether_the_click_time_is_an_estimate_is_told():
    """A platform's EXPIRED is then no surprise."""
    exact = facts(click_ids=(click(estimated=False),))

    assert [True, False] == [judged(lead).click_estimated for lead in (facts(), exact)]


# ── lost again before it was sent ────────────────────────────────────────────────────────────────

UNDO = Undo(frozenset({"perdu"}), 3 * DAY)
LOST = WON + timedelta(hours=10)


def lost(*later, **over):
    """A lead that was won, then lost; and what came after."""
    changes = (reported("nouveau", CREATED), reported("gagne", WON), reported("perdu", LOST), *later)
    return facts(changes=changes, **over)


def test_what_was_lost_waits_for_whether_it_comes_back():
    """It is not sent meanwhile: some platforms never take anything back."""
    for over in ({}, {"field_value": from_field(otherwise=Decimal(500), wait=10 * DAY)}):
        decision = judged(lost(), now=LOST + 2 * DAY, undo=UNDO, **over)

        assert ("may_come_back", LOST + 3 * DAY) == (decision.reason, decision.not_before)


def test_what_stays_lost_is_called_off():
    """From the moment on at which it would be taken back, whatever else it waits for."""
    for lead, over in (
        (lost(), {}),
        (lost(ad_user_data=ConsentAnswer.UNKNOWN), {}),
        (lost(), {"field_value": from_field()}),
    ):
        decision = judged(lead, now=LOST + 3 * DAY, undo=UNDO, **over)

        assert Decision("cancelled", "undone", decision.entry, decision.closes_at) == decision


@pytest.mark.parametrize(
    "lead",
    [
        pytest.param(lost(reported("gagne", LOST + DAY)), id="won again"),
        pytest.param(lost(reported("nouveau", LOST + DAY)), id="neither here nor there"),
        pytest.param(facts(), id="never lost"),
    ],
)
def test_what_stands_goes_out(lead):
    """At the time of its first entry."""
    assert WON == judged(lead, now=LOST + 5 * DAY, undo=UNDO).event.at


def test_nothing_undoes_what_the_settings_do_not_name():
    """Without `undo_when` a lost lead was a sale all the same."""
    assert "send" == outcome(judged(lost(), now=LOST + 5 * DAY))


def test_what_is_lost_and_too_old_is_too_old():
    """That is final."""
    assert EXPIRED is outcome(judged(lost(), now=NIGHT + 300 * DAY, undo=UNDO))


def test_what_stood_there_at_that_very_instant_did_not_follow():
    """A lead that is created as lost was never anything else: its creation counts as for any other."""
    lead = facts(changes=(reported("perdu", CREATED),))

    assert "send" == outcome(judged(lead, now=CREATED + 5 * DAY, undo=UNDO, on_creation=True, labels=frozenset()))
