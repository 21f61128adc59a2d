"""Google's token endpoint for service accounts: a signed assertion in, a bearer token out."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connectors.sandbox.platform import require_switch_position
from connectors.sandbox.server import WireRequest, WireResponse, json_response

Key = rsa.RSAPrivateKey
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""The audience an assertion must name, whatever `token_uri` the key file has."""
DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
ADWORDS = "https://www.googleapis.com/auth/adwords"
SCOPES = frozenset({DATA_MANAGER, ADWORDS})
CLIENT_EMAIL = "oplead-sync@sandbox-project.iam.gserviceaccount.com"
LIFETIME_SECONDS = 3600
SKEW_SECONDS = 300
_SWITCHES = {"revoke_tokens": (False, True), "refuse_tokens": (False, True)}


class _RefusedError(Exception):
    """The token request is refused with an OAuth error code."""

    def __init__(self, sentence: str, code: str = "invalid_grant") -> None:
        super().__init__(sentence)
        self.code = code


class OAuthServer:
    """One service account, its key, and the tokens issued to it.

    Switches:
        revoke_tokens: setting it revokes every token issued so far; new ones work. Always reads false.
        refuse_tokens: while true, every token request gets 400 invalid_grant.
    """

    def __init__(self, key: Key, *, machine: Callable[[], float] = time.time) -> None:
        """Serve the account of `key`; `machine` returns Unix time, which google-auth uses for signing and expiry."""
        self._lock = Lock()
        self._key = key
        self._machine = machine
        self._tokens: dict[str, tuple[str, float]] = {}
        """Scopes and expiry, by the token's SHA-256."""
        self.switches: dict[str, object] = dict.fromkeys(_SWITCHES, False)

    def set_switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        require_switch_position(_SWITCHES, name, value)
        with self._lock:
            if name == "revoke_tokens":
                self._tokens.clear()
            else:
                self.switches[name] = value

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request to the token endpoint."""
        if request.path != "/token":
            return json_response(404, {"error": "not_found"})
        if request.method != "POST":
            return json_response(405, {"error": "method_not_allowed"}, {"Allow": "POST"})
        try:
            scope = self._granted(request)
        except _RefusedError as refusal:
            return json_response(400, {"error": refusal.code, "error_description": str(refusal)})
        token = "ya29.sandbox-" + secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[_digest(token)] = (scope, self._machine() + LIFETIME_SECONDS)
        body = {"access_token": token, "expires_in": LIFETIME_SECONDS, "token_type": "Bearer"}
        return json_response(200, body)

    def authorised(self, request: WireRequest) -> bool:
        """Return whether a request carries a valid token for the Data Manager API."""
        return DATA_MANAGER in (self.scopes_of_token(request.headers.get("authorization", "")) or ())

    def scopes_of_token(self, authorization: str) -> frozenset[str] | None:
        """Return the scopes of an Authorization header's token; None if it is unknown, expired or revoked."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            scope, expires = self._tokens.get(_digest(token), ("", 0.0))
        return frozenset(scope.split()) if scheme == "Bearer" and self._machine() < expires else None

    def key_file_json(self, token_uri: str) -> str:
        """Return the account's key file in Google Cloud's format, with this `token_uri`."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        fields = {
            "type": "service_account",
            "project_id": "sandbox-project",
            "private_key_id": self._key_id(),
            "private_key": pem.decode(),
            "client_email": CLIENT_EMAIL,
            "client_id": "100000000000000000001",
            "token_uri": token_uri,
        }
        return json.dumps(fields, indent=2) + "\n"

    def dump(self) -> dict[str, object]:
        """Return the state as JSON, without the key and with tokens only as hashes."""
        with self._lock:
            return {
                "tokens": {digest: list(kept) for digest, kept in self._tokens.items()},
                "refuse_tokens": self.switches["refuse_tokens"],
            }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            self._tokens = {digest: (scope, expires) for digest, (scope, expires) in dumped["tokens"].items()}
            self.switches["refuse_tokens"] = dumped["refuse_tokens"]

    def _granted(self, request: WireRequest) -> str:
        """Return the scopes that a token request is granted."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise _RefusedError("The body must be a form.", "invalid_request")
        form = parse_qs(request.body.decode("latin-1"), keep_blank_values=True)
        if form.get("grant_type") != [GRANT_TYPE]:
            raise _RefusedError("Invalid grant_type.", "unsupported_grant_type")
        if form.keys() != {"grant_type", "assertion"} or len(form["assertion"]) != 1:
            raise _RefusedError("Send grant_type and assertion, once each, and nothing else.", "invalid_request")
        claims = self._verified(form["assertion"][0])
        self._check_times(claims)
        if self.switches["refuse_tokens"]:
            raise _RefusedError("Invalid grant: account not found.")
        return _scope(claims)

    def _verified(self, assertion: str) -> Mapping[str, object]:
        """Verify an assertion's header, signature, issuer and audience, and return its claims."""
        signed, _, signature = assertion.rpartition(".")
        head, _, body = signed.partition(".")
        header, claims = _part(head), _part(body)
        known = {"alg": "RS256", "typ": "JWT", "kid": self._key_id()}
        if header.get("alg") != "RS256" or any(known.get(name) != value for name, value in header.items()):
            raise _RefusedError("Invalid JWT header.")
        try:
            self._key.public_key().verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise _RefusedError("Invalid JWT Signature.") from None
        if claims.keys() != {"iss", "aud", "scope", "iat", "exp"}:
            raise _RefusedError("Invalid JWT: claims are iss, aud, scope, iat and exp.")
        if claims["iss"] != CLIENT_EMAIL:
            raise _RefusedError("Invalid grant: account not found")
        if claims["aud"] != AUDIENCE:
            raise _RefusedError("Invalid JWT: Failed audience check.")
        return claims

    def _check_times(self, claims: Mapping[str, object]) -> None:
        now = self._machine()
        match claims["iat"], claims["exp"]:
            case int(issued), int(expires):
                is_short = 0 < expires - issued <= LIFETIME_SECONDS
                if is_short and issued - SKEW_SECONDS <= now < expires + SKEW_SECONDS:
                    return
        raise _RefusedError(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        )

    def _key_id(self) -> str:
        """Return an id derived from the public key."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(public).hexdigest()[:40]


def generate_service_account_key() -> Key:
    """Generate a throw-away service account key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def read_key(key_file: str) -> Key:
    """Read the key from a key file."""
    key = serialization.load_pem_private_key(json.loads(key_file)["private_key"].encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a service account's key is RSA")
    return key


def _scope(claims: Mapping[str, object]) -> str:
    scope = claims["scope"]
    if not isinstance(scope, str) or not scope or not SCOPES.issuperset(scope.split()):
        raise _RefusedError("Invalid OAuth scope or ID token audience provided.", "invalid_scope")
    return scope


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise _RefusedError("Invalid JWT: not base64url.") from None


def _part(part: str) -> dict[str, object]:
    try:
        document = json.loads(_bytes(part))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _RefusedError("Invalid JWT: header and claims are JSON objects.")
    return document
