"""Click ids as they are written: the form that is read first, and exactly what was given."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.oplead.options import UnlabelledClickIdRules
from connectors.oplead.parsing.click_ids import format_labelled_click_ids, read_click_ids
from connectors.records import ClickId, ClickIdKind
from tests import suite

PARIS = ZoneInfo("Europe/Paris")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
MILLISECONDS = st.integers(1_500_000_000_000, 2_000_000_000_000)
TIMES = st.builds(
    lambda micro: EPOCH + timedelta(microseconds=micro), st.integers(1_500_000_000_000_000, 2_000_000_000_000_000)
)
TOKENS = st.builds("Cj{}{}_-{}".format, *(st.text(ALPHABET, min_size=8, max_size=60) for _ in range(3)))
GOOGLE = (ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID)


def read(text):
    """Return what the night reads."""
    return read_click_ids(text, utm_source=None, rules=UnlabelledClickIdRules(bare="reject"), zone=PARIS)


@st.composite
def click_ids(draw):
    """Click ids of any kinds, each at most once; those that one label dates share their time."""
    google, meta = (draw(st.none() | TIMES) for _ in range(2))
    kinds = draw(st.lists(st.sampled_from(ClickIdKind), min_size=1, unique=True))
    return tuple(_one(draw, kind, google, meta) for kind in kinds)


def _one(draw, kind, google, meta):
    if kind is ClickIdKind.FBC:
        ms = draw(MILLISECONDS)
        return ClickId(kind, f"fb.1.{ms}.{draw(TOKENS)}", EPOCH + timedelta(milliseconds=ms))
    if kind is ClickIdKind.FBP:
        return ClickId(kind, f"fb.1.{draw(MILLISECONDS)}.{draw(st.integers(1, 10**18))}")
    if kind is ClickIdKind.LEAD_ID:
        return ClickId(kind, str(draw(st.integers(10**14, 10**17 - 1))))
    return ClickId(kind, draw(TOKENS), google if kind in GOOGLE else meta if kind is ClickIdKind.FBCLID else None)


@given(click_ids())
@settings(max_examples=suite.examples(60, 500), deadline=None)
def test_what_is_written_is_read_back(ids):
    """Every kind, value and time comes back, in order, with nothing added."""
    assert (ids, None) == read(format_labelled_click_ids(ids))


def test_a_time_that_not_all_ids_share_is_left_out():
    """One label dates every Google id: a time of one would be asserted of the other."""
    clicked = datetime(2026, 7, 20, 15, 5, 1, tzinfo=UTC)
    ids = (
        ClickId(ClickIdKind.GCLID, "Cj0KCQjwAbC-dEf_123456", clicked),
        ClickId(ClickIdKind.WBRAID, "CjkKCQjwAbC-dEf_654321", clicked + timedelta(days=1)),
    )

    assert "gclid=Cj0KCQjwAbC-dEf_123456&wbraid=CjkKCQjwAbC-dEf_654321" == format_labelled_click_ids(ids)


@pytest.mark.parametrize("kind", ClickIdKind)
def test_every_kind_has_a_label(kind):
    """A kind that is added needs one too."""
    assert format_labelled_click_ids((ClickId(kind, "x"),)).startswith(f"{kind.value}=")
