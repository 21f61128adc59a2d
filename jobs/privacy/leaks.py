"""Finds texts, numbers and hashes in bytes, however they are written: encoded, escaped, compressed, or all of it.

Written from what must not be found, not from what the program does: it knows no file format but those of encodings.
"""

import base64
import binascii
import hashlib
import html
import quopri
import re
import unicodedata
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from urllib.parse import unquote_to_bytes

DEEPEST = 3
"""How many encodings inside one another are undone."""
LARGEST = 4_000_000
"""Bytes that one compressed stream is unpacked to."""
_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}")
_HEX = re.compile(rb"[0-9a-fA-F]{12,}")
_STREAM = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_BETWEEN_DIGITS = b" \t\r\n.()/_+-"


# ── what is written in some bytes ──────────────────────────────────────────────────────────────────


def views(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield the bytes as they are, and as what they may encode."""
    yield data
    escaped = _ESCAPE.sub(lambda found: chr(int(found[1], 16)).encode("utf-8", "replace"), data)
    plain = html.unescape(unquote_to_bytes(escaped).decode("latin-1")).encode("latin-1", "ignore")
    if plain != data:
        yield plain
    wide = data.replace(b"\0", b"")  # UTF-16 and UTF-32 become Latin-1
    if wide != data:
        yield wide
    if b"=" in data:
        yield quopri.decodestring(data)
    inside = b"\n".join([*_inside(data), *(_inside(wide) if wide != data else ())])
    if inside and depth < DEEPEST:
        yield from views(inside, depth + 1)


def _inside(data: bytes) -> Iterator[bytes]:
    """Yield what bytes hold in base64, hex, gzip or zlib."""
    for found in _BASE64.findall(data):
        run = found.translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            whole = run[start : start + (len(run) - start) // 4 * 4]
            yield base64.b64decode(whole)
            # The last two or three letters are one or two bytes more.
            if rest := run[start + len(whole) :][:3]:
                yield base64.b64decode((whole + rest + b"===")[: len(whole) + 4]) if len(rest) > 1 else b""
    for found in _HEX.findall(data):
        for start in range(2):
            yield binascii.unhexlify(found[start : start + (len(found) - start) // 2 * 2])
    for found in _STREAM.finditer(data):
        try:
            yield zlib.decompressobj(47).decompress(data[found.start() :], LARGEST)
        except zlib.error:
            continue


# ── what must not be there ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Planted:
    """What was planted, by name."""

    words: Mapping[str, str] = field(default_factory=dict)
    """Texts, each found without regard to case, accents and encoding."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """Digits, found whatever separates them."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Short numbers and words in lower case, found where they stand alone."""
    hashed: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Every spelling of a text of which no SHA-256 may be found."""

    @cached_property
    def _words(self) -> Mapping[str, set[bytes]]:
        return {name: _spellings(text) for name, text in self.words.items()}

    @cached_property
    def _hashes(self) -> Mapping[str, Sequence[bytes]]:
        return {name: [hashlib.sha256(text.encode()).digest() for text in texts] for name, texts in self.hashed.items()}

    def found_in(self, data: bytes) -> set[str]:
        """Return the names of what is in some bytes; of hashes, with `hash of` before it."""
        found: set[str] = set()
        for view in views(data):
            low = view.lower()
            found |= {name for name, forms in self._words.items() if any(form in low for form in forms)}
            digits = low.translate(None, _BETWEEN_DIGITS) if self.numbers else b""
            found |= {name for name, number in self.numbers.items() if number.encode() in digits}
            found |= {name for name, code in self.codes.items() if _alone(code, low)}
            # Views undo every way to write bytes as text.
            found |= {f"hash of {name}" for name, each in self._hashes.items() if any(one in view for one in each)}
        return found


def _alone(code: str, low: bytes) -> bool:
    return code.encode() in low and re.search(rf"(?<![0-9a-z]){re.escape(code)}(?![0-9a-z])".encode(), low) is not None


def _spellings(text: str) -> set[bytes]:
    """Return the lower-case byte forms of a text."""
    composed, apart = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    forms = [form for each in (composed, apart, plain) for form in (each.lower(), each.upper(), each)]
    return {form.encode(how, "ignore").lower() for form, how in product(forms, ("utf-8", "latin-1"))}


def normal_forms(text: str) -> set[str]:
    """Return a text as platforms normalise it before hashing: trimmed, in lower case, without accents or separators."""
    low = text.strip().lower()
    plain = "".join(each for each in unicodedata.normalize("NFD", low) if not unicodedata.combining(each))
    letters = ["".join(filter(str.isalnum, each)) for each in (low, plain)]
    return {text, low, plain, *letters, unicodedata.normalize("NFD", low)}


def phone_forms(national: str) -> set[str]:
    """Return a French number, given with its leading zero, as platforms write it."""
    digits = "".join(filter(str.isdecimal, national))
    rest = digits[1:]
    return {national, digits, rest, f"+33{rest}", f"33{rest}", f"0033{rest}", f"+330{rest}"}


def email_forms(address: str) -> set[str]:
    """Return an address as platforms normalise it, with and without its tag and the dots of its name."""
    low = address.strip().lower()
    name, _, domain = low.partition("@")
    bare = name.partition("+")[0]
    names = {name, bare, name.replace(".", ""), bare.replace(".", "")}
    return {address, *(f"{each}@{domain}" for each in names)}
