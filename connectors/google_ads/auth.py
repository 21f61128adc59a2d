"""How one Google Ads customer is reached: options, and access tokens from a service account's key."""

import re
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import requests
from google.auth.credentials import Credentials, TokenState
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport import Response
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account

from connectors.errors import Misconfigured
from connectors.http import CancelToken, is_unknown_host
from connectors.one_call import checked_address, exchange, restrain
from connectors.records import NotSent, Outcome, OutcomeClass, Refused

DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
ADS_API = "https://www.googleapis.com/auth/adwords"
"""The scopes that tokens are asked for: https://developers.google.com/identity/protocols/oauth2/scopes"""

_REASON = re.compile(r"[a-z_]{1,60}")

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


class TokenRefusedError(Exception):
    """The token server refuses this account; its one argument is the reason, such as `invalid_grant`."""


class TokenUnavailableError(Exception):
    """The token server could not be asked, or did not answer as one."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token."""

    value: str = field(repr=False)
    is_new: bool
    """Whether it was given for this very call: a 401 is then no matter of an old token."""


class UnauthorizedError(Exception):
    """The API answered 401 to the token it was shown."""


class Bearer(Credentials):
    """A token in hand that fetches no other, so that a 401 ends the call instead of starting a second one."""

    def __init__(self, token: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = token

    def refresh(self, request: object) -> None:  # noqa: ARG002 - the name is the base class's
        """Google's session asks for this after a 401."""
        raise UnauthorizedError


class ServiceAccount:
    """One service account; it keeps its token for as long as it is good."""

    def __init__(self, key_file: Path, scope: str, *, timeout: float, cancel_token: CancelToken | None = None) -> None:
        """Read the key file; `timeout` bounds each wait for the token server, in seconds; `cancel_token` may end it.

        Raises Misconfigured where the file is missing, unreadable or no service account's key.
        """
        self._credentials = _read_key(key_file, scope)
        token_url = str(self._credentials._token_uri)  # noqa: SLF001 - it has no public name
        self._token_url = checked_address(token_url, f"{key_file}: token_uri")
        self._timeout = timeout
        self._cancel_token = cancel_token

    def token(self) -> Token:
        """A token good for some minutes, asked for in one call where the last one is not.

        Raises:
            TokenRefusedError: the account is refused; a human has to change something.
            TokenUnavailableError: there was no answer; later there may be.
        """
        is_new = self._credentials.token_state is not TokenState.FRESH
        if is_new:
            with requests.Session() as session:
                restrain(session, self._token_url)
                self._refresh(session)
        return Token(str(self._credentials.token), is_new)

    def token_or_receipt(self) -> Token | Refused | NotSent:
        """A token, or what comes of an upload for which there is none: nothing was sent."""
        try:
            return self.token()
        except TokenRefusedError as error:
            refused = Outcome(OutcomeClass.FIX_CONFIG, str(error), "the token server refuses the key file")
            return Refused(refused, unasked=True)
        except TokenUnavailableError as error:
            return NotSent(str(error), is_unknown_host=is_unknown_host(error))

    def forget_token(self) -> None:
        """Ask for another token next time."""
        self._credentials.token = None

    def _refresh(self, session: requests.Session) -> None:
        try:
            refresh = partial(self._credentials.refresh, partial(_ask_once, Request(session), self._timeout))
            exchange(session, refresh, self._timeout, cancel_token=self._cancel_token)
        except RefreshError as error:
            raise TokenRefusedError(_reason(error)) from None
        except (TransportError, OSError) as error:  # OSError: no CA bundle where the environment says
            why = ": its host name does not exist" if is_unknown_host(error) else ""
            raise TokenUnavailableError(f"the token server could not be reached{why}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise TokenUnavailableError("the token server's answer cannot be read") from error


def _ask_once(  # noqa: PLR0917 - google-auth calls it so
    ask: Request, timeout: float, url: str, method: str, body: bytes, headers: dict[str, str]
) -> Response:
    """Ask the token server so that google-auth will not repeat it, as it does after a 5xx."""
    answer: Response = ask(url, method, body, headers, timeout=timeout)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TransportError(f"HTTP {answer.status}")  # type: ignore[no-untyped-call]
    return answer


def _read_key(key_file: Path, scope: str) -> service_account.Credentials:
    try:
        key: service_account.Credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
            str(key_file), scopes=[scope]
        )
    except OSError as error:
        raise Misconfigured(f"the Google key file {key_file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, RecursionError):
        # The parser's own words may quote the file.
        raise Misconfigured(f"{key_file} is not the JSON key file of a Google service account") from None
    return key


def _reason(error: RefreshError) -> str:
    """The `error` of an OAuth answer (RFC 6749, 5.2); the rest of it may quote what we sent."""
    answer = error.args[1] if len(error.args) > 1 else None
    reason = answer.get("error") if isinstance(answer, dict) else None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else "token_refused"


def open_session(url: str, token: str) -> AuthorizedSession:
    """A session for one call to `url` with this token.

    One a call: a connection kept from an earlier call may be dead, and would make a request look sent.
    """
    session = AuthorizedSession(Bearer(token))  # type: ignore[no-untyped-call]
    restrain(session, url)
    return session
