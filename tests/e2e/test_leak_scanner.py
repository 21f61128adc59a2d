"""The scanner for personal data finds it in every encoding: otherwise finding nothing would prove nothing."""

import base64
import gzip
import hashlib
import html
import json
import quopri
import random
import sqlite3
import zlib
from contextlib import closing
from urllib.parse import quote, quote_plus

import pytest

from jobs.privacy.leaks import Planted, email_forms, normal_forms, phone_forms

NAME, EMAIL, PHONE = "Zéphyxine Quoïrvannec", "F.Talvuxo+devis@Marqueur-Prive.example", "01 99 00 58 23"
PLANTED = Planted(
    words={"name": NAME, "e-mail": EMAIL},
    numbers={"phone": "199005823"},
    codes={"postcode": "29917"},
    hashed={"name": normal_forms(NAME), "e-mail": email_forms(EMAIL), "phone": phone_forms(PHONE)},
)
NOISE = random.Random(7).randbytes(5_000)
ENCODINGS = {
    "raw": str.encode,
    "lower case": lambda text: text.lower().encode(),
    "upper case": lambda text: text.upper().encode(),
    "latin-1": lambda text: text.encode("latin-1"),
    "without accents": lambda text: text.replace("é", "e").replace("ï", "i").encode(),
    "percent-encoded": lambda text: quote(text, safe="").encode(),
    "of a form": lambda text: quote_plus(text).replace("+", "%20").encode(),
    "JSON-escaped": lambda text: json.dumps(text).encode(),
    "of a page": lambda text: "".join(f"&#{ord(each)};" for each in html.escape(text)).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(b"?" + text.encode()).rstrip(b"="),
    "base64 of more": lambda text: base64.b64encode(b"ab" + text.encode() + b"c"),
    "hex": lambda text: text.encode().hex().encode(),
    "hex in upper case": lambda text: b"A" + text.encode().hex().upper().encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: text.encode("utf-16-be"),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zlib": lambda text: zlib.compress(text.encode(), 9),
    "zlib, fast": lambda text: zlib.compress(text.encode(), 1),
    "base64 of gzip": lambda text: base64.b64encode(gzip.compress(text.encode())),
    "gzip of JSON": lambda text: gzip.compress(json.dumps({"said": text}).encode()),
    "hex of base64": lambda text: base64.b64encode(text.encode()).hex().encode(),
}


@pytest.mark.parametrize("name", ["e-mail", "name"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_is_found(encoding, name):
    """Amid noise, in every encoding, and only that text."""
    assert {name} == PLANTED.found_in(NOISE + ENCODINGS[encoding](PLANTED.words[name]) + b"\n" + NOISE)


@pytest.mark.parametrize("written", [PHONE, "0199005823", "+33 1.99.00.58.23", "33199005823", "01-99-00-58-23"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_number_is_found(encoding, written):
    """Whatever separates its digits."""
    assert {"phone"} == PLANTED.found_in(NOISE + ENCODINGS[encoding](f"tel {written}!") + b"\n" + NOISE)


@pytest.mark.parametrize(
    "written",
    [
        bytes.hex,
        lambda digest: digest.hex().upper(),
        lambda digest: base64.b64encode(digest).decode(),
        lambda digest: digest.hex().encode().hex(),
        lambda digest: json.dumps({"em": [digest.hex()]}),
    ],
)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e-mail", "f.talvuxo+devis@marqueur-prive.example"),
        ("e-mail", "ftalvuxo@marqueur-prive.example"),
        ("phone", "+33199005823"),
        ("phone", "33199005823"),
        ("name", "zephyxinequoirvannec"),
    ],
)
def test_a_hash_is_found(name, text, written):
    """Of each normalisation, in each way to write it."""
    digest = hashlib.sha256(text.encode()).digest()

    assert {f"hash of {name}"} == PLANTED.found_in(NOISE + written(digest).encode() + b"\n" + NOISE)
    assert {f"hash of {name}"} == PLANTED.found_in(NOISE + digest + NOISE)


def test_what_a_database_has_deleted_is_found(tmp_path):
    """A row that no query finds any more is still in the file."""
    file = tmp_path / "some.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE person (name TEXT)")
        connection.execute("INSERT INTO person VALUES (?)", (f"before {NAME} after",))
        connection.commit()
        connection.execute("DELETE FROM person")
        connection.commit()

    assert {"name"} == PLANTED.found_in(file.read_bytes())


def test_a_postcode_is_found_only_where_it_stands_alone():
    """Five digits stand in many longer numbers."""
    assert {"postcode"} == PLANTED.found_in(b'{"zip": "29917"}')
    assert set() == PLANTED.found_in(b"1299173 f29917a")


def test_noise_holds_nothing():
    """What is found elsewhere was planted."""
    assert set() == PLANTED.found_in(NOISE)
