"""The token endpoint, through hand-written requests: only a valid assertion earns a token."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from google.auth.transport.requests import Request as GoogleRequest
from google.oauth2 import service_account

from connectors.sandbox.google.oauth import ADWORDS, CLIENT_EMAIL, OAuthServer, generate_service_account_key, read_key
from connectors.sandbox.platform import Faults
from connectors.sandbox.rules import oauth_rules
from connectors.sandbox.server import Server, WireRequest

NOW = 1_790_000_000.0
DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
KEY = generate_service_account_key()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HEADER = {"alg": "RS256", "typ": "JWT"}
CLAIMS = {
    "iss": CLIENT_EMAIL,
    "aud": "https://oauth2.googleapis.com/token",
    "scope": DATA_MANAGER,
    "iat": int(NOW),
    "exp": int(NOW) + 3600,
}


class Machine:
    """A machine clock that stands still."""

    def __init__(self):
        self.time = NOW

    def __call__(self):
        """Seconds since 1970."""
        return self.time


@pytest.fixture
def machine():
    """The machine's clock."""
    return Machine()


@pytest.fixture
def oauth(machine):
    """The token endpoint, holding KEY."""
    return OAuthServer(KEY, machine=machine)


@pytest.fixture
def url(oauth):
    """The endpoint's address."""
    with Server("oauth", oauth.handle, Faults(), lambda: datetime(2026, 9, 1, tzinfo=UTC)) as server:
        yield server.url


def encoded(part):
    """Base64url without padding, of bytes or of JSON."""
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims, header=None, key=KEY):
    """A JWT signed by hand."""
    text = f"{encoded(header or HEADER)}.{encoded(claims)}"
    return f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def form(assertion, **others):
    """The body of a token request."""
    fields = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion, **others}
    return urlencode(fields).encode()


def bearer(token):
    """An API request that carries this token."""
    return WireRequest("GET", "/", {}, {"authorization": f"Bearer {token}"}, b"")


def token(ask, url, claims=CLAIMS):
    """Obtain a token with a valid assertion."""
    return ask(url, "POST /token", form(signed(claims)), FORM).json()["access_token"]


def test_valid_assertion_earns_a_token(ask, url, oauth):
    """The answer is a bearer token that the Data Manager accepts for an hour."""
    answer = ask(url, "POST /token", form(signed(CLAIMS)), FORM)
    body = answer.json()

    assert (answer.status, body["expires_in"], body["token_type"]) == (200, 3600, "Bearer")
    assert oauth.authorised(bearer(body["access_token"]))


def test_google_auth_earns_a_token_with_the_key_file():
    """Google's library passes every check, with the machine's own time."""
    real = OAuthServer(KEY)
    with Server("oauth", real.handle, Faults(), lambda: datetime(2026, 9, 1, tzinfo=UTC)) as server:
        key_file = json.loads(real.key_file_json(f"{server.url}/token"))
        credentials = service_account.Credentials.from_service_account_info(key_file, scopes=[DATA_MANAGER])
        transport = GoogleRequest()
        credentials.refresh(transport)
        transport.session.close()

    assert real.authorised(bearer(credentials.token))


def test_key_file_restores_the_key(oauth):
    """A key file written once is read at the next start."""
    restored = read_key(oauth.key_file_json("http://127.0.0.1:1/token"))

    assert KEY.private_numbers() == restored.private_numbers()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"iss": "someone@else.example"}, "invalid_grant"),
        ({"aud": "http://127.0.0.1/token"}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
        ({"scope": f"{DATA_MANAGER} https://www.googleapis.com/auth/drive"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"exp": int(NOW) + 3601}, "invalid_grant"),
        ({"iat": int(NOW) - 7200, "exp": int(NOW) - 3600}, "invalid_grant"),
        ({"iat": int(NOW) + 600, "exp": int(NOW) + 900}, "invalid_grant"),
        ({"exp": int(NOW)}, "invalid_grant"),
        ({"exp": "soon"}, "invalid_grant"),
        ({"sub": "someone@else.example"}, "invalid_grant"),
    ],
)
def test_wrong_claims_are_refused(ask, url, changed, error):
    """Issuer, audience, scope and lifetime are each checked."""
    answer = ask(url, "POST /token", form(signed({**CLAIMS, **changed})), FORM)

    assert (400, error) == (answer.status, answer.json()["error"])


@pytest.mark.parametrize("missing", ["iss", "aud", "scope", "iat", "exp"])
def test_missing_claims_are_refused(ask, url, missing):
    """All five claims are required."""
    claims = {name: value for name, value in CLAIMS.items() if name != missing}

    assert ask(url, "POST /token", form(signed(claims)), FORM).status == 400


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256", "typ": "JWT"}, {**HEADER, "kid": "another"}])
def test_wrong_headers_are_refused(ask, url, header):
    """Only RS256 is accepted, and only this account's key."""
    answer = ask(url, "POST /token", form(signed(CLAIMS, header)), FORM)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


