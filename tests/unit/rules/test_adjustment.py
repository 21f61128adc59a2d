"""Which accepted conversions are corrected, how, and from when."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import AdjustmentKind, ClickIdKind, CorrectionSupport
from jobs.rules.adjustment import AdjustmentCause, SentConversion, restated_conversion_event, wanted_adjustment
from jobs.rules.model import ConsentAnswer, StatusEntered, StatusTimeOrigin, UndoRule, UnreadableAmount
from tests.builders import CREATED, TARGET, WON, facts, from_field, reported, route
from tests.fakes import LIMITS, NIGHT

DAY = timedelta(days=1)
KEY = "0" * 40
BY_RESENDING = CorrectionSupport(frozenset({AdjustmentKind.RESTATEMENT}), 54 * DAY, 2000, by_resending=True)
IN_PLACE = CorrectionSupport(frozenset(AdjustmentKind), 54 * DAY, 2000, by_resending=False)
CORRECTS = {"data_manager": BY_RESENDING, "google_ads_api": IN_PLACE}
UNDO = UndoRule(frozenset({"perdu", "sans suite"}), 3 * DAY)
LOST = WON + DAY
LATE = LOST + 3 * DAY
"""The first instant at which a lead has been lost for long enough."""


def told(transport="google_ads_api", **over):
    """The conversion a platform holds for a sale of 1,000 €."""
    return SentConversion(**({"key": KEY, "transport": transport, "at": WON, "worth": Decimal(1000)} | over))


def story(*later):
    """A lead that was won, followed by the given changes."""
    return facts(changes=(reported("nouveau", CREATED), reported("gagne", WON), *later))


def asked(lead, holds=None, *, now=LATE, renamed=(), corrects=CORRECTS, **over):
    """The correction wanted on a route customised by keyword."""
    bent = {"undo": UNDO, "fixed_value": Decimal(1000)} | over
    way = route(limits=replace(LIMITS, corrects=corrects), **bent)
    return wanted_adjustment(way, lead, holds or told(), renamed=dict(renamed), now=now)


# ── retractions ──────────────────────────────────────────────────────────────────────────────────


def test_retracts_a_lost_sale_where_the_transport_allows_it():
    """The retraction carries the time the lead was lost, not the time of sending."""
    found = asked(story(reported("perdu", LOST)))

    assert (AdjustmentKind.RETRACTION, AdjustmentCause.UNDONE, None, LOST, None, None) == (
        found.kind,
        found.cause,
        found.value,
        found.at,
        found.until,
        found.ruled_out_by,
    )


def test_restates_a_lost_sale_to_zero_where_it_cannot_be_retracted():
    """The conversion count stays, because this transport has no retraction."""
    found = asked(story(reported("perdu", LOST)), told("data_manager"))

    assert (AdjustmentKind.RESTATEMENT, Decimal(0), "data_manager") == (found.kind, found.value, found.transport)


def test_undo_via_retracts_through_another_transport():
    """The conversion itself was sent through the Data Manager."""
    found = asked(story(reported("perdu", LOST)), told("data_manager"), undo=replace(UNDO, via="google_ads_api"))

    assert (AdjustmentKind.RETRACTION, "google_ads_api") == (found.kind, found.transport)


def test_retraction_waits_until_the_lead_has_stayed_lost():
    """A day early, the retraction is wanted but held until the lead has been lost for three days."""
    found = asked(story(reported("perdu", LOST)), now=LATE - DAY)

    assert LATE == found.until


def test_records_not_undoable_where_a_platform_takes_no_corrections():
    """The record shows that the platform cannot take anything back."""
    assert "not_undoable" == asked(story(reported("perdu", LOST)), corrects={}).ruled_out_by


def test_not_undoable_where_the_transport_cannot_correct_that_click_kind():
    """Google's adjustments do not support wbraid."""
    corrects = CORRECTS | {"google_ads_api": replace(IN_PLACE, except_by=frozenset({ClickIdKind.WBRAID}))}
    lost = story(reported("perdu", LOST))

    assert "not_undoable" == asked(lost, told(click=ClickIdKind.WBRAID), corrects=corrects).ruled_out_by
    assert asked(lost, told(click=ClickIdKind.GCLID), corrects=corrects).ruled_out_by is None


@pytest.mark.parametrize(
    ("after", "ruled_out_by"), [(54 * DAY, None), (54 * DAY + timedelta(seconds=1), "too_late_to_correct")]
)
def test_correction_window_closes_54_days_after_the_conversion(after, ruled_out_by):
    """Google corrects no older conversion."""
    assert ruled_out_by == asked(story(reported("perdu", LOST)), now=WON + after).ruled_out_by


STANDS = {
    "nothing happened since": (),
    "it went on, to no stage that takes it back": (reported("chantier", LOST),),
    "it came back": (reported("perdu", LOST), reported("gagne", LOST + DAY)),
    "its status was only renamed": (StatusEntered("perdu", LOST, False, StatusTimeOrigin.RELABEL, NIGHT),),
}


@pytest.mark.parametrize("later", STANDS.values(), ids=STANDS)
def test_wants_no_correction_while_the_sale_stands(later):
    """What the platform holds stays as it was sent."""
    assert asked(story(*later)) is None


def test_reopened_lead_wants_no_correction():
    """A lead lost and then reopened is no longer lost and not yet won again."""
    between = story(reported("perdu", LOST), reported("nouveau", LOST + DAY))

    assert asked(between) is None
    assert asked(between, told("data_manager", worth=Decimal(0), is_taken_back=True)) is None


def test_loss_before_the_win_retracts_nothing():
    """Only a change after the conversion undoes it."""
    earlier = facts(changes=(reported("perdu", CREATED), reported("gagne", WON)))

    assert asked(earlier) is None


