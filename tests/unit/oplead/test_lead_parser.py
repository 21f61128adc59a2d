"""Parsing one lead's JSON into our record."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.oplead.options import FieldPaths, OpleadOptions
from connectors.oplead.parsing.fields import read_json
from connectors.oplead.parsing.lead_parser import LeadParser, UnreadableLeadError, digest_of
from connectors.records import LeadId

PARIS = ZoneInfo("Europe/Paris")
JULY = {day: datetime(2026, 7, day, 8, tzinfo=UTC) for day in range(1, 32)}


def parser(wanted=(), fields=None):
    """A parser for the leads of a French platform."""
    return LeadParser(OpleadOptions(token="t", zone=PARIS, fields=fields or FieldPaths()), frozenset(wanted))


def parse(wanted=(), fields=None, **item):
    """Parse a lead created on 1 July."""
    return parser(wanted, fields).parse({"createdAt": "2026-07-01 10:00", **item}, LeadId("L-1"), "d")


def entries(lead):
    """The history as (label, time) pairs."""
    return [(entry.label, entry.at.at) for entry in lead.history]


@pytest.mark.parametrize("name", ["createdAt", "created_at", "CREATED-AT", "CreatedAt"])
def test_names_are_matched_loosely(name):
    """Case, underscores and hyphens do not matter."""
    lead = parser().parse({name: "2026-07-01"}, LeadId("L-1"), "d")

    assert datetime(2026, 6, 30, 22, tzinfo=UTC) == lead.created_at


@pytest.mark.parametrize(
    "order", [lambda history: history, lambda history: history[::-1]], ids=["oldest first", "newest first"]
)
def test_history_is_returned_oldest_first(order):
    """Either order is read and ties keep their sequence; entries without a date or status are left out."""
    history = order(
        [
            {"status": "Nouveau", "date": "2026-07-01 10:00:00"},
            {"status": {"label": "RDV pris"}, "date": "2026-07-05"},
            {"status": "Devis à relancer", "date": "2026-07-05"},
            {"status": "Gagné", "date": "2026-07-20 10:00:00"},
        ]
    )

    lead = parse(status="Gagné", statusHistory=[*history, {"status": "Perdu"}, {"date": "2026-07-02"}])

    assert [
        ("Nouveau", JULY[1]),
        ("RDV pris", date(2026, 7, 5)),
        ("Devis à relancer", date(2026, 7, 5)),
        ("Gagné", JULY[20]),
    ] == entries(lead)


@pytest.mark.parametrize("listed", [True, False])
def test_current_status_is_dated_once(listed):
    """Its own date is appended unless the history already ends with it."""
    history = [{"status": "Nouveau", "date": "2026-07-01 10:00"}]
    history += [{"status": "Gagné", "date": "2026-07-20 10:00"}] if listed else []

    lead = parse(status="Gagné", statusDate="2026-07-20 10:00", statusHistory=history)

    assert [("Nouveau", JULY[1]), ("Gagné", JULY[20])] == entries(lead)


def test_general_history_yields_only_entries_with_a_status():
    """Labels of documents and calls are not statuses, unless the settings point at that history."""
    history = [
        {"label": "Document ajouté", "date": "2026-07-02 10:00"},
        {"status": "Gagné", "date": "2026-07-20 10:00"},
    ]

    assert [("Gagné", JULY[20])] == entries(parse(history=history))
    assert 2 == len(entries(parse(history=history, fields=FieldPaths(history=("history",)))))


@pytest.mark.parametrize(
    ("status", "label"),
    [("Gagné ", "Gagné"), ({"id": 7, "label": "Gagné"}, "Gagné"), (Decimal(7), "7"), (None, None), ("", None)],
)
def test_status_may_be_text_an_object_or_a_code(status, label):
    """An object's label is preferred to its code."""
    assert label == parse(status=status).label


def test_rejects_a_lead_nested_too_deeply():
    """It is an unreadable lead, caught before Python's recursion limit."""
    nest = read_json('{"label":' * 450 + "1" + "}" * 450)

    with pytest.raises(UnreadableLeadError, match="nested too deeply"):
        parse(status=nest)
    with pytest.raises(UnreadableLeadError, match="nested too deeply"):
        digest_of({"status": nest})