def test_signature_by_another_key_is_refused(ask, url):
    """The error names the signature."""
    answer = ask(url, "POST /token", form(signed(CLAIMS, key=generate_service_account_key())), FORM)

    assert answer.json() == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "é.é.é", f"{encoded(HEADER)}.{encoded([])}.x"])
def test_malformed_jwt_is_refused(ask, url, assertion):
    """It gets a proper error and never raises."""
    answer = ask(url, "POST /token", form(assertion), FORM)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(("line", "status"), [("GET /token", 405), ("POST /o/oauth2/token", 404), ("POST /", 404)])
def test_only_post_to_token_is_served(ask, url, line, status):
    """Other methods are 405, other paths 404."""
    assert ask(url, line, form(signed(CLAIMS)), FORM).status == status


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (form(signed(CLAIMS), grant_type="refresh_token"), FORM, "unsupported_grant_type"),
        (form(signed(CLAIMS), client_id="1"), FORM, "invalid_request"),
        (form(signed(CLAIMS)) + b"&assertion=x", FORM, "invalid_request"),
        (form(signed(CLAIMS)), {"Content-Type": "application/json"}, "invalid_request"),
        (b"", FORM, "unsupported_grant_type"),
    ],
)
def test_invalid_token_requests_are_refused(ask, url, body, headers, error):
    """The grant is JWT-bearer, in a form with no other field."""
    answer = ask(url, "POST /token", body, headers)

    assert (400, error) == (answer.status, answer.json()["error"])


def test_token_expires_after_an_hour_of_machine_time(ask, url, oauth, machine):
    """It works until its last second."""
    request = bearer(token(ask, url))
    machine.time = NOW + 3599

    assert oauth.authorised(request)
    machine.time = NOW + 3600
    assert not oauth.authorised(request)


def test_google_ads_token_does_not_authorise_the_data_manager(ask, url, oauth):
    """Each API requires its own scope."""
    ads = token(ask, url, {**CLAIMS, "scope": "https://www.googleapis.com/auth/adwords"})

    assert not oauth.authorised(bearer(ads))


def test_scopes_returns_what_the_token_was_requested_for(ask, url, oauth, machine):
    """An expired token has None, not an empty set."""
    both = token(ask, url, {**CLAIMS, "scope": f"{ADWORDS} {DATA_MANAGER}"})
    narrow = token(ask, url, {**CLAIMS, "scope": ADWORDS})

    assert {ADWORDS, DATA_MANAGER} == oauth.scopes_of_token(f"Bearer {both}")
    assert {ADWORDS} == oauth.scopes_of_token(f"Bearer {narrow}")
    assert oauth.scopes_of_token(f"Basic {both}") is None
    machine.time += 3600
    assert oauth.scopes_of_token(f"Bearer {both}") is None


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer unknown", "Basic eDp5"])
def test_missing_or_unknown_token_is_not_authorised(oauth, value):
    """Only tokens issued here are accepted."""
    headers = {} if value is None else {"authorization": value}

    assert not oauth.authorised(WireRequest("GET", "/", {}, headers, b""))


def test_revoking_invalidates_issued_tokens_only(ask, url, oauth):
    """Tokens issued afterwards work."""
    old = token(ask, url)
    oauth.set_switch("revoke_tokens", True)
    new = token(ask, url)

    assert not oauth.authorised(bearer(old))
    assert oauth.authorised(bearer(new))


def test_refuse_tokens_switch_answers_invalid_grant(ask, url, oauth):
    """A valid assertion gets 400 while the switch is on."""
    oauth.set_switch("refuse_tokens", True)
    answer = ask(url, "POST /token", form(signed(CLAIMS)), FORM)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    oauth.set_switch("refuse_tokens", False)
    assert ask(url, "POST /token", form(signed(CLAIMS)), FORM).status == 200


@pytest.mark.parametrize(("name", "value"), [("refuse_tokens", "yes"), ("unknown", True)])
def test_invalid_switch_raises_value_error(oauth, name, value):
    """Switches are true or false."""
    with pytest.raises(ValueError, match=name):
        oauth.set_switch(name, value)


def test_tokens_survive_a_restart_without_plain_text(ask, url, oauth, machine):
    """The saved state does not contain the token itself."""
    kept = token(ask, url)
    saved = json.dumps(oauth.dump())
    resumed = OAuthServer(KEY, machine=machine)
    resumed.load(json.loads(saved))

    assert resumed.authorised(bearer(kept))
    assert kept not in saved


def test_every_rule_cites_a_page_or_is_assumed():
    """The page is Google's."""
    assumed = [rule for rule in oauth_rules if rule.evidence == "assumed"]
    rested = [rule for rule in oauth_rules if rule.source.startswith("https://")]

    assert len(list(oauth_rules)) == len(assumed) + len(rested)
