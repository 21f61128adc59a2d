"""How one conversion is decided, and in which order its conditions are checked."""

from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import (
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ContactIdentifierKind,
    ConversionEvent,
    Identifier,
    Money,
)
from jobs.rules.decision import Decision, NoSuchConversion, decide
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.extraction import ERASED
from jobs.rules.model import ConsentAnswer, StatusEntered, StatusTimeOrigin, UndoRule, UnreadableAmount
from tests.builders import CREATED, GOOGLE, START, TARGET, WON, click, facts, from_field, reported, route, starts
from tests.fakes import NIGHT

KEY = "0" * 40
DAY = timedelta(days=1)
HASHES = {GOOGLE: (Identifier(ContactIdentifierKind.EMAIL, "a" * 64),)}
SKIPPED, WITHHELD, EXPIRED = DeliveryState.SKIPPED, DeliveryState.WITHHELD, DeliveryState.EXPIRED
ELSEWHERE = ({"channel": frozenset({"site web"})},)


def judged(lead, *, now=NIGHT, since=START, entered_after=None, **over):
    """The decision on a lead for a route customised by keyword."""
    return decide(route(**over), lead, starts(since), KEY, now=now, entered_after=entered_after)


def outcome(decision):
    """The state a decision asks for; "send" where it may go out at once."""
    return None if isinstance(decision, NoSuchConversion) else "send" if decision.event else decision.state


def test_complete_conversion_becomes_an_event():
    """The event holds what is known and nothing more."""
    expected = ConversionEvent(
        key=KEY,
        target=TARGET,
        at=WON,
        click_id=ClickId(ClickIdKind.GCLID, "gclid-1", CREATED),
        identifiers=(),
        value=Money(Decimal(60), "EUR"),
        consent=Consent(ConsentSignalValue.GRANTED, None),
    )

    assert expected == judged(facts(), fixed_value=Decimal(60)).event


# Each row fixes the first fault of the row before it, so that the next condition decides.
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


def test_conditions_are_checked_in_a_fixed_order():
    """A lead with every fault reports the first, and fixing each in turn reports the next."""
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
def test_every_where_condition_must_hold(value, expected):
    """Conditions of both the conversion and the destination apply, on values the settings list."""
    conditions = ({"channel": frozenset({"site web", "salon"})}, {"agency": frozenset({"lyon"})})
    where = {"agency": "lyon"} | ({"channel": value} if value else {})

    assert expected == outcome(judged(facts(where=where), where=conditions))


@pytest.mark.parametrize(("since", "expected"), [(WON, "send"), (WON + timedelta(microseconds=1), SKIPPED)])
def test_change_at_the_start_instant_counts(since, expected):
    """Changes before the start are skipped."""
    assert expected == outcome(judged(facts(), since=since))


def test_a_label_added_later_has_its_own_start():
    """The stage's other labels keep theirs."""
    lead = facts(changes=(reported("vendu", WON),))
    wanted = route(labels=frozenset({"gagne", "vendu"}))
    later = starts(START, vendu=WON + DAY)

    assert "before_since" == decide(wanted, lead, later, KEY, now=NIGHT).reason
    assert "send" == outcome(decide(wanted, facts(), later, KEY, now=NIGHT))


def baseline(created):
    """A lead that was already won, undated, when first seen."""
    change = StatusEntered("gagne", NIGHT, False, StatusTimeOrigin.BASELINE, NIGHT, created)
    return facts(created_at=created, changes=(change,), click_ids=(click(when=created),))


@pytest.mark.parametrize(
    ("created", "expected"),
    [(START - DAY, ("baseline", SKIPPED)), (START, ("due", "send")), (START + DAY, ("due", "send"))],
)
def test_undated_stage_at_first_sight_is_baseline_if_created_before_start(created, expected):
    """For a lead created from the start on, its creation serves as the previous observation."""
    decision = judged(baseline(created))

    assert expected == (decision.reason, outcome(decision))


def test_baseline_never_becomes_a_conversion_by_waiting():
    """It stays skipped night after night."""
    lead = baseline(START - DAY)

    assert {"baseline"} == {judged(lead, now=NIGHT + days * DAY).reason for days in range(20)}


def test_no_click_id_carries_the_problem_of_an_unreadable_one():
    """Both an unreadable and a missing id can still be corrected."""
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
def test_lead_from_another_platforms_ad_is_not_concerned(clicks, expected, mended):
    """Whatever its stage and time, there is no such conversion here and nothing to correct."""
    assert NoSuchConversion("another_platform", expected) == judged(facts(click_ids=clicks, **mended))


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
def test_lead_that_may_come_from_this_platform_is_decided_here(lead, over, expected):
    """It has an id of this platform, even a late or unreadable one, or none at all, or contact data would do."""
    assert expected == outcome(judged(facts(**lead), **over))


def test_contact_data_replaces_a_click_id_where_the_route_allows_it():
    """This is the setting `audience: all`."""
    lead = facts(click_ids=(), identifiers=HASHES)

    assert (None, HASHES[GOOGLE]) == (
        judged(lead, contact_only=True).event.click_id,
        judged(lead, contact_only=True).event.identifiers,
    )
    assert "no_click_id" == judged(lead).reason


def test_contact_only_lead_without_contact_data_lacks_an_identifier():
    """Contact data would suffice, but the lead has none."""
    assert "no_identifier" == judged(facts(click_ids=()), contact_only=True).reason


