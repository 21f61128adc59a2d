"""Contact data as French CRMs hold it, cleaned or dropped."""

import phonenumbers
import pytest

from connectors import contact
from connectors.contact import clean_emails, clean_phones
from connectors.text import tidy_text


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("jane.doe@example.fr", ["jane.doe@example.fr"]),
        ("  Jane.Doe @Example.FR ", ["Jane.Doe@example.fr"]),
        ("mailto:jane@example.fr?subject=Devis", ["jane@example.fr"]),
        ("MAILTO:jane@example.fr", ["jane@example.fr"]),
        ("Jane Doe <jane@example.fr>", ["jane@example.fr"]),
        ("jane@example.fr; john@example.fr", ["jane@example.fr", "john@example.fr"]),
        ("jane@example.fr/john@example.fr", ["jane@example.fr", "john@example.fr"]),
        ("jane@example.fr ou john@example.fr", ["jane@example.fr", "john@example.fr"]),
        ("jane@example.fr john@example.fr", ["jane@example.fr", "john@example.fr"]),
        ("Jane <jane@example.fr>, John <john@example.fr>", ["jane@example.fr", "john@example.fr"]),
        ("jane@example.fr, non", ["jane@example.fr"]),
        ("jane@example.fr (bureau)", []),
        ("jane@example", []),
        ("jane@@example.fr", []),
        ("jane.example.fr", []),
        ("x@localhost", []),
        ("jane@example.test", []),
        ("", []),
        ("@", []),
    ],
)
def test_cleans_an_email_field(typed, clean):
    """Valid addresses are unwrapped and split; anything else is dropped."""
    assert clean == list(clean_emails([typed]))


@pytest.mark.parametrize("field", ["0612345678 " * 100, "jane@example.fr " * 100])
def test_a_very_long_field_is_not_searched(field):
    """A text longer than any list of numbers or addresses may be a whole letter."""
    assert () == clean_phones([field], country=None)
    assert () == clean_emails([field])


def test_a_repeated_email_address_is_given_once():
    """Fields often repeat each other."""
    assert ("jane@example.fr",) == clean_emails(["jane@example.fr", "jane@Example.fr"])


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("06 12 34 56 78", ["+33612345678"]),
        ("06.12.34.56.78", ["+33612345678"]),
        ("06-12-34-56-78", ["+33612345678"]),
        ("06/12/34/56/78", ["+33612345678"]),
        ("0033 6 12 34 56 78", ["+33612345678"]),
        ("+33 (0)6 12 34 56 78", ["+33612345678"]),
        ("tel:+33612345678", ["+33612345678"]),
        ("612345678", ["+33612345678"]),
        ("01 42 68 53 00", ["+33142685300"]),
        ("09 70 12 34 56", ["+33970123456"]),
        ("+32 470 12 34 56", ["+32470123456"]),
        ("0612345678 / 0769123456", ["+33612345678", "+33769123456"]),
        ("06/12/34/56/78 ; 07/69/12/34/56", ["+33612345678", "+33769123456"]),
        ("0612345678 ou 0769123456", ["+33612345678", "+33769123456"]),
        ("06 12 34 56 78 - 07 69 12 34 56", ["+33612345678", "+33769123456"]),
        ("0612345678;0612345678", ["+33612345678"]),
        ("0800 123 456", []),
        ("0892 123 456", []),
        ("0 800 FLEURS", []),
        ("0612345678 bureau", ["+33612345678"]),
        ("06 12 34 56 78 (perso)", ["+33612345678"]),
        ("Tél. : 06 12 34 56 78", ["+33612345678"]),
        ("TÉLÉPHONE PORTABLE 06 12 34 56 78", ["+33612345678"]),
        ("n° 06 12 34 56 78 - pro", ["+33612345678"]),
        ("Tel (06) 12 34 56 78", ["+33612345678"]),
        ("bureau 01 42 68 53 00 / perso 06 12 34 56 78", ["+33142685300", "+33612345678"]),
        ("0612345678 mari", []),
        ("bureau 01 42 68 53 00 perso 06 12 34 56 78", []),
        ("0612345678 poste 12", []),
        ("0612345678.0", ["+33612345678"]),
        ("612345678,00", ["+33612345678"]),
        ("33612345678.0", ["+33612345678"]),
        ("590690001234", ["+590690001234"]),
        ("41 79 123 45 67", ["+41791234567"]),
        ("3726123456", []),  # Estonian if it had a plus, but as likely a mistyped French number
        ("6.12345678E+08", []),
        ("06 12 34 56", []),
        ("06 12 34 56 78 90", []),
        ("0000000000", []),
        ("112", []),
        ("", []),
    ],
)
def test_cleans_a_phone_field(typed, clean):
    """Personal numbers become E.164; company numbers, words and too few or too many digits are dropped."""
    assert clean == list(clean_phones([typed], country=None))


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("0590 20 12 34", "+590590201234"),
        ("0690 12 34 56", "+590690123456"),
        ("690123456", "+590690123456"),
        ("0596 50 12 34", "+596596501234"),
        ("0696 20 12 34", "+596696201234"),
        ("0694 20 12 34", "+594694201234"),
        ("0262 20 12 34", "+262262201234"),
        ("0692 12 34 56", "+262692123456"),
        ("0269 60 12 34", "+262269601234"),
        ("0639 69 12 34", "+262639691234"),
        ("0590 29 12 34", "+590590291234"),
        ("0590 87 12 34", "+590590871234"),
        ("0709 00 12 34", "+590709001234"),
        ("0709 30 12 34", "+594709301234"),
        ("0709 10 12 34", "+596709101234"),
        ("0709 20 12 34", "+262709201234"),
        ("0709 35 12 34", "+262709351234"),
        ("0976 01 23 45", "+590976012345"),
        ("0976 50 12 34", "+594976501234"),
        ("0976 60 12 34", "+596976601234"),
        ("0976 30 12 34", "+262976301234"),
        ("0976 90 12 34", "+262976901234"),
        ("0939 50 12 34", "+590939501234"),
        ("0939 60 12 34", "+594939601234"),
        ("0939 70 12 34", "+596939701234"),
        ("0939 80 12 34", "+262939801234"),
        ("0939 90 12 34", "+262939901234"),
        ("0947 50 12 34", "+590947501234"),
        ("0947 60 12 34", "+594947601234"),
        ("0947 70 12 34", "+596947701234"),
        ("0947 90 12 34", "+262947901234"),
        ("0268 80 12 34", "+262268801234"),
        ("0268 90 12 34", "+262268901234"),
        ("0598 70 12 34", "+590598701234"),
        ("0598 80 12 34", "+594598801234"),
        ("0598 90 12 34", "+596598901234"),
        ("0939 00 12 34", "+33939001234"),
        ("0598 00 12 34", "+33598001234"),
    ],
)
def test_the_first_digits_identify_an_overseas_number(typed, clean):
    """France has one numbering plan, and each overseas department has its own country code."""
    assert (clean,) == clean_phones([typed], country="France")


