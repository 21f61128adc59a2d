"""What is read out of leads whose shape nobody has described, without showing anybody's data."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from connectors.oplead.field_tree import key_paths, locate, stated_total, tree_of, value_kind
from connectors.oplead.options import FieldPaths, OpleadOptions, PaginationOptions, SinceOptions
from connectors.oplead.probe.field_survey import (
    amounts_of,
    few_values_of,
    find_places,
    sources_of,
    surveyed_labels,
    suspicions_of,
)
from connectors.oplead.probe.pagination import count_leads
from connectors.oplead.probe.probe import reading_minutes, suggestion_of
from connectors.oplead.probe.sampling import in_turn
from connectors.records import ClickId, ClickIdKind, Contact, Lead, LeadId, Utm
from jobs.rules.model import normalise_label

PARIS = ZoneInfo("Europe/Paris")


def read(*, label="Gagné", source="google", click_id=None, kind=ClickIdKind.GCLID, problem=None):
    """A lead as it was read."""
    return Lead(
        id=LeadId("L-1"),
        created_at=datetime(2026, 7, 1, tzinfo=UTC),
        updated_at=None,
        label=label,
        history=(),
        click_ids=(ClickId(kind, click_id),) if click_id else (),
        click_id_problem=problem,
        utm=Utm(source),
        contact=Contact(),
        fields={},
        digest="",
    )


def places_of(leads, configured=FieldPaths()):  # noqa: B008 - it is frozen
    """Where things stand in these leads."""
    return find_places(leads, OpleadOptions(token="t", zone=PARIS, fields=configured))


# ── paths ────────────────────────────────────────────────────────────────────────────────────────


def test_paths_are_told_with_how_often_they_are_filled():
    """Objects, pairs of names and values, and entries of lists are entered; empty values do not count."""
    leads = [
        {"id": "1", "leadData": [{"name": "externalID", "value": "gclid=abc"}], "past": [{"at": "2026-07-01"}]},
        {"id": "2", "leadData": [{"name": "externalID", "value": ""}], "past": []},
    ]

    assert [("id", 2), ("leadData", 2), ("leadData.externalID", 1), ("past", 1), ("past.at", 1)] == [
        (one.path, one.filled) for one in key_paths(tree_of(leads), PARIS)
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("jeanne@example.org", "e-mail address"),
        ("06 39 98 12 34", "phone number or other digits"),
        ("2026-07-01 10:00", "date"),
        ({"date": "2026-07-01 10:00:00.000000", "timezone_type": 3, "timezone": "Europe/Paris"}, "date"),
        ({"date": "2026-07-01 10:00:00.000000", "timezonetype": 3, "timezone": "Europe/Paris"}, "date"),
        (Decimal(1783245600), "date, in seconds or milliseconds"),
        (Decimal("12.5"), "number"),
        ("69003", "number"),
        ("1 231", "number"),
        ("3 780,00 €", "number"),
        ("3\u202f780,00\u00a0€", "number"),
        ("12\u00a0500 EUR TTC", "number"),
        ("900 €", "number"),
        ("06 39 98", "text"),
        (True, "true or false"),
        ("Jeanne", "text"),
    ],
)
def test_a_value_is_told_by_its_kind(value, kind):
    """Nothing of the value itself is shown."""
    assert kind == value_kind(value, PARIS)


def test_names_that_few_leads_have_are_not_shown():
    """An object or a list of pairs may be kept by people's names; what we know or many have is shown."""
    leads = [{"id": str(number), "note": {f"Martin{number}": "x"}} for number in range(60)]
    leads[0]["gclid"] = "Cj0KCQjw"
    leads[1]["note"] = [{"name": "Dufour", "value": "x"}]

    assert {"id", "note", "gclid"} == {one.path for one in key_paths(tree_of(leads), PARIS)}


# ── which leads are looked at ─────────────────────────────────────────────────────────────────────


