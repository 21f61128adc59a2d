"""Meta's normalisation and hashes, checked against its own examples.

https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/customer-information-parameters
"""

from hashlib import sha256

import pytest

from connectors.meta.identity import hash_contact
from connectors.records import Contact, ContactIdentifierKind, Identifier

# Meta's own examples: printf '%s' TEXT | sha256sum
SHA256 = {
    "john_smith@gmail.com": "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    "valéry": "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c",
}


def _one(kind: ContactIdentifierKind, **contact: object) -> str | None:
    """The hash of this kind, beside an e-mail that makes any contact sufficient."""
    found = hash_contact(Contact(**({"emails": ("jane@example.fr",)} | contact)))
    return next((each.sha256 for each in found if each.kind is kind), None)


def _hash(text: str | None) -> str | None:
    return sha256(text.encode()).hexdigest() if text is not None else None


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        (" John_Smith@gmail.com ", "john_smith@gmail.com"),
        ("Jean.Dupont+Site@Gmail.com", "jean.dupont+site@gmail.com"),
        ("mailto:a.b@example.fr", "a.b@example.fr"),
    ],
)
def test_an_email_address_is_only_trimmed_and_lower_cased(typed, normalised):
    """Meta removes neither dots nor suffixes, not even Gmail's."""
    assert _hash(normalised) == _one(ContactIdentifierKind.EMAIL, emails=(typed,))


@pytest.mark.parametrize(
    "typed",
    ["0612345678", "06 12 34 56 78", "06.12.34.56.78", "+33 (0)6 12 34 56 78", "0033612345678", "06/12/34/56/78"],
)
def test_a_phone_is_hashed_with_its_country_code(typed):
    """It has no plus or leading zero; Meta's library leaves the code out, or stops at the dots."""
    assert _hash("33612345678") == _one(ContactIdentifierKind.PHONE, phones=(typed,))


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        ("Valéry", "valéry"),
        ("Vale\u0301ry", "valéry"),
        ("  JEAN  ", "jean"),
        ("Jean-Pierre", "jeanpierre"),
        ("Jean Pierre", "jeanpierre"),
        ("D'Artagnan", "dartagnan"),
        ("D’Artagnan", "dartagnan"),
        ("M. Jean", "jean"),
        ("M Jean", "jean"),
        ("\u200bMme Anne", "anne"),
        ("Mlle. Anne", "anne"),
        ("Monsieur Jean", "jean"),
        ("M. et Mme Durand", "durand"),
        ("Madame", None),
        ("Maxime", "maxime"),
        ("Mmeyer", "mmeyer"),
        ("Et Toi", "ettoi"),
        (" ", None),
        ("-", None),
        ("", None),
        ("Inconnu", None),
        ("N.C.", None),
        ("jean@example.fr", None),
        ("0612345678", None),
        ("Øystein", "øystein"),
        ("李明", "李明"),
    ],
)
@pytest.mark.parametrize("kind", [ContactIdentifierKind.FIRST_NAME, ContactIdentifierKind.LAST_NAME])
def test_a_name_is_reduced_to_its_letters(kind, typed, normalised):
    """Accents stay and are composed, titles and punctuation go, and an empty text is never hashed."""
    assert _hash(normalised) == _one(kind, **{kind.value: typed})


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        ("Paris", "paris"),
        ("Paris 15e", "paris"),
        ("PARIS 15ème arrondissement", "paris"),
        ("Paris (1er)", "paris"),
        ("Paris Cedex 15", "paris"),
        ("Paris XVe", "paris"),
        ("LYON IIIème", "lyon"),
        ("Viviez", "viviez"),
        ("LYON CEDEX 03", "lyon"),
        ("75015 PARIS", "paris"),
        ("Saint-Étienne", "saintétienne"),
        ("L'Haÿ-les-Roses", "lhaÿlesroses"),
        ("Aix en Provence", "aixenprovence"),
        ("Arras", "arras"),
        ("75015", None),
        ("?", None),
        ("", None),
    ],
)
def test_a_city_is_reduced_to_its_letters(typed, normalised):
    """Accents stay; arrondissement, Cedex and spaces go."""
    assert _hash(normalised) == _one(ContactIdentifierKind.CITY, city=typed)


