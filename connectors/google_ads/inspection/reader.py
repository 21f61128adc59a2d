"""Questions to Google Ads in its query language, by the service account.

https://developers.google.com/google-ads/api/docs/query/overview
"""

from pathlib import Path

from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, NotConnectedError
from connectors.google_ads.ads_api.failures import codes_of
from connectors.google_ads.credentials import (
    ADS_API,
    ServiceAccount,
    TokenRefusedError,
    TokenUnavailableError,
)
from connectors.google_ads.inspection.transports import ACCESS, OF_ACCESS


class NotReadableError(Exception):
    """Nothing can be read with this access; why, in codes, and what to do about it."""

    def __init__(self, said: str, advice: str = "") -> None:
        """Keep both sentences."""
        super().__init__(said)
        self.said = said
        self.advice = advice

    @property
    def concerns_access(self) -> bool:
        """Whether nothing of the account can be read, whatever is asked."""
        return self.advice == ACCESS


class Reader:
    """Reads one customer's rows."""

    def __init__(
        self, customer_id: str, login_customer_id: str | None, key_file: Path, *, endpoint: str, timeout: float
    ) -> None:
        """Read the key file; `timeout` bounds each wait, in seconds.

        Raises Misconfigured where it or the endpoint cannot be used.
        """
        self._customer_id = customer_id
        self._client = AdsClient(endpoint, login_customer_id, timeout=timeout)
        self._account = ServiceAccount(key_file, ADS_API, timeout=timeout)

    def rows(self, query: str) -> list[GoogleAdsRow]:
        """The rows a query finds.

        Raises NotReadableError where this access gives none; that says nothing of sending.
        """
        try:
            return self._client.search(self._customer_id, query, self._account.token().value)
        except CallFailedError as error:
            if not OF_ACCESS.isdisjoint(codes_of(error.faults)):
                raise NotReadableError(f"Google Ads answers {error}", ACCESS) from None
            advice = next((fault.outcome.message for fault in error.faults if fault.outcome.message), "")
            raise NotReadableError(f"Google Ads answers {error}", advice) from None
        except TokenRefusedError as error:
            raise NotReadableError(f"Google gives no token for the Google Ads API: {error}") from None
        except (NotConnectedError, TokenUnavailableError) as error:
            raise NotReadableError(str(error)) from None