def test_leads_of_every_label_are_taken_in_turn():
    """From the first to the last of each; those without a label are one more."""
    marks = [str(number) for number in range(100)]
    labels = dict.fromkeys(marks, "Nouveau") | {"50": "Gagné", "99": "Gagné", "70": None}
    taken = in_turn(marks, labels, 7)

    assert ["0", "50", "70"] == taken[:3]
    assert "99" in taken
    assert 7 == len(taken) == len(set(taken))
    assert set(marks) == set(in_turn(marks, labels, 200))


# ── fields ───────────────────────────────────────────────────────────────────────────────────────


def test_the_known_candidates_need_no_setting():
    """Also where they are spelt otherwise."""
    lead = {
        "id": "1",
        "created_at": "2026-07-01 10:00",
        "STATUS": "Gagné",
        "lead_data": [{"key": "external_id", "value": "gclid=Cj0KCQjwAbc"}],
    }
    found = places_of([lead])

    assert (FieldPaths(), ()) == (found.fields, found.undecided)
    shown = {match.field: match.path for match in found.matches}
    assert ["created_at", "STATUS", "lead_data.external_id"] == [
        shown[field] for field in ("created_at", "status", "click_id")
    ]


@pytest.mark.parametrize(
    ("field", "lead", "path"),
    [
        ("created_at", {"date_de_création": "01/07/2026 10:00"}, "date_de_création"),
        ("created_at", {"created": "yes", "receivedAt": "2026-07-01"}, "receivedAt"),
        ("status", {"statut": {"code": 3, "label": "Gagné"}}, "statut"),
        ("status", {"status": Decimal(3), "statusLabel": "Gagné"}, "statusLabel"),
        ("history", {"historique": [{"statut": "Gagné", "date": "2026-07-01"}]}, "historique"),
        ("email", {"client": {"courriel": "jeanne@example.org"}}, "client.courriel"),
        ("last_name", {"commercial": {"nom": "X"}, "client": {"nom": "Y"}}, "client.nom"),
        ("postcode", {"client": {"adresse": {"code-postal": "69003"}}}, "client.adresse.code-postal"),
        ("click_id", {"suivi": {"gclid": "Cj0KCQjwAbcdEfgh1234"}}, "suivi.gclid"),
        ("click_id", {"page": "https://example.org/?gclid=Cj0KCQjwAbc"}, "page"),
    ],
)
def test_a_field_under_another_name_is_found(field, lead, path):
    """By a name that means it and a value that can be it."""
    assert (path,) == getattr(places_of([{"id": "1", **lead}]).fields, field)


def test_a_reference_in_the_click_id_field_gives_way_to_real_click_ids():
    """Suppliers put their own reference into externalID; the ids then stand elsewhere."""
    leads = [{"leadData": {"externalID": f"REF-{n}"}, "gclid": f"Cj0KCQjwAbcd{n:04}Efgh"} for n in range(5)]

    assert ("gclid",) == places_of(leads).fields.click_id


def test_every_phone_field_is_proposed_the_mobile_one_first():
    """Beside a usual one too; what only sounds like a phone, and what may be somebody else's, stay out."""
    client = {"phone": "01 39 98 12 34", "telephoneFixe": "", "tel_portable": "06 39 98 12 34", "fixe": "oui"}
    other = {"commercial": {"mobile": "06 39 98 00 01"}, "conjoint": {"mobile": "06 39 98 00 02"}}
    leads = [{"id": "1", "contact": client, **other}]
    leads.append({"id": "2", "contact": {**client, "telephoneFixe": "01 39 98 77 88"}, **other})

    expected = ("contact.tel_portable", "contact.phone", "contact.telephoneFixe")
    assert expected == places_of(leads).fields.phone


def test_usual_phone_fields_alone_need_no_setting():
    """They are all read as they are."""
    found = places_of([{"id": "1", "contact": {"mobile": "0639981234", "landline": "0139981234"}}])

    assert FieldPaths().phone == found.fields.phone


def test_phone_fields_that_are_written_stay_as_they_are():
    """Somebody may have left one out on purpose."""
    lead = {"id": "1", "mobile": "0639981234", "telFixe": "0139981234"}

    assert ("telFixe",) == places_of([lead], FieldPaths(phone=("telFixe",))).fields.phone


