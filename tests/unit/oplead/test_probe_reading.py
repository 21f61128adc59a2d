"""What the probe infers from leads of unknown shape without exposing anyone's data."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from connectors.oplead.options import FieldPaths, OpleadOptions, PaginationOptions, SinceQueryParameters
from connectors.oplead.parsing.field_tree import common_lead_field_paths, describe_value_kind, summarise_lead_paths
from connectors.oplead.probe.envelope import locate_lead_array, stated_total
from connectors.oplead.probe.pagination import count_leads_on_pages
from connectors.oplead.probe.sampling import sample_across_labels
from connectors.oplead.probe.suggestion import reading_minutes, suggested_settings
from connectors.oplead.survey.click_ids import click_id_damage_signs, click_id_kinds_by_source
from connectors.oplead.survey.places import locate_configured_fields
from connectors.oplead.survey.summary import ReadLeads, summarise_leads
from connectors.oplead.survey.values import fields_with_few_values, possible_amount_fields, surveyed_labels
from connectors.records import ClickId, ClickIdKind, Contact, Lead, LeadId, Utm
from jobs.rules.labels import normalise_label

PARIS = ZoneInfo("Europe/Paris")


def read(*, label="Gagné", source="google", click_id=None, kind=ClickIdKind.GCLID, problem=None):
    """Build a parsed lead."""
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
    """Locate the fields in these leads."""
    return locate_configured_fields(leads, OpleadOptions(token="t", zone=PARIS, fields=configured))


# ── paths ────────────────────────────────────────────────────────────────────────────────────────


def test_lists_paths_with_how_often_they_are_filled():
    """Objects, name/value pairs and list entries are entered; empty values do not count."""
    leads = [
        {"id": "1", "leadData": [{"name": "externalID", "value": "gclid=abc"}], "past": [{"at": "2026-07-01"}]},
        {"id": "2", "leadData": [{"name": "externalID", "value": ""}], "past": []},
    ]

    assert [("id", 2), ("leadData", 2), ("leadData.externalID", 1), ("past", 1), ("past.at", 1)] == [
        (one.path, one.filled) for one in summarise_lead_paths(common_lead_field_paths(leads), PARIS)
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
def test_classifies_a_value_by_kind(value, kind):
    """Nothing of the value itself is shown."""
    assert kind == describe_value_kind(value, PARIS)


def test_hides_names_that_few_leads_have():
    """An object or a list of pairs may be keyed by people's names; known or frequent names are shown."""
    leads = [{"id": str(number), "note": {f"Martin{number}": "x"}} for number in range(60)]
    leads[0]["gclid"] = "Cj0KCQjw"
    leads[1]["note"] = [{"name": "Dufour", "value": "x"}]

    assert {"id", "note", "gclid"} == {one.path for one in summarise_lead_paths(common_lead_field_paths(leads), PARIS)}


# ── which leads are sampled ──────────────────────────────────────────────────────────────────────


def test_samples_leads_of_every_label_alternately():
    """Each label yields leads from its first to its last; leads without a label form a group of their own."""
    marks = [str(number) for number in range(100)]
    labels = dict.fromkeys(marks, "Nouveau") | {"50": "Gagné", "99": "Gagné", "70": None}
    taken = sample_across_labels(marks, labels, 7)

    assert ["0", "50", "70"] == taken[:3]
    assert "99" in taken
    assert 7 == len(taken) == len(set(taken))
    assert set(marks) == set(sample_across_labels(marks, labels, 200))


# ── fields ───────────────────────────────────────────────────────────────────────────────────────


def test_known_field_names_need_no_setting():
    """Spelling variants count as known."""
    lead = {
        "id": "1",
        "created_at": "2026-07-01 10:00",
        "STATUS": "Gagné",
        "lead_data": [{"key": "external_id", "value": "gclid=Cj0KCQjwAbc"}],
    }
    found = places_of([lead])

    assert (FieldPaths(), {}) == (found.fields, found.undecided)
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
def test_finds_a_field_with_another_name(field, lead, path):
    """The name must mean the field, and the value must suit it."""
    assert (path,) == getattr(places_of([{"id": "1", **lead}]).fields, field)


