"""Phones that give no number are counted, and told by what they are lost to."""

from connectors.contact import lost_phones
from connectors.records import Contact


def people(count, *phones, country=None):
    """So many leads alike."""
    return [Contact(phones=phones, country=country)] * count


def test_nothing_lost_is_nothing_said():
    """Remarks and blanks are no phones, and a phone that is read is none that is lost."""
    assert lost_phones([]) is None
    assert (
        lost_phones([*people(3, "06 12 34 56 78"), *people(2), *people(2, "-", "néant", "voir 12"), Contact()]) is None
    )


def test_each_loss_is_told_with_its_reason():
    """The commonest first; leads are counted, not fields."""
    contacts = [
        *people(188, "06 12 34 56 78", country="fr-FR"),
        *people(9, "06 12 34 56 78", "01 42 68 53 00", country="XYZ"),
        *people(2, "06 12 34 56", "06 12 34 56 78"),
        *people(1, "0800 123 456"),
    ]

    assert (
        "12 of 200 leads have a phone that cannot be read: "
        "9: country 'XYZ' unknown; 3: not a valid personal number" == lost_phones(contacts)
    )


def test_an_international_number_lacks_no_country():
    """Where it is lost, it is for itself."""
    assert "unknown" not in lost_phones(people(4, "+33 6 12", "0033 6 12", country="XYZ"))
    assert lost_phones(people(4, "+33 6 12 34 56 78", country="XYZ")) is None


def test_a_spelling_that_may_be_anything_is_not_shown():
    """A country field may hold somebody's name or address: only what several leads share, and no digits."""
    contacts = [
        *people(2, "0612345678", country="Dufour-Legrand"),
        *people(5, "0612345678", country="12 rue des Lilas"),
        *people(3, "0612345678", country="jeanne@maison.example"),
    ]

    assert (
        "10 of 10 leads have a phone that cannot be read: 10: country unknown, in a spelling of its own"
        == lost_phones(contacts)
    )
