"""Leads from files: what `source` needs, and what it makes needless."""

import pytest

from jobs.settings import InvalidSettings, ValidSettings
from jobs.settings.load import load_partial

CSV = "{ csv: exports/*.csv }"
TOKEN = "oplead.token: this key is missing: A reference: `${OPLEAD_TOKEN}`"


def test_files_need_no_token(loaded):
    """Neither a token nor a section for Oplead."""
    for oplead in (None, "{ fields: { status: statut } }"):
        assert isinstance(loaded(source=CSV, oplead=oplead), ValidSettings)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"oplead": "{ rate: 30 }"}, TOKEN),
        ({"source": "{ columns: { A: b } }"}, "source: write either csv or xlsx"),
        ({"source": "{ csv: a.csv, xlsx: a.xlsx }"}, "source: write either csv or xlsx"),
        ({"source": "{ csv: a.csv, sheet: Leads }"}, "source.sheet: this has no effect without xlsx; take it out"),
        ({"source": "{ xlsx: a.xlsx, encoding: utf-8 }"}, "source.encoding: this has no effect without csv"),
        (
            {"source": "{ csv: a.csv, columns: { A: status, B: status.code } }"},
            "source.columns.B: another column's values are status, so nothing can be inside it",
        ),
        (
            {"source": CSV, "webhooks": "{ secret: '${WEBHOOK_SECRET}' }"},
            "webhooks: webhooks tell of changes that",
        ),
    ],
)
def test_each_slip_gives_one_message_at_its_place(complaints, changes, expected):
    """It says what to write."""
    (told,) = complaints(**changes)

    assert told.startswith(expected)


def test_files_are_found_from_the_settings_own_folder(tmp_path):
    """Whatever characters the folder's name has; an absolute pattern stays as it is."""
    folder = tmp_path / "clients [2026]"
    folder.mkdir()
    file = folder / "pipeline.yaml"
    found = []
    for pattern in ("exports/*.csv", "/srv/*.csv"):
        file.write_text(f"source: {{ csv: '{pattern}' }}\n")
        told = load_partial(file, {}, needed=("source",))
        assert not isinstance(told, InvalidSettings), told
        found.append(told.settings.source.csv)

    assert [f"{tmp_path}/clients [[]2026]/exports/*.csv", "/srv/*.csv"] == found
