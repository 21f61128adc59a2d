"""Leads: if one part is damaged the rest is read as before, or the lead is refused by its shape."""

import copy
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.oplead.options import OpleadOptions
from connectors.oplead.parsing.fields import PathReader, first_value_at_paths, read_json, shape, text_of, values_at_path
from connectors.oplead.parsing.lead_parser import LeadParser, UnreadableLeadError, digest_of
from connectors.records import Lead
from tests.fuzz import oracles
from tests.fuzz.corpus import cases, lines
from tests.fuzz.effort import FUZZ, in_time

PARIS = ZoneInfo("Europe/Paris")
PARSER = LeadParser(OpleadOptions(token="t", zone=PARIS), frozenset({"leadData.consent", "amount", "channel"}))
WHOLE = {
    "id": "L-77",
    "createdAt": "2026-07-01 10:00:00",
    "updatedAt": "2026-07-20T15:05:01Z",
    "status": {"id": Decimal(7), "label": "Gagné"},
    "statusHistory": [
        {"status": "Nouveau", "date": "2026-07-01 10:00:00"},
        {"status": "RDV pris", "date": "05/07/2026"},
        {"status": "Gagné", "date": "2026-07-20 17:05:01"},
    ],
    "leadData": {"externalID": "gclid=Cj0KCQjwAbC-dEf_1234567890", "consent": "oui"},
    "utm_source": "google",
    "contact": {"email": "jeanne.martin@exemple.fr", "phone": "06 12 34 56 78", "firstname": "Jeanne"},
    "lastname": "Martin",
    "postcode": "75012",
    "amount": Decimal("12500.50"),
    "channel": "Site web",
}
PARTS = {
    "status": {"label", "also_called", "history"},
    "statusHistory": {"history"},
    "leadData": {"click_ids", "click_id_problem", "fields"},
    "utm_source": {"utm"},
    "contact": {"contact"},
    "lastname": {"contact"},
    "postcode": {"contact"},
    "amount": {"fields"},
    "channel": {"fields"},
    "updatedAt": {"updated_at"},
}
"""The parts of a record that each field of the lead may affect."""

