"""`sandbox --evidence`: how an account was seen to answer, read from the folder that `evidence` wrote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connectors.language import _
from connectors.sandbox.oplead.recorded.dialect import WrongDialectError, parse_dialect, parse_manner
from connectors.sandbox.oplead.recorded.front import RecordedOplead
from jobs.evidence.folder import EVIDENCE_FILE, FORMAT
from jobs.exit_codes import UsageError
from jobs.settings.oplead_schema import OpleadSettings
from jobs.wiring.oplead import how_to_ask


def read_dialect(folder: Path) -> Mapping[str, Any]:
    """Return how the account of a folder answered, as JSON.

    Raises:
        UsageError: there is no evidence, or it is not what `evidence` writes; the message names file and field.
    """
    file = folder / EVIDENCE_FILE
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(_("{file} cannot be read ({strerror})", file=file, strerror=error.strerror)) from None
    except ValueError:
        raise UsageError(_("{file} is not valid JSON", file=file)) from None
    if not isinstance(document, dict) or document.get("version") != FORMAT:
        raise _wrong(file, "version")
    dialect: Mapping[str, Any] | None = document.get("dialect")
    if dialect is None:
        raise UsageError(_("{file}: the leads of that account could not be read, so it cannot be played", file=file))
    recorded_oplead(dialect, file)
    return dialect


def recorded_oplead(dialect: Mapping[str, Any], file: Path) -> RecordedOplead:
    """Return an Oplead that answers in this dialect, which a file holds.

    Raises:
        UsageError: it is not what `evidence` writes.
    """
    try:
        parsed = parse_dialect(dialect)
        asked = how_to_ask(OpleadSettings.model_validate(parsed.settings))
        return RecordedOplead(parsed, parse_manner(asked))
    except WrongDialectError as error:
        raise _wrong(file, str(error)) from None
    except ValidationError as error:
        raise _wrong(file, ".".join(map(str, ("dialect.settings", *error.errors()[0]["loc"])))) from None


def _wrong(file: Path, field: str) -> UsageError:
    return UsageError(_("{file}: {field} is not as `oplead-sync evidence` writes it", file=file, field=field))