@pytest.mark.parametrize("when", [CREATED - timedelta(microseconds=1), NIGHT + timedelta(minutes=5, microseconds=1)])
def test_implausible_change_time_gives_reason_time(when):
    """The change lies before the lead existed, or ahead of the clock that read it, until that time has come."""
    lead = facts(changes=(reported("gagne", when),))

    assert "time" == judged(lead, now=NIGHT, since=START).reason
    assert (when < CREATED) == ("time" == judged(lead, now=NIGHT + DAY, since=START).reason)


def test_unreadable_value_is_withheld_with_only_its_shape():
    """The text that was typed is not kept."""
    decision = judged(facts(amounts={"amount": UnreadableAmount("text, 8 characters")}), field_value=from_field())

    assert Decision(WITHHELD, "value_unreadable", decision.entry, CREATED + 90 * DAY, "text, 8 characters") == decision


def test_awaited_value_is_due_once_wait_and_click_both_allow_it():
    """The later of the two times applies."""
    won = NIGHT - timedelta(minutes=1)
    lead = facts(created_at=won, changes=(reported("gagne", won),), click_ids=(click(when=won),))
    decision = judged(lead, field_value=from_field(wait=timedelta(hours=1)))

    expected = Decision("pending", "value_awaited", decision.entry, won + 90 * DAY, not_before=won + timedelta(hours=6))
    assert expected == decision


def test_closed_window_takes_precedence_over_other_faults():
    """A fault that cannot be corrected in time is not waited for."""
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
def test_expired_conversion_records_what_it_was_held_for(lead, over, expected):
    """The reason follows the usual order, and is None where a timely conversion would have been sent."""
    decision = judged(facts(**lead), now=NIGHT + 300 * DAY, **over)

    assert Decision(EXPIRED, "window_closed", decision.entry, decision.closes_at, held_for=expected) == decision


def test_erased_click_id_is_not_reported_as_missing():
    """The lead had an id that is now too old, so nobody should look for an error in the form."""
    at = CREATED + 100 * DAY
    old = click(f"{ERASED}{'0' * 64}", CREATED - 2 * DAY)
    lead = facts(changes=(reported("gagne", at, seen=at),), click_ids=(old,), seen_at=at)
    decision = judged(lead, now=at)

    assert Decision(EXPIRED, "window_closed", decision.entry, CREATED + 88 * DAY) == decision


def test_a_cancelled_delivery_needs_a_later_entry():
    """The entry it was cancelled for does not revive it."""
    again = facts(changes=(reported("gagne", WON), reported("perdu", WON + DAY), reported("gagne", NIGHT)))

    assert "stage_not_reached" == judged(facts(), entered_after=WON).reason
    assert NIGHT == judged(again, entered_after=WON).event.at


def test_creation_is_a_conversion_without_a_label():
    """`created` is built in and takes the time of the lead's creation."""
    decision = judged(facts(changes=()), on_creation=True, labels=frozenset())

    assert (CREATED, None) == (decision.entry.at, decision.entry.label)


def test_creation_ahead_of_the_clock_gives_reason_time():
    """No lead can be created tomorrow."""
    lead = facts(created_at=NIGHT + DAY, changes=(), click_ids=(click(when=NIGHT),))

    assert "time" == judged(lead, on_creation=True, labels=frozenset()).reason


def test_decision_states_whether_the_click_time_is_estimated():
    """An estimate explains a later EXPIRED answer from the platform."""
    exact = facts(click_ids=(click(estimated=False),))

    assert [True, False] == [judged(lead).click_estimated for lead in (facts(), exact)]


# ── lost before it was sent ──────────────────────────────────────────────────────────────────────

UNDO = UndoRule(frozenset({"perdu"}), 3 * DAY)
LOST = WON + timedelta(hours=10)


def lost(*later, **over):
    """A lead that was won and then lost, followed by the given changes."""
    changes = (reported("nouveau", CREATED), reported("gagne", WON), reported("perdu", LOST), *later)
    return facts(changes=changes, **over)


def test_lost_conversion_waits_in_case_the_lead_comes_back():
    """It is not sent meanwhile, because some platforms never take anything back."""
    for over in ({}, {"field_value": from_field(otherwise=Decimal(500), wait=10 * DAY)}):
        decision = judged(lost(), now=LOST + 2 * DAY, undo=UNDO, **over)

        assert ("may_come_back", LOST + 3 * DAY) == (decision.reason, decision.not_before)


def test_conversion_is_cancelled_once_the_lead_stays_lost():
    """This happens when a retraction would be due, whatever else the conversion waits for."""
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
def test_conversion_that_stands_is_sent(lead):
    """It carries the time of its first entry."""
    assert WON == judged(lead, now=LOST + 5 * DAY, undo=UNDO).event.at


def test_lost_lead_is_still_sent_without_undo_when():
    """Only stages that the settings name undo a sale."""
    assert "send" == outcome(judged(lost(), now=LOST + 5 * DAY))


def test_lost_conversion_past_its_window_expires():
    """Expiry is final."""
    assert EXPIRED is outcome(judged(lost(), now=NIGHT + 300 * DAY, undo=UNDO))


def test_lead_created_as_lost_still_counts_its_creation():
    """An undo stage at the very same instant does not follow the conversion."""
    lead = facts(changes=(reported("perdu", CREATED),))

    assert "send" == outcome(judged(lead, now=CREATED + 5 * DAY, undo=UNDO, on_creation=True, labels=frozenset()))
