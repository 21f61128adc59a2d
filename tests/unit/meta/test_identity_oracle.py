"""Expected identifiers for Meta, written by hand from its formatting rules.

https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters
"""

import unicodedata
from hashlib import sha256

import pytest

from connectors.meta.identity import hash_contact
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
    ("01 99 00 12 34", "33199001234"),
    ("01.99.00.12.34", "33199001234"),
    ("+33 (0)1 99 00 12 34", "33199001234"),
    ("0033199001234", "33199001234"),
    ("33199001234", "33199001234"),
    ("02-61-91-12-34", "33261911234"),
    ("03/53/01/12/34", "33353011234"),
    ("0465711234", "33465711234"),
    ("+33 5 36 49 12 34", "33536491234"),
    ("07 51 23 45 67", "33751234567"),
    ("09 72 34 56 78", "33972345678"),
)

OVERSEAS = (
    ("97110", "0690 12 34 56", "590690123456"),
    ("97110", "0590.12.34.56", "590590123456"),
    ("97110", "+590 690 12 34 56", "590690123456"),
    ("97110", "00590 690 12 34 56", "590690123456"),
    ("97110", "+590 (0)690 12 34 56", "590690123456"),
    ("97200", "0696 12 34 56", "596696123456"),
    ("97200", "0596 50 12 34", "596596501234"),
    ("97200", "+596 696 12 34 56", "596696123456"),
    ("97200", "00596596501234", "596596501234"),
    ("97300", "0694 12 34 56", "594694123456"),
    ("97300", "0594-25-12-34", "594594251234"),
    ("97300", "+594 694 12 34 56", "594694123456"),
    ("97400", "0692 12 34 56", "262692123456"),
    ("97400", "0692123456", "262692123456"),
    ("97400", "06 92 12 34 56", "262692123456"),
    ("97400", "0262 12 34 56", "262262123456"),
    ("97400", "+262 692 12 34 56", "262692123456"),
    ("97400", "+262 (0)692 12 34 56", "262692123456"),
    ("97400", "00262692123456", "262692123456"),
    ("97 400", "0692 12 34 56", "262692123456"),
    ("97600", "0639 69 12 34", "262639691234"),
    ("97600", "0269 60 12 34", "262269601234"),
    ("97600", "+262 639 69 12 34", "262639691234"),
    (None, "+590 690 12 34 56", "590690123456"),
    (None, "+596 696 12 34 56", "596696123456"),
    (None, "+594 694 12 34 56", "594694123456"),
    (None, "00262 692 12 34 56", "262692123456"),
    ("75015", "+262 639 69 12 34", "262639691234"),
    ("97400", "+33 6 12 34 56 78", "33612345678"),
)

# Numbers of the overseas departments, though number libraries take 0596 and 0269 for the mainland's:
# https://en.arcep.fr/news/press-releases/view/n/arcep-continues-the-modernisation-of-the-numbering-plan-in-mayotte.html
# https://arcep.fr/la-regulation/grands-dossiers-thematiques-transverses/la-numerotation/la-numerotation-outre-mer.html
OVERSEAS_BY_PREFIX = ("0692 12 34 56", "0262123456", "0690123456", "0696 12 34 56", "0596 50 12 34", "0269 60 12 34")

FOREIGN = (
    ("+32 470 12 34 56", "32470123456"),
    ("0032 470 12 34 56", "32470123456"),
    ("+32 (0)470 12 34 56", "32470123456"),
    ("+41 79 123 45 67", "41791234567"),
    ("0041 79 123 45 67", "41791234567"),
    ("+41 (0)79 123 45 67", "41791234567"),
    ("+1 650-555-1212", "16505551212"),
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
    ("06 12 34 56 78 / 01 99 00 12 34", ("33612345678", "33199001234")),
    ("0612345678/0199001234", ("33612345678", "33199001234")),
    ("06.12.34.56.78 ; 01.99.00.12.34", ("33612345678", "33199001234")),
    ("06 12 34 56 78;01 99 00 12 34", ("33612345678", "33199001234")),
    ("06 12 34 56 78 ou 01 99 00 12 34", ("33612345678", "33199001234")),
    ("+33612345678 OU +32470123456", ("33612345678", "32470123456")),
    ("06 12 34 56 78 / +33 6 12 34 56 78", ("33612345678",)),
    ("06 12 34 56 78 / inconnu", ("33612345678",)),
)