def test_click_ids_at_two_places_are_both_read():
    """Each kind in a field of its own."""
    leads = [{"leadData": {"externalID": f"gclid=Cj0KCQjwAbcd{n:04}"}} for n in range(5)]
    leads += [{"leadData": {"externalID": None}, "fbclid": f"IwAR0abcdEFGH{n:04}"} for n in range(5)]

    assert ("leadData.externalID", "externalID", "fbclid") == places_of(leads).fields.click_id


def test_a_missing_field_names_the_setting_and_what_there_is():
    """Nothing is guessed from a date whose name tells nothing."""
    undecided = places_of([{"id": "1", "quand": "2026-07-01", "status": "Gagné", "gclid": "Cj0KCQjwAbcd1"}]).undecided

    field, problem = undecided[0].split(": ")

    assert ("oplead.fields.created_at", 1) == (field, len(undecided))
    assert "no field was found that holds the time when a lead was created (there are times at quand)" == problem


# ── values ───────────────────────────────────────────────────────────────────────────────────────


def labels(leads, listed=()):
    """The status labels, told alike as the rules tell them."""
    return surveyed_labels(leads, listed, normalise_label)


def test_labels_are_counted_with_their_click_ids():
    """Commonest first."""
    seen = labels([read(), read(click_id="Cj0KCQjwA"), read(label="Perdu"), read(label=None)])

    assert [("Gagné", 2, 1), ("Perdu", 1, 0)] == [(one.label, one.leads, one.with_click_id) for one in seen]


@pytest.mark.parametrize("text", ["Rappeler jeanne@example.org", "Rappeler au 06 39 98 12 34", "x" * 61])
def test_what_is_no_label_is_shown_by_its_shape(text):
    """Somebody's note in the status field stays there."""
    assert [f"<text, {len(text)} characters>"] == [one.label for one in labels([read(label=text)])]


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f", "\u2009", "\t", "  "])
def test_a_space_of_any_kind_hides_no_label(space):
    """A no-break space is a space: the label is shown, and written, with a plain one."""
    found = labels([read(label=f"Devis{space}à relancer")])

    assert [("Devis à relancer", False)] == [(one.label, one.masked) for one in found]


def test_spellings_of_one_label_are_one_label():
    """Capitals, accents in two parts, hyphens and spaces: shown once, as most leads spell it, all counts summed."""
    spellings = ["Gagné"] * 3 + ["GAGNÉ", "Gagne\u0301", "gagné", "gagne"]
    leads = [read(label=label, click_id=f"Cj0KCQjw{n}") for n, label in enumerate(spellings)]
    leads.append(read(label="Gagne\u0301 "))

    assert [("Gagné", 8, 7)] == [(one.label, one.leads, one.with_click_id) for one in labels(leads)]
    assert [("Gagné", 1, 0)] == [(one.label, one.leads, one.with_click_id) for one in labels([leads[-1]])]


def test_a_label_that_only_the_list_shows_is_folded_too():
    """It is told and not counted."""
    found = labels([read(label="Perdu")], [read(label="PERDU"), read(label="Nouveau")])

    assert [("Perdu", 1), ("Nouveau", 0)] == [(one.label, one.leads) for one in found]


def test_what_stands_for_a_label_that_is_not_shown_says_so():
    """Nobody takes its shape for the label."""
    assert [True] == [one.masked for one in labels([read(label="Rappeler jeanne@example.org")])]


def test_free_text_in_the_status_field_is_no_label():
    """Nearly every lead has another one."""
    assert all(one.label.startswith("<") for one in labels([read(label=f"note {'i' * n}") for n in range(50)]))


def test_consents_are_found_by_name_or_by_answers():
    """Known answers are shown; any other text by its shape."""
    leads = [{"rgpd": "oui", "choix": "Accepté"}] * 9 + [{"rgpd": "Jeanne D.", "choix": "Refusé"}, {}]
    found = {one.path: one for one in few_values_of(tree_of(leads), leads, frozenset(), normalise_label)}

    assert {"oui": 9, "<text, 9 characters>": 1, "": 1} == found["rgpd"].values
    assert {"Accepté": 9, "Refusé": 1, "": 1} == found["choix"].values
    assert found["rgpd"].consent
    assert found["choix"].consent


