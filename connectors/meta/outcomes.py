"""What every error Meta is known to give means for a delivery and its destination.

Codes: https://developers.facebook.com/docs/graph-api/guides/error-handling and
https://developers.facebook.com/documentation/ads-commerce/marketing-api/error-reference.
Meta lists the subcodes of code 100 nowhere; where one is told by others only, its page is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.records import OutcomeClass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error means to us, and in our words: Meta's are localised and may quote what was sent."""

    kind: OutcomeClass
    words: str
    advice: str = ""
    """What to do about it, where that is always the same."""


INVALID_PARAMETER = 100
TOKEN = 190

_SLOW_DOWN = Meaning(OutcomeClass.RETRY, "Meta asks for fewer calls")
_FOR_A_WHILE = Meaning(OutcomeClass.RETRY, "Meta has a passing trouble")
_TROUBLE = Meaning(OutcomeClass.UNKNOWN, "Meta has a trouble of its own and does not say what it had taken before")
NO_PERMISSION = Meaning(OutcomeClass.FIX_CONFIG, "the access token may not do this")
NO_DATASET = Meaning(
    OutcomeClass.FIX_CONFIG,
    "the dataset does not exist or the access token has no access to it",
    "compare meta.dataset_id with Events Manager, and make the access token there, for this dataset",
)
_SESSION_OVER = Meaning(OutcomeClass.FIX_CONFIG, "Meta does not take the access token")
WRONG_SECRET = Meaning(OutcomeClass.FIX_CONFIG, "the app secret is not that of the access token's app")
_BAD_PARAMETER = Meaning(OutcomeClass.FIX_DATA, "Meta finds something in the request invalid")
_UNKNOWN_REFUSAL = Meaning(OutcomeClass.FIX_CONFIG, "Meta refuses for a reason this version does not know")
_OF_MESSAGING = Meaning(OutcomeClass.BUG, "an error about messaging, which is never sent")

CODES: Mapping[int, Meaning] = {
    1: _TROUBLE,
    2: _TROUBLE,
    # "Unknown error code": https://github.com/rudderlabs/rudder-transformer
    5000: _TROUBLE,
    21009: Meaning(OutcomeClass.RETRY, "what was asked for is not ready yet"),
    # https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    4: _SLOW_DOWN,
    17: _SLOW_DOWN,
    32: _SLOW_DOWN,
    341: _SLOW_DOWN,
    613: _SLOW_DOWN,
    **dict.fromkeys(range(80000, 80015), _SLOW_DOWN),
    3: NO_PERMISSION,
    10: NO_PERMISSION,
    **dict.fromkeys(range(200, 300), NO_PERMISSION),
    102: _SESSION_OVER,
    368: Meaning(OutcomeClass.FIX_CONFIG, "Meta has blocked this for a breach of its policies"),
    803: NO_DATASET,
    2635: Meaning(OutcomeClass.FIX_CONFIG, "this version of the Graph API is no longer served"),
}
"""By code, whatever the subcode; those of 100 and 190 say more."""

TOKEN_SUBCODES: Mapping[int, Meaning] = {
    458: Meaning(OutcomeClass.FIX_CONFIG, "the access token's app was removed"),
    459: Meaning(OutcomeClass.FIX_CONFIG, "the access token's user must log in to Facebook"),
    460: Meaning(OutcomeClass.FIX_CONFIG, "the access token's user changed the password"),
    463: Meaning(OutcomeClass.FIX_CONFIG, "the access token has expired"),
    464: Meaning(OutcomeClass.FIX_CONFIG, "the access token's user is not confirmed"),
    467: Meaning(OutcomeClass.FIX_CONFIG, "the access token is invalid"),
    492: Meaning(OutcomeClass.FIX_CONFIG, "the access token's user has lost a role the token needs"),
}
"""Of code 190."""

PARAMETER_SUBCODES: Mapping[int, Meaning] = {
    33: NO_DATASET,
    # https://github.com/Adsmurai-Google-Tag-Manager-Templates/adsmurai-facebook-conversions-api-client/issues/6
    2804001: Meaning(OutcomeClass.FIX_DATA, "a click id is not in Meta's form"),
    2804003: Meaning(OutcomeClass.EXPIRED, "an event is older than 7 days"),
    2804004: Meaning(OutcomeClass.FIX_DATA, "an event's time lies ahead or is in milliseconds"),
    2804008: Meaning(OutcomeClass.FIX_DATA, "an article has no id"),
    # https://github.com/Adsmurai-Google-Tag-Manager-Templates/adsmurai-facebook-conversions-api-client/issues/7
    2804009: Meaning(OutcomeClass.FIX_DATA, "a Purchase has no value"),
    2804010: Meaning(OutcomeClass.FIX_DATA, "a Purchase has no currency"),
    2804011: Meaning(OutcomeClass.FIX_DATA, "a currency is none"),
    # https://github.com/facebook/facebook-java-business-sdk/issues/421
    2804016: Meaning(OutcomeClass.BUG, "contact data is not hashed"),
    # https://github.com/facebook/facebook-nodejs-business-sdk/issues/258
    2804019: Meaning(OutcomeClass.FIX_DATA, "a field is unknown or has the wrong shape"),
    2804023: Meaning(OutcomeClass.FIX_DATA, "a value has no currency"),
    2804036: Meaning(OutcomeClass.FIX_DATA, "a lead_id is invalid"),
    2804050: Meaning(OutcomeClass.FIX_DATA, "too little is known of a person"),
    **dict.fromkeys((2804064, 2804066, 2804072, 2804087, 2804116, 2804131, 2804132), _OF_MESSAGING),
}
"""Of code 100; any other may be any event's fault."""


def meaning_of(code: int, subcode: int | None, *, passing: bool, blames_secret: bool) -> Meaning:
    """What an error means that came with a status below 500; whatever is not known needs a human, never a guess.

    What Meta calls transient says when to come back, not whether the events were taken. So it has a refusal that is
    known wait instead of stopping anything, and leaves the answer lost where the code is not known to be a refusal.

    Args:
        code: the error's own.
        subcode: what it says more precisely.
        passing: whether Meta itself calls it transient.
        blames_secret: whether it names `appsecret_proof`, which has no code of its own:
            https://github.com/facebook/facebook-python-business-sdk/issues/528
    """
    meaning = _meaning_of(code, subcode, blames_secret=blames_secret)
    if not passing or meaning.kind in (OutcomeClass.RETRY, OutcomeClass.UNKNOWN):
        return meaning
    return _TROUBLE if meaning is _UNKNOWN_REFUSAL else _FOR_A_WHILE


def _meaning_of(code: int, subcode: int | None, *, blames_secret: bool) -> Meaning:
    if code == INVALID_PARAMETER and blames_secret:
        return WRONG_SECRET
    if code == INVALID_PARAMETER:
        return PARAMETER_SUBCODES.get(subcode or 0, _BAD_PARAMETER)
    if code == TOKEN:
        return TOKEN_SUBCODES.get(subcode or 0, _SESSION_OVER)
    return CODES.get(code, _UNKNOWN_REFUSAL)
