"""Expected identifiers for Google, written by hand from its formatting rules.

https://developers.google.com/data-manager/api/devguides/concepts/formatting
"""

from hashlib import sha256

import pytest

from connectors.google_ads.platform import hash_contact
from connectors.records import Contact, ContactIdentifierKind, Identifier

FRENCH_MOBILE = (
    "06 12 34 56 78",
    "06.12.34.56.78",
    "06-12-34-56-78",
    "06/12/34/56/78",
    "0612345678",
    "0612 345 678",
    " 06 12 34 56 78 ",
    "(06) 12 34 56 78",
    "+33 6 12 34 56 78",
    "+33612345678",
    "+33.6.12.34.56.78",
    "+33-6-12-34-56-78",
    "+33(0)6 12 34 56 78",
    "+33(0)612345678",
    "+33 (0)6 12 34 56 78",
    "+33 (0) 6 12 34 56 78",
    "+330612345678",
    "0033 6 12 34 56 78",
    "0033612345678",
    "0033 (0)6 12 34 56 78",
    "33612345678",
    "33 6 12 34 56 78",
    "33 06 12 34 56 78",
    "612345678",
    "tel:+33612345678",
    "tel:+33-6-12-34-56-78",
    "06\u00a012\u00a034\u00a056\u00a078",  # no-break space
    "06\u202f12\u202f34\u202f56\u202f78",  # narrow no-break space
    "+33\u00a06\u202f12 34 56 78",
    "\u200e06 12 34 56 78",  # left-to-right mark, pasted from a phone's address book
    "\u202a+33612345678\u202c",  # left-to-right embedding and its end
    "\ufeff0612345678",  # byte order mark
    "0612\u200b345678",  # zero-width space
    "06\u200c12\u200d34\u206056\u200b78",  # zero-width non-joiner, joiner, word joiner, space
)

OTHER_FRENCH = (
    ("01 99 00 12 34", "+33199001234"),
    ("01.99.00.12.34", "+33199001234"),
    ("+33 (0)1 99 00 12 34", "+33199001234"),
    ("0033199001234", "+33199001234"),
    ("33199001234", "+33199001234"),
    ("02-61-91-12-34", "+33261911234"),
    ("03/53/01/12/34", "+33353011234"),
    ("0465711234", "+33465711234"),
    ("+33 5 36 49 12 34", "+33536491234"),
    ("07 51 23 45 67", "+33751234567"),
    ("09 72 34 56 78", "+33972345678"),
)

OVERSEAS = (
    ("97110", "0690 12 34 56", "+590690123456"),
    ("97110", "0590.12.34.56", "+590590123456"),
    ("97110", "+590 690 12 34 56", "+590690123456"),
    ("97110", "00590 690 12 34 56", "+590690123456"),
    ("97110", "+590 (0)690 12 34 56", "+590690123456"),
    ("97200", "0696 12 34 56", "+596696123456"),
    ("97200", "0596 50 12 34", "+596596501234"),
    ("97200", "+596 696 12 34 56", "+596696123456"),
    ("97200", "00596596501234", "+596596501234"),
    ("97300", "0694 12 34 56", "+594694123456"),
    ("97300", "0594-25-12-34", "+594594251234"),
    ("97300", "+594 694 12 34 56", "+594694123456"),
    ("97400", "0692 12 34 56", "+262692123456"),
    ("97400", "0692123456", "+262692123456"),
    ("97400", "06 92 12 34 56", "+262692123456"),
    ("97400", "0262 12 34 56", "+262262123456"),
    ("97400", "+262 692 12 34 56", "+262692123456"),
    ("97400", "+262 (0)692 12 34 56", "+262692123456"),
    ("97400", "00262692123456", "+262692123456"),
    ("97 400", "0692 12 34 56", "+262692123456"),
    ("97600", "0639 69 12 34", "+262639691234"),
    ("97600", "0269 60 12 34", "+262269601234"),
    ("97600", "+262 639 69 12 34", "+262639691234"),
    (None, "+590 690 12 34 56", "+590690123456"),
    (None, "+596 696 12 34 56", "+596696123456"),
    (None, "+594 694 12 34 56", "+594694123456"),
    (None, "00262 692 12 34 56", "+262692123456"),
    ("75015", "+262 639 69 12 34", "+262639691234"),
    ("97400", "+33 6 12 34 56 78", "+33612345678"),
)