def test_spellings_of_one_answer_are_one_answer():
    """Counted together, and told which usually mean yes and which no; what means neither stands in neither."""
    answers = ["true"] * 4 + ["oui"] * 3 + ["OUI", "Oui"] + ["1"] * 2 + ["NON", "0", "peut-être", ""]
    leads = [{"consent": one} for one in answers]
    (found,) = few_values_of(tree_of(leads), leads, frozenset(), normalise_label)

    assert {"oui": 5, "true": 4, "1": 2, "NON": 1, "0": 1, "<text, 9 characters>": 1, "": 1} == found.values
    assert (("oui", "true", "1"), ("NON", "0")) == (found.granted, found.refused)


@pytest.mark.parametrize("name", ["optOut", "refus_rgpd", "opposition_consent"])
def test_answers_of_a_field_that_asks_the_other_way_round_are_not_proposed(name):
    """`optOut: true` is a refusal: somebody has to say so."""
    leads = [{name: "true", "autre_optin": "refusé"}] * 9 + [{name: "accepté", "autre_optin": "accepté"}]
    found = {one.path: one for one in few_values_of(tree_of(leads), leads, frozenset(), normalise_label)}

    assert ((), ()) == (found[name].granted, found[name].refused)
    assert (("accepté",), ("refusé",)) == (found["autre_optin"].granted, found["autre_optin"].refused)


def test_channels_are_shown_and_other_texts_are_not():
    """A channel is a business fact; a few-valued text of another name may be anybody's."""
    leads = [{"canal": "Site web", "conseiller": "Jeanne", "archived": False}] * 20 + [{"canal": "Jeanne"}]
    found = {one.path: one.values for one in few_values_of(tree_of(leads), leads, frozenset(), normalise_label)}

    assert {"Site web": 20, "<text, 6 characters>": 1} == found["canal"]
    assert {"false": 20, "": 1} == found["archived"]
    assert "conseiller" not in found


def test_amounts_are_told_with_what_cannot_be_read():
    """What is readable decides whoever asks."""
    leads = [{"montantDevis": "12 500,00 €"}, {"montantDevis": "sur devis 2"}, {"montantDevis": ""}, {"id": "7"}]
    found = amounts_of(tree_of(leads), leads, lambda text: "€" in str(text), frozenset())

    assert [("montantDevis", 1, 1, 2)] == [(one.path, one.readable, one.unreadable, one.absent) for one in found]


# ── click ids ────────────────────────────────────────────────────────────────────────────────────


def test_click_ids_are_counted_by_source():
    """With the kinds each source gives, and what gives none; a source that may be anybody's is masked."""
    leads = [
        read(click_id="Cj0KCQjwA"),
        read(click_id="Cj0KCQjwB"),
        read(problem="a UUID"),
        read(source="jeanne.martin"),
        read(source=None),
    ]

    assert [("google", 3, {"gclid": 2}, 1), ("<text, 13 characters>", 1, {}, 0), ("", 1, {}, 0)] == [
        (one.source, one.leads, one.with_click_id, one.undecided) for one in sources_of(leads)
    ]


def whole_id(number):
    """A click id of a real one's length."""
    return f"Cj0KCQjw{number:04}AbCdEfGhIjKlMnOpQrStUvWxYz{'aB3' * (number % 7 + 3)}EALw_wcB"


@pytest.mark.parametrize("length", [50, 64, 80, 100, 255])
def test_click_ids_of_one_round_length_look_cut(length):
    """Many end at the same length, and none is longer."""
    texts = [(whole_id(number) * 6)[:length] for number in range(8)] + [whole_id(1)[:40]]
    leads = [{"leadData": {"externalID": text}} for text in texts]
    said = " ".join(suspicions_of([read(click_id=text) for text in texts], leads, ("leadData.externalID",)))

    assert f"8 of 9 values are exactly {length} characters long" in said


