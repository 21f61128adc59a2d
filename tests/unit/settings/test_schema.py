"""The JSON schema that editors use agrees with what the loader checks."""

import json
from pathlib import Path

from jobs.settings.schema import settings_schema_text, write_settings_schema

REPOSITORY = Path(__file__).parents[3]


def objects(schema):
    """The schema of every section, by name."""
    return {"Settings": schema, **schema["$defs"]}


def test_the_committed_schema_is_current():
    """It fails if `make schema` was not run after a change of the model."""
    assert settings_schema_text() == (REPOSITORY / "config" / "pipeline.schema.json").read_text(encoding="utf-8")


def test_write_schema_writes_the_schema_text(tmp_path, monkeypatch):
    """It is run from the project's folder."""
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    write_settings_schema()

    assert settings_schema_text() == (tmp_path / "config" / "pipeline.schema.json").read_text(encoding="utf-8")


def test_every_key_has_a_description():
    """An editor shows it for each key, and the error for a missing key repeats it."""
    bare = [
        f"{name}.{key}"
        for name, section in objects(json.loads(settings_schema_text())).items()
        for key, value in section.get("properties", {}).items()
        if not value.get("description")
    ]

    assert [] == bare


def test_the_schema_refuses_unknown_keys():
    """An editor then underlines a misspelt key as it is typed."""
    open_sections = [
        name
        for name, section in objects(json.loads(settings_schema_text())).items()
        if "properties" in section and section.get("additionalProperties") is not False
    ]

    assert [] == open_sections


def test_the_schema_accepts_one_destination_or_a_list():
    """It allows what the loader allows, ids as numbers included."""
    schema = json.loads(settings_schema_text())
    destination = schema["$defs"]["GoogleAdsSettings"]["properties"]

    assert {"$ref": "#/$defs/GoogleAdsSettings"} in schema["properties"]["google_ads"]["anyOf"]
    assert [{"type": "string"}, {"type": "integer"}] == destination["customer_id"]["anyOf"]