def test_prefers_real_click_ids_to_a_reference_in_external_id():
    """Suppliers put their own reference into `externalID`; the click ids are then in another field."""
    leads = [{"leadData": {"externalID": f"REF-{n}"}, "gclid": f"Cj0KCQjwAbcd{n:04}Efgh"} for n in range(5)]

    assert ("gclid",) == places_of(leads).fields.click_id


def test_proposes_every_phone_field_mobile_first():
    """Fields whose names only sound like a phone, and those that may be someone else's, stay out."""
    client = {"phone": "01 39 98 12 34", "telephoneFixe": "", "tel_portable": "06 39 98 12 34", "fixe": "oui"}
    other = {"commercial": {"mobile": "06 39 98 00 01"}, "conjoint": {"mobile": "06 39 98 00 02"}}
    leads = [{"id": "1", "contact": client, **other}]
    leads.append({"id": "2", "contact": {**client, "telephoneFixe": "01 39 98 77 88"}, **other})

    expected = ("contact.tel_portable", "contact.phone", "contact.telephoneFixe")
    assert expected == places_of(leads).fields.phone


def test_usual_phone_fields_need_no_setting():
    """The default paths already read them."""
    found = places_of([{"id": "1", "contact": {"mobile": "0639981234", "landline": "0139981234"}}])

    assert FieldPaths().phone == found.fields.phone


def test_keeps_configured_phone_fields():
    """The operator may have left one out on purpose."""
    lead = {"id": "1", "mobile": "0639981234", "telFixe": "0139981234"}

    assert ("telFixe",) == places_of([lead], FieldPaths(phone=("telFixe",))).fields.phone


def test_reads_click_ids_from_two_places():
    """Each kind has its own field."""
    leads = [{"leadData": {"externalID": f"gclid=Cj0KCQjwAbcd{n:04}"}} for n in range(5)]
    leads += [{"leadData": {"externalID": None}, "fbclid": f"IwAR0abcdEFGH{n:04}"} for n in range(5)]

    assert ("leadData.externalID", "externalID", "fbclid") == places_of(leads).fields.click_id


def test_missing_field_names_the_setting_and_the_possible_sources():
    """A date whose name has no clear meaning is mentioned, not guessed."""
    undecided = places_of([{"id": "1", "quand": "2026-07-01", "status": "Gagné", "gclid": "Cj0KCQjwAbcd1"}]).undecided

    assert {"created_at": "the time when a lead was created (there are times at quand)"} == undecided


def test_a_title_with_spaces_is_a_field_and_a_name_is_not():
    """Most leads have a field of one's own; somebody's name, as a key, few."""
    titled = [{"id": str(number), "champs": [{"name": "Accord pub", "value": "oui"}]} for number in range(30)]
    named = [{**lead, "vendeur": {"Jeanne Exemple": 1}} for lead in titled[:10]] + titled[10:]

    assert {"id", "champs", "champs.Accord pub", "vendeur"} == {*common_lead_field_paths(named)}
    assert "champs.Accord pub" not in common_lead_field_paths(titled[:19])


# ── values ───────────────────────────────────────────────────────────────────────────────────────


def labels(leads, listed=()):
    """The status labels, normalised as in the rules."""
    return surveyed_labels(leads, listed, normalise_label)


def test_counts_labels_with_their_click_ids():
    """The most common label comes first."""
    seen = labels([read(), read(click_id="Cj0KCQjwA"), read(label="Perdu"), read(label=None)])

    assert [("Gagné", 2, 1), ("Perdu", 1, 0)] == [(one.label, one.leads, one.with_click_id) for one in seen]


