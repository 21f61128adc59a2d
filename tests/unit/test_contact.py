"""Contact data as French CRMs hold it, made clean or dropped."""

import pytest

from connectors.contact import clean_emails, clean_phones


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
        ("jane@example.fr, non", ["jane@example.fr"][:0]),
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
def test_an_email_field(typed, clean):
    """Valid addresses are unwrapped and parted; anything else is dropped."""
    assert clean == list(clean_emails([typed]))


def test_an_address_given_twice_is_one():
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
        ("0612345678 bureau", []),
        ("6.12345678E+08", []),
        ("06 12 34 56", []),
        ("06 12 34 56 78 90", []),
        ("0000000000", []),
        ("112", []),
        ("", []),
    ],
)
def test_a_phone_field(typed, clean):
    """Numbers of people in E.164; companies' numbers, words and digits too few or many are dropped."""
    assert clean == list(clean_phones([typed], postcode=None, country=None))


@pytest.mark.parametrize(
    ("typed", "postcode", "clean"),
    [
        ("0690 12 34 56", "97110", "+590690123456"),
        ("0696 20 12 34", "97200", "+596696201234"),
        ("0694 20 12 34", "97300", "+594694201234"),
        ("0692 12 34 56", "97410", "+262692123456"),
        ("0639 69 12 34", "97600", "+262639691234"),
        ("06 12 34 56 78", "97410", "+33612345678"),
        ("+33 6 12 34 56 78", "97410", "+33612345678"),
    ],
)
def test_the_postcode_tells_the_overseas_departments(typed, postcode, clean):
    """Their numbers have country codes of their own; a mainland number is still read there."""
    assert (clean,) == clean_phones([typed], postcode=postcode, country="France")


def test_an_overseas_number_without_a_postcode_is_dropped():
    """As a mainland number it would be nobody's."""
    assert () == clean_phones(["0692 12 34 56"], postcode=None, country=None)


@pytest.mark.parametrize(
    ("typed", "country", "clean"),
    [
        ("0470 12 34 56", "BE", ["+32470123456"]),
        ("0470 12 34 56", "be ", ["+32470123456"]),
        ("0612345678", "fr", ["+33612345678"]),
        ("0612345678", "", ["+33612345678"]),
        ("0470 12 34 56", "Belgique", []),
        ("+32 470 12 34 56", "Belgique", ["+32470123456"]),
    ],
)
def test_the_country_decides_how_a_national_number_is_read(typed, country, clean):
    """A country we cannot read is not taken for France."""
    assert clean == list(clean_phones([typed], postcode="97410" if country == "BE" else None, country=country))
