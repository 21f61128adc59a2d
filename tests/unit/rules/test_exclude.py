"""Which leads are excluded as tests, however their data are spelt."""

import string
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import Contact
from jobs.rules.extraction import ExclusionCriteria
from jobs.rules.labels import normalise_label
from tests.builders import lead

OURS = ExclusionCriteria(
    email_domains=frozenset({"maison-durand.fr"}),
    phones=frozenset({"+33612345678"}),
    names=frozenset({"jean test", "essai"}),
    fields={"source": frozenset({"test", "demo interne"})},
)


def person(**contact):
    """A lead with this contact data."""
    return lead(contact=Contact(**contact), fields={})


@pytest.mark.parametrize(
    "contact",
    [
        {"emails": ("claire@maison-durand.fr",)},
        {"emails": ("Claire@MAISON-DURAND.FR ",)},
        {"emails": ("Claire <claire@maison-durand.fr>",)},
        {"emails": ("moi@example.org; claire@maison-durand.fr",)},
        {"emails": ("pas une adresse@maison-durand.fr",)},
        {"phones": ("06 12 34 56 78",)},
        {"phones": ("+33 6 12 34 56 78",)},
        {"phones": ("0033612345678",)},
        {"phones": ("01 02 03 04 05 / 06.12.34.56.78",)},
        {"phones": ("+33612345678",), "country": "Belgique"},
        {"first_name": "Jean", "last_name": "TEST"},
        {"first_name": "Test", "last_name": "Jéan"},
        {"last_name": "Jean-Test"},
        {"first_name": "", "last_name": "Essai"},
        {"first_name": "essai", "last_name": None},
    ],
)
def test_recognises_a_test_lead_in_any_spelling(contact):
    """Case, accents, spaces and order do not matter, and the address may be malformed."""
    assert OURS.is_test_lead(person(**contact))


@pytest.mark.parametrize(
    "contact",
    [
        {},
        {"emails": ("claire@essai.maison-durand.fr",)},
        {"emails": ("claire@maison-durand.fr.example.org",)},
        {"emails": ("maison-durand.fr@example.org",)},
        {"phones": ("06 12 34 56 79",)},
        {"phones": ("n° 612",)},
        {"first_name": "Jean", "last_name": "Testard"},
        {"first_name": "Marie", "last_name": "Essai"},
        {"first_name": "Jean", "last_name": None},
    ],
)
def test_does_not_exclude_a_similar_person(contact):
    """Only the exact domain, the exact number and the whole name match."""
    assert not OURS.is_test_lead(person(**contact))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"source": "TEST"}, True),
        ({"source": "Démo-interne"}, True),
        ({"source": "Testeur"}, False),
        ({"source": ""}, False),
        ({"source": Decimal(1)}, False),
        ({"other": "test"}, False),
    ],
)
def test_field_excludes_by_its_whole_value(fields, expected):
    """Values are compared as labels are."""
    assert expected is OURS.is_test_lead(lead(fields=fields))


def test_empty_exclusion_excludes_nobody():
    """A lead without any data is not a test lead."""
    assert not ExclusionCriteria().is_test_lead(person())


NAMES = st.text(string.ascii_letters + "éèçÉ'- ", min_size=1).filter(normalise_label)


@given(first=NAMES, last=NAMES, swapped=st.booleans(), loud=st.booleans())
def test_name_matches_in_either_order_and_case(first, last, swapped, loud):
    """People type first and last names either way."""
    named = ExclusionCriteria(names=frozenset({normalise_label(f"{first} {last}")}))
    typed = [name.upper() if loud else name for name in (first, last)]
    first, last = reversed(typed) if swapped else typed

    assert named.is_test_lead(person(first_name=first, last_name=last))