EMAILS = (
    ("jean.dupont@exemple.fr", "jean.dupont@exemple.fr"),
    ("JEAN.DUPONT@EXEMPLE.FR", "jean.dupont@exemple.fr"),
    ("  Jean.Dupont@Exemple.fr\t", "jean.dupont@exemple.fr"),
    ("\u00a0jean.dupont@exemple.fr\u202f", "jean.dupont@exemple.fr"),
    ("jean.dupont@exemple.fr\r\n", "jean.dupont@exemple.fr"),
    ("\u200bjean.dup\u200dont@exemple.fr\ufeff", "jean.dupont@exemple.fr"),
    ("jean.dupont+devis@exemple.fr", "jean.dupont+devis@exemple.fr"),
    ("john_smith@gmail.com", "john_smith@gmail.com"),
    (" Jean.Dupont@Gmail.com ", "jean.dupont@gmail.com"),
    ("j.e.a.n.dupont@gmail.com", "j.e.a.n.dupont@gmail.com"),
    ("Jean.Dupont+Devis.2026@GMAIL.COM", "jean.dupont+devis.2026@gmail.com"),
    ("Jean.Dupont+devis@googlemail.com", "jean.dupont+devis@googlemail.com"),
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
    "06 12 34 56 78",
)

SEVERAL_EMAILS = (
    ("jean@exemple.fr;marie@exemple.fr", ("jean@exemple.fr", "marie@exemple.fr")),
    ("jean@exemple.fr ; Marie@exemple.fr", ("jean@exemple.fr", "marie@exemple.fr")),
    ("jean@exemple.fr, m.arie@gmail.com", ("jean@exemple.fr", "m.arie@gmail.com")),
    ("jean@exemple.fr; inconnu", ("jean@exemple.fr",)),
)

EITHER_CLEAN_OR_DROPPED = (
    ("jean dupont@exemple.fr", {"jeandupont@exemple.fr"}),
    ("jean.dupont @ exemple.fr", {"jean.dupont@exemple.fr"}),
    ("<jean@exemple.fr>", {"jean@exemple.fr"}),
    ("mailto:jean@exemple.fr", {"jean@exemple.fr"}),
    ("Jean Dupont <jean@exemple.fr>", {"jean@exemple.fr"}),
    ("jean@exemple.fr marie@exemple.fr", {"jean@exemple.fr", "marie@exemple.fr"}),
    ("jean@exemple.fr / marie@exemple.fr", {"jean@exemple.fr", "marie@exemple.fr"}),
    ("jean@exemple.fr ou marie@exemple.fr", {"jean@exemple.fr", "marie@exemple.fr"}),
)

NAMES = (
    ("Jean", "jean"),
    (" DUPONT ", "dupont"),
    ("valéry", "valéry"),
    ("ÉLÉONORE", "éléonore"),
    ("E\u0301le\u0301onore", "éléonore"),  # decomposed, as a Mac exports it
    ("Franc\u0327ois", "françois"),
    ("Zoë", "zoë"),
    ("ŒUVRARD", "œuvrard"),
    ("Jean-Pierre", "jeanpierre"),
    ("Jean\u2011Pierre", "jeanpierre"),  # no-break hyphen
    ("D'Artagnan", "dartagnan"),
    ("D\u2019ARTAGNAN", "dartagnan"),  # typographic apostrophe
    ("Dupont.", "dupont"),
    ("\u200bDupont\ufeff", "dupont"),
    ("\u00a0Dupont\u202f", "dupont"),
    ("M. Jean", "jean"),
    ("M. Jean-Pierre", "jeanpierre"),
    ("Mr Dupont", "dupont"),
    ("Mme Dupont", "dupont"),
    ("MME DUPONT", "dupont"),
    ("Mme. Dupont", "dupont"),
    ("Mlle Dupont", "dupont"),
    ("Monsieur Dupont", "dupont"),
    ("Madame D'Artagnan", "dartagnan"),
    ("Mme\u00a0Dupont", "dupont"),
    ("Mmembe", "mmembe"),
    ("Mllet", "mllet"),
    ("Mrani", "mrani"),
    ("Madamet", "madamet"),
    ("Monsieurin", "monsieurin"),
)

