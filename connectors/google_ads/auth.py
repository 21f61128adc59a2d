"""Connection options for one Google Ads customer, and access tokens from a service account key."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.credentials import TokenState
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport import Response
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from pydantic import SecretStr

from connectors.errors import Misconfigured, Transient, UnknownHost
from connectors.http import CancelToken, is_unknown_host
from connectors.language import _
from connectors.one_call import checked_address, restrict_http_session, run_call
from connectors.records import NotSent, Outcome, OutcomeClass, Refused

DATA_MANAGER_SCOPE = "https://www.googleapis.com/auth/datamanager"
ADS_API_SCOPE = "https://www.googleapis.com/auth/adwords"
"""OAuth scopes: https://developers.google.com/identity/protocols/oauth2/scopes"""

_REASON = re.compile(r"[a-z_]{1,60}")

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
    cancel_token: CancelToken | None = field(default=None, repr=False, compare=False)
    """Uploads, and waits for the token server, end soon after it raises."""


def endpoint(options: GoogleOptions, transport: Transport) -> str:
    """Return a transport's address; raise Misconfigured unless it is https, or http to this machine."""
    if transport == "data_manager":
        return checked_address(options.data_manager_endpoint, _("the Data Manager endpoint"))
    return checked_address(options.ads_api_endpoint, _("the Google Ads API endpoint"))


class TokenRefusedError(Exception):
    """The token server refused this account; the argument is the reason, such as `invalid_grant`."""


class ServiceAccount:
    """One service account, with its token cached until it expires."""

    def __init__(self, options: GoogleOptions, scope: str) -> None:
        """Read the key file.

        Raises Misconfigured if the file is missing, unreadable or not a service account key, or if its `token_uri` is
        unusable.
        """
        self._key, self._scope = _read_key(options.key_file), scope
        self._token_url = checked_address(str(self._key["token_uri"]), f"{options.key_file}: token_uri")
        self._timeout, self._cancel_token = options.timeout, options.cancel_token
        self._is_new = False

    @cached_property
    def _credentials(self) -> service_account.Credentials:
        """The credentials, with the key checked in full, which takes longer than anything else in an idle night."""
        try:
            key: service_account.Credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                self._key, scopes=[self._scope]
            )
        except ValueError:
            raise TokenRefusedError("invalid_private_key") from None
        return key

    def token(self) -> SecretStr:
        """Return a token that is valid for some minutes, fetching one in a single call if needed.

        Raises:
            TokenRefusedError: the account is refused; needs a human.
            Transient: no usable answer; retry later.
        """
        self._is_new = self._credentials.token_state is not TokenState.FRESH
        if self._is_new:
            with requests.Session() as session:
                restrict_http_session(session, self._token_url)
                self._refresh(session)
        return SecretStr(str(self._credentials.token))

    def token_or_receipt(self) -> SecretStr | Refused | NotSent:
        """Return a token, or the receipt of an upload that wasn't sent for lack of one."""
        try:
            return self.token()
        except TokenRefusedError as error:
            refused = Outcome(OutcomeClass.FIX_CONFIG, str(error), _("the token server refuses the key file"))
            return Refused(refused, unasked=True)
        except Transient as error:
            return NotSent(str(error), is_unknown_host=isinstance(error, UnknownHost))

    def forget_token(self) -> bool:
        """Drop the last token, and return whether it was new, so that its refusal can't be blamed on its age."""
        self._credentials.token = None
        return self._is_new

    def _refresh(self, session: requests.Session) -> None:
        try:
            refresh = partial(self._credentials.refresh, partial(_ask_once, Request(session), self._timeout))
            run_call(session, refresh, self._timeout, cancel_token=self._cancel_token)
        except RefreshError as error:
            raise TokenRefusedError(_reason(error)) from None
        except (TransportError, OSError) as error:  # OSError: no CA bundle at the path the environment sets
            if is_unknown_host(error):
                raise UnknownHost(_("the token server could not be reached: its host name does not exist")) from error
            raise Transient(_("the token server could not be reached")) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise Transient(_("the token server's answer cannot be read")) from error


def _ask_once(  # noqa: PLR0917 - google-auth passes these positionally
    ask: Request, timeout: float, url: str, method: str, body: bytes, headers: dict[str, str]
) -> Response:
    """Call the token server and raise on 429 and 5xx, which google-auth would otherwise retry."""
    answer: Response = ask(url, method, body, headers, timeout=timeout)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TransportError(f"HTTP {answer.status}")  # type: ignore[no-untyped-call]
    return answer


def _read_key(key_file: Path) -> Mapping[str, object]:
    """Return the fields of a key file; whether its key is a sound RSA key shows once the key is to sign."""
    try:
        key: dict[str, object] = json.loads(key_file.read_text(encoding="utf-8"))
        private_key, _email, _token_uri = str(key["private_key"]), key["client_email"], key["token_uri"]
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
    return key


def _reason(error: RefreshError) -> str:
    """Return the `error` of an OAuth answer (RFC 6749, 5.2); its other fields may quote what we sent."""
    answer = error.args[1] if len(error.args) > 1 else None
    reason = answer.get("error") if isinstance(answer, dict) else None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else "token_refused"


def open_session(url: str, token: SecretStr) -> requests.Session:
    """Return a session for a single call to `url` with this token.

    Never reuse one: a connection kept from an earlier call may be dead, which would make a request look sent.
    """
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {token.get_secret_value()}"
    restrict_http_session(session, url)
    return session
