"""The JSON schema by which editors complete and check the configuration.

`python -m jobs.settings.schema` writes it.
"""

import json
import sys
from pathlib import Path

from jobs.settings.schema import Settings

SCHEMA_FILE = Path("config/pipeline.schema.json")


def schema_text() -> str:
    """The schema as it is committed: JSON Schema 2020-12, which the YAML language server reads."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Written by `python -m jobs.settings.schema` from the settings' model; do not edit.",
        **Settings.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the schema to the file named, `config/pipeline.schema.json` by default."""
    target = Path(arguments[0]) if arguments else SCHEMA_FILE
    target.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