NO_NAME = ("", " ", "-", "--", ".", "...", "'", "\u2019", " - ", "?", "/", "\u200b", "\u00a0", "\u2014")

CITIES = (
    ("Paris", "paris"),
    (" PARIS ", "paris"),
    ("Paris 15e", "paris"),
    ("Paris 15ème", "paris"),
    ("Paris 15\u1d49", "paris"),  # superscript e
    ("Paris 15e arrondissement", "paris"),
    ("PARIS 15", "paris"),
    ("Lyon 1er", "lyon"),
    ("Marseille 8e", "marseille"),
    ("PARIS CEDEX 15", "paris"),
    ("Paris Cedex", "paris"),
    ("paris cedex 15", "paris"),
    ("75015 PARIS", "paris"),
    ("75015 Paris Cedex 15", "paris"),
    ("Paris (75)", "paris"),
    ("Bourg-en-Bresse Cedex 09", "bourgenbresse"),
    ("Saint-Denis", "saintdenis"),
    ("SAINT DENIS", "saintdenis"),
    ("L'Isle-Jourdain", "lislejourdain"),
    ("L\u2019Isle-Jourdain", "lislejourdain"),
    ("Saint\u00a0Denis", "saintdenis"),
    ("\u200bParis", "paris"),
    ("Orange", "orange"),
    ("Die", "die"),
)

# Meta does not say whether a town's accents stay; either way one town has one hash.
ACCENTED_CITIES = (
    ("Saint-Étienne", {"saintétienne", "saintetienne"}),
    ("SAINT ÉTIENNE", {"saintétienne", "saintetienne"}),
    ("L'Haÿ-les-Roses", {"lhaÿlesroses", "lhaylesroses"}),
    ("L\u2019HAŸ LES ROSES", {"lhaÿlesroses", "lhaylesroses"}),
)

NO_CITY = ("", " ", "-", "...", "?", "75015", "Cedex 15", "\u200b")

POSTCODES = (
    ("75015", "75015"),
    (" 75015 ", "75015"),
    ("75 015", "75015"),
    ("75\u00a0015", "75015"),
    ("75\u202f015", "75015"),
    ("\u200b75015", "75015"),
    ("F-75015", "75015"),
    ("FR-75015", "75015"),
    ("f-75015", "75015"),
    ("01000", "01000"),
    ("1000", "01000"),  # a spreadsheet ate the 0
    ("97400", "97400"),
)

NO_POSTCODE = ("", " ", "-", "0", "123", "750155", "ABCDE", "7501A", "7501O", "inconnu", "F-", "FR-")

FRANCE = ("France", "FRANCE", "france", " France ", "FRA", "fra", "FR", "fr", " fr ")


def hashed(kind, plain):
    """One identifier, hashed here with nothing but the standard library."""
    return Identifier(kind, sha256(plain.encode()).hexdigest())


def email(plain):
    """The identifier of one normalised address."""
    return hashed(ContactIdentifierKind.EMAIL, plain)


def phone(plain):
    """The identifier of one number: country code and digits, no plus."""
    return hashed(ContactIdentifierKind.PHONE, plain)


def told(kind, **typed):
    """The identifiers of one kind that Meta gets for a person with a known e-mail address."""
    identifiers = hash_contact(Contact(emails=("jean@exemple.fr",), **typed))
    return tuple(identifier for identifier in identifiers if identifier.kind is kind)


def kinds(**typed):
    """The kinds of identifiers that Meta gets for a contact."""
    return {identifier.kind for identifier in hash_contact(Contact(**typed))}


@pytest.mark.parametrize("typed", FRENCH_MOBILE)
def test_every_spelling_of_a_french_mobile_has_the_same_hash(typed):
    """Each becomes the same digits, country code first."""
    assert (phone("33612345678"),) == hash_contact(Contact(phones=(typed,)))