def test_a_mere_code_has_a_lead_as_example():
    """Nobody knows what 14 is; a lead that has it can be looked up."""
    seen = labels([read(label="14"), read(label="Gagné")])

    assert [("14", True), ("Gagné", False)] == [(one.label, bool(one.example)) for one in seen]


@pytest.mark.parametrize("text", ["Rappeler jeanne@example.org", "Rappeler au 06 39 98 12 34", "x" * 61])
def test_masks_a_status_that_is_not_a_label(text):
    """A note typed into the status field is never shown."""
    assert [f"<text, {len(text)} characters>"] == [one.label for one in labels([read(label=text)])]


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f", "\u2009", "\t", "  "])
def test_any_kind_of_space_is_allowed_in_a_label(space):
    """The label is shown, and suggested, with a plain space."""
    found = labels([read(label=f"Devis{space}à relancer")])

    assert [("Devis à relancer", False)] == [(one.label, one.masked) for one in found]


def test_merges_spellings_of_one_label():
    """Case, decomposed accents, hyphens and spaces are folded; the commonest spelling is shown with summed counts."""
    spellings = ["Gagné"] * 3 + ["GAGNÉ", "Gagne\u0301", "gagné", "gagne"]
    leads = [read(label=label, click_id=f"Cj0KCQjw{n}") for n, label in enumerate(spellings)]
    leads.append(read(label="Gagne\u0301 "))

    assert [("Gagné", 8, 7)] == [(one.label, one.leads, one.with_click_id) for one in labels(leads)]
    assert [("Gagné", 1, 0)] == [(one.label, one.leads, one.with_click_id) for one in labels([leads[-1]])]


def test_folds_labels_seen_only_in_the_list():
    """They are shown but not counted."""
    found = labels([read(label="Perdu")], [read(label="PERDU"), read(label="Nouveau")])

    assert [("Perdu", 1), ("Nouveau", 0)] == [(one.label, one.leads) for one in found]


def test_masked_label_is_marked_as_masked():
    """The placeholder must not be mistaken for the label."""
    assert [True] == [one.masked for one in labels([read(label="Rappeler jeanne@example.org")])]


def test_treats_a_status_unique_to_each_lead_as_free_text():
    """Nearly every lead has another value, so all are masked."""
    assert all(one.label.startswith("<") for one in labels([read(label=f"note {'i' * n}") for n in range(50)]))


def test_finds_consent_fields_by_name_or_by_answers():
    """Known answers are shown; any other text is masked."""
    leads = [{"rgpd": "oui", "choix": "Accepté"}] * 9 + [{"rgpd": "Jeanne D.", "choix": "Refusé"}, {}]
    found = {
        one.path: one
        for one in fields_with_few_values(common_lead_field_paths(leads), leads, frozenset(), normalise_label)
    }

    assert {"oui": 9, "<text, 9 characters>": 1, "": 1} == found["rgpd"].values
    assert {"Accepté": 9, "Refusé": 1, "": 1} == found["choix"].values
    assert found["rgpd"].consent
    assert found["choix"].consent


def test_merges_spellings_of_one_consent_answer():
    """Usual words for yes and no are sorted into granted and refused; other answers into neither."""
    answers = ["true"] * 4 + ["oui"] * 3 + ["OUI", "Oui"] + ["1"] * 2 + ["NON", "0", "peut-être", ""]
    leads = [{"consent": one} for one in answers]
    (found,) = fields_with_few_values(common_lead_field_paths(leads), leads, frozenset(), normalise_label)

    assert {"oui": 5, "true": 4, "1": 2, "NON": 1, "0": 1, "<text, 9 characters>": 1, "": 1} == found.values
    assert (("oui", "true", "1"), ("NON", "0")) == (found.granted, found.refused)