def test_keeps_every_distinct_email_and_phone():
    """They are read under any usual name, in lists and objects."""
    lead = parse(
        email="a@example.org",
        phone=Decimal(33612345678),
        contact={"emails": ["a@example.org", {"value": "b@example.org"}], "mobile": "06 12 34 56 78"},
        customer=[{"phones": [{"number": "0712345678"}]}],
    )

    assert ("a@example.org", "b@example.org") == lead.contact.emails
    assert ("33612345678", "06 12 34 56 78", "0712345678") == lead.contact.phones


def test_wanted_fields_keep_text_and_exact_numbers():
    """Booleans become text, objects their label, several values are joined, absent ones are left out."""
    lead = parse(
        wanted={"amount", "text", "yes", "channel", "tags", "none", "custom.Marge"},
        amount=Decimal("12500.10"),
        text=" 12 500,00 € ",
        yes=False,
        channel={"id": Decimal(3), "name": "Site web"},
        tags=["a", "b", "a"],
        none="",
        custom=[{"name": "marge", "value": Decimal("0.30")}, {"name": "x", "value": 1}],
    )

    assert {
        "amount": Decimal("12500.10"),
        "text": " 12 500,00 € ",
        "yes": "false",
        "channel": "Site web",
        "tags": "a | b",
        "custom.Marge": Decimal("0.30"),
    } == lead.fields


def test_bare_day_is_not_an_update_time():
    """The pull that sees the change bounds it more closely."""
    assert parse(updatedAt="2026-07-20").updated_at is None


@pytest.mark.parametrize(
    ("item", "setting"),
    [
        ({"updatedAt": "soon"}, "updated_at"),
        ({"statusDate": "soon", "status": "x"}, "status_at"),
        ({"statusHistory": [{"status": "x", "date": "soon"}]}, "history"),
        ({"createdAt": True}, "created_at"),
    ],
)
def test_unreadable_time_names_its_setting(item, setting):
    """The reason shows the value's shape, never the value."""
    with pytest.raises(UnreadableLeadError, match=rf"see oplead\.fields\.{setting}$") as caught:
        parse(**item)

    assert "soon" not in str(caught.value)


def test_captured_click_time_applies_to_ids_without_one():
    """An fbc keeps the time it contains."""
    fields = FieldPaths(click_id_at=("leadData.clickedAt",))
    ids = "gclid=Cj0KCQjw-Abc&fbc=fb.1.1784559901000.IwAR0aBcDeF"

    lead = parse(fields=fields, leadData={"externalID": ids, "clickedAt": "2026-07-01 10:00"})

    assert [JULY[1], datetime(2026, 7, 20, 15, 5, 1, tzinfo=UTC)] == [one.clicked_at for one in lead.click_ids]


def test_click_id_problem_describes_the_shape_of_the_value():
    """The reason never quotes the value."""
    lead = parse(leadData={"externalID": "REF-2026-1"})

    assert () == lead.click_ids
    assert "no click id has this form (text, 10 characters)" == lead.click_id_problem


@pytest.mark.parametrize("value", [None, "", True, [], {}, "..", "a\nb", "x" * 201])
def test_rejects_an_unusable_lead_id(value):
    """The id goes into a URL path and a database."""
    with pytest.raises(UnreadableLeadError, match=r"oplead\.fields\.id"):
        parser().read_id({"id": value})


def test_lead_id_is_never_read_as_a_number():
    """Leading zeros and long numbers are preserved."""
    assert "007" == parser().read_id({"id": "007"})
    assert "12345678901234567890" == parser().read_id({"leadId": Decimal(12345678901234567890)})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), json_values, min_size=1, max_size=4))
def test_digest_does_not_depend_on_key_order(item):
    """The same content in another order is the same lead."""
    assert digest_of(item) == digest_of(dict(reversed(item.items())))
    assert digest_of(item) != digest_of({**item, "one more name": 1})


names = st.sampled_from(
    ["id", "createdAt", "status", "leadData", "externalID", "statusHistory", "date", "contact", "email", "value"]
)


@settings(deadline=None)
@given(
    st.recursive(json_values, lambda inner: st.dictionaries(names, inner) | st.lists(inner, max_size=3), max_leaves=12)
)
def test_any_lead_is_parsed_or_rejected_as_unreadable(value):
    """No shape of a lead stops the page it is on."""
    item = value if isinstance(value, dict) else {"contact": value}
    with suppress(UnreadableLeadError):
        parse(wanted={"contact", "leadData.value"}, **item)