@pytest.mark.parametrize(("typed", "plain"), OTHER_FRENCH)
def test_french_landlines_and_other_mobiles_take_their_country_code(typed, plain):
    """Landlines, box numbers and 07 mobiles are read like any other number."""
    assert (phone(plain),) == hash_contact(Contact(phones=(typed,)))


@pytest.mark.parametrize(("postcode", "typed", "plain"), OVERSEAS)
def test_an_overseas_number_takes_its_own_country_code(postcode, typed, plain):
    """The postcode gives the code that a national spelling needs; an international one needs no postcode."""
    assert (phone(plain),) == told(ContactIdentifierKind.PHONE, phones=(typed,), postcode=postcode)


@pytest.mark.parametrize("typed", OVERSEAS_BY_PREFIX)
@pytest.mark.parametrize("postcode", [None, "75015"])
def test_an_overseas_number_never_gets_the_mainland_code(typed, postcode):
    """33 692… is nobody's number, whatever the postcode."""
    wrong = phone("33" + typed.replace(" ", "")[1:])

    assert wrong not in hash_contact(Contact(phones=(typed,), postcode=postcode))


@pytest.mark.parametrize("typed", ["06 12 34 56 78", "01 99 00 12 34"])
def test_a_mainland_number_never_gets_an_overseas_code(typed):
    """262 612… is nobody's number, even for a person who lives in La Réunion."""
    wrong = phone("262" + typed.replace(" ", "")[1:])

    assert wrong not in hash_contact(Contact(phones=(typed,), postcode="97400"))


@pytest.mark.parametrize(("typed", "plain"), FOREIGN)
def test_a_foreign_number_keeps_its_country_code(typed, plain):
    """A number with a country code belongs to that country."""
    assert (phone(plain),) == told(ContactIdentifierKind.PHONE, phones=(typed,))


@pytest.mark.parametrize("country", ["BE", "Belgique"])
def test_a_belgian_number_is_not_taken_for_a_french_landline(country):
    """Read as French, 0470 12 34 56 is another person's number."""
    assert phone("33470123456") not in hash_contact(Contact(phones=("0470 12 34 56",), country=country))


@pytest.mark.parametrize("typed", NO_PHONE)
def test_a_number_no_person_can_have_is_never_hashed(typed):
    """It is too short, too long, lettered, mangled by a spreadsheet or toll-free."""
    assert () == told(ContactIdentifierKind.PHONE, phones=(typed,))


@pytest.mark.parametrize(("typed", "plains"), SEVERAL_PHONES)
def test_several_numbers_in_one_field_are_read_separately(typed, plains):
    """Each is judged alone."""
    assert {phone(plain) for plain in plains} == set(told(ContactIdentifierKind.PHONE, phones=(typed,)))


@pytest.mark.parametrize(("typed", "plain"), EMAILS)
def test_an_email_address_is_only_trimmed_and_lower_cased(typed, plain):
    """Dots and tags stay, at Gmail too: Meta strips neither."""
    assert (email(plain),) == hash_contact(Contact(emails=(typed,)))


@pytest.mark.parametrize("typed", NO_EMAIL)
def test_an_unusable_email_address_is_never_hashed(typed):
    """It is dropped."""
    assert () == hash_contact(Contact(emails=(typed,)))


@pytest.mark.parametrize(("typed", "plains"), SEVERAL_EMAILS)
def test_several_email_addresses_in_one_field_are_read_separately(typed, plains):
    """Each is judged alone."""
    assert {email(plain) for plain in plains} == set(hash_contact(Contact(emails=(typed,))))


@pytest.mark.parametrize(("typed", "plains"), EITHER_CLEAN_OR_DROPPED)
def test_an_email_address_is_never_hashed_with_its_wrapping(typed, plains):
    """One that cannot be read for certain may be dropped."""
    assert set(hash_contact(Contact(emails=(typed,)))) <= {email(plain) for plain in plains}