@pytest.mark.parametrize("name", ["optOut", "refus_rgpd", "opposition_consent"])
def test_proposes_no_answers_for_an_opt_out_field(name):
    """`optOut: true` is a refusal, so the operator must decide."""
    leads = [{name: "true", "autre_optin": "refusé"}] * 9 + [{name: "accepté", "autre_optin": "accepté"}]
    found = {
        one.path: one
        for one in fields_with_few_values(common_lead_field_paths(leads), leads, frozenset(), normalise_label)
    }

    assert ((), ()) == (found[name].granted, found[name].refused)
    assert (("accepté",), ("refusé",)) == (found["autre_optin"].granted, found["autre_optin"].refused)


def test_shows_channels_but_no_other_texts():
    """A channel is a business fact; a few-valued text with another name may be anyone's."""
    leads = [{"canal": "Site web", "conseiller": "Jeanne", "archived": False}] * 20 + [{"canal": "Jeanne"}]
    found = {
        one.path: one.values
        for one in fields_with_few_values(common_lead_field_paths(leads), leads, frozenset(), normalise_label)
    }

    assert {"Site web": 20, "<text, 6 characters>": 1} == found["canal"]
    assert {"false": 20, "": 1} == found["archived"]
    assert "conseiller" not in found


def test_counts_readable_unreadable_and_absent_amounts():
    """The caller decides what is readable."""
    leads = [{"montantDevis": "12 500,00 €"}, {"montantDevis": "sur devis 2"}, {"montantDevis": ""}, {"id": "7"}]
    found = possible_amount_fields(common_lead_field_paths(leads), leads, lambda text: "€" in str(text), frozenset())

    assert [("montantDevis", 1, 1, 2)] == [(one.path, one.readable, one.unreadable, one.absent) for one in found]


@pytest.mark.parametrize(
    ("lead", "paths"),
    [
        ({"amount": {"value": "900", "currency": "EUR", "taxIncluded": True}}, ["amount.value"]),
        ({"montant": {"ttc": "900", "ht": "750", "le": "2026-07-01"}}, ["montant.ttc", "montant.ht"]),
        ({"amounts": {"inclTax": "900", "exclTax": ""}}, ["amounts.inclTax", "amounts.exclTax"]),
        ({"vente": {"ttc": "900", "auteur": "12"}}, ["vente.ttc"]),
        ({"turnover": "900", "tarif": "900", "quoteTTC": "900"}, ["turnover", "tarif", "quoteTTC"]),
        ({"totalIncluded": True, "valeurs": {"surface": "120"}}, []),
        ({"prix": {"debut": "12/07/2026", "tva": "20"}}, []),
    ],
)
def test_an_amount_is_known_by_what_is_above_it_too(lead, paths):
    """But not what an object says of its amount: a date, a rate, whether tax is in it."""
    found = possible_amount_fields(common_lead_field_paths([lead]), [lead], str.isdecimal, frozenset())

    assert paths == [one.path for one in found]


def test_says_in_which_statuses_an_amount_is_filled():
    """The amount of a sale is filled where leads are won; what may not be shown is left out."""
    leads = [{"montant": "900"}, {"montant": "800"}, {"montant": "700"}, {"montant": ""}]
    tree = common_lead_field_paths(leads)
    (found,) = possible_amount_fields(tree, leads, bool, frozenset(), ["Gagné", "Gagné", "", "Perdu"])

    assert {"Gagné": 2} == found.statuses


def test_a_consent_is_known_by_what_is_above_it_too():
    """`rgpd.pub` is one; a date below it, with as many values as leads, is none."""
    leads = [{"rgpd": {"pub": "Accord", "le": f"2026-08-{day:02}"}} for day in range(1, 29)]
    found = fields_with_few_values(common_lead_field_paths(leads), leads, frozenset(), normalise_label)

    assert [("rgpd.pub", True, ("Accord",))] == [(one.path, one.consent, one.granted) for one in found]