@pytest.mark.parametrize(
    "typed",
    [
        *("0508 41 12 34", "0269 20 12 34", "+33 596 50 12 34", "+33 692 12 34 56"),
        *("+33 939 50 12 34", "33 976 01 23 45", "0033 268 80 12 34", "+33 (0)598 70 12 34"),
    ],
)
def test_an_impossible_overseas_number_is_dropped(typed):
    """+33 leads to no overseas number."""
    assert () == clean_phones([typed], country=None)


RANGES = ("262", "263", "268", "269", "590", "594", "596", "598", "639", "709", "939", "947", "976")


@pytest.mark.parametrize("prefix", [*RANGES, *(str(each) for each in range(690, 698))])
def test_each_block_of_the_french_plan_has_one_territory(prefix):
    """The metadata gives some blocks to two: a new one must be settled before numbers are lost."""
    for block in range(1000):
        number = phonenumbers.PhoneNumber(country_code=33, national_number=int(f"{prefix}{block:03}111"))
        assert len(contact._overseas(number)) <= 1


@pytest.mark.parametrize("invisible", ["\u200b", "\u200c", "\u200d", "\u2060", "\u200e", "\ufeff"])
def test_invisible_characters_are_ignored(invisible):
    """Pasted text carries them."""
    assert ("+33612345678",) == clean_phones([f"{invisible}06 12{invisible} 34 56 78"], country=None)
    assert ("jean@exemple.fr",) == clean_emails([f"jean{invisible}@exemple.fr{invisible}"])


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\t", "\u2009"])
def test_every_kind_of_space_separates_digits(space):
    """French typography has several."""
    assert ("+33612345678",) == clean_phones([space.join(("06", "12", "34", "56", "78"))], country=None)


def test_a_valid_address_beside_a_word_is_kept():
    """The same holds for phones."""
    assert ("jean@exemple.fr",) == clean_emails(["jean@exemple.fr; inconnu"])


def test_composed_and_decomposed_accents_are_the_same_text():
    """A Mac exports them decomposed."""
    assert "Éléonore" == tidy_text("E\u0301le\u0301onore") == tidy_text("\u00c9l\u00e9onore")


@pytest.mark.parametrize(
    ("typed", "country", "clean"),
    [
        ("0470 12 34 56", "BE", ["+32470123456"]),
        ("0470 12 34 56", "be ", ["+32470123456"]),
        ("0612345678", "fr", ["+33612345678"]),
        ("0612345678", "", ["+33612345678"]),
        ("0470 12 34 56", "Belgique", ["+32470123456"]),
        ("0470 12 34 56", "Syldavie", []),
        ("+32 470 12 34 56", "Syldavie", ["+32470123456"]),
        ("0032 470 12 34 56", "Syldavie", ["+32470123456"]),
        ("32 470 12 34 56", "Syldavie", ["+32470123456"]),
        ("06 12 34 56 78", "Martinique", ["+33612345678"]),
        ("0696 12 34 56", "MQ", ["+596696123456"]),
        ("41 12 34", "Saint-Pierre-et-Miquelon", ["+508411234"]),
    ],
)
def test_the_country_decides_how_a_national_number_is_read(typed, country, clean):
    """An unreadable country is not taken for France."""
    assert clean == list(clean_phones([typed], country=country))