@pytest.mark.parametrize(
    ("typed", "country", "normalised"),
    [
        ("75015", None, "75015"),
        ("75 015", None, "75015"),
        ("F-75015", None, "75015"),
        ("FR-75015", "FR", "75015"),
        ("1000", None, "01000"),
        ("1000", "France", "01000"),
        ("1000", "BE", "1000"),
        ("B-1000", "Belgique", "1000"),
        ("BE 1000", "be", "1000"),
        ("CH-1201", "Suisse", "1201"),
        ("L-1234", "Luxembourg", "1234"),
        ("L - 1234", "LUX", "1234"),
        ("SW1A 1AA", "UK", "sw1a1"),
        ("m1 1ae", "Royaume-Uni", "m11"),
        ("94107-1234", "US", "94107"),
        ("94107", "USA", "94107"),
        ("00184", "IT", "00184"),
        ("I-00184", "Italie", "00184"),
        ("08001", "ES", "08001"),
        ("1012 AB", "NL", "1012ab"),
        ("1250-096", "Portugal", "1250096"),
        ("H2X 1Y4", "Canada", "h2x1y4"),
        ("75015 CEDEX 15", "France", "75015"),
        ("75015 Cedex", None, "75015"),
        ("97400", "Réunion", "97400"),
        ("97110", "FRA", "97110"),
        ("75015", "-", "75015"),
        ("1000", "n/a", "01000"),
        ("1000", "Réunion", None),
        ("1000", "Syldavie", None),
        ("10000", "Syldavie", "10000"),
        ("100", "BE", None),
        ("SW1A", "GB", None),
        ("941", "US", None),
        ("inconnu", "NL", None),
        ("00184", None, None),
        ("10115", "DE", "10115"),
        ("1000.0", None, None),
        ("00000", None, None),
        ("750", None, None),
        ("SW1A 1AA", None, None),
        ("", None, None),
    ],
)
def test_a_postcode_takes_its_countrys_form(typed, country, normalised):
    """A French one regains the zero a spreadsheet dropped; one in another form is omitted."""
    assert _hash(normalised) == _one(ContactIdentifierKind.POSTCODE, postcode=typed, country=country)


@pytest.mark.parametrize(
    ("typed", "postcode", "normalised"),
    [
        ("FR", None, "fr"),
        ("fra", None, "fr"),
        (" France ", None, "fr"),
        ("BE", None, "be"),
        (None, "75015", "fr"),
        ("", "75015", "fr"),
        (None, None, None),
        (None, "unknown", None),
        ("Belgique", None, "be"),
        ("fr-FR", None, "fr"),
        ("250", None, "fr"),
        ("F", None, "fr"),
        ("France métropolitaine", None, "fr"),
        ("Réunion", None, "re"),
        ("Martinique", "97200", "mq"),
        ("-", None, None),
        ("n/a", "75015", "fr"),
        ("null", "12", None),
        ("Syldavie", "10000", None),
        ("XX", None, None),
    ],
)
def test_a_country_becomes_its_two_letter_code(typed, postcode, normalised):
    """France is assumed only with a French postcode."""
    assert _hash(normalised) == _one(ContactIdentifierKind.COUNTRY, country=typed, postcode=postcode)


@pytest.mark.parametrize(
    "contact",
    [
        Contact(),
        Contact(first_name="Jean", last_name="Durand"),
        Contact(first_name="Jean", last_name="Durand", country="FR"),
        Contact(first_name="Jean", postcode="75015", city="Paris"),
        Contact(last_name="Durand", postcode="75015", city="Paris"),
        Contact(first_name="Mme", last_name="Durand", city="Paris"),
        Contact(postcode="75015", city="Paris", country="FR"),
        Contact(emails=("néant",), phones=("12",), city="Paris"),
    ],
)
def test_insufficient_contact_data_gives_no_identifier(contact):
    """Meta refuses such an event, and the whole request with it."""
    assert () == hash_contact(contact)


@pytest.mark.parametrize(
    ("contact", "kinds"),
    [
        (Contact(emails=("a@example.fr",)), ["email"]),
        (Contact(phones=("0612345678",), city="Paris"), ["phone", "city"]),
        (Contact(first_name="Jean", last_name="Durand", city="Paris"), ["first_name", "last_name", "city"]),
        (
            Contact(first_name="Jean", last_name="Durand", postcode="75015"),
            ["first_name", "last_name", "postcode", "country"],
        ),
    ],
)
def test_sufficient_contact_data_gives_every_identifier(contact, kinds):
    """An e-mail, a phone, or a full name with a place is enough."""
    assert kinds == [each.kind for each in hash_contact(contact)]


def test_reproduces_metas_published_hashes():
    """They are SHA-256 in lower-case hex."""
    contact = Contact(emails=("John_Smith@gmail.com",), first_name="Valéry")
    expected = (
        Identifier(ContactIdentifierKind.EMAIL, SHA256["john_smith@gmail.com"]),
        Identifier(ContactIdentifierKind.FIRST_NAME, SHA256["valéry"]),
    )

    assert expected == hash_contact(contact)


def test_a_repeated_email_address_gives_one_identifier():
    """Case does not matter."""
    assert 1 == len(hash_contact(Contact(emails=("Jean@Example.fr", "jean@example.fr"))))


def test_contact_data_is_hidden_from_repr():
    """Neither a contact nor its identifiers show a name, address or number."""
    contact = Contact(emails=("jane.doe@example.com",), phones=("0612345678",), last_name="Durand")
    identifiers = hash_contact(contact)

    assert "urand" not in repr((contact, identifiers))
    assert "jane" not in repr((contact, identifiers))
    assert [] == [each.kind for each in identifiers if each.sha256 in repr(identifiers)]


@pytest.mark.timeout(10)
def test_a_very_long_city_or_name_is_dropped():
    """A search for an arrondissement would take minutes on endless digits."""
    remark = "1" * 100_000 + "x"

    assert () == hash_contact(Contact(first_name="Jeanne", last_name="Martin", city=remark))
    assert () == hash_contact(Contact(first_name="Jeanne", last_name=remark, city="Lyon"))