# Numbers of the overseas departments, though number libraries take 0596 and 0269 for the mainland's:
# https://en.arcep.fr/news/press-releases/view/n/arcep-continues-the-modernisation-of-the-numbering-plan-in-mayotte.html
# https://arcep.fr/la-regulation/grands-dossiers-thematiques-transverses/la-numerotation/la-numerotation-outre-mer.html
OVERSEAS_BY_PREFIX = ("0692 12 34 56", "0262123456", "0690123456", "0696 12 34 56", "0596 50 12 34", "0269 60 12 34")

FOREIGN = (
    ("+32 470 12 34 56", "+32470123456"),
    ("0032 470 12 34 56", "+32470123456"),
    ("+32 (0)470 12 34 56", "+32470123456"),
    ("+41 79 123 45 67", "+41791234567"),
    ("0041 79 123 45 67", "+41791234567"),
    ("+41 (0)79 123 45 67", "+41791234567"),
    ("+1 650-555-1212", "+16505551212"),
)

NO_PHONE = (
    "",
    " ",
    "\u200b",
    "-",
    "0",
    "06",
    "3949",
    "06 12 34 56",
    "061234567",
    "06123456789",
    "+33 6 12 34 56",
    "0000000000",
    "00 00 00 00 00",
    "6.1E+08",
    "6,1E+08",
    "6.12345678E8",
    "3.36123E+10",
    "inconnu",
    "néant",
    "06 12 34 5O 78",  # the letter O
    "06 12 34 5 ABC",  # would be a valid number, read as a vanity number
    "06 12 34 56 78 (apr 18h)",
    "0800 123 456",
    "0 800 12 34 56",
    "+33 800 123 456",
    "0805 12 34 56",
)

SEVERAL_PHONES = (
    ("06 12 34 56 78 / 01 99 00 12 34", ("+33612345678", "+33199001234")),
    ("0612345678/0199001234", ("+33612345678", "+33199001234")),
    ("06.12.34.56.78 ; 01.99.00.12.34", ("+33612345678", "+33199001234")),
    ("06 12 34 56 78;01 99 00 12 34", ("+33612345678", "+33199001234")),
    ("06 12 34 56 78 ou 01 99 00 12 34", ("+33612345678", "+33199001234")),
    ("+33612345678 OU +32470123456", ("+33612345678", "+32470123456")),
    ("06 12 34 56 78 / +33 6 12 34 56 78", ("+33612345678",)),
    ("06 12 34 56 78 / inconnu", ("+33612345678",)),
)

EMAILS = (
    ("jean.dupont@exemple.fr", "jean.dupont@exemple.fr"),
    ("JEAN.DUPONT@EXEMPLE.FR", "jean.dupont@exemple.fr"),
    ("  Jean.Dupont@Exemple.fr\t", "jean.dupont@exemple.fr"),
    ("\u00a0jean.dupont@exemple.fr\u202f", "jean.dupont@exemple.fr"),
    ("jean dupont@exemple.fr", "jeandupont@exemple.fr"),
    ("jean.dupont @ exemple.fr", "jean.dupont@exemple.fr"),
    ("jean.\u00a0dupont@exemple.fr", "jean.dupont@exemple.fr"),
    ("jean.dupont@exemple.fr\r\n", "jean.dupont@exemple.fr"),
    ("\u200bjean.dup\u200dont@exemple.fr\ufeff", "jean.dupont@exemple.fr"),
    ("jean.dupont+devis@exemple.fr", "jean.dupont+devis@exemple.fr"),
    ("j.e.a.n@exemple.fr", "j.e.a.n@exemple.fr"),
    ("john_smith@gmail.com", "john_smith@gmail.com"),
    (" Jean.Dupont@Gmail.com ", "jeandupont@gmail.com"),
    ("j.e.a.n.dupont@gmail.com", "jeandupont@gmail.com"),
    ("jeandupont+devis@gmail.com", "jeandupont@gmail.com"),
    ("Jean.Dupont+Devis.2026@GMAIL.COM", "jeandupont@gmail.com"),
    ("jean.dupont+a+b@gmail.com", "jeandupont@gmail.com"),
    ("jean . dupont + devis @ gmail.com", "jeandupont@gmail.com"),
    ("Jean.Dupont+devis@googlemail.com", "jeandupont@googlemail.com"),
    ("jean.dupont+devis@gmail.fr", "jean.dupont+devis@gmail.fr"),
    ("jean.dupont+devis@notgmail.com", "jean.dupont+devis@notgmail.com"),
    ("jean.dupont+devis@mail.gmail.com", "jean.dupont+devis@mail.gmail.com"),
)

