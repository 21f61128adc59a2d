"""Every error Meta is known to return has a class, and every other one needs a human.

https://developers.facebook.com/documentation/ads-commerce/marketing-api/error-reference
"""

import pytest

from connectors.meta.outcomes import CODES, SUBCODES, meta_error_meaning
from connectors.records import OutcomeClass

RETRY = [4, 17, 32, 341, 613, 21009, 80000, 80004, 80014]
SAYING_NOTHING = [1, 2, 5000]
FIX_CONFIG = [3, 10, 102, 190, 200, 250, 299, 368, 803, 2635]
BAD_ROWS = [2804001, 2804004, 2804008, 2804009, 2804010, 2804011, 2804019, 2804023, 2804036, 2804050]
NOT_UNDERSTOOD = [None, 1234, 2804007, 2804014, 2804017, 2804048, 1487390]
MEANINGS = [*CODES.values(), *(meaning for by_subcode in SUBCODES.values() for meaning in by_subcode.values())]
BUGS = [2804016, 2804064, 2804066, 2804072, 2804087, 2804116, 2804131, 2804132]


def _kind(code: int, subcode: int | None = None, *, passing: bool = False, secret: bool = False) -> OutcomeClass:
    return meta_error_meaning(code, subcode, passing=passing, blames_secret=secret).kind


@pytest.mark.parametrize(
    ("code", "subcode", "kind"),
    [
        *((code, None, OutcomeClass.RETRY) for code in RETRY),
        *((code, subcode, OutcomeClass.UNKNOWN) for code in SAYING_NOTHING for subcode in (None, 99, 33)),
        *((code, None, OutcomeClass.FIX_CONFIG) for code in FIX_CONFIG),
        *((190, subcode, OutcomeClass.FIX_CONFIG) for subcode in (458, 459, 460, 463, 464, 467, 492, 999)),
        *((100, subcode, OutcomeClass.FIX_DATA) for subcode in (*BAD_ROWS, *NOT_UNDERSTOOD)),
        *((100, subcode, OutcomeClass.BUG) for subcode in BUGS),
        (100, 33, OutcomeClass.FIX_CONFIG),
        (100, 2804003, OutcomeClass.EXPIRED),
        # subcodes of 100 mean nothing beside another code
        (10, 2804003, OutcomeClass.FIX_CONFIG),
        (4, 33, OutcomeClass.RETRY),
    ],
)
def test_known_errors_have_the_expected_class(code, subcode, kind):
    """The table follows Meta's pages, read by hand."""
    assert kind is _kind(code, subcode)


@pytest.mark.parametrize("code", [0, -1, 5, 33, 101, 104, 199, 300, 506, 2500, 79999, 80015, 999999])
def test_an_unknown_error_is_a_configuration_fault(code):
    """It stops the destination until a human looks at it, and is never a success."""
    assert OutcomeClass.FIX_CONFIG is _kind(code)


@pytest.mark.parametrize(
    ("code", "subcode"), [(100, None), (100, 33), (100, 2804001), (190, None), (10, None), (4, None)]
)
def test_a_known_refusal_that_meta_calls_transient_is_retried(code, subcode):
    """Its code means that nothing was accepted; it stops nothing and blames no row."""
    assert OutcomeClass.RETRY is _kind(code, subcode, passing=True)


@pytest.mark.parametrize("code", [1, 2, 5000, 999999, 0, -1])
def test_an_unknown_error_called_transient_stays_unknown(code):
    """Transient says when to retry, not whether the events were accepted before."""
    assert OutcomeClass.UNKNOWN is _kind(code, passing=True)


def test_transient_throttling_keeps_its_message():
    """Its message says what to do."""
    assert "fewer" in meta_error_meaning(4, None, passing=True, blames_secret=False).words


def test_a_wrong_app_secret_is_a_configuration_fault():
    """Meta reports it like any invalid parameter."""
    assert OutcomeClass.FIX_CONFIG is _kind(100, secret=True)


def test_no_error_means_success_or_duplicate():
    """No error of Meta's proves that an event is there already."""
    assert not {OutcomeClass.DONE, OutcomeClass.DUPLICATE} & {each.kind for each in MEANINGS}


def test_every_error_has_a_message():
    """It is the program's own, since Meta's are localised."""
    assert all(each.words for each in MEANINGS)