def test_same_day_changes_without_times_follow_history_order():
    """Both days stand for the same noon, so the order of the history decides."""
    day = WON.replace(hour=0)
    lead = facts(changes=(reported("gagne", day, date_only=True), reported("perdu", day, date_only=True)))
    at = asked(lead, told(at=day), now=NIGHT).at

    assert at >= day


def test_retraction_takes_the_first_time_the_lead_was_lost():
    """Moving from one undo stage to another keeps the lead lost throughout."""
    assert LOST == asked(story(reported("perdu", LOST), reported("sans suite", LOST + DAY))).at


def test_renamed_undo_stage_still_retracts():
    """`Perdu` was renamed, and the settings list only the new name."""
    undo = UndoRule(frozenset({"sans suite"}), 3 * DAY)

    assert asked(story(reported("perdu", LOST)), renamed={"perdu": "sans suite"}, undo=undo) is not None
    assert asked(story(reported("perdu", LOST)), undo=undo) is None


def test_retracts_a_sale_only_once():
    """The platform already holds the retraction."""
    holds = told(is_taken_back=True, is_retracted=True)

    assert asked(story(reported("perdu", LOST)), holds) is None


# ── restatements ─────────────────────────────────────────────────────────────────────────────────

FIELD = {"fixed_value": None, "field_value": from_field()}
AMOUNTS = [
    ("950.00", None),
    ("949.99", "949.99"),
    ("1050.00", None),
    ("1050.01", "1050.01"),
    ("8400.00", "8400.00"),
]


@pytest.mark.parametrize(("amount", "value"), AMOUNTS)
def test_restates_an_amount_that_moved_by_more_than_five_percent(amount, value):
    """The change is measured against what the platform holds, and the new total is sent, not the difference."""
    found = asked(replace(story(), amounts={"amount": Decimal(amount)}), **FIELD)

    assert value == (found and f"{found.value:.2f}")
    assert found is None or found.cause is AdjustmentCause.VALUE_CHANGED


@pytest.mark.parametrize("amounts", [{}, {"amount": UnreadableAmount("text")}], ids=["deleted", "unreadable"])
def test_missing_or_unreadable_amount_restates_nothing(amounts):
    """The platform keeps the amount that was read before."""
    assert asked(replace(story(), amounts=amounts), **FIELD) is None


def test_never_restates_a_fixed_value():
    """A fixed value comes from the settings, and only later conversions take the new one."""
    assert asked(story(), told(worth=Decimal(60))) is None


@pytest.mark.parametrize("worth", [Decimal(1000), Decimal(0), None], ids=str)
def test_restate_above_off_restates_no_amount(worth):
    """This holds even where no amount was sent; a sale set to zero still gets its value back when won again."""
    off = {"fixed_value": None, "field_value": from_field(restate_above=None)}
    lead = replace(story(), amounts={"amount": Decimal(8400)})
    back = replace(story(reported("perdu", LOST), reported("gagne", LOST + DAY)), amounts=lead.amounts)

    assert asked(lead, told(worth=worth), **off) is None
    assert (
        AdjustmentCause.WON_AGAIN
        is asked(back, told("data_manager", worth=Decimal(0), is_taken_back=True), **off).cause
    )


def test_lost_sale_is_undone_rather_than_restated():
    """Undoing a sale takes precedence over a new amount."""
    lead = replace(story(reported("perdu", LOST)), amounts={"amount": Decimal(2000)})

    assert AdjustmentCause.UNDONE is asked(lead, **FIELD).cause


WORTH_AGAIN = [
    ("its amount", {"amount": Decimal(1000)}, FIELD, Decimal(1000)),
    (
        "what stands in for one",
        {},
        {"fixed_value": None, "field_value": from_field(otherwise=Decimal(900))},
        Decimal(900),
    ),
    ("the settings' word", {}, {}, Decimal(1000)),
]


@pytest.mark.parametrize(
    ("amounts", "over", "value"), [row[1:] for row in WORTH_AGAIN], ids=[row[0] for row in WORTH_AGAIN]
)
def test_sale_won_again_gets_its_value_back(amounts, over, value):
    """This applies where the sale could only be restated to zero."""
    lead = replace(story(reported("perdu", LOST), reported("gagne", LOST + DAY)), amounts=amounts)
    found = asked(lead, told("data_manager", worth=Decimal(0), is_taken_back=True), **over)

    assert (value, AdjustmentCause.WON_AGAIN) == (found.value, found.cause)


def test_sale_won_again_after_a_retraction_is_no_correction():
    """It is a new conversion of its own."""
    lead = story(reported("perdu", LOST), reported("gagne", LOST + DAY))

    assert asked(lead, told(is_taken_back=True, is_retracted=True)) is None


# ── resending ────────────────────────────────────────────────────────────────────────────────────


def anew(lead, **over):
    """The whole conversion resent with a value of zero."""
    return restated_conversion_event(route(**over), lead, told("data_manager"), target=TARGET, value=Decimal(0))


def test_resent_conversion_differs_only_in_value():
    """Key, time and click stay those it was counted by."""
    event = anew(story())

    assert (KEY, WON, "gclid-1", Decimal(0)) == (event.key, event.at, event.click_id.value, event.value.amount)


@pytest.mark.parametrize(
    ("reason", "lead"),
    [
        ("consent_refused", facts(ad_user_data=ConsentAnswer.REFUSED)),
        ("no_identifier", facts(click_ids=())),
        ("to_be_read_again", facts(stale=True)),
    ],
)
def test_resending_obeys_the_same_rules_as_a_conversion(reason, lead):
    """A resend carries a person's data once more."""
    assert reason == anew(lead)
