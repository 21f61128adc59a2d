"""Which accepted conversions are corrected, how, and from when."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import AdjustmentKind, ClickIdKind, Correction
from jobs.rules.adjustment import AdjustmentCause, SentConversion, event_to_resend, wanted_adjustment
from jobs.rules.model import ConsentAnswer, Origin, StatusEntered, Undo, UnreadableAmount
from tests.builders import CREATED, TARGET, WON, facts, from_field, reported, route
from tests.fakes import LIMITS, NIGHT

DAY = timedelta(days=1)
KEY = "0" * 40
BY_RESENDING = Correction(frozenset({AdjustmentKind.RESTATEMENT}), 54 * DAY, 2000, by_resending=True)
IN_PLACE = Correction(frozenset(AdjustmentKind), 54 * DAY, 2000, by_resending=False)
CORRECTS = {"data_manager": BY_RESENDING, "google_ads_api": IN_PLACE}
UNDO = Undo(frozenset({"perdu", "sans suite"}), 3 * DAY)
LOST = WON + DAY
LATE = LOST + 3 * DAY
"""The first instant at which a lead has been lost for long enough."""


def told(transport="google_ads_api", **over):
    """What a platform holds of a sale of 1,000 €."""
    return SentConversion(**({"key": KEY, "transport": transport, "at": WON, "worth": Decimal(1000)} | over))


def story(*later):
    """A lead won, and what came after it."""
    return facts(changes=(reported("nouveau", CREATED), reported("gagne", WON), *later))


def asked(lead, holds=None, *, now=LATE, renamed=(), corrects=CORRECTS, **over):
    """The correction that is wanted on a route bent by keyword."""
    bent = {"undo": UNDO, "fixed_value": Decimal(1000)} | over
    way = route(limits=replace(LIMITS, corrects=corrects), **bent)
    return wanted_adjustment(way, lead, holds or told(), renamed=dict(renamed), now=now)


# ── taken back ───────────────────────────────────────────────────────────────────────────────────


def test_a_lost_sale_is_retracted_where_that_can_be():
    """With the time the lead was lost, not the time of sending."""
    found = asked(story(reported("perdu", LOST)))

    assert (AdjustmentKind.RETRACTION, AdjustmentCause.UNDONE, None, LOST, None, None) == (
        found.kind,
        found.cause,
        found.value,
        found.at,
        found.until,
        found.ruled_out_by,
    )


def test_what_cannot_be_retracted_is_made_worth_nothing():
    """The count stays, as this way knows no retraction."""
    found = asked(story(reported("perdu", LOST)), told("data_manager"))

    assert (AdjustmentKind.RESTATEMENT, Decimal(0), "data_manager") == (found.kind, found.value, found.transport)


def test_another_way_may_take_it_back():
    """`undo_via` names it; the conversion went by the other."""
    found = asked(story(reported("perdu", LOST)), told("data_manager"), undo=replace(UNDO, via="google_ads_api"))

    assert (AdjustmentKind.RETRACTION, "google_ads_api") == (found.kind, found.transport)


def test_it_may_still_come_back_before():
    """A day too early it is wanted, and waits until the lead has been lost for three days."""
    found = asked(story(reported("perdu", LOST)), now=LATE - DAY)

    assert LATE == found.until


def test_a_platform_without_corrections_says_so():
    """It is on record that nothing can be taken back there."""
    assert "not_undoable" == asked(story(reported("perdu", LOST)), corrects={}).ruled_out_by


def test_a_click_that_a_way_cannot_correct_by_cannot_be_taken_back_there():
    """Google's adjustments know no wbraid."""
    corrects = CORRECTS | {"google_ads_api": replace(IN_PLACE, except_by=frozenset({ClickIdKind.WBRAID}))}
    lost = story(reported("perdu", LOST))

    assert "not_undoable" == asked(lost, told(click=ClickIdKind.WBRAID), corrects=corrects).ruled_out_by
    assert asked(lost, told(click=ClickIdKind.GCLID), corrects=corrects).ruled_out_by is None


@pytest.mark.parametrize(
    ("after", "ruled_out_by"), [(54 * DAY, None), (54 * DAY + timedelta(seconds=1), "too_late_to_correct")]
)
def test_it_ends_54_days_after_the_conversion(after, ruled_out_by):
    """Google corrects no older conversion."""
    assert ruled_out_by == asked(story(reported("perdu", LOST)), now=WON + after).ruled_out_by


STANDS = {
    "nothing happened since": (),
    "it went on, to no stage that takes it back": (reported("chantier", LOST),),
    "it came back": (reported("perdu", LOST), reported("gagne", LOST + DAY)),
    "its status was only renamed": (StatusEntered("perdu", LOST, False, Origin.RELABEL, NIGHT),),
}


@pytest.mark.parametrize("later", STANDS.values(), ids=STANDS)
def test_it_stands(later):
    """And so does what was told of it."""
    assert asked(story(*later)) is None