@pytest.mark.parametrize(("typed", "plain"), NAMES)
@pytest.mark.parametrize("kind", [ContactIdentifierKind.FIRST_NAME, ContactIdentifierKind.LAST_NAME])
def test_a_name_is_lower_case_without_punctuation_or_title(kind, typed, plain):
    """Accents stay, in their composed form; a title is removed only where it stands apart."""
    assert (hashed(kind, plain),) == told(kind, **{kind.value: typed})


@pytest.mark.parametrize("typed", NO_NAME)
@pytest.mark.parametrize("kind", [ContactIdentifierKind.FIRST_NAME, ContactIdentifierKind.LAST_NAME])
def test_an_empty_name_is_omitted(kind, typed):
    """The hash of an empty text would match nobody, or everybody."""
    assert () == told(kind, **{kind.value: typed})


@pytest.mark.parametrize(("typed", "plain"), CITIES)
def test_a_city_is_reduced_to_its_letters(typed, plain):
    """Arrondissement, cedex, postcode, punctuation and spaces go."""
    assert (hashed(ContactIdentifierKind.CITY, plain),) == told(ContactIdentifierKind.CITY, city=typed)


@pytest.mark.parametrize(("typed", "plains"), ACCENTED_CITIES)
def test_an_accented_city_loses_its_punctuation(typed, plains):
    """Hyphens, apostrophes and spaces go, whether or not the accents stay."""
    (given,) = told(ContactIdentifierKind.CITY, city=typed)

    assert given in {hashed(ContactIdentifierKind.CITY, plain) for plain in plains}


@pytest.mark.parametrize("typed", ["Saint-Étienne", "L'Haÿ-les-Roses", "Besançon"])
def test_composed_and_decomposed_accents_give_a_city_one_hash(typed):
    """The two forms look alike."""
    composed, decomposed = (
        told(ContactIdentifierKind.CITY, city=unicodedata.normalize(form, typed)) for form in ("NFC", "NFD")
    )

    assert composed == decomposed
    assert 1 == len(composed)


@pytest.mark.parametrize("typed", NO_CITY)
def test_a_city_without_letters_is_omitted(typed):
    """A postcode or a cedex number alone is no city."""
    assert () == told(ContactIdentifierKind.CITY, city=typed)


@pytest.mark.parametrize(("typed", "plain"), POSTCODES)
def test_a_french_postcode_becomes_five_digits(typed, plain):
    """Spaces and the country's prefix go, and a lost leading 0 comes back."""
    assert (hashed(ContactIdentifierKind.POSTCODE, plain),) == told(
        ContactIdentifierKind.POSTCODE, postcode=typed, country="France"
    )


@pytest.mark.parametrize("typed", NO_POSTCODE)
def test_an_unreadable_postcode_is_omitted(typed):
    """It has a wrong number of digits, or stray letters."""
    assert () == told(ContactIdentifierKind.POSTCODE, postcode=typed, country="France")


@pytest.mark.parametrize("country", ["BE", "Belgique"])
def test_a_belgian_postcode_gets_no_leading_zero(country):
    """1000 is Brussels in Belgium, not Bourg-en-Bresse."""
    wrong = hashed(ContactIdentifierKind.POSTCODE, "01000")

    assert wrong not in told(ContactIdentifierKind.POSTCODE, postcode="1000", country=country)


@pytest.mark.parametrize("typed", FRANCE)
def test_every_spelling_of_france_becomes_fr(typed):
    """Meta reads ISO 3166-1 alpha-2 in lower case."""
    assert (hashed(ContactIdentifierKind.COUNTRY, "fr"),) == told(ContactIdentifierKind.COUNTRY, country=typed)


@pytest.mark.parametrize("country", [None, "", " "])
def test_a_french_postcode_implies_france(country):
    """This holds where no country is given."""
    given = told(ContactIdentifierKind.COUNTRY, country=country, postcode="75015")

    assert (hashed(ContactIdentifierKind.COUNTRY, "fr"),) == given


@pytest.mark.parametrize("postcode", [None, "", "ABCDE"])
def test_without_a_postcode_the_country_is_not_guessed(postcode):
    """With neither a country nor a readable postcode, the country is omitted."""
    assert () == told(ContactIdentifierKind.COUNTRY, postcode=postcode)


