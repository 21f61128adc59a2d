"""What histories call statuses by codes alone is known only where leads show it beyond doubt."""

import pytest

from connectors.past_statuses import codes_of_histories

NEW, WON, LOST = ("Nouveau", ["S1"]), ("Gagné", ["S7"]), ("Perdu", ["S8"])
PAST = [["S1"], ["S1", "S7"], ["S1", "S8"]]


def found(*shown, past=PAST):
    """The code of each status that has one of its own, and the texts beside each other code."""
    told = codes_of_histories(shown, past, str.casefold)
    return dict(told.by_text), dict(told.unclear)


def test_code_beside_one_text_alone_is_its_statuss():
    """As often as it is shown, and however it is spelt."""
    shown = (NEW, WON, WON, ("GAGNÉ", ["s7"]), LOST)

    assert ({"nouveau": "S1", "gagné": "S7", "perdu": "S8"}, {}) == found(*shown)


def test_status_whose_text_histories_tell_needs_no_code():
    """They may tell other things by this code."""
    assert ({"nouveau": "S1", "perdu": "S8"}, {"S7": ("Gagné",)}) == found(NEW, WON, LOST, past=[*PAST, ["Gagné"]])


def test_histories_that_tell_texts_have_no_codes():
    """What leads show beside a text is then nobody's concern."""
    assert ({}, {}) == found(NEW, WON, LOST, past=[["Nouveau", "Gagné"], ["Perdu"]])


@pytest.mark.parametrize(
    ("shown", "past", "unclear"),
    [
        pytest.param([WON, ("Signé", ["S7"])], PAST, {"S7": ("Gagné", "Signé")}, id="a code that two texts share"),
        pytest.param([WON, ("Gagné", ["S9"])], PAST, {"S7": ("Gagné",)}, id="a text with another code at another lead"),
        pytest.param(
            [("Gagné", ["S7", "S9"])], [["S7"], ["S9"]], {"S7": ("Gagné",), "S9": ("Gagné",)}, id="two codes at once"
        ),
        pytest.param(
            [("Gagné", ["S7", "OPEN"]), ("Perdu", ["S8", "OPEN"])],
            [["OPEN"]],
            {"OPEN": ("Gagné", "Perdu")},
            id="a kind of status",
        ),
    ],
)
def test_code_that_may_mean_another_status_is_none(shown, past, unclear):
    """Nothing is guessed; whoever knows what it means is told."""
    assert ({}, unclear) == found(*shown, past=past)


def test_other_names_that_no_history_tells_are_no_doubt():
    """Such as a number beside the code, or leads that show the text alone."""
    shown = (("Gagné", ["S7", "14"]), ("Gagné", ["S7", "14"]), ("Gagné", []))

    assert ({"gagné": "S7"}, {}) == found(*shown)


def test_present_status_of_a_lead_is_no_code_of_another():
    """It is a status by itself."""
    assert ({}, {}) == found(WON, ("S7", []))


def test_code_that_no_lead_shows_is_known_to_nobody():
    """Only histories have it."""
    assert ({"gagné": "S7"}, {}) == found(WON)