TYPED = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from([*lines("phones"), *lines("emails")]),
    st.sampled_from([typed for name in ("amounts", "dates", "click_ids") for typed, _ in cases(name)]),
)
NAMES = st.one_of(
    st.sampled_from(
        ["id", "value", "name", "label", "code", "date", "status", "externalID", "email", "phones", "data", "at"]
    ),
    TYPED,
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.decimals(allow_nan=False, allow_infinity=False) | TYPED,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


def parse(item):
    """The record, or why there is none; no other exception is allowed."""
    try:
        with in_time():
            return PARSER.parse(item, PARSER.read_id(item), digest_of(item))
    except UnreadableLeadError as error:
        return str(error)


def parts(lead):
    """A record's parts by name, without its digest."""
    return {name: getattr(lead, name) for name in Lead.__slots__ if name != "digest"}


@FUZZ
@given(st.sampled_from(sorted(PARTS)), JUNK)
@example("contact", {"email": {"label": {"value": {"label": {}}}}})
def test_damaged_part_affects_only_itself(name, junk):
    """The other parts are read as from the undamaged lead, or the lead is refused."""
    read = parse(WHOLE | {name: junk})

    if isinstance(read, str):
        assert name in {"updatedAt", "statusHistory", "status"}
        assert ": see oplead.fields." in read
    else:
        expected = parts(parse(WHOLE))
        moved = {part for part, value in parts(read).items() if value != expected[part]}
        assert moved <= PARTS[name]


@FUZZ
@given(st.data())
def test_equivalent_lead_is_read_the_same(data):
    """Names are spelt differently, objects are lists of pairs, the order changes, and unknown fields are added."""
    dressed = dress(WHOLE, data.draw)
    for name, value in data.draw(st.dictionaries(TYPED.map("zz{}".format), JUNK, max_size=3)).items():
        dressed.setdefault(name, value)

    assert parts(parse(WHOLE)) == parts(parse(dressed))


def dress(item, draw):
    """An object with its names respelt and reordered; nested ones may become lists of pairs."""
    spell = st.sampled_from([str, str.upper, str.lower, "_".join, lambda name: f"{name}-"])
    fresh = {}
    for name in draw(st.permutations(list(item))):
        value = item[name]
        if isinstance(value, dict) and name in {"leadData", "contact"}:
            value = dress(value, draw)
            if draw(st.booleans()):
                key = draw(st.sampled_from(["name", "key", "code", "label"]))
                value = [{key: inner, "value": one} for inner, one in value.items()]
        fresh[draw(spell)(name)] = value
    return fresh


@FUZZ
@given(st.dictionaries(NAMES | st.sampled_from(sorted(WHOLE)), JUNK, max_size=6))
def test_any_object_is_parsed_or_refused(item):
    """Nothing is invented: labels, source and contact data all come from the input."""
    PARSER.lacks_click_ids(item)
    read = parse(item)

    if isinstance(read, str):
        assert "see oplead.fields." in read or "nested" in read
        return
    said = set(leaves(item))
    contact = read.contact
    for text in (*contact.emails, *contact.phones, contact.last_name, contact.city, read.label, read.utm.source):
        assert text is None or text in said
    assert read.id in said


def leaves(value):
    """Every text in a value."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [text] if (text := text_of(value)) is not None else []


@FUZZ
@given(st.sampled_from([*sorted(PARTS), "id", "createdAt"]), TYPED)
def test_record_and_refusal_do_not_reveal_typed_text(name, typed):
    """Labels and UTM fields are exempt, as they describe no person."""
    marked = f"MARQUEUR{typed}"
    item = copy.deepcopy(WHOLE) | {"contact": {"email": marked, "phone": [marked], "firstname": marked}}
    item["leadData"] = {"externalID": marked, "consent": marked}
    read = parse(item | ({} if name in {"id", "status", "statusHistory", "utm_source"} else {name: marked}))

    assert "MARQUEUR" not in (read if isinstance(read, str) else repr(read))


@FUZZ
@given(st.sampled_from(["id", "createdAt", "updatedAt"]), TYPED, st.sampled_from(["\0", "\n", "x" * 300]))
def test_refusal_names_the_setting_and_not_the_value(name, typed, spoiler):
    """The id or time is invalid."""
    reason = parse(WHOLE | {name: f"MARQUEUR{spoiler}{typed}MARQUEUR"})

    assert isinstance(reason, str)
    assert ": see oplead.fields." in reason
    assert "MARQUEUR" not in reason


@pytest.mark.parametrize("depth", [40, 100, 450])
@pytest.mark.parametrize("opening", ["[", '{"label":', '{"a":', '{"value":', '[{"name":"x","value":'])
def test_deep_nesting_is_read_or_refused(depth, opening):
    """The depths go as far as Python's own JSON reader does."""
    closing = "".join({"[": "]", "{": "}"}[sign] for sign in reversed(opening) if sign in "[{")
    item = read_json('{"id": "1", "createdAt": "2026-07-01"}')
    nest = read_json(opening * depth + "1" + closing * depth)
    for name in ("status", "leadData", "contact", "statusHistory", "externalID", "amount"):
        read = parse(item | {name: nest})

        assert isinstance(read, Lead) or read == "it is nested too deeply"


@FUZZ
@given(JUNK, st.lists(st.lists(NAMES, min_size=1, max_size=3).map(".".join), min_size=1, max_size=4))
@example({"Email": 1, "e_mail": 2, "email": 3, "data": [[{"label": "E-MAIL", "VALUE": [4]}]]}, ["email", "data.email"])
@example({"Email": 1, "e_mail": 2}, ["email", "Email", "email"])
def test_paths_read_together_give_what_each_gives_alone(value, paths):
    """Path and value are arbitrary; a slow reader follows each path alone."""
    with in_time():
        read = PathReader(paths).read(value)
    for path in paths:
        assert oracles.at_path(value, path) == list(read.found.get(path, []))
        assert tuple(read.at(path)) == values_at_path(value, path)
        assert all(shape(one) for one in read.at(path))

    assert read.first(paths) is first_value_at_paths(value, paths) is next(read.at(*paths), None)


@pytest.mark.parametrize(
    "many", [{"phones": ["06 12 34 56 78"] * 20_000}, {"x" * 100_000: "y"}, {"emails": "a@b.fr;" * 15_000}]
)
def test_huge_lead_is_parsed_in_time(many):
    """Lists and texts have over a hundred kilobytes."""
    assert isinstance(parse(WHOLE | {"contact": many} | many), Lead)


@pytest.mark.parametrize("history", [[{"status": "a", "date": "2026-07-01"}, {"status": "b", "date": "demain"}]])
def test_unreadable_history_time_refuses_the_lead(history):
    """Otherwise a status change would be silently dropped."""
    assert "see oplead.fields.history" in parse(WHOLE | {"statusHistory": history})
