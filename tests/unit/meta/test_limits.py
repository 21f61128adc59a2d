"""What Meta takes."""

from datetime import timedelta

from connectors.meta.encode import META
from connectors.records import ClickIdKind


def test_an_event_goes_out_before_it_is_a_week_old():
    """One a second too old would take its whole request along."""
    assert timedelta(days=6, hours=20) == META.event_window
    assert {"physical_store": timedelta(days=61, hours=20)} == META.source_windows


def test_the_forms_of_one_click_are_interchangeable():
    """The cookie and the bare id name the same click; a lead of a form is something else."""
    assert {ClickIdKind.FBC, ClickIdKind.FBCLID} == META.interchangeable
    assert ClickIdKind.LEAD_ID is META.click_ids[0]


def test_every_click_id_may_have_contact_data_beside_it():
    """Meta matches by whatever it gets."""
    assert set(META.click_ids) == META.contact_with