@pytest.mark.parametrize(("name", "value"), [("name", "value"), ("type", "granted"), ("nom", "accord")])
def test_a_consent_to_messages_comes_after_every_other(name, value):
    """In whatever pairs they stand: nobody's newsletter is a consent to advertising."""
    leads = [
        {"consents": [{name: "Newsletter", value: "oui"}, {name: "Publicité", value: answer}]}
        for answer in ("oui", "non", "")
    ]
    found = fields_with_few_values(common_lead_field_paths(leads), leads, frozenset(), normalise_label)

    assert ["consents.Publicité", "consents.Newsletter"] == [one.path for one in found if one.consent]
    assert [False, True] == [one.is_for_messages for one in found if one.consent]


# ── click ids ────────────────────────────────────────────────────────────────────────────────────


def test_counts_click_ids_by_source():
    """Kinds and undecided values are counted too; a source that may be personal is masked."""
    leads = [
        read(click_id="Cj0KCQjwA"),
        read(click_id="Cj0KCQjwB"),
        read(problem="a UUID"),
        read(source="jeanne.martin"),
        read(source=None),
    ]

    assert [("google", 3, {"gclid": 2}, 1), ("<text, 13 characters>", 1, {}, 0), ("", 1, {}, 0)] == [
        (one.source, one.leads, one.with_click_id, one.undecided) for one in click_id_kinds_by_source(leads)
    ]


def whole_id(number):
    """A click id as long as a real one."""
    return f"Cj0KCQjw{number:04}AbCdEfGhIjKlMnOpQrStUvWxYz{'aB3' * (number % 7 + 3)}EALw_wcB"


@pytest.mark.parametrize("length", [50, 64, 80, 100, 255])
def test_suspects_truncation_if_click_ids_share_a_round_maximum_length(length):
    """Many end at the same length, and none is longer."""
    texts = [(whole_id(number) * 6)[:length] for number in range(8)] + [whole_id(1)[:40]]
    leads = [{"leadData": {"externalID": text}} for text in texts]
    said = " ".join(click_id_damage_signs([read(click_id=text) for text in texts], leads, ("leadData.externalID",)))

    assert f"8 of 9 values are exactly {length} characters long" in said


def test_suspects_lowercasing_if_click_ids_have_no_capitals():
    """Chance cannot explain it."""
    ids = [whole_id(number).lower() for number in range(3)] + [whole_id(4)]
    said = " ".join(click_id_damage_signs([read(click_id=one) for one in ids], [], ()))

    assert "3 of 4 click ids have no capital letter" in said


def test_intact_click_ids_raise_no_suspicion():
    """They vary in length and mix both cases."""
    ids = [whole_id(number) for number in range(30)]
    leads = [{"leadData": {"externalID": one}} for one in ids]

    assert [] == list(click_id_damage_signs([read(click_id=one) for one in ids], leads, ("leadData.externalID",)))


# ── the envelope of the leads ────────────────────────────────────────────────────────────────────


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
def test_finds_the_array_of_leads(body, path):
    """A path is returned only if the array is not found by default."""
    assert path == locate_lead_array(body, None)[0]


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
def test_recognises_a_total(body, total):
    """A number below the count shown, or equal to the page's own length, is not a total."""
    assert total == stated_total(body, 20)


@pytest.mark.parametrize("again", [False, True], ids=["nothing past the end", "the last page again"])
@pytest.mark.parametrize("leads", [21, 40, 41, 100, 1234, 5000])
def test_counts_a_numbered_list_in_few_requests(leads, again):
    """It doubles, then bisects, whatever the platform serves past the end."""
    marks = [str(number) for number in range(leads)]
    asked = []

    def page(index):
        asked.append(index)
        last = (leads - 1) // 20
        index = min(index, last) if again else index
        return tuple(marks[index * 20 : index * 20 + 20])

    assert leads == count_leads_on_pages(page, 20)
    assert len(asked) <= 22


# ── suggested settings ───────────────────────────────────────────────────────────────────────────


def options(**more):
    """Options of a platform."""
    return OpleadOptions(token="t", zone=PARIS, **more)


