"""What was heard of an Oplead is read for what it is, whatever stands where a lead should."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from connectors.oplead.answers import HeardExchange
from connectors.oplead.evidence.looking import entries_in, exact_names, heard_leads
from connectors.oplead.options import OpleadOptions

OPTIONS = OpleadOptions(token="k", zone=ZoneInfo("Europe/Paris"))
LISTED = {"data": [{"id": "L-1"}, {"id": "L-2"}]}


def heard(target, body):
    """A GET that was answered."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HeardExchange("GET", target, None, 200, (), content)


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", {"error": "not found"}, {"id": "0"}, {"id": "L-9"}, []])
def test_what_is_no_listed_leads_page_is_none(body):
    """An error may be answered with 200."""
    found = heard_leads(
        [heard("/v1/leads?page=1", LISTED), heard("/v1/leads/0", body), heard("/v1/leads", body)], OPTIONS
    )

    assert (2, []) == (len(found.ids), found.details)


@pytest.mark.parametrize("wrap", ["data", "result"])
def test_a_listed_leads_page_is_one(wrap):
    """Also in what wraps it."""
    found = heard_leads([heard("/v1/leads", LISTED), heard("/v1/leads/L-2", {wrap: {"id": "L-2", "x": 1}})], OPTIONS)

    assert ["L-2"] == [lead["id"] for lead in found.details]


def test_only_a_page_with_other_leads_is_another_page():
    """A parameter that is ignored shows the first one again, a filter some of it."""
    listed = [LISTED, LISTED, {"data": [{"id": "L-2"}]}, {"data": []}, {"data": [{"id": "L-2"}, {"id": "L-3"}]}]
    found = heard_leads([heard(f"/v1/leads?page={number}", body) for number, body in enumerate(listed)], OPTIONS)

    assert (2, ["L-1", "L-2", "L-3"]) == (found.list_pages, found.ids)


def test_a_listed_leads_page_that_was_never_shown_is_counted():
    """Not one that was asked for again, nor that of a lead that is not there."""
    asked = [("L-1", 403), ("L-1", 403), ("L-2", 503), ("L-2", 200), ("0", 404)]
    pages = [replace(heard(f"/v1/leads/{one}", {"id": one}), status=status) for one, status in asked]
    found = heard_leads([heard("/v1/leads", LISTED), *pages], OPTIONS)

    assert (1, {"L-2"}) == (found.unread, found.opened)


def test_a_name_with_nothing_in_it_is_there():
    """A lead without tracking still shows where it would be."""
    assert {"leadData": 1, "statusDate": 0} == exact_names([{"leadData": {}}], ("leadData", "statusDate"))


@pytest.mark.parametrize(("body", "entries"), [(b"[1,2]", 2), (b'{"data":[1]}', 1), (b"no", 0), (b"{}", 0)])
def test_entries_of_a_list_are_counted(body, entries):
    """Whatever wraps it."""
    assert entries == entries_in(body)
