"""Slow readers of the same formats, written from what the fields may hold and without regular expressions."""

import itertools
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

DIGITS = frozenset("0123456789")
_SPACES = frozenset(" \u00a0\u202f\u2009\u2007")
_TAX = ("ttc", "ht")
_CURRENCY = ("€", "euros", "euro", "eur")
_WORDS = [*_TAX, *(one + tax for one in _CURRENCY for tax in ("", *(gap + tax for gap in ("", " ") for tax in _TAX)))]


# ── amounts ──────────────────────────────────────────────────────────────────────────────────────


def amounts(text):
    """Every amount a text can mean, by each convention of grouping and decimal mark; empty if it is none."""
    plain = "".join(" " if letter in _SPACES else letter for letter in text).strip().replace("’", "'").casefold()
    while "  " in plain:
        plain = plain.replace("  ", " ")
    cores = set(_without_currency(plain))
    found = set()
    for core in cores:
        for group, mark in itertools.product(["", " ", ".", ",", "'"], ["", ".", ","]):
            if group != mark or not group:
                found |= set(_by_convention(core, group, mark))
    return found


def _without_currency(text):
    """The text, and what remains without the currency and tax at its start, its end, or both."""
    for start in (text, *(text.removeprefix(word).strip() for word in _WORDS if text.startswith(word))):
        yield from (start, *(start.removesuffix(word).strip() for word in _WORDS if start.endswith(word)))


def _by_convention(text, group, mark):
    whole, _, decimals = text.partition(mark) if mark else (text, "", "")
    if mark and (not decimals or not set(decimals) <= DIGITS):
        return
    parts = _parts(whole, group)
    if not parts or any(not part or not set(part) <= DIGITS for part in parts):
        return
    if len(parts) > 1 and (len(parts[0]) > 3 or any(len(part) != 3 for part in parts[1:])):
        return
    if len(parts) == 1 and len(whole) > 1 and whole[0] == "0":
        return
    yield Decimal("".join(parts) + "." + (decimals or "0"))


def _parts(whole, group):
    return whole.split(group) if group else [whole]


# ── times ────────────────────────────────────────────────────────────────────────────────────────


def wall_instant(wall, zone):
    """The earliest instant at which a zone's clock showed `wall`; in a gap, as long after its start as written."""
    shown = [at for at in _around(wall) if at.astimezone(zone).replace(tzinfo=None) == wall]
    if shown:
        return min(shown)
    before = (wall - timedelta(hours=6)).replace(tzinfo=zone).utcoffset()
    return (wall - before).replace(tzinfo=UTC)


def _around(wall):
    for quarter in range(-60, 61):
        yield (wall + timedelta(minutes=15 * quarter)).replace(tzinfo=UTC)


def moment(text, zone):
    """The instant or day given by the numbers of a text in their order; None if they give none."""
    body, offset = _split_offset(text.strip())
    numbers = _numbers(body)
    try:
        if len(numbers) <= 2:
            return _epoch(body)
        first, second, third = map(int, numbers[:3])
        day = date(first, second, third) if len(numbers[0]) == 4 else date(third, second, first)
        if len(numbers) == 3:
            return day
        clock = [int(number) for number in numbers[3:6]]
        micro = int(numbers[6][:6].ljust(6, "0")) if len(numbers) > 6 else 0
        wall = datetime(day.year, day.month, day.day, *clock, *[0] * (3 - len(clock)), micro)  # noqa: DTZ001 a wall's
    except ValueError:
        return None
    return wall_instant(wall, zone) if offset is None else wall.replace(tzinfo=UTC) - offset


def _split_offset(text):
    """A text without the offset at its end, and the offset; None if it has none."""
    clock = min((text.index(sign) for sign in ":h" if sign in text), default=len(text))
    if text[-1:] in {"Z", "z"}:
        return text[:-1], timedelta()
    for sign, factor in (("+", 1), ("-", -1)):
        at = text.rfind(sign)
        if at > clock:
            digits = "".join(_numbers(text[at:])).ljust(4, "0")
            return text[:at], factor * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return text, None


def _numbers(text):
    return ["".join(run) for is_number, run in itertools.groupby(text, DIGITS.__contains__) if is_number]


def _epoch(text):
    if not set(text) <= DIGITS | {"."} or text[:1] == "0":
        return None
    number = Decimal(text or "0")
    seconds = number if number < 10**11 else number / 1000
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(seconds * 1_000_000))


# ── paths ────────────────────────────────────────────────────────────────────────────────────────

_PAIR_NAMES = ("name", "key", "code", "label")


def at_path(container, path):
    """Every value at a dotted path, one name after the other."""
    found = [container]
    for name in path.split("."):
        found = [value for one in found for value in _named(one, name)]
    return found


def _named(container, name):
    if isinstance(container, dict):
        return [container[name]] if name in container else _alike(container.items(), name)
    if not isinstance(container, list):
        return []
    pairs = [pair for one in container if isinstance(one, dict) for pair in _pair(one)]
    return _alike(pairs, name) if pairs else [value for one in container for value in _named(one, name)]


def _pair(entry):
    names = [name for key in _PAIR_NAMES for name in _named(entry, key) if isinstance(name, str)]
    values = _named(entry, "value")
    return [(names[0], values[0])] if names and values else []


def _alike(pairs, name):
    return [value for key, value in pairs if _plain_name(key) == _plain_name(name)]


def _plain_name(name):
    return "".join(letter for letter in name if letter not in "_-").casefold()


# ── contact data ─────────────────────────────────────────────────────────────────────────────────


def digits_in(text):
    """The digits of a text in order, in any script."""
    return "".join(str(unicodedata.digit(letter)) for letter in text if letter.isdecimal())