def test_suggestion_omits_defaults():
    """The default platform needs no setting at all."""
    assert {} == suggested_settings(options(), "list")
    assert {"pull": "details"} == suggested_settings(options(), "details")
    assert {"since_filter": {"param": "since", "format": "date"}} == suggested_settings(
        options(since_filter=SinceQueryParameters("since", "date")), "since"
    )


def test_suggestion_follows_the_settings_file_format():
    """One path is written plainly, several as a list."""
    written = suggested_settings(
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
def test_estimates_reading_time_from_the_number_of_requests(pull, detail_pages, first, nightly):
    """List pages and detail fetches go out at the allowed rate."""
    assert (first, nightly) == reading_minutes(
        9000, page_size=100, changed=0.1, recent=0.5, detail_pages=detail_pages, pull=pull, per_minute=90
    )


# ── a list of past statuses ──────────────────────────────────────────────────────────────────────


def with_past(entry, number, *, name="jalons"):
    """A lead with two past statuses in entries of some shape."""
    steps = [("Nouveau", None, "2026-07-01 10:00"), (("Gagné", "Perdu")[number % 2], "Nouveau", "2026-07-20 10:00")]
    past = [entry(after, before, at) for after, before, at in steps]
    return {"id": f"L-{number}", "createdAt": "2026-07-01 10:00", "status": steps[-1][0], name: past}


@pytest.mark.parametrize(
    ("entry", "keys"),
    [
        (lambda after, before, at: {"avant": before, "apres": after, "quand": at}, (("apres",), ("quand",))),
        (lambda after, _before, at: {"quand": at, "pas": {"mot": after}}, (("pas.mot",), ("quand",))),
        (lambda after, before, at: {"ancien": before, "nouveau": {"libelle": after}, "le": at}, ((), ())),
    ],
)
def test_list_with_dates_and_statuses_is_taken_for_the_history_and_said(entry, keys):
    """By what it holds, whatever it is called; its keys are named where they are not the usual ones."""
    leads = [with_past(entry, number) for number in range(20)]
    options = OpleadOptions(token="t", zone=PARIS)
    places = locate_configured_fields(leads, options)
    found = places.fields
    read_again = ReadLeads.parse_surveyed_leads(leads, replace(options, fields=found))

    assert (("jalons",), *keys) == (found.history, found.history_status, found.history_at)
    assert [2] * 20 == [len(one.history) for one in read_again.records]
    assert any("jalons" in one for one in read_again.suspicions(places, options.fields))


def test_entries_of_a_history_are_read_by_label_and_by_their_start():
    """Their code would be a label that no stage names, and their end the time of the next status."""
    started = [Decimal(1_782_892_800_000 + day * 86_400_000) for day in range(2)]
    new, won, lost = (
        {"identifier": Decimal(n), "name": name} for n, name in enumerate(("Nouveau", "Gagné", "Perdu"), start=1)
    )
    leads = [
        {
            "id": f"L-{n}",
            "createdOn": started[0],
            "status": end,
            "statuses": [
                {"endDate": started[1], **new, "startDate": started[0]},
                {"endDate": None, **end, "startDate": started[1]},
            ],
        }
        for n in range(20)
        for end in [(won, lost)[n % 2]]
    ]
    options = OpleadOptions(token="t", zone=PARIS)
    found = locate_configured_fields(leads, options).fields
    read_again = ReadLeads.parse_surveyed_leads(leads, replace(options, fields=found))

    assert (("statuses",), ("name",), ("startDate",)) == (found.history, found.history_status, found.history_at)
    assert {("Nouveau", "Gagné"), ("Nouveau", "Perdu")} == {
        tuple(entry.label for entry in one.history) for one in read_again.records
    }


def test_list_of_documents_is_no_history():
    """It has times, and no statuses of leads."""
    leads = [with_past(lambda _after, _before, at: {"quand": at, "nom": "devis.pdf"}, number) for number in range(20)]

    assert FieldPaths().history == places_of(leads).fields.history


def test_named_path_with_nothing_on_any_lead_looks_wrong():
    """Otherwise every change would silently have the night's time."""
    leads = [with_past(lambda *_step: {}, number) for number in range(20)]
    options = OpleadOptions(token="t", zone=PARIS, fields=FieldPaths(history=("statusLog",), email=("courriel",)))
    read_leads = ReadLeads.parse_surveyed_leads(leads, options)
    said = list(read_leads.suspicions(locate_configured_fields(leads, options), options.fields))

    assert ["history", "email"] == [one.split(":")[0].rpartition(".")[2] for one in said]
    assert "statusLog on any of 20 leads" in said[0]


# ── an object named like a status ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["statut", "status", "etat"])
@pytest.mark.parametrize("code", [{}, {"id": Decimal(14)}], ids=["no code", "code"])
def test_child_with_few_values_is_the_status_and_its_date_child_dates_it(name, code):
    """What it is called says nothing; a time that leads share is that of the status itself."""
    leads = [
        {
            "id": f"L-{n}",
            name: {**code, "le": "2024-01-01", "mot": ("Gagné", "Perdu")[n % 2], "quand": f"2026-07-{n + 1:02}"},
        }
        for n in range(20)
    ]
    found = places_of(leads).fields

    assert ((f"{name}.mot",), (f"{name}.quand",)) == (found.status, found.status_at)


def test_status_identifier_is_a_status():
    """As one of the names that are likely for Oplead."""
    leads = [{"id": f"L-{n}", "statusIdentifier": ("GAGNE", "PERDU")[n % 2]} for n in range(20)]

    assert ("statusIdentifier",) == places_of(leads).fields.status


# ── histories of codes ───────────────────────────────────────────────────────────────────────────

STEPS = {"S1": "Nouveau", "S7": "Gagné", "S8": "Perdu"}


def in_full(code):
    """A status as a code and a text."""
    return {"identifier": code, "name": STEPS[code]}


def coded(status, entry, *codes):
    """A lead whose history tells codes alone, and whose present status is shown in some shape."""
    past = [entry(code, f"2026-07-{day:02} 10:00") for day, code in enumerate(codes, start=1)]
    return {"id": f"L-{id(past)}", "createdAt": "2026-07-01 10:00", "status": status(codes[-1]), "statusHistory": past}


def each_way(status, entry):
    """Some leads at each status, and the options that a probe finds for them."""
    ways = (("S1",), ("S1", "S7"), ("S1", "S7", "S8"))
    leads = [coded(status, entry, *codes) for codes in ways * 5]
    options = OpleadOptions(token="t", zone=PARIS)
    return leads, replace(options, fields=locate_configured_fields(leads, options).fields)


@pytest.mark.parametrize("status", [STEPS.__getitem__, in_full])
@pytest.mark.parametrize("key", ["status", "statusId", "idStatut"])
def test_past_statuses_that_nothing_explains_must_be_written(key, status):
    """Whoever knows what a code means writes it under a stage, and is asked no more."""
    leads, options = each_way(status, lambda code, at: {key: code, "date": at})
    found = ReadLeads.parse_surveyed_leads(leads, options)
    named = replace(options, labels=frozenset({"s1", "s7", "S8"}))

    assert ["S1, S7, S8"] == [said.rpartition(": ")[2] for said in found.unexplained_past(options)]
    assert [] == list(found.unexplained_past(named))


def surveyed(leads, options):
    """The labels and the unclear codes of a survey of these leads."""
    places, found = locate_configured_fields(leads, options), ReadLeads.parse_surveyed_leads(leads, options)
    survey = summarise_leads(
        found, found, places, zone=PARIS, named=frozenset(), readable=lambda _: True, fold=normalise_label
    )
    return survey.labels, survey.unclear_codes


@pytest.mark.parametrize("more", [{}, {"statusDate": "2026-07-20 10:00"}], ids=["undated", "dated"])
def test_code_of_histories_is_shown_beside_the_status_that_has_it(more):
    """Whether or not a lead dates its present status: that is no entry of its history."""
    leads, options = each_way(in_full, lambda code, at: {"statusIdentifier": code, "date": at})
    labels, unclear = surveyed([lead | more for lead in leads], options)

    assert {text: (code, (code,)) for code, text in STEPS.items()} == {
        one.label: (one.past_code, one.also_called) for one in labels
    }
    assert {} == unclear


@pytest.mark.parametrize("personal", ["+33612345678", "STA 12 34 56"])
def test_code_that_may_be_personal_data_is_neither_proposed_nor_shown(personal, monkeypatch):
    """Nor is one beside a text that may be; but that there is one is said."""
    steps = {"S1": "06 12 34 56 78", personal: "Gagné", "S8": "Perdu"}
    monkeypatch.setitem(globals(), "STEPS", steps)
    ways = (("S1",), ("S1", personal), ("S1", personal, "S8"))
    leads = [coded(in_full, lambda code, at: {"statusIdentifier": code, "date": at}, *codes) for codes in ways * 5]
    options = OpleadOptions(token="t", zone=PARIS)
    labels, unclear = surveyed(leads, replace(options, fields=locate_configured_fields(leads, options).fields))

    hidden = f"<text, {len(personal)} characters>"
    assert {"Gagné": "", "Perdu": "S8", "<text, 14 characters>": ""} == {one.label: one.past_code for one in labels}
    assert {"S1": ("<text, 14 characters>",), hidden: ("Gagné",)} == unclear
    assert personal not in repr((labels, unclear))


def test_past_statuses_beside_one_that_is_known_are_explained():
    """Most leads have left the statuses before it, but the time of the one that counts is there."""
    leads, options = each_way(STEPS.__getitem__, lambda code, at: {"status": STEPS.get(code, code), "date": at})
    only_won = [lead for lead in leads if lead["status"] == "Gagné"]
    found = ReadLeads.parse_surveyed_leads(only_won, options)

    assert ("Nouveau", "Gagné") == tuple(entry.label for entry in found.records[0].history)
    assert [] == list(found.unexplained_past(options))


@pytest.mark.parametrize("key", ["statusId", "idStatut"])
def test_list_of_codes_named_like_a_history_is_said(key):
    """No present status shows the codes, so that nothing but its name tells what the list is."""
    leads, _ = each_way(STEPS.__getitem__, lambda code, at: {key: code, "date": at})
    options = OpleadOptions(token="t", zone=PARIS)
    places = locate_configured_fields(leads, options)
    said = list(ReadLeads.parse_surveyed_leads(leads, options).suspicions(places, options.fields))

    assert (("statusHistory",), (key,), ("date",)) == (
        places.fields.history,
        places.fields.history_status,
        places.fields.history_at,
    )
    assert ["statusHistory looks like a list of past statuses with their times"] == [
        one.partition(",")[0] for one in said
    ]


@pytest.mark.parametrize("name", ["appointments", "documents", "quotes"])
def test_list_of_other_things_with_a_status_is_no_history(name):
    """Their statuses are theirs."""
    leads, _ = each_way(STEPS.__getitem__, lambda code, at: {"statusId": code, "date": at})
    moved = [
        {**{key: value for key, value in one.items() if key != "statusHistory"}, name: one["statusHistory"]}
        for one in leads
    ]

    assert FieldPaths().history == places_of(moved).fields.history


def test_leads_that_cannot_be_read_are_named_with_why():
    """The commonest cause first; of many leads, a few."""
    undated = [{"id": f"L-{number}"} for number in range(1, 6)]
    leads = [{"id": "L-9", "created_at": "2026-09-01T10:00:00Z"}, {"name": "x"}, *undated, "text"]
    found = ReadLeads.parse_surveyed_leads(leads, OpleadOptions(token="t", zone=PARIS)).problem

    assert found.startswith(
        "7 of 8 leads cannot be read: no creation time: see oplead.fields.created_at (leads L-1, L-2, L-3, …); "
    ), found
    assert "no id that can be used" in found