def test_numbers_are_exact_and_mangled_ids_stay_text():
    """A long number in exponent form has lost digits and must not pass for an id."""
    assert [Decimal("0.10"), Decimal(10**20)] == read_json(b"[0.10, 100000000000000000000]")
    assert ["1.23456789012345E+16", Decimal("1.2E3")] == read_json("[1.23456789012345E+16, 1.2E3]")
    assert ["1e999999999999999999999", "NaN"] == read_json("[1e999999999999999999999, NaN]")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"a\uDE00b"', "a\ufffdb"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
        (r'"\ud83d\\ude00"', "\ufffd\\ude00"),
        (b'"\xed\xa0\xbd"', "\ufffd"),
        ('"\ud83d"', "\ufffd"),
        (b'"\xf0\x9f\x98\x80"', "\U0001f600"),
        (r'{"\ud83d": ["\ud83d"]}', {"\ufffd": ["\ufffd"]}),
        (r'"a\u0000\\u0000"', "a\ufffd\\u0000"),
    ],
)
def test_replaces_lone_surrogates_and_nul(written, read):
    """The ones can be neither hashed nor stored, the other is refused by PostgreSQL; complete pairs stay."""
    assert read == read_json(written)


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"a": 1', b"\xff", b"[" * 100_000])
def test_invalid_json_is_a_value_error(content):
    """The content is HTML, truncated, wrongly encoded or nested without end."""
    with pytest.raises(ValueError):  # noqa: PT011 the message is the library's
        read_json(content)


@pytest.mark.parametrize(
    ("item", "country"),
    [
        ({"country": "FR"}, "FR"),
        ({"country": {"code": "75", "name": "Belgique"}}, "Belgique"),
        ({"country": {"code": "BE", "name": "Belgique"}}, "BE"),
        ({"country": "-", "contact": {"country": "Suisse"}}, "Suisse"),
        ({"country": {"code": "75", "name": "Syldavie"}}, "75"),
        ({"country": "n/a"}, "n/a"),
        ({}, None),
    ],
)
def test_prefers_the_value_that_names_a_country(item, country):
    """A code of the CRM's own names none, nor does a dash."""
    assert country == parse(**item).contact.country


@pytest.mark.parametrize(("entries", "read"), [(1_000, True), (1_001, False), (20_000, False)])
def test_rejects_a_history_of_more_than_a_thousand_status_changes(entries, read):
    """Each entry is weighed for each stage, and we cannot guess which ones count."""
    entry = {"status": "Nouveau", "date": "2026-06-01T10:00:00Z"}
    item = {"id": "L-1", "createdAt": "2026-06-01T09:00:00Z", "statusHistory": [entry] * entries}

    if read:
        assert entries == len(parse(**item).history)
    else:
        with pytest.raises(UnreadableLeadError, match=f"statusHistory has {entries:,} status changes"):
            parse(**item)


def test_history_limit_counts_only_status_changes():
    """A busy lead's general history has thousands of calls and documents, which cost nothing later."""
    call = {"label": "Appel", "date": "2026-07-02 10:00"}
    won = {"status": "Gagné", "date": "2026-07-20 10:00"}
    undated, blank = {"status": "Perdu"}, {"status": " ", "date": "2026-07-03"}

    assert [("Gagné", JULY[20])] == entries(parse(history=[call, undated, blank] * 1_000 + [won]))


def test_rejects_an_oversized_lead():
    """The check comes before anything in it is read."""
    with pytest.raises(UnreadableLeadError, match="more than any lead"):
        digest_of({"id": "L-1", "notes": ["x" * 1_000] * 2_000})


def test_sanitises_and_truncates_labels():
    """Terminal control sequences are stripped, and the length is limited to 200 characters."""
    link, title = "\x1b]8;;http://x.example\x1b\\", "\x1b]0;owned\x07"
    history = [{"status": f"RDV\u202e{title}", "date": "2026-06-02T10:00:00Z"}]

    lead = parse(id="L-1", createdAt="2026-06-01T09:00:00Z", status=f"{link}Gagné\x9b", statusHistory=history)
    long = parse(id="L-1", createdAt="2026-06-01T09:00:00Z", status="x" * 300)

    assert ("]8;;http://x.example\\Gagné", "RDV]0;owned") == (lead.label, lead.history[0].label)
    assert "x" * 200 + "…" == long.label