def test_click_ids_without_capitals_look_lowered():
    """Where chance makes it impossible."""
    ids = [whole_id(number).lower() for number in range(3)] + [whole_id(4)]
    said = " ".join(suspicions_of([read(click_id=one) for one in ids], [], ()))

    assert "3 of 4 click ids have no capital letter" in said


def test_whole_click_ids_raise_no_suspicion():
    """Of many lengths, in both cases."""
    ids = [whole_id(number) for number in range(30)]
    leads = [{"leadData": {"externalID": one}} for one in ids]

    assert [] == list(suspicions_of([read(click_id=one) for one in ids], leads, ("leadData.externalID",)))


# ── the answer around the leads ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([{"id": 1}], None),
        ({"data": [{"id": 1}]}, None),
        ({"fiches": [{"id": 1}], "agences": []}, "fiches"),
        ({"reponse": {"fiches": [{"id": 1, "statut": "x"}], "villes": [{"id": 2}]}}, "reponse.fiches"),
        ({"data": [{"nom": "x"}], "leads": [{"id": 1, "status": "x"}]}, "leads"),
    ],
)
def test_the_array_of_leads_is_found(body, path):
    """Written only where it is not found by itself."""
    assert path == locate(body, None)[0]


@pytest.mark.parametrize(
    ("body", "total"),
    [
        ({"total": Decimal(45)}, 45),
        ({"pagination": {"total_items": Decimal(45)}}, 45),
        ({"count": Decimal(20)}, None),
        ({"count": Decimal(45)}, 45),
        ({"total": Decimal(3)}, None),
        ({"totalPages": Decimal(45)}, None),
    ],
)
def test_a_total_is_recognised(body, total):
    """A number that is smaller than what is shown, or the page's own length, is none."""
    assert total == stated_total(body, 20)


@pytest.mark.parametrize("again", [False, True], ids=["nothing past the end", "the last page again"])
@pytest.mark.parametrize("leads", [21, 40, 41, 100, 1234, 5000])
def test_a_numbered_list_is_counted_in_few_questions(leads, again):
    """By doubling and halving, whatever stands past the end."""
    marks = [str(number) for number in range(leads)]
    asked = []

    def page(index):
        asked.append(index)
        last = (leads - 1) // 20
        index = min(index, last) if again else index
        return tuple(marks[index * 20 : index * 20 + 20])

    assert leads == count_leads(page, 20)
    assert len(asked) <= 22


# ── what to write ────────────────────────────────────────────────────────────────────────────────


def options(**more):
    """Options of a platform."""
    return OpleadOptions(token="t", zone=PARIS, **more)


def test_what_equals_a_default_is_not_written():
    """Nothing at all for the default platform."""
    assert {} == suggestion_of(options(), "list")
    assert {"pull": "details"} == suggestion_of(options(), "details")
    assert {"since_filter": {"param": "since", "format": "date"}} == suggestion_of(
        options(since_filter=SinceOptions("since", "date")), "since"
    )


def test_what_differs_is_written_as_the_file_has_it():
    """One path plainly, several as a list."""
    written = suggestion_of(
        options(
            path_prefix="",
            pagination=PaginationOptions(style="page", first_page=0),
            fields=FieldPaths(status=("statut",), phone=("tel", "mobile")),
        ),
        "list",
    )

    assert {
        "path_prefix": "",
        "pagination": {"style": "page", "first_page": 0},
        "fields": {"status": "statut", "phone": ["tel", "mobile"]},
    } == written


@pytest.mark.parametrize(
    ("pull", "detail_pages", "first", "nightly"),
    [
        ("list", False, 1.0, 1.0),
        ("list", True, 101.0, 11.0),
        ("since", True, 101.0, 10.1),
        ("details", True, 101.0, 51.0),
    ],
)
def test_time_is_told_by_the_requests_it_takes(pull, detail_pages, first, nightly):
    """Pages and own pages at the allowed rate."""
    assert (first, nightly) == reading_minutes(
        9000, page_size=100, changed=0.1, recent=0.5, detail_pages=detail_pages, pull=pull, per_minute=90
    )
