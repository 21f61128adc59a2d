"""What the columns of an exported file mean, and what is refused rather than guessed."""

from decimal import Decimal
from pathlib import Path

import pytest

from connectors.errors import Misconfigured
from connectors.oplead.files.columns import DamagedLeadIdError, ExpectedExportColumns, interpret_columns
from connectors.oplead.options import FieldPaths

FILE = Path("exports/leads.csv")
USUAL = ("ID", "Date de création", "Statut", "Identifiant externe")
NEEDED = ("id", "created_at", "status", "click_id")


def meaning(*titles, written=None, wanted=(), needed=NEEDED, paths=None):
    """The place of each column that is known, by title."""
    expected = ExpectedExportColumns(written or {}, paths or FieldPaths(), frozenset(wanted), needed)
    columns = interpret_columns(FILE, titles, expected)
    return {titles[number]: place for number, place in columns.places.items()}


def refusal(*titles, **more):
    """Why these titles are refused."""
    with pytest.raises(Misconfigured) as refused:
        meaning(*titles, **more)
    return str(refused.value)


def test_usual_titles_need_no_mention():
    """French and English ones, in any case, with or without accents; others are ignored."""
    titles = ("identifiant", "CREATED_AT", "Étape", "clic id", "Prénom", "Code postal", "utm_source", "Commentaire")

    assert {
        "identifiant": "id",
        "CREATED_AT": "createdAt",
        "Étape": "status",
        "clic id": "leadData.externalID",
        "Prénom": "firstname",
        "Code postal": "postcode",
        "utm_source": "utm_source",
    } == meaning(*titles)


def test_places_follow_the_settings_own_paths():
    """So the same settings read the API and files."""
    paths = FieldPaths(status=("statut.libelle",), click_id=("tracking.click",))
    found = meaning(*USUAL, "tracking.clic", "Consentement", paths=paths, wanted=["leadData.consent"], needed=("id",))

    assert "statut.libelle" == found["Statut"]
    assert "tracking.click" == found["Identifiant externe"]
    assert "leadData.consent" == found["Consentement"]


def test_written_columns_come_first():
    """A usual title for the same field is ignored then."""
    found = meaning(*USUAL, "N° de dossier", "Montant TTC", written={"n° de dossier": "id", "Montant TTC": "amount"})

    assert {"N° de dossier": "id", "Montant TTC": "amount"}.items() <= found.items()
    assert "ID" not in found


def test_two_columns_for_one_field_are_refused():
    """Unless a lead may have several, as phones."""
    told = refusal(*USUAL, "Référence")

    assert '"ID" and "Référence" may both be the lead\'s id' in told
    assert '"ID": id' in told
    assert {"Mobile": "mobile", "Téléphone fixe": "phone"}.items() <= meaning(
        *USUAL, "Mobile", "Téléphone fixe"
    ).items()


def test_what_the_settings_need_and_no_column_gives_is_told():
    """With the line to write, and the titles to choose from."""
    told = refusal("ID", "Date de création", "Statut", "Oui ou non", wanted=["leadData.consent"])

    assert "the click id, as Title: leadData.externalID" in told
    assert "Title: leadData.consent" in told
    assert '"Oui ou non"' in told


def test_line_of_data_is_not_shown():
    """A file without titles begins with somebody's data."""
    told = refusal("L-1", "invented@example.com", "Perdu")

    assert "no title that is known" in told
    assert "invented" not in told


def test_written_title_that_no_column_has_is_refused():
    """It was renamed or left out."""
    assert 'did you mean "Montant TTC"?' in refusal(*USUAL, "Montant TTC", written={"Montant TT": "amount"})
    assert 'no column is called "Marge"' in refusal(*USUAL, written={"Marge": "margin"})


def test_place_inside_another_columns_values_is_refused():
    """Values of a column are no objects."""
    assert "inside status" in refusal(*USUAL, "Code", written={"Code": "status.code"})


def lead(cells, *titles, **more):
    """A row as a lead."""
    expected = ExpectedExportColumns({}, FieldPaths(), frozenset(more.get("wanted", ())), ("id",))
    return interpret_columns(FILE, titles, expected).lead_from_row(cells)


def test_row_becomes_a_lead_like_the_apis():
    """Nested by dots, several values as a list, and nothing for an empty cell."""
    made = lead(
        ("00123", "gclid=x", "01", "06", " ", None),
        *("ID", "leadData.externalID", "phone", "Téléphone", "Ville", "contact.email"),
    )

    assert {"id": "00123", "leadData": {"externalID": "gclid=x"}, "phone": ["01", "06"]} == made


@pytest.mark.parametrize(
    "cell",
    [
        *("1,23E+11", "1.5e10", "1E+11", Decimal(1234567890123456), Decimal("12.5")),
        *("1 234 567", "1\u202f234\u202f567", "12\u00a0345", " 1 234 "),
    ],
)
def test_id_damaged_by_a_spreadsheet_is_refused(cell):
    """The digits that made it unique are lost, or it is written as no other reading writes it."""
    with pytest.raises(DamagedLeadIdError):
        lead((cell, "Gagné"), "ID", "Statut")


@pytest.mark.parametrize("cell", ["00123", "L-1E5", "12E", "12e5", "4E10", "12 34", "L 123", Decimal(123)])
def test_other_ids_stay_as_they_are(cell):
    """An id is opaque text."""
    assert cell == lead((cell, "Gagné"), "ID", "Statut")["id"]
