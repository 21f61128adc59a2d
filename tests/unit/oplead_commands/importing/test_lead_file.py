"""A file of leads is validated whole: its columns, each line, and everything wrong with it at once."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.records import ClickId, ClickIdKind
from jobs.exit_codes import UsageError
from jobs.oplead_commands.creation.lead_values import click_id_values
from jobs.oplead_commands.importing.columns import read_column_mapping
from jobs.oplead_commands.importing.lead_file import LeadFileOptions, read_lead_file

CLICKED = datetime(2026, 8, 20, 8, tzinfo=UTC)
GCLID = ClickId(ClickIdKind.GCLID, "Cj0KCQjwAbC-dEf_123456", CLICKED)


def reading(**more):
    """How files are read here: one click id is known."""
    return LeadFileOptions(
        ZoneInfo("Europe/Paris"),
        lambda text, _utm: click_id_values([GCLID] if "gclid=" in text else []),
        lambda _lead: None,
        **more,
    )


def read(tmp_path, text, name="leads.csv", encoding="utf-8", **more):
    """The rows of a file with this text."""
    file = tmp_path / name
    file.write_text(text, encoding=encoding)
    return read_lead_file(file, reading(**more))


def problems(tmp_path, text, name="leads.csv", **more):
    """What is said of a file that cannot be used."""
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text, name, **more)
    return str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_french_exports_are_read_as_they_come(tmp_path, encoding, delimiter):
    """Any usual delimiter and encoding, French titles, and what Oplead itself gives a lead is left out."""
    titles = ("Référence", "Prénom", "Nom de famille", "Adresse e-mail", "Tél", "Code postal", "Ville", "Statut")
    cells = ("R-1", "Hélène", "Exemple", "helene.exemple@example.com", "06 12 34 56 78", "69003", "Lyon", "En cours")
    text = "".join(delimiter.join(each) + "\r\n" for each in (titles, cells))

    (row,) = read(tmp_path, text, encoding=encoding)

    contact = row.lead.contact
    assert ("R-1", 2) == (row.reference, row.line)
    assert ("Hélène", "Exemple", "69003", "Lyon") == (
        contact.first_name,
        contact.last_name,
        contact.postcode,
        contact.city,
    )
    assert (("helene.exemple@example.com",), ("06 12 34 56 78",)) == (contact.emails, contact.phones)


def test_a_file_of_e_mail_addresses_alone_is_read(tmp_path):
    """A lead needs no more than that."""
    (row,) = read(tmp_path, "Email\njeanne.exemple@example.com\n")

    assert ("jeanne.exemple@example.com",) == tuple(row.lead.contact.emails)


def test_what_export_writes_is_read_back(tmp_path):
    """Its columns, click ids in their labelled form with their time, and custom fields by their paths."""
    titles = "id,created_at,status,email,phone,other_emails,utm_source,click_id,provider_url,leadData.budget"
    cells = "L-1,2026-09-01,Signé,a@example.com,,,google,gclid=x&gclid_ts=y,https://f.example/h,12000"

    (row,) = read(tmp_path, f"{titles}\n{cells}\n")

    assert (GCLID,) == row.lead.click_ids
    assert {"leadData.budget": "12000"} == row.lead.fields
    assert ("google", "https://f.example/h") == (row.lead.utm.source, row.lead.provider_url)


def test_json_lines_are_read_by_the_same_names(tmp_path):
    """A number stays as it was written, and null is left out."""
    lines = [{"Courriel": "a@example.com", "leadData.budget": 12000, "ville": None}, {"phone": "+33612345678"}]

    rows = read(tmp_path, "\n".join(map(json.dumps, lines)), "leads.jsonl")

    assert [1, 2] == [row.line for row in rows]
    assert {"leadData.budget": "12000"} == rows[0].lead.fields


def test_everything_wrong_is_listed_by_line_without_a_value(tmp_path):
    """At most twenty, and how many more."""
    wrong = ["Dupont;;", "Dupont;nobody;", "Dupont;;12", "Dupont;a@example.com;", "Dupont;a@example.com;"]
    text = "nom;email;telephone\n" + "\n".join([*wrong, *["Dupont;;"] * 30])

    said = problems(tmp_path, text)

    assert "line 2: a lead needs an e-mail address or a phone number" in said
    assert 'line 3: "email": this is no e-mail address' in said
    assert 'line 4: "telephone": this is no phone number' in said
    assert "line 6: it is the same lead as line 5" in said
    assert "and 14 more problems" in said
    assert "Nothing was written." in said
    assert "Dupont" not in said
    assert "nobody" not in said


def test_a_reference_stands_once(tmp_path):
    """Two lines with one reference are one lead, and nobody knows which."""
    said = problems(tmp_path, "reference;email\nR1;a@example.com\nR1;b@example.com\n")

    assert "line 3: it has the reference of line 2" in said


def test_an_unknown_title_is_refused_with_what_may_be_meant(tmp_path):
    """Nothing is left out in silence."""
    said = problems(tmp_path, "emial;Budget\na@example.com;1\n")

    assert 'column 1, "emial": this title is not known; did you mean "email"?' in said
    assert 'column 2, "Budget"' in said


def test_two_titles_of_one_meaning_are_refused(tmp_path):
    """Which one counts nobody knows."""
    assert '"Mobile" and "Téléphone" both mean phone' in problems(tmp_path, "Mobile;Téléphone\n0612345678;0612345678\n")


def test_a_file_without_titles_shows_nobodys_data(tmp_path):
    """Its first line is somebody."""
    said = problems(tmp_path, "jeanne@example.com;Exemple\nb@example.com;Autre\n")

    assert "line 1 holds no titles" in said
    assert "jeanne" not in said


def test_a_mapping_file_says_what_titles_mean(tmp_path):
    """By a column's name, a custom field's path, or `ignore`."""
    mapping = tmp_path / "columns.yaml"
    mapping.write_text("Contact: email\nBudget: leadData.budget\nCanal: { field: channel }\nNotes: ignore\n")

    (row,) = read(
        tmp_path, "Contact;Budget;Canal;Notes\na@example.com;1;Site;Appeler\n", columns=read_column_mapping(mapping)
    )

    assert {"leadData.budget": "1", "channel": "Site"} == row.lead.fields


def test_a_wrong_mapping_file_is_told_by_line(tmp_path):
    """With what may be meant."""
    mapping = tmp_path / "columns.yaml"
    mapping.write_text("Contact: emial\nBudget: [1]\n")

    with pytest.raises(UsageError) as refused:
        read_column_mapping(mapping)

    assert f'{mapping}:1: "Contact": this is no column; did you mean "email"?' in str(refused.value)
    assert f'{mapping}:2: "Budget"' in str(refused.value)


def test_a_filled_column_that_cannot_be_written_is_refused(tmp_path):
    """An export's second addresses are not dropped in silence."""
    said = problems(tmp_path, "email,other_emails\na@example.com,b@example.com\n")

    assert 'line 2: "other_emails"' in said


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("leads.csv", "email;nom\n", "it holds no lead"),
        ("leads.csv", "", "its first line is empty"),
        ("leads.pdf", "email;nom\n", "name it .csv, or .jsonl"),
        ("leads.jsonl", "[1]\n", "line 1: this is no JSON object"),
        ("leads.jsonl", '{"email": ["a@example.com"]}\n', 'line 1: "email": write a single text in place of the list'),
        ("leads.jsonl", '{"contact": {"email": "a@example.com"}}\n', 'line 1: "contact": write a text; a value within'),
        ("leads.jsonl", '{"email": "a@example.com", "email": "b@example.com"}\n', "line 1: a name stands there twice"),
        ("leads.csv", "email;nom;email\na@example.com;b;c\n", 'two columns are called "email"'),
        ("leads.csv", 'email;nom\n"a@example.com;b\n', "never closed"),
        ("leads.csv", "email;click_id\na@example.com;CNL_1\n", "there is no click id in it"),
        ("leads.csv", "email;clicked_at\na@example.com;hier\n", "write a day as"),
        ("leads.csv", "email;gclid;clicked_at\na@example.com;Cj0KCQ;03/02/2026\n", "may be 2026-02-03 or 2026-03-02"),
        ("leads.csv", "email;provider_url\na@example.com;partout\n", "write an address"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, name, text, sentence):
    """In a sentence that names the place; in a file, no language decides what a day is."""
    assert sentence in problems(tmp_path, text, name)


def test_spaces_around_a_reference_make_no_other_lead(tmp_path):
    """A spreadsheet leaves some; one lead would be created twice."""
    (row,) = read(tmp_path, "reference,email\n A1 ,a@example.com\n")

    assert "A1" == row.reference
    said = problems(tmp_path, "reference,email\nA1 ,a@example.com\nA1,b@example.com\n")
    assert "line 3: it has the reference of line 2" in said