def test_a_lead_that_is_neither_here_nor_there_changes_nothing():
    """Lost, then looked at again: it is lost no more, and not won yet."""
    between = story(reported("perdu", LOST), reported("nouveau", LOST + DAY))

    assert asked(between) is None
    assert asked(between, told("data_manager", worth=Decimal(0), is_taken_back=True)) is None


def test_lost_before_it_was_won_takes_nothing_back():
    """Only what comes after the conversion undoes it."""
    earlier = facts(changes=(reported("perdu", CREATED), reported("gagne", WON)))

    assert asked(earlier) is None


def test_lost_on_the_same_day_without_times_is_read_in_order():
    """Both days have the same noon; the history's order tells."""
    day = WON.replace(hour=0)
    lead = facts(changes=(reported("gagne", day, date_only=True), reported("perdu", day, date_only=True)))
    at = asked(lead, told(at=day), now=NIGHT).at

    assert at >= day


def test_the_first_time_it_was_lost_counts():
    """From one such stage to another it is lost all the while."""
    assert LOST == asked(story(reported("perdu", LOST), reported("sans suite", LOST + DAY))).at


def test_a_stage_by_its_old_name_still_takes_back():
    """`Perdu` was renamed, and the settings list the new name alone."""
    undo = Undo(frozenset({"sans suite"}), 3 * DAY)

    assert asked(story(reported("perdu", LOST)), renamed={"perdu": "sans suite"}, undo=undo) is not None
    assert asked(story(reported("perdu", LOST)), undo=undo) is None


def test_what_was_taken_back_is_not_taken_back_again():
    """Once is enough."""
    holds = told(is_taken_back=True, is_retracted=True)

    assert asked(story(reported("perdu", LOST)), holds) is None


# ── another value ────────────────────────────────────────────────────────────────────────────────

FIELD = {"fixed_value": None, "field_value": from_field()}
AMOUNTS = [
    ("950.00", None),
    ("949.99", "949.99"),
    ("1050.00", None),
    ("1050.01", "1050.01"),
    ("8400.00", "8400.00"),
]


@pytest.mark.parametrize(("amount", "value"), AMOUNTS)
def test_an_amount_is_told_again_where_it_moved_by_more_than_five_percent(amount, value):
    """Of what the platform holds; the new total, not the difference."""
    found = asked(replace(story(), amounts={"amount": Decimal(amount)}), **FIELD)

    assert value == (found and f"{found.value:.2f}")
    assert found is None or found.cause is AdjustmentCause.VALUE_CHANGED


@pytest.mark.parametrize("amounts", [{}, {"amount": UnreadableAmount("text")}], ids=["deleted", "unreadable"])
def test_an_amount_nobody_can_read_changes_nothing(amounts):
    """It was told as it was read before."""
    assert asked(replace(story(), amounts=amounts), **FIELD) is None


def test_a_fixed_value_is_never_told_again():
    """It is the settings' word, and the next conversions have the new one."""
    assert asked(story(), told(worth=Decimal(60))) is None


@pytest.mark.parametrize("worth", [Decimal(1000), Decimal(0), None], ids=str)
def test_no_amount_is_told_again_where_that_is_off(worth):
    """However far it moved, and also where none was told; what was made worth nothing gets its value back."""
    off = {"fixed_value": None, "field_value": from_field(restate_above=None)}
    lead = replace(story(), amounts={"amount": Decimal(8400)})
    back = replace(story(reported("perdu", LOST), reported("gagne", LOST + DAY)), amounts=lead.amounts)

    assert asked(lead, told(worth=worth), **off) is None
    assert (
        AdjustmentCause.WON_AGAIN
        is asked(back, told("data_manager", worth=Decimal(0), is_taken_back=True), **off).cause
    )


def test_a_lost_sale_is_not_given_another_amount():
    """What takes it back comes first."""
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
def test_won_again_its_value_comes_back(amounts, over, value):
    """Where it could only be made worth nothing."""
    lead = replace(story(reported("perdu", LOST), reported("gagne", LOST + DAY)), amounts=amounts)
    found = asked(lead, told("data_manager", worth=Decimal(0), is_taken_back=True), **over)

    assert (value, AdjustmentCause.WON_AGAIN) == (found.value, found.cause)


def test_won_again_after_a_retraction_is_no_correction():
    """It is a conversion of its own."""
    lead = story(reported("perdu", LOST), reported("gagne", LOST + DAY))

    assert asked(lead, told(is_taken_back=True, is_retracted=True)) is None


# ── sent anew ────────────────────────────────────────────────────────────────────────────────────


def anew(lead, **over):
    """The whole conversion, worth nothing."""
    return event_to_resend(route(**over), lead, told("data_manager"), target=TARGET, value=Decimal(0))


def test_a_conversion_sent_anew_is_the_same_but_for_its_value():
    """Key, time and click are those it was counted by."""
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
def test_it_goes_out_only_as_a_conversion_may(reason, lead):
    """It carries a person's data once more."""
    assert reason == anew(lead)
