"""What Google says about the conversions it received, by whichever transport carried them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from connectors.google_ads.options import GoogleOptions
from connectors.records import PlatformStatement, SentRequest

_SECONDS = 5.0
"""For each wait: nobody's night is to depend on these readings."""


class GoogleStatementReader:
    """`PlatformStatementReader` for one Google Ads customer; a transport's library loads where it carried something."""

    def __init__(self, options: GoogleOptions) -> None:
        """Keep the options; nothing is read yet."""
        self._options = replace(options, timeout=min(options.timeout, _SECONDS))

    def read_statements(
        self, since: datetime, until: datetime, sent: Sequence[SentRequest]
    ) -> Sequence[PlatformStatement]:
        """Return what each transport that carried something says of it."""
        # Imported lazily: each vendor library is slow to load.
        by = {each.target.transport for each in sent}
        said: list[PlatformStatement] = []
        if "data_manager" in by:
            from connectors.google_ads.data_manager.statements import read_request_statuses  # noqa: PLC0415

            said += read_request_statuses(self._options, sent)
        if "google_ads_api" in by:
            from connectors.google_ads.ads_api.statements import read_upload_summaries  # noqa: PLC0415

            said += read_upload_summaries(self._options, since, until, sent)
        return said
