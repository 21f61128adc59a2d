"""The revisions of a schema, and what bringing tables to the newest came to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """What creating tables, or bringing them up to date, came to."""

    before: str | None
    """The revision that was found; None if there were no tables."""
    after: str
    steps: int
    """How many revisions were applied; 0 if nothing was to be done."""
