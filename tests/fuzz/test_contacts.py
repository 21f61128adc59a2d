"""Contact data: every address and number read was typed and is valid, and only those are hashed."""

import hashlib
import re
import string
import unicodedata

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from connectors.contact import clean_emails, clean_phones
from connectors.google_ads import platform as google
from connectors.meta import identity as meta
from connectors.records import Contact, ContactIdentifierKind
from connectors.text import tidy_text
from tests.fuzz import oracles
from tests.fuzz.corpus import lines
from tests.fuzz.effort import FUZZ, SLOW, in_time

PHONES, EMAILS = lines("phones"), lines("emails")
ODD = st.sampled_from(
    ["\u200b", "\u200e", "\u202e", "\ufeff", "\0", "\u0301", "\ufffd", "\u00a0", "\U0001f600", "\ufdfa"]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JOINTS = st.sampled_from(["", " ", "/", " / ", " - ", ";", ",", "\n", " ou ", " et ", "(", ")", "+", "x", "#", "."])


COMPANIES = {PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.UAN}


def spoilt(samples, alphabet):
    """Samples as they are, cut, joined, or with odd characters inserted."""
    sample = st.sampled_from(samples)
    return st.one_of(
        sample,
        TEXT,
        st.text(alphabet, max_size=30),
        st.builds(lambda one, at, odd: one[:at] + odd + one[at:], sample, st.integers(0, 20), ODD | TEXT),
        st.lists(sample | JOINTS | ODD, max_size=5).map("".join),
        st.builds(lambda one, joint, other: one + joint + other, sample, JOINTS, sample),
    )


PHONE = spoilt(PHONES, "0123456789+ .-/()\n;")
EMAIL = spoilt(EMAILS, string.ascii_letters + "@.<> ;,/+é\n")
COUNTRY = (
    st.none()
    | st.sampled_from(["FR", "fr ", "France", "", "GP", "RE", "BE", "US", "IT", "Belgique", "ZZ", "250", "fr-FR", "-"])
    | spoilt(["France métropolitaine", "FRA", "n/a", "Réunion", "L'Italie", "+33"], "FRAfra0+-_/ .")
)
NAME = (
    st.none() | TEXT | st.sampled_from(["M. et Mme Durand", "Le\u0301a", "Paris 12e", "CEDEX 7", "75 012", "1er", "NC"])
)
CONTACTS = st.builds(
    Contact,
    emails=st.lists(EMAIL, max_size=3).map(tuple),
    phones=st.lists(PHONE, max_size=3).map(tuple),
    first_name=NAME,
    last_name=NAME,
    postcode=NAME,
    city=NAME,
    country=COUNTRY,
)


@FUZZ
@given(st.lists(PHONE, max_size=3), COUNTRY)
@example(["06 12 34 56 78\x0007 69 12 34 56"], None)
def test_phone_numbers_were_typed_and_are_valid(typed, country):
    """The digits occur in order in one field, and the numbering plan knows the number as a personal one."""
    with in_time():
        numbers = clean_phones(typed, country=country)

    assert len(numbers) == len(set(numbers))
    for number in numbers:
        parsed = phonenumbers.parse(number, None)
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", number)
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.number_type(parsed) not in COMPANIES
        assert any(str(parsed.national_number) in oracles.digits_in(tidy_text(field)) for field in typed)


@FUZZ
@given(st.integers(6_00_00_00_00, 7_99_99_99_99), st.data())
def test_mobile_number_is_the_same_in_every_spelling(number, data):
    """National and international spellings of a valid mainland number agree."""
    digits = f"0{number}"
    pairs = [digits[at : at + 2] for at in range(0, 10, 2)]
    gap = data.draw(st.sampled_from(["", " ", ".", "-", "/", "\u00a0", "\u202f", "\u200b"]))
    spelt = gap.join(pairs)
    international = f"{data.draw(st.sampled_from(['+33', '0033', '+33 (0)', '(+33) ']))}{gap}{spelt[1:]}"

    plain = clean_phones([digits], country=None)
    assert plain == clean_phones([spelt], country="FR")
    if plain and plain[0].startswith("+33"):
        assert (f"+33{number}",) == plain == clean_phones([international], country="France")


@FUZZ
@given(st.lists(EMAIL, max_size=3))
def test_email_addresses_were_typed_and_are_valid(typed):
    """Only spaces and invisible characters are removed."""
    with in_time():
        addresses = clean_emails(typed)

    seen = ["".join(tidy_text(field.replace("\n", ";")).split()) for field in typed]
    for address in addresses:
        local, _, domain = address.rpartition("@")
        spelt = {domain, validate_email(address, check_deliverability=False).ascii_domain or domain}
        assert any(local in unicodedata.normalize("NFC", field) for field in seen)
        assert any(one in unicodedata.normalize("NFKC", field.lower()) for one in spelt for field in seen)


@FUZZ
@given(
    st.text("aZ09._+-é", max_size=70),
    st.sampled_from(["exemple.fr", "Exemple.FR", "xn--d1acufc.fr", "a-b.fr", "a..fr", "-a.fr", "fr", "x.test", ""]),
)
@example("x" * 65, "exemple.fr")
@example("x" * 250, "exemple.fr")
@example("a..b", "exemple.fr")
def test_an_address_is_read_as_the_library_reads_it(local, domain):
    """Asking the library about each domain once changes nothing."""
    try:
        expected = (validate_email(f"{local}@{domain}", check_deliverability=False).normalized,)
    except EmailNotValidError:
        expected = ()

    assert expected == clean_emails([f"{local}@{domain}"])


@FUZZ
@given(CONTACTS)
def test_only_valid_contact_data_is_hashed(contact):
    """Each phone hash is that of a valid number, and no hash is that of an empty text."""
    with in_time():
        found = {"google": google.hash_contact(contact), "meta": meta.hash_contact(contact)}

    numbers = clean_phones(contact.phones, country=contact.country)
    assert {sha256(number) for number in numbers} >= hashes(found["google"], ContactIdentifierKind.PHONE)
    assert {sha256(number[1:]) for number in numbers} >= hashes(found["meta"], ContactIdentifierKind.PHONE)
    assert len(clean_emails(contact.emails)) >= len(hashes(found["google"], ContactIdentifierKind.EMAIL))
    for one in (*found["google"], *found["meta"]):
        assert re.fullmatch("[0-9a-f]{64}", one.sha256)
        assert one.sha256 != sha256("")
    if found["meta"]:
        assert meta.is_enough_to_identify({one.kind for one in found["meta"]})


def sha256(text):
    """A hash in the form that the platforms expect."""
    return hashlib.sha256(text.encode()).hexdigest()


def hashes(identifiers, kind):
    """The hashes of one kind."""
    return {one.sha256 for one in identifiers if one.kind is kind}


@FUZZ
@given(
    TEXT.filter(lambda text: text.isalpha()),
    st.sampled_from(["NFC", "NFD", "NFKC"]),
    ODD.filter(lambda odd: odd in "\u200b\u200e\ufeff"),
)
def test_name_hashes_the_same_in_every_unicode_form(name, form, invisible):
    """Composition and invisible characters do not matter."""
    person = {"first_name": "Jeanne", "postcode": "75012"}
    plain = meta.hash_contact(Contact(last_name=name, **person))
    other = unicodedata.normalize(form, name)

    assert plain == meta.hash_contact(Contact(last_name=f"{invisible}{other}", **person))


@FUZZ
@given(CONTACTS)
def test_contact_repr_shows_no_data(contact):
    """Long email addresses are searched for as well as a marker."""
    marked = Contact(("MARQUEUR",), ("MARQUEUR",), "MARQUEUR", "MARQUEUR", "MARQUEUR", "MARQUEUR", contact.country)

    assert "MARQUEUR" not in repr(marked)
    assert not any(field in repr(contact) for field in contact.emails if len(field) > 20)


@SLOW
@given(
    st.sampled_from(
        ["0", "1 ", "06 ", "/", " - ", "|", "@", "a@", "<", "m ", "et ", "1er ", "\u0301", "\ufdfa", "M. et "]
    )
    | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4),
    st.sampled_from(["", "a", "1", "a@", "+33"]),
    st.sampled_from(["", "x", "@exemple.fr", "!"]),
)
@example("0", "1", "x")
@example("m ", "", "x")
def test_hundred_kilobytes_are_hashed_in_time(piece, before, after):
    """The text repeats an arbitrary piece and is in every field."""
    text = before + piece * (100_000 // len(piece)) + after
    contact = Contact((text,), (text,), text, text, text, text, text)

    with in_time():
        google.hash_contact(contact)
    with in_time():
        meta.hash_contact(contact)


@pytest.mark.parametrize("typed", [*PHONES, *EMAILS])
def test_corpus_contacts_never_raise(typed):
    """Each value is tried in every field, whatever it was meant for."""
    contact = Contact((typed,), (typed,), typed, typed, typed, typed, typed)

    with in_time():
        assert isinstance(google.hash_contact(contact), tuple)
        assert isinstance(meta.hash_contact(contact), tuple)