NO_EMAIL = (
    "",
    " ",
    "\u200b",
    "-",
    "@",
    "inconnu",
    "pas d email",
    "jean.dupont",
    "jean.dupont@",
    "@exemple.fr",
    "jean@exemple",
    "jean@@exemple.fr",
    "jean@exemple@exemple.fr",
    "jean@exemple..fr",
    "jean@.fr",
    "+devis@gmail.com",  # nothing is left before the @
    "06 12 34 56 78",
)

SEVERAL_EMAILS = (
    ("jean@exemple.fr;marie@exemple.fr", ("jean@exemple.fr", "marie@exemple.fr")),
    ("jean@exemple.fr ; Marie@exemple.fr", ("jean@exemple.fr", "marie@exemple.fr")),
    ("jean@exemple.fr, m.arie@gmail.com", ("jean@exemple.fr", "marie@gmail.com")),
    ("jean@exemple.fr; inconnu", ("jean@exemple.fr",)),
)

EITHER_CLEAN_OR_DROPPED = (
    ("<jean@exemple.fr>", {"jean@exemple.fr"}),
    ("mailto:jean@exemple.fr", {"jean@exemple.fr"}),
    ("Jean Dupont <jean@exemple.fr>", {"jean@exemple.fr"}),
    ("jean@exemple.fr marie@exemple.fr", {"jean@exemple.fr", "marie@exemple.fr"}),
    ("jean@exemple.fr / marie@exemple.fr", {"jean@exemple.fr", "marie@exemple.fr"}),
    ("jean@exemple.fr ou marie@exemple.fr", {"jean@exemple.fr", "marie@exemple.fr"}),
)


def hashed(kind, plain):
    """One identifier, hashed here with nothing but the standard library."""
    return Identifier(kind, sha256(plain.encode()).hexdigest())


def email(plain):
    """The identifier of one normalised address."""
    return hashed(ContactIdentifierKind.EMAIL, plain)


def phone(plain):
    """The identifier of one number in E.164."""
    return hashed(ContactIdentifierKind.PHONE, plain)


@pytest.mark.parametrize("typed", FRENCH_MOBILE)
def test_every_spelling_of_a_french_mobile_has_the_same_hash(typed):
    """Each becomes the same E.164 number."""
    assert (phone("+33612345678"),) == hash_contact(Contact(phones=(typed,)))


@pytest.mark.parametrize(("typed", "plain"), OTHER_FRENCH)
def test_french_landlines_and_other_mobiles_become_e164(typed, plain):
    """Landlines, box numbers and 07 mobiles are read like any other number."""
    assert (phone(plain),) == hash_contact(Contact(phones=(typed,)))


@pytest.mark.parametrize(("postcode", "typed", "plain"), OVERSEAS)
def test_an_overseas_number_takes_its_own_country_code(postcode, typed, plain):
    """The postcode gives the code that a national spelling needs; an international one needs no postcode."""
    assert (phone(plain),) == hash_contact(Contact(phones=(typed,), postcode=postcode))


@pytest.mark.parametrize("typed", OVERSEAS_BY_PREFIX)
@pytest.mark.parametrize("postcode", [None, "75015"])
def test_an_overseas_number_never_gets_the_mainland_code(typed, postcode):
    """+33 692… is nobody's number, whatever the postcode."""
    wrong = phone("+33" + typed.replace(" ", "")[1:])

    assert wrong not in hash_contact(Contact(phones=(typed,), postcode=postcode))


@pytest.mark.parametrize("typed", ["06 12 34 56 78", "01 99 00 12 34"])
def test_a_mainland_number_never_gets_an_overseas_code(typed):
    """+262 612… is nobody's number, even for a person who lives in La Réunion."""
    wrong = phone("+262" + typed.replace(" ", "")[1:])

    assert wrong not in hash_contact(Contact(phones=(typed,), postcode="97400"))


@pytest.mark.parametrize(("typed", "plain"), FOREIGN)
def test_a_foreign_number_keeps_its_country_code(typed, plain):
    """A number with a country code belongs to that country."""
    assert (phone(plain),) == hash_contact(Contact(phones=(typed,)))


@pytest.mark.parametrize("country", ["BE", "Belgique"])
def test_a_belgian_number_is_not_taken_for_a_french_landline(country):
    """Read as French, 0470 12 34 56 is another person's number."""
    assert phone("+33470123456") not in hash_contact(Contact(phones=("0470 12 34 56",), country=country))


