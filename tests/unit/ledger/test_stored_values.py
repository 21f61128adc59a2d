"""What is stored of a message is worded anew in the language in which it is shown."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction

import pytest

from connectors.language import Language, _, in_english, using_language
from connectors.records import DestinationId
from jobs.ledger.stored_values import values_from_json, values_to_json
from jobs.rules.reasons import DestinationScope, Message, MessageKind, Reason, StopCause, StopKind

GOOGLE = DestinationId("google_ads")
VALUES = {
    "text": "google_ads",
    "count": 3,
    "number": 2.5,
    "asks": True,
    "nothing": None,
    "reason": Reason.CONSENT_UNKNOWN,
    "codes": ("A", "B"),
    "share": Fraction(3, 4),
    "at": datetime(2026, 11, 28, 5, 30, tzinfo=timezone(timedelta(hours=1))),
    "day": date(2026, 11, 28),
    "wait": timedelta(minutes=2.5),
    "scope": DestinationScope(
        DestinationId("google_ads"), corrections=True, former=("123", "data_manager"), action="5"
    ),
    "why": StopCause(StopKind.ASKED_TO_WAIT, ("503", "slow down"), wait=timedelta(hours=1), times=3),
    "brief": StopCause(StopKind.REFUSED, ()),
    "anomaly": Message(
        MessageKind.HALF_STOPPED,
        {
            "reason": Reason.NO_CLICK_ID,
            "there": (
                Message(MessageKind.STOPPED_THERE, {"scope": DestinationScope(DestinationId("meta")), "count": 2}),
            ),
        },
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_as_it_was(name):
    """Its kind too: a reason is no text, and a day no time."""
    back = values_from_json(values_to_json({name: VALUES[name]}))

    assert {name: VALUES[name]} == back
    assert type(VALUES[name]) is type(back[name])


def test_texts_are_stored_in_english():
    """Whoever shows them may speak another language."""
    with using_language(Language.FRENCH):
        why = _("it is nested too deeply")
        stored = json.loads(values_to_json({"why": why, "stop": StopCause(StopKind.REFUSED, (why,))}))

    assert {"why": in_english(why), "stop": {"stop": ["refused", [in_english(why)], None, 0]}} == stored
    assert why != in_english(why)


def test_a_kind_that_no_message_has_is_refused():
    """It would be read back as something else."""
    with pytest.raises(TypeError, match="like set"):
        values_to_json({"leads": {"L-1"}})


def test_times_keep_their_zone():
    """A notice says the time of the account."""
    at = datetime(2026, 11, 28, 4, 30, tzinfo=UTC).astimezone(timezone(timedelta(hours=1)))

    assert 5 == values_from_json(values_to_json({"at": at}))["at"].hour