def test_a_utm_field_of_any_length_can_be_stored():
    """It is part of a key, of which a database takes only so much."""
    long = parse(id="L-1", createdAt="2026-06-01T09:00:00Z", status="Gagné", utm_campaign="x" * 10_000)

    assert "x" * 200 + "…" == long.utm.campaign


def test_number_of_a_million_digits_stays_text():
    """No amount is that long, and arithmetic on it would take minutes."""
    assert "9" * 1_000_000 == read_json("9" * 1_000_000)


@pytest.mark.parametrize(
    ("value", "expected"), [("2026-07-20 10:00", True), ("2026-07-20", True), (None, False), ("", False)]
)
def test_only_the_existence_of_an_appointment_is_kept(value, expected):
    """Its date is nobody's business; without a setting, none is looked for."""
    fields = FieldPaths(appointment_at=("rdv.date",))

    assert expected is parse(fields=fields, rdv={"date": value}).has_appointment
    assert not parse(rdv={"date": value}).has_appointment


@pytest.mark.parametrize("typed", ["jean.dupont@exemple.fr", "à rappeler au 06 12 34 56 78"])
def test_contact_data_typed_as_a_status_is_shown_by_its_shape_only(typed):
    """In the current status and in the history alike: it is stored, and shown in reports."""
    lead = parse(status=typed, statusHistory=[{"status": typed, "date": "2026-07-05"}])

    assert lead.label.startswith("<text, ")
    assert {lead.label} == {entry.label for entry in lead.history}


@pytest.mark.parametrize("value", ["33712345678", Decimal(33712345678), "612345678"])
def test_a_number_is_a_lead_id_however_like_a_telephone_number(value):
    """Such as the running number of a CRM with many leads."""
    assert str(value) == parser().read_id({"id": value})


@pytest.mark.parametrize("value", ["jean.dupont@exemple.fr", "0612345678", "+33 6 12 34 56 78"])
def test_contact_data_is_no_lead_id(value):
    """An id is shown and logged: such a lead is told as unreadable, by the shape of its id."""
    with pytest.raises(UnreadableLeadError) as refused:
        parser().read_id({"id": value})

    assert value not in str(refused.value)


# ── as a French API would say it ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "status",
    [
        {"id": Decimal(14), "libelle": "Rendez-vous"},
        {"intitulé": "Rendez-vous", "code": "14"},
        {"nom": "Rendez-vous", "valeur": Decimal(14)},
        {"name": "14", "code": "Rendez-vous"},
        {"identifier": "14", "name": "Rendez-vous", "category": {"name": "Actif"}},
    ],
)
def test_text_of_a_status_is_its_label_and_its_code_another_name(status):
    """A number says nothing to anybody who writes settings."""
    lead = parse(status=status, statusHistory=[{"statut": status, "le": "2026-07-05 10:00"}])

    assert ("Rendez-vous", ("14",)) == (lead.label, lead.also_called)
    assert [("Rendez-vous", ("14",))] == [(one.label, one.also_called) for one in lead.history]


def test_settings_may_name_a_status_by_its_code():
    """Whatever they name it by is its label."""
    named = LeadParser(OpleadOptions(token="t", zone=PARIS, labels=frozenset({"14"})))
    item = {"createdAt": "2026-07-01", "status": {"id": Decimal(14), "libelle": "Rendez-vous"}}

    assert ("14", ("Rendez-vous",)) == named.read_label(item["status"])
    assert "14" == named.parse(item, LeadId("L-1"), "d").label


def test_french_pairs_are_read_as_pairs():
    """Consent and click ids in `[{nom, valeur}]`, at a path and inside the value."""
    pairs = [{"nom": "externalID", "valeur": "gclid=Cj0abc"}, {"nom": "consentement", "valeur": "oui"}]
    inside = {"externalID": [{"nom": "gclid", "valeur": "Cj0abc"}]}

    assert {"leadData.consentement": "oui"} == parse(["leadData.consentement"], leadData=pairs).fields
    assert ["Cj0abc"] == [one.value for one in parse(leadData=pairs).click_ids]
    assert ["Cj0abc"] == [one.value for one in parse(leadData=inside).click_ids]


