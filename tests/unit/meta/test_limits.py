"""Meta's limits."""

from datetime import timedelta

from connectors.meta.encode import META
from connectors.records import ClickIdKind


def test_event_windows_end_four_hours_before_metas_limit():
    """One event a second too old would make Meta refuse its whole request."""
    assert timedelta(days=6, hours=20) == META.event_window
    assert {"physical_store": timedelta(days=61, hours=20)} == META.source_windows


def test_fbc_and_fbclid_are_interchangeable():
    """The cookie and the bare id name the same click; the id of a form lead is different and comes first."""
    assert {ClickIdKind.FBC, ClickIdKind.FBCLID} == META.interchangeable
    assert ClickIdKind.LEAD_ID is META.click_ids[0]


def test_contact_data_may_accompany_every_click_id():
    """Meta matches by whatever it receives."""
    assert set(META.click_ids) == META.contact_with
