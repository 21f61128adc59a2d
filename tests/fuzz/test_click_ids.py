"""Click ids: each is in the input character for character and in its kind's format, and none is missed."""

import json
import string
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.oplead.options import UnlabelledClickIdRules
from connectors.oplead.parsing.click_ids import read_click_ids
from connectors.records import ClickIdKind
from tests.fuzz.corpus import cases
from tests.fuzz.effort import FUZZ, in_time

PARIS = ZoneInfo("Europe/Paris")
LETTERS = frozenset(string.ascii_letters)
SIGNS = LETTERS | frozenset(string.digits) | frozenset("_.-")
DIGITS = frozenset(string.digits)
SAMPLES = [typed for typed, _ in cases("click_ids")]
LABELS = [
    "gclid",
    "fbclid",
    "_fbc",
    "fbp",
    "lead_id",
    "leadgen_id",
    "gbraid",
    "wbraid",
    "msclkid",
    "li_fat_id",
    "ttclid",
    "_gcl_aw",
    "Google click ID",
]
PIECES = st.sampled_from(
    [
        *LABELS,
        *SAMPLES,
        "gclid_ts",
        "msclkid_ts",
        *"=:&;|,%?#{}[]\"'<> \n/",
        "%3D",
        "%253D",
        "%26",
        "%00",
        "l:",
        "https://a.fr/",
        "fb.1.",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join),
    st.builds(lambda text, at: text[:at], st.sampled_from(SAMPLES), st.integers(0, 60)),
    st.sampled_from(SAMPLES).map(str.lower),
    st.sampled_from(SAMPLES).map(lambda text: quote(text, safe="")),
    st.sampled_from(SAMPLES).map(json.dumps),
)
NAMES = st.sampled_from([*LABELS, "name", "value", "type", "key", "gclid_ts", "gbraid_ts", "ref", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.decimals() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
RULES = st.fixed_dictionaries(
    {
        "utm_source": st.none() | st.sampled_from(["google", "fb", "bing", "google / cpc"]) | st.text(max_size=8),
        "bare": st.sampled_from(["by_utm", "gclid", "fbclid", "reject"]),
        "bare_digits": st.sampled_from(["reject", "lead_id"]),
        "label": st.none() | st.sampled_from([*LABELS, "externalID"]),
    }
)
EMAILS = st.emails().filter(lambda address: not set("|&;,?#") & set(address))
"""Addresses without the characters that separate click ids."""
REJECT = {"utm_source": None, "bare": "reject", "bare_digits": "reject"}
IDS = st.text(string.ascii_letters + string.digits + "_-", min_size=20, max_size=120).filter(
    lambda text: (
        text[0] in LETTERS and not LETTERS.isdisjoint(text[1:]) and not DIGITS.isdisjoint(text) and text[:3] != "CNL"
    )
)


def read(value, *, utm_source=None, bare="reject", bare_digits="reject", label=None):
    """Read click ids within the time limit."""
    rules = UnlabelledClickIdRules(bare=bare, bare_digits=bare_digits)
    with in_time():
        return read_click_ids(value, utm_source=utm_source, rules=rules, zone=PARIS, label=label)


def leaves(value):
    """Every text in a value, including names."""
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in [name, *leaves(inner)]]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [] if value is None else [str(value)]


def forms(text):
    """A text, and its contents without JSON or URL escapes."""
    yield text
    with suppress(ValueError, RecursionError):
        yield from leaves(json.loads(text))
    for _ in range(5):
        text = unquote(text)
        yield text


def has_its_form(one):
    """Whether a click id matches the format of its kind."""
    parts = one.value.split(".", 3)
    metas = (
        len(parts) == 4 and parts[0] == "fb" and parts[1] in "012" and len(parts[2]) == 13 and set(parts[2]) <= DIGITS
    )
    match one.kind:
        case ClickIdKind.LEAD_ID:
            return 15 <= len(one.value) <= 17 and set(one.value) <= DIGITS
        case ClickIdKind.FBC:
            return metas and set(parts[3]) <= SIGNS and not set(parts[3]) <= DIGITS
        case ClickIdKind.FBP:
            return metas and set(parts[3]) <= DIGITS
        case _:
            return 6 <= len(one.value) <= 512 and set(one.value) <= SIGNS and not LETTERS.isdisjoint(one.value)


@FUZZ
@given(VALUES, RULES)
@example([[[[["gclid=Cj0KCQjwAbC-dEf_1234567890"]]]]], REJECT)
@example(True, REJECT)
@example({"fbclid": "fbclid"}, REJECT)
@example("l%3A000000000000000", REJECT | {"bare_digits": "lead_id"})
def test_click_ids_come_from_the_input_or_give_a_problem(value, rules):
    """An id keeps its case, and its kind is written beside it or decided by the rules."""
    ids, problem = read(value, **rules)

    written = [form for leaf in leaves(value) for form in forms(leaf)]
    spoken = " ".join([*written, rules.get("label") or ""]).lower().replace("_", "").replace("-", "")
    by_itself = {ClickIdKind.FBC, ClickIdKind.FBP, ClickIdKind.LEAD_ID}
    if any(other in spoken for other in ("gcl.", "gclaw", "google click id")):
        by_itself.add(ClickIdKind.GCLID)
    if "facebook click id" in spoken:
        by_itself.add(ClickIdKind.FBCLID)
    by_rule = {ClickIdKind.GCLID, ClickIdKind.FBCLID} if rules["bare"] != "reject" else set()
    for one in ids:
        assert any(one.value in form for form in written)
        assert has_its_form(one)
        assert one.kind in by_itself | by_rule or one.kind.value.replace("_", "") in spoken
        assert repr(replace(one, value="")) == repr(one)
    assert not (ids and problem)
    if problem is None and not ids:
        assert not says_something(value)


def says_something(value):
    """Whether a value holds anything but blanks and click times."""
    if isinstance(value, dict):
        if "value" in value:
            names = (value.get(name) for name in ("name", "key", "code", "label", "type"))
            named = next((name for name in names if isinstance(name, str)), "")
            return says_something({named: value["value"]} if named != "value" else value["value"])
        return any(says_something(inner) for name, inner in value.items() if not is_time(name))
    if isinstance(value, list):
        return any(map(says_something, value))
    if isinstance(value, str):
        try:
            inner = json.loads(value) if value.strip()[:1] in {"{", "["} else None
        except (ValueError, RecursionError):
            inner = None
        return bool(value.strip()) and not is_time(value) and (inner is None or says_something(inner))
    return value is not None


def is_time(text):
    """Whether a text names a capture time."""
    plain = text.lower().replace("_", "").replace("-", "")
    return any(f"{kind}ts" in plain for kind in ("gclid", "gbraid", "wbraid", "fbclid", "msclkid"))


@FUZZ
@given(IDS, st.sampled_from(["gclid", "fbclid", "gbraid", "wbraid", "ttclid"]), st.integers(0, 2), st.data())
def test_labelled_click_id_is_read_unchanged(written, label, times, data):
    """It may be a pair, in JSON, or in an address with a fragment, encoded up to twice, with other text around it."""
    pairs = [f"{label}={written}", f"{label.upper()}: {written}", f"x=1;{label}={written};y=2"]
    addresses = [f"https://a.fr/d?x=1&{label}={written}#z", f"https://a.fr/#/d?{label}={written}&y"]
    form = data.draw(st.sampled_from([*pairs, *addresses]))
    for _ in range(times):
        form = quote(form, safe="")

    for value in (form, {label: written}, [{"name": label, "value": written}], json.dumps({label: written})):
        ids, problem = read(value)

        assert [(label, written)] == [(one.kind.value, one.value) for one in ids]
        assert problem is None


@FUZZ
@given(IDS, st.sampled_from(["google", "facebook", None]), st.sampled_from(["by_utm", "reject", "gclid", "fbclid"]))
def test_bare_click_id_has_at_most_one_kind(written, utm_source, bare):
    """The settings or the source decide its kind; otherwise it is not read."""
    ids, problem = read(written, utm_source=utm_source, bare=bare)

    by_utm = {"google": "gclid", "facebook": "fbclid"}.get(utm_source)
    kind = by_utm if bare == "by_utm" else None if bare == "reject" else bare
    assert ([(kind, written)] if kind else []) == [(one.kind.value, one.value) for one in ids]
    assert bool(kind) == (problem is None)


@FUZZ
@example("00000A'@A.ac")
@example("00000A'&b@A.ac")
@given(st.uuids() | EMAILS | st.integers(0, 10**14 - 1) | st.dates() | st.floats(10**14, 10**20))
def test_foreign_reference_is_not_a_click_id(reference):
    """No UUID, email address, number, date or number rounded by a spreadsheet is one, whatever the rules or label."""
    for text in (str(reference), f"gclid={reference}", {"gclid": str(reference)}):
        ids, problem = read(text, utm_source="google", bare="gclid", bare_digits="lead_id")

        assert () == ids
        assert problem


@FUZZ
@given(st.sampled_from(["MARQUEUR {}", "gclid=MARQUEUR{}!", "ref=MARQUEUR{}", '{{"x": "MARQUEUR{}"}}']), TEXTS)
def test_problem_does_not_reveal_the_value(form, text):
    """Only its shape is shown."""
    ids, problem = read(form.format(text), utm_source="google")

    assert "MARQUEUR" not in f"{problem}{ids!r}"


@FUZZ
@given(PIECES.filter(bool) | st.text(min_size=1, max_size=3), st.text(max_size=5), st.text(max_size=5))
@example("gclid=", "", "!")
@example("%25", "gclid=", "")
@example("[", "", "")
def test_hundred_kilobytes_are_read_in_time(piece, before, after):
    """The text repeats an arbitrary piece."""
    read(before + piece * (100_000 // len(piece)) + after, utm_source=piece * 1000)


@pytest.mark.parametrize(("typed", "kind"), cases("click_ids"))
def test_corpus_click_ids(typed, kind):
    """Each has the kind a person would give it, or none."""
    ids, _ = read(typed, utm_source="google", bare="by_utm")

    assert ([kind] if kind else []) == [one.kind.value for one in ids]


def test_json_number_keeps_every_digit():
    """A lead id may have seventeen digits."""
    ids, _ = read({"lead_id": Decimal(12345678901234567)})

    assert ["12345678901234567"] == [one.value for one in ids]