@pytest.mark.parametrize(
    "entry",
    [
        {"identifier": "pub", "value": "oui"},
        {"titre": "pub", "valeur": "oui"},
        {"type": "pub", "granted": "oui"},
        {"nom": "pub", "accord": "oui", "le": "2026-07-01"},
    ],
)
def test_loose_pairs_are_read_as_pairs_and_as_things_of_their_own(entry):
    """An answer by its name; a running account's settings may name what stands in each entry."""
    value = next(name for name in entry if entry[name] == "oui")
    paths = ["leadData.pub", f"leadData.{value}"]

    assert dict.fromkeys(paths, "oui") == parse(paths, leadData=[entry]).fields


@pytest.mark.parametrize(
    "entry",
    [
        {"identifier": "pub", "type": "optin", "granted": "oui"},
        {"identifier": "c-12", "type": "pub", "granted": "oui"},
        {"type": "pub", "granted": "oui", "value": "2026-01-01"},
        {"identifier": "pub2", "granted": "oui"},
    ],
)
def test_a_loose_pair_is_named_by_what_tells_it_apart_and_holds_its_answer(entry):
    """Not by its kind, nor by an id of its own; a date beside an answer is none."""
    path = "leadData.pub2" if entry.get("identifier") == "pub2" else "leadData.pub"

    assert {path: "oui"} == parse([path], leadData=[entry]).fields


def test_a_date_is_not_read_as_an_answer_that_is_missing():
    """Nobody has answered."""
    unanswered = {"type": "pub", "granted": None, "value": "2026-01-01"}

    assert {} == parse(["leadData.pub"], leadData=[unanswered]).fields


def test_strict_and_loose_pairs_of_one_list_are_both_read():
    """What can be nothing but a pair counts alone under its name."""
    pairs = [{"type": "ref", "granted": "non"}, {"name": "ref", "value": "7"}, {"type": "pub", "granted": "oui"}]
    paths = ["leadData.pub", "leadData.ref"]

    assert {"leadData.pub": "oui", "leadData.ref": "7"} == parse(paths, leadData=pairs).fields


def test_id_is_never_read_from_a_french_name():
    """An account that has run keeps the id it was known by."""
    with pytest.raises(UnreadableLeadError, match="no id"):
        parser().read_id({"numero": "L-1", "identifiant": "L-1", "nom": "L-1", "référence": "L-1"})


@pytest.mark.parametrize(
    "entry",
    [
        {"from": "Nouveau", "to": "Gagné", "at": "2026-07-20 10:00"},
        {"old": {"label": "Nouveau"}, "new": {"label": "Gagné"}, "changedAt": "2026-07-20 10:00"},
        {"ancien": "Nouveau", "nouveau": "Gagné", "le": "2026-07-20 10:00"},
        {"type": "status_change", "label": "Gagné", "date": "2026-07-20 10:00"},
        {"label": "Étape suivante", "old": "Nouveau", "new": "Gagné", "date": "2026-07-20 10:00"},
        {"type": "Changement de statut", "from": "Nouveau", "to": "Gagné", "date": "2026-07-20 10:00"},
        {"nouveauStatut": {"id": Decimal(3), "libelle": "Gagné"}, "depuis": "2026-07-20 10:00"},
    ],
)
def test_history_entries_are_read_in_any_usual_shape(entry):
    """The status after the change counts, in a general history too."""
    call = {"type": "email", "from": "a@example.org", "to": "b@example.org", "at": "2026-07-21", "label": "Relance"}

    assert [("Gagné", datetime(2026, 7, 20, 8, tzinfo=UTC))] == entries(parse(history=[entry, call]))


def test_keys_of_history_entries_can_be_named():
    """Whatever they are called, and wherever in the entry they are."""
    fields = FieldPaths(history=("past",), history_status=("step.word",), history_at=("on",))
    past = [{"step": {"word": "Gagné"}, "on": "2026-07-20 10:00", "label": "x", "date": "2026-07-01"}]

    assert [("Gagné", datetime(2026, 7, 20, 8, tzinfo=UTC))] == entries(parse(fields=fields, past=past))
