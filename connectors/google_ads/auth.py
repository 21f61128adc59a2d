"""Access tokens from a service account key."""

import re
from collections.abc import Mapping
from functools import cached_property, partial
from hashlib import sha256
from http import HTTPStatus

import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.credentials import DEFAULT_UNIVERSE_DOMAIN, TokenState
from google.auth.crypt import RSASigner
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport import Response
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from pydantic import SecretStr

from connectors.errors import Transient, UnknownHost
from connectors.google_ads.options import GoogleOptions, read_key
from connectors.http import is_unknown_host
from connectors.language import _
from connectors.one_call import restrict_http_session, run_call
from connectors.records import Outcome, OutcomeClass, Refused, RequestNotSent

DATA_MANAGER_SCOPE = "https://www.googleapis.com/auth/datamanager"
ADS_API_SCOPE = "https://www.googleapis.com/auth/adwords"
"""OAuth scopes: https://developers.google.com/identity/protocols/oauth2/scopes"""

_REASON = re.compile(r"[a-z_]{1,60}")
_SOUND: set[bytes] = set()
"""The digests of the keys whose numbers this process has checked."""


class TokenRefusedError(Exception):
    """The token server refused this account; the argument is the reason, such as `invalid_grant`."""


class ServiceAccount:
    """One service account, with its token cached until it expires."""

    def __init__(self, options: GoogleOptions, scope: str) -> None:
        """Read the key file; raise Misconfigured as `read_key` does."""
        self._key, self._scope = read_key(options.key_file), scope
        self._token_url = str(self._key["token_uri"])
        self._timeout, self._cancel_token = options.timeout, options.cancel_token
        self._is_new = False

    @cached_property
    def _credentials(self) -> service_account.Credentials:
        try:
            signer = _signer(self._key)
        except ValueError:
            raise TokenRefusedError("invalid_private_key") from None
        return service_account.Credentials(  # type: ignore[no-untyped-call]
            signer,
            service_account_email=self._key["client_email"],
            token_uri=self._token_url,
            scopes=[self._scope],
            universe_domain=self._key.get("universe_domain", DEFAULT_UNIVERSE_DOMAIN),
        )

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

    def access_token_or_receipt(self) -> SecretStr | Refused | RequestNotSent:
        """Return a token, or the receipt of an upload that wasn't sent for lack of one."""
        try:
            return self.token()
        except TokenRefusedError as error:
            refused = Outcome(OutcomeClass.FIX_CONFIG, str(error), _("the token server refuses the key file"))
            return Refused(refused, unasked=True)
        except Transient as error:
            return RequestNotSent(str(error), is_unknown_host=isinstance(error, UnknownHost))

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


def _signer(key: Mapping[str, object]) -> RSASigner:
    """Return what signs with a key file's key; raise ValueError unless it is a sound RSA key.

    To check its numbers takes longer than anything else in an idle night, so each key is checked once in a process:
    many accounts of an agency have the same one.
    """
    written = str(key["private_key"]).encode()
    digest = sha256(written).digest()
    checked = load_pem_private_key(written, password=None, unsafe_skip_rsa_key_validation=digest in _SOUND)
    _SOUND.add(digest)
    return RSASigner(checked, key.get("private_key_id"))  # type: ignore[no-untyped-call]


def _ask_once(  # noqa: PLR0917 - google-auth passes these positionally
    ask: Request, timeout: float, url: str, method: str, body: bytes, headers: dict[str, str]
) -> Response:
    """Call the token server and raise on 429 and 5xx, which google-auth would otherwise retry."""
    answer: Response = ask(url, method, body, headers, timeout=timeout)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TransportError(f"HTTP {answer.status}")  # type: ignore[no-untyped-call]
    return answer


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
