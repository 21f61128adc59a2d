"""How one Google Ads customer is reached."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Transport = Literal["data_manager", "google_ads_api"]


@dataclass(frozen=True, slots=True)
class GoogleOptions:
    """How one Google Ads customer is reached, by either interface."""

    customer_id: str
    """Digits; the account that owns the conversion actions."""
    login_customer_id: str | None
    """Digits; the manager account that gives access, where one does."""
    key_file: Path
    """A service account's JSON key; it names the token server."""
    transport: Transport = "data_manager"
    """What carries conversions from now on."""
    data_manager_endpoint: str = "https://datamanager.googleapis.com"
    ads_api_endpoint: str = "https://googleads.googleapis.com"
    timeout: float = 120.0
    """Seconds each wait for the network may take."""
    validate_only: bool = False
    """Have conversions checked and counted nowhere; what would be taken in is answered as done, `VALIDATED`."""
