"""What the connector needs to be told about one Meta dataset."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MetaOptions:
    """How one dataset is reached."""

    dataset_id: str
    """Digits, as Events Manager shows them."""
    access_token: str = field(repr=False)
    app_secret: str | None = field(default=None, repr=False)
    """The secret of the token's app, where that app demands proof of it."""
    graph_url: str = "https://graph.facebook.com"
    version: str = "v26.0"
    """The Graph API's version; for the Conversions API Meta ends it after about a year, as the Marketing API's.

    https://developers.facebook.com/docs/marketing-api/overview/versioning
    """
    validate_only: bool = False
    """Check events on this machine and send none."""
    timeout: tuple[float, float] = (10.0, 60.0)
    """Seconds to wait for a connection, and for each part of an answer."""
