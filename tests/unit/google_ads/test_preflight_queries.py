"""Every queried field exists in the API version in use."""

import pytest
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.google_ads import findings


def _exists(path: str) -> bool:
    """Whether a row has such a field; names that are Python keywords end in an underscore there."""
    message = GoogleAdsRow.pb(GoogleAdsRow()).DESCRIPTOR
    for name in path.split("."):
        field = message.fields_by_name.get(name) or message.fields_by_name.get(f"{name}_")
        if field is None:
            return False
        message = field.message_type
    return True


QUERIES = (
    findings.ACCOUNT_QUERY,
    findings.ACTIONS_QUERY,
    findings.GOALS_QUERY,
    *(findings.gaql_query(summary, *fields) for summary, fields in findings.UPLOADS.values()),
)


@pytest.mark.parametrize("query", QUERIES)
def test_every_queried_field_exists(query):
    """A field that an upgrade removes would make the whole query fail."""
    fields = query.removeprefix("SELECT ").partition(" FROM ")[0].split(", ")

    assert [] == [path for path in fields if not _exists(path)]