@pytest.mark.parametrize("typed", NO_PHONE)
def test_a_number_no_person_can_have_is_never_hashed(typed):
    """It is too short, too long, lettered, mangled by a spreadsheet or toll-free."""
    assert () == hash_contact(Contact(phones=(typed,)))


@pytest.mark.parametrize(("typed", "plains"), SEVERAL_PHONES)
def test_several_numbers_in_one_field_are_read_separately(typed, plains):
    """Each is judged alone and given once."""
    assert sorted(phone(plain) for plain in plains) == sorted(hash_contact(Contact(phones=(typed,))))


@pytest.mark.parametrize(("typed", "plain"), EMAILS)
def test_an_email_address_is_normalised_by_googles_rules(typed, plain):
    """Case and white space are removed for all; dots and tags only at gmail.com and googlemail.com."""
    assert (email(plain),) == hash_contact(Contact(emails=(typed,)))


@pytest.mark.parametrize("typed", NO_EMAIL)
def test_an_unusable_email_address_is_never_hashed(typed):
    """It is dropped."""
    assert () == hash_contact(Contact(emails=(typed,)))


@pytest.mark.parametrize(("typed", "plains"), SEVERAL_EMAILS)
def test_several_email_addresses_in_one_field_are_read_separately(typed, plains):
    """Each is judged alone."""
    assert sorted(email(plain) for plain in plains) == sorted(hash_contact(Contact(emails=(typed,))))


@pytest.mark.parametrize(("typed", "plains"), EITHER_CLEAN_OR_DROPPED)
def test_an_email_address_is_never_hashed_with_its_wrapping(typed, plains):
    """One that cannot be read for certain may be dropped."""
    assert set(hash_contact(Contact(emails=(typed,)))) <= {email(plain) for plain in plains}


def test_reproduces_the_published_hash():
    """It is the hash of john_smith@gmail.com."""
    expected = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"

    assert (Identifier(ContactIdentifierKind.EMAIL, expected),) == hash_contact(
        Contact(emails=("John_Smith@gmail.com",))
    )


def test_a_hash_given_as_an_address_is_not_hashed_again():
    """A digest is no e-mail address."""
    digest = sha256(b"jean@exemple.fr").hexdigest()

    assert email(digest) not in hash_contact(Contact(emails=(digest,)))


def test_only_email_and_phone_are_hashed_for_google():
    """Name, postcode, city and country are never sent."""
    somebody = Contact(
        emails=("jean@exemple.fr",),
        phones=("06 12 34 56 78",),
        first_name="Jean",
        last_name="Dupont",
        postcode="75015",
        city="Paris",
        country="France",
    )

    assert (email("jean@exemple.fr"), phone("+33612345678")) == hash_contact(somebody)


def test_a_name_and_postal_address_alone_give_no_identifier():
    """Without e-mail and phone nothing can be sent."""
    assert () == hash_contact(Contact(first_name="Jean", last_name="Dupont", postcode="75015", city="Paris"))


def test_an_empty_contact_has_no_identifiers():
    """The hash of an empty text is never sent."""
    assert () == hash_contact(Contact())


def test_duplicate_identifiers_are_merged():
    """Two spellings of one address or number count once."""
    twice = Contact(
        emails=("Jean.Dupont@gmail.com", "jeandupont+devis@gmail.com"),
        phones=("06 12 34 56 78", "+33 6 12 34 56 78"),
    )

    assert (email("jeandupont@gmail.com"), phone("+33612345678")) == hash_contact(twice)


def test_email_identifiers_come_before_phones():
    """With a fixed order of kinds a replay has the same bytes."""
    both = Contact(
        emails=("inconnu", "marie@exemple.fr", "jean@exemple.fr"),
        phones=("0800 123 456", "01 99 00 12 34", "06 12 34 56 78"),
    )
    kinds = [identifier.kind for identifier in hash_contact(both)]

    assert [ContactIdentifierKind.EMAIL] * 2 + [ContactIdentifierKind.PHONE] * 2 == kinds


@pytest.mark.parametrize(("emails", "phones"), [(12, 0), (0, 12), (8, 8)])
def test_at_most_ten_distinct_identifiers_are_given(emails, phones):
    """Google refuses an event with more than ten."""
    addresses = [f"jean{number}@exemple.fr" for number in range(emails)]
    numbers = [f"06123456{number:02}" for number in range(phones)]
    known = {email(address) for address in addresses} | {phone("+33" + number[1:]) for number in numbers}

    given = hash_contact(Contact(emails=tuple(addresses), phones=tuple(numbers)))

    assert 10 == len(given) == len(set(given))
    assert set(given) <= known
