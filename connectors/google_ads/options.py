"""Connection options for one Google Ads customer, and its key file; loads no library of Google's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connectors.errors import Misconfigured
from connectors.http import CancelToken, checked_address
from connectors.language import _

if TYPE_CHECKING:  # few tasks that read a key ask anything
    from connectors.google_ads.quota import ProjectQuota

Transport = Literal["data_manager", "google_ads_api"]


@dataclass(frozen=True, slots=True)
class GoogleOptions:
    """Connection options for one Google Ads customer, for both transports."""

    customer_id: str
    """Account that owns the conversion actions; digits."""
    login_customer_id: str | None
    """Manager account that grants access, if any; digits."""
    key_file: Path
    """Service account JSON key, which also names the token server."""
    transport: Transport = "data_manager"
    """Transport for new conversions."""
    data_manager_endpoint: str = "https://datamanager.googleapis.com"
    ads_api_endpoint: str = "https://googleads.googleapis.com"
    timeout: float = 120.0
    """Seconds per network wait."""
    validate_only: bool = False
    """Have conversions checked without counting them; rows that pass are answered as done, `VALIDATED`."""
    write_quota: "ProjectQuota | None" = field(default=None, repr=False, compare=False)
    """The quota from which uploads to the Data Manager API take their turns; None for no limit."""
    read_quota: "ProjectQuota | None" = field(default=None, repr=False, compare=False)
    """That of requests for their outcomes."""
    cancel_token: CancelToken | None = field(default=None, repr=False, compare=False)
    """Uploads, and waits for the token server, end soon after it raises."""


def endpoint(options: GoogleOptions, transport: Transport) -> str:
    """Return a transport's address; raise Misconfigured unless it is https, or http to this machine."""
    if transport == "data_manager":
        return checked_address(options.data_manager_endpoint, _("the Data Manager endpoint"))
    return checked_address(options.ads_api_endpoint, _("the Google Ads API endpoint"))


def read_key(key_file: Path) -> Mapping[str, object]:
    """Return the fields of a service account's key file; whether its key is a sound RSA key shows once it signs.

    Raises Misconfigured if the file is missing, unreadable or no such key, or if its `token_uri` is unusable.
    """
    try:
        key: dict[str, object] = json.loads(key_file.read_text(encoding="utf-8"))
        private_key, _email, token_uri = str(key["private_key"]), key["client_email"], str(key["token_uri"])
        load_pem_private_key(private_key.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except OSError as error:
        raise Misconfigured(
            _("the Google key file {key_file} cannot be read: {strerror}", key_file=key_file, strerror=error.strerror)
        ) from error
    except (ValueError, TypeError, LookupError, RecursionError):
        # Drop the parser's message, which may quote the file.
        raise Misconfigured(
            _("{key_file} is not the JSON key file of a Google service account", key_file=key_file)
        ) from None
    return key | {"token_uri": checked_address(token_uri, f"{key_file}: token_uri")}
