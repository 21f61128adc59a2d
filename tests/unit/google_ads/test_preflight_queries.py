"""Every field that is asked for exists in the version of the API that is asked."""

import pytest
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.google_ads import checks


def _exists(path: str) -> bool:
    """Whether a row has such a field; Python's own words have an underscore behind them there."""
    message = GoogleAdsRow.pb(GoogleAdsRow()).DESCRIPTOR
    for name in path.split("."):
        field = message.fields_by_name.get(name) or message.fields_by_name.get(f"{name}_")
        if field is None:
            return False
        message = field.message_type
    return True


QUERIES = (
    checks.ACCOUNT_QUERY,
    checks.ACTIONS_QUERY,
    checks.GOALS_QUERY,
    *(checks.query(summary, *fields) for summary, fields in checks.UPLOADS.values()),
)


@pytest.mark.parametrize("query", QUERIES)
def test_every_field_asked_for_exists(query):
    """One that an upgrade takes away would leave the whole question unanswered."""
    fields = query.removeprefix("SELECT ").partition(" FROM ")[0].split(", ")

    assert [] == [path for path in fields if not _exists(path)]