@pytest.mark.parametrize("country", ["BE", "Belgique"])
def test_another_country_is_never_france(country):
    """A person abroad does not get the French code."""
    assert hashed(ContactIdentifierKind.COUNTRY, "fr") not in told(ContactIdentifierKind.COUNTRY, country=country)


@pytest.mark.parametrize(
    ("kind", "typed", "digest"),
    [
        (
            ContactIdentifierKind.EMAIL,
            {"emails": ("John_Smith@gmail.com",)},
            "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
        ),
        (
            ContactIdentifierKind.PHONE,
            {"phones": ("+1 (650) 555-1212",)},
            "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
        ),
        (
            ContactIdentifierKind.FIRST_NAME,
            {"first_name": "Valéry", "last_name": "Dupont", "postcode": "75015"},
            "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c",
        ),
    ],
)
def test_reproduces_metas_published_hashes(kind, typed, digest):
    """They are those of Meta's own examples."""
    assert Identifier(kind, digest) in hash_contact(Contact(**typed))


def test_a_hash_given_as_an_address_is_not_hashed_again():
    """A digest is no e-mail address."""
    digest = sha256(b"jean@exemple.fr").hexdigest()

    assert email(digest) not in hash_contact(Contact(emails=(digest,)))


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"first_name": "Jean"},
        {"first_name": "Jean", "last_name": "Dupont"},
        {"first_name": "Jean", "last_name": "Dupont", "country": "France"},
        {"first_name": "Jean", "postcode": "75015", "city": "Paris", "country": "France"},
        {"last_name": "Dupont", "postcode": "75015", "city": "Paris", "country": "France"},
        {"postcode": "75015", "city": "Paris", "country": "France"},
        {"first_name": "-", "last_name": "Dupont", "postcode": "75015", "city": "Paris"},
        {"first_name": "Jean", "last_name": " ", "postcode": "75015", "city": "Paris"},
        {"first_name": "Jean", "last_name": "Dupont", "postcode": "ABCDE", "city": "-"},
        {"emails": ("inconnu",), "phones": ("0800 123 456",), "postcode": "75015", "city": "Paris"},
        {"emails": ("inconnu",), "phones": ("0",), "first_name": "Jean", "last_name": "Dupont", "country": "FR"},
    ],
)
def test_insufficient_contact_data_gives_no_identifier(typed):
    """Meta refuses a whole batch for one event with only such combinations."""
    assert () == hash_contact(Contact(**typed))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"emails": ("jean@exemple.fr",)}, {"email"}),
        ({"phones": ("06 12 34 56 78",)}, {"phone"}),
        (
            {"first_name": "Jean", "last_name": "Dupont", "postcode": "75015", "country": "FR"},
            {"first_name", "last_name", "postcode", "country"},
        ),
        ({"first_name": "Jean", "last_name": "Dupont", "city": "Paris"}, {"first_name", "last_name", "city"}),
        (
            {"phones": ("06 12 34 56 78",), "first_name": "Jean", "city": "Paris"},
            {"phone", "first_name", "city"},
        ),
        ({"emails": ("jean@exemple.fr",), "last_name": "-", "city": "?", "country": ""}, {"email"}),
        (
            {
                "emails": ("jean@exemple.fr",),
                "phones": ("06 12 34 56 78",),
                "first_name": "Jean",
                "last_name": "Dupont",
                "postcode": "75015",
                "city": "Paris",
                "country": "France",
            },
            {"email", "phone", "first_name", "last_name", "postcode", "city", "country"},
        ),
    ],
)
def test_sufficient_contact_data_gives_every_readable_identifier(typed, expected):
    """An e-mail, a phone, or a full name with a postcode or city is enough."""
    assert expected == kinds(**typed)


def test_empty_fields_are_never_hashed():
    """The hash of the empty string belongs to nobody."""
    blank = Contact(
        emails=("jean@exemple.fr", ""),
        phones=("", " "),
        first_name="",
        last_name="-",
        postcode=" ",
        city="'",
        country=" ",
    )

    assert (email("jean@exemple.fr"),) == hash_contact(blank)
