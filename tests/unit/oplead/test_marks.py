"""The marks that distinguish entries without an id on a page."""

import pytest

from connectors.oplead.answers import OpleadAnswer
from connectors.oplead.pagination import hash_entry_without_id, lacks_id
from connectors.oplead.probe.asking import ProbedLeadList

LISTED = ProbedLeadList(None, None, ("id",))
ENTRY = {"email": "jean.dupont@example.org", "phone": "0612345678"}


def mark_of_listed(entry):
    """The mark that the probe gives a page's entry."""
    return LISTED.read(OpleadAnswer([entry], "", None, None)).marks[0]


@pytest.mark.parametrize("mark", [hash_entry_without_id, mark_of_listed], ids=["a night's", "the probe's"])
def test_nameless_mark_reveals_no_data_of_its_entry(mark):
    """It only shows whether two entries are equal."""
    marks = {mark(ENTRY), mark(dict(ENTRY)), mark({**ENTRY, "phone": "0612345679"})}

    assert 2 == len(marks)
    assert all(lacks_id(one) for one in marks)
    assert not any(value in one for one in marks for value in ENTRY.values())


def test_id_is_not_mistaken_for_a_nameless_mark():
    """`lacks_id` is true only for such a mark."""
    assert not lacks_id("L-1")
