"""Google's normalisation and hashes, checked against its own examples.

https://developers.google.com/data-manager/api/devguides/concepts/formatting
"""

from hashlib import sha256

import pytest

from connectors.google_ads.platform import hash_contact, normalize_email
from connectors.records import Contact, ContactIdentifierKind, Identifier

# printf '%s' TEXT | sha256sum
SHA256 = {
    "cloudysanfrancisco@gmail.com": "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4",
    "user.name+nyc@example.com": "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac",
    "+18005550100": "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30",
    "+33612345678": "42d573cfc315801d4cd8eddd5416b416a0bf298b9b9e12d6b07442c91db42bd8",
}


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        ("cloudy.sanfrancisco+shopping@gmail.com", "cloudysanfrancisco@gmail.com"),
        ("cloudySanFrancisco@GMAIL.com", "cloudysanfrancisco@gmail.com"),
        ("c.l.o.u.d.y@googlemail.com", "cloudy@googlemail.com"),
        ("user.name+NYC@Example.com", "user.name+nyc@example.com"),
        ("  Jane . Doe @example.com ", "jane.doe@example.com"),
        ("jane.doe@gmail.com.example.org", "jane.doe@gmail.com.example.org"),
        ("+shopping@gmail.com", None),
    ],
)
def test_an_email_address_is_normalised_by_googles_rule(typed, normalised):
    """Dots and suffixes are removed for Gmail only."""
    assert normalised == normalize_email(typed)


def test_contact_data_is_hashed_by_googles_rule():
    """It is SHA-256 of the normalised text, in lower-case hex."""
    contact = Contact(
        emails=("user.name+NYC@Example.com ", "cloudy.sanfrancisco+shopping@gmail.com"),
        phones=("06 12 34 56 78",),
    )
    expected = (
        Identifier(ContactIdentifierKind.EMAIL, SHA256["user.name+nyc@example.com"]),
        Identifier(ContactIdentifierKind.EMAIL, SHA256["cloudysanfrancisco@gmail.com"]),
        Identifier(ContactIdentifierKind.PHONE, SHA256["+33612345678"]),
    )

    assert expected == hash_contact(contact)


def test_two_spellings_of_one_mailbox_give_one_identifier():
    """Gmail ignores case, dots and suffixes."""
    contact = Contact(emails=("Cloudy.SanFrancisco@gmail.com", "cloudysanfrancisco+x@gmail.com"))

    assert (Identifier(ContactIdentifierKind.EMAIL, SHA256["cloudysanfrancisco@gmail.com"]),) == hash_contact(contact)


def test_invalid_contact_data_gives_no_identifier():
    """An empty or broken field is never hashed."""
    assert () == hash_contact(Contact(emails=("", "néant", "+x@gmail.com"), phones=("", "12")))


def test_at_most_ten_identifiers_are_given():
    """The API takes ten an event; the first typed are kept."""
    typed = [f"person{number}@example.com" for number in range(12)]
    many = Contact(emails=tuple(typed), phones=("0612345678",))
    first_ten = [Identifier(ContactIdentifierKind.EMAIL, sha256(each.encode()).hexdigest()) for each in typed[:10]]

    assert first_ten == list(hash_contact(many))


def test_contact_data_is_hidden_from_repr():
    """Neither a contact nor its identifiers show an address or number."""
    contact = Contact(emails=("jane.doe@example.com",), phones=("0612345678",))

    assert "jane" not in repr((contact, hash_contact(contact)))
