"""Surveys an Oplead or its exported files, with our rules for reading amounts and labels."""

from decimal import Decimal
from typing import TYPE_CHECKING

from connectors.ports import Clock
from connectors.survey import Survey
from jobs.rules.extraction import read_amount
from jobs.rules.labels import normalise_label
from jobs.rules.model import UnreadableAmount
from jobs.settings.load import OpleadSection
from jobs.settings.oplead_schema import ExportFileSettings
from jobs.settings.types import StateDatabaseAddress, StateFile
from jobs.wiring.oplead import build_export_file_options, build_oplead_options, oplead_client

if TYPE_CHECKING:
    from connectors.oplead.client import OpleadClient
    from connectors.oplead.probe import OpleadProbe


def survey_oplead(
    look: OpleadSection,
    clock: Clock,
    *,
    leads: int | None,
    state: StateFile | StateDatabaseAddress | None = None,
    named: frozenset[str] = frozenset(),
    specification: bytes | None = None,
) -> Survey:
    """Find out how Oplead answers and where its fields are, from roughly `leads` leads; tries `look` first.

    `specification` is a copy of Oplead's OpenAPI specification; without one it is looked for at Oplead's documentation
    page. If there is one and `leads` is None, five requests are enough. Counts the leads filled at each path in
    `named`; shares the request pace of the account that has this `state`.

    Raises:
        Misconfigured: Oplead refuses access, however the token is presented, or `specification` is none.
        Transient: it keeps failing after bounded retries.
    """
    client = oplead_client(look, clock, state=state)
    return oplead_probe(look, client, named=named, specification=specification).survey(leads=leads)


def oplead_probe(
    look: OpleadSection,
    client: "OpleadClient",
    *,
    named: frozenset[str] = frozenset(),
    specification: bytes | None = None,
) -> "OpleadProbe":
    """Return what finds out how Oplead answers; it has looked for a specification, unless one is given."""
    from connectors.oplead.probe import OpleadProbe, find_specification, parse_downloaded_specification  # noqa: PLC0415

    documentation = (
        find_specification(client) if specification is None else parse_downloaded_specification(specification)
    )
    return OpleadProbe(
        client,
        documentation=documentation,
        per_minute=look.oplead.rate,
        named=named,
        readable=_is_readable,
        fold=normalise_label,
    )


def survey_files(
    look: OpleadSection, source: ExportFileSettings, *, leads: int, named: frozenset[str] = frozenset()
) -> Survey:
    """Find out what the newest exported file holds, from roughly `leads` of its leads.

    Raises:
        Misconfigured: there is no file, or it is damaged.
    """
    from connectors.oplead.files import survey_file  # noqa: PLC0415

    return survey_file(
        build_oplead_options(look),
        build_export_file_options(source),
        leads=leads,
        named=named,
        readable=_is_readable,
        fold=normalise_label,
    )


def _is_readable(amount: str | Decimal) -> bool:
    return not isinstance(read_amount(amount), UnreadableAmount)
