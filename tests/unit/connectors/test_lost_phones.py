"""Phones that give no number are counted, with the reason for each loss."""

from connectors.contact import summarise_unusable_phones
from connectors.records import Contact


def people(count, *phones, country=None):
    """The same contact, as many times as given."""
    return [Contact(phones=phones, country=country)] * count


def test_no_message_when_no_phone_is_lost():
    """Remarks and blanks are no phones, and a phone that can be read is not lost."""
    assert summarise_unusable_phones([]) is None
    assert (
        summarise_unusable_phones(
            [*people(3, "06 12 34 56 78"), *people(2), *people(2, "-", "néant", "voir 12"), Contact()]
        )
        is None
    )


def test_counts_lost_phones_by_reason():
    """The most frequent reason comes first; leads are counted, not fields."""
    contacts = [
        *people(188, "06 12 34 56 78", country="fr-FR"),
        *people(9, "06 12 34 56 78", "01 42 68 53 00", country="XYZ"),
        *people(2, "06 12 34 56", "06 12 34 56 78"),
        *people(1, "0800 123 456"),
    ]

    assert (
        "12 of 200 leads have a phone that cannot be read: "
        "9: country 'XYZ' unknown; 3: not a valid personal number" == summarise_unusable_phones(contacts)
    )


def test_a_single_reason_does_not_repeat_the_count():
    """The total already says how many leads it concerns."""
    contacts = [*people(196, "06 12 34 56 78"), *people(4, "06 12 34 56")]

    assert "4 of 200 leads have a phone that cannot be read: not a valid personal number" == summarise_unusable_phones(
        contacts
    )


def test_an_international_number_is_never_lost_to_its_country():
    """If it is lost, the number itself is invalid."""
    assert "unknown" not in summarise_unusable_phones(people(4, "+33 6 12", "0033 6 12", country="XYZ"))
    assert summarise_unusable_phones(people(4, "+33 6 12 34 56 78", country="XYZ")) is None


def test_a_country_spelling_that_may_be_personal_data_is_hidden():
    """The field may hold a name or address: a spelling is shown only if several leads share it and it has no digits."""
    contacts = [
        *people(2, "0612345678", country="Dufour-Legrand"),
        *people(5, "0612345678", country="12 rue des Lilas"),
        *people(3, "0612345678", country="jeanne@maison.example"),
    ]

    assert (
        "10 of 10 leads have a phone that cannot be read: country unknown, in a spelling of its own"
        == summarise_unusable_phones(contacts)
    )
