"""The token endpoint, by hand-written requests: only a well-made assertion earns a token."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from google.auth.transport.requests import Request as GoogleRequest
from google.oauth2 import service_account

from connectors.sandbox.google.oauth import ADWORDS, CLIENT_EMAIL, OAuth, new_key, read_key
from connectors.sandbox.platform import Faults
from connectors.sandbox.rules import oauth_rules
from connectors.sandbox.server import Server, WireRequest

NOW = 1_790_000_000.0
DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
KEY = new_key()
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
    """A machine's clock that stands still."""

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
    """The endpoint, holding KEY."""
    return OAuth(KEY, machine=machine)


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
    """A JWT made by hand."""
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
    """A token rightly earned."""
    return ask(url, "POST /token", form(signed(claims)), FORM).json()["access_token"]


def test_a_good_assertion_earns_a_token(ask, url, oauth):
    """The answer is a bearer token for an hour, which the Data Manager honours."""
    answer = ask(url, "POST /token", form(signed(CLAIMS)), FORM)
    body = answer.json()

    assert (answer.status, body["expires_in"], body["token_type"]) == (200, 3600, "Bearer")
    assert oauth.authorised(bearer(body["access_token"]))


def test_the_vendors_library_earns_a_token():
    """google-auth, given the key file, passes every check by the machine's own time."""
    real = OAuth(KEY)
    with Server("oauth", real.handle, Faults(), lambda: datetime(2026, 9, 1, tzinfo=UTC)) as server:
        key_file = json.loads(real.key_file(f"{server.url}/token"))
        credentials = service_account.Credentials.from_service_account_info(key_file, scopes=[DATA_MANAGER])
        transport = GoogleRequest()
        credentials.refresh(transport)
        transport.session.close()

    assert real.authorised(bearer(credentials.token))


def test_the_key_file_gives_the_key_back(oauth):
    """A key file written once can be read at the next start."""
    restored = read_key(oauth.key_file("http://127.0.0.1:1/token"))

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
    """Every one of the five claims is required."""
    claims = {name: value for name, value in CLAIMS.items() if name != missing}

    assert ask(url, "POST /token", form(signed(claims)), FORM).status == 400


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256", "typ": "JWT"}, {**HEADER, "kid": "another"}])
def test_wrong_headers_are_refused(ask, url, header):
    """Only RS256, and only this account's key."""
    answer = ask(url, "POST /token", form(signed(CLAIMS, header)), FORM)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


def test_another_key_is_refused(ask, url):
    """A signature by anyone else is worthless."""
    answer = ask(url, "POST /token", form(signed(CLAIMS, key=new_key())), FORM)

    assert answer.json() == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "é.é.é", f"{encoded(HEADER)}.{encoded([])}.x"])
def test_what_is_no_jwt_is_refused(ask, url, assertion):
    """Nonsense is answered, not stumbled over."""
    answer = ask(url, "POST /token", form(assertion), FORM)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(("line", "status"), [("GET /token", 405), ("POST /o/oauth2/token", 404), ("POST /", 404)])
def test_only_post_token_is_answered(ask, url, line, status):
    """Other methods and paths are none of the endpoint's."""
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
def test_other_forms_are_refused(ask, url, body, headers, error):
    """The grant is JWT-bearer, in a form with no other field."""
    answer = ask(url, "POST /token", body, headers)

    assert (400, error) == (answer.status, answer.json()["error"])


def test_a_token_lasts_an_hour_of_the_machine(ask, url, oauth, machine):
    """It works until its last second and not after."""
    request = bearer(token(ask, url))
    machine.time = NOW + 3599

    assert oauth.authorised(request)
    machine.time = NOW + 3600
    assert not oauth.authorised(request)


def test_a_token_opens_only_what_it_was_asked_for(ask, url, oauth):
    """A token for the Google Ads API is no token for the Data Manager."""
    ads = token(ask, url, {**CLAIMS, "scope": "https://www.googleapis.com/auth/adwords"})

    assert not oauth.authorised(bearer(ads))


def test_a_token_is_good_for_what_it_was_asked_for(ask, url, oauth, machine):
    """Whoever serves an API asks for its scopes; an expired one has none, not even an empty set."""
    both = token(ask, url, {**CLAIMS, "scope": f"{ADWORDS} {DATA_MANAGER}"})
    narrow = token(ask, url, {**CLAIMS, "scope": ADWORDS})

    assert {ADWORDS, DATA_MANAGER} == oauth.scopes(f"Bearer {both}")
    assert {ADWORDS} == oauth.scopes(f"Bearer {narrow}")
    assert oauth.scopes(f"Basic {both}") is None
    machine.time += 3600
    assert oauth.scopes(f"Bearer {both}") is None


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer unknown", "Basic eDp5"])
def test_without_a_known_token_nothing_is_authorised(oauth, value):
    """Nobody gets in without a token of ours."""
    headers = {} if value is None else {"authorization": value}

    assert not oauth.authorised(WireRequest("GET", "/", {}, headers, b""))


def test_revoking_ends_the_tokens_given_out(ask, url, oauth):
    """Old tokens die, new ones work."""
    old = token(ask, url)
    oauth.switch("revoke_tokens", True)
    new = token(ask, url)

    assert not oauth.authorised(bearer(old))
    assert oauth.authorised(bearer(new))


def test_a_refused_account_gets_no_token(ask, url, oauth):
    """While the switch is on, a good assertion is answered 400 invalid_grant."""
    oauth.switch("refuse_tokens", True)
    answer = ask(url, "POST /token", form(signed(CLAIMS)), FORM)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    oauth.switch("refuse_tokens", False)
    assert ask(url, "POST /token", form(signed(CLAIMS)), FORM).status == 200


@pytest.mark.parametrize(("name", "value"), [("refuse_tokens", "yes"), ("unknown", True)])
def test_a_switch_has_two_positions(oauth, name, value):
    """Anything but true and false is refused."""
    with pytest.raises(ValueError, match=name):
        oauth.switch(name, value)


def test_it_goes_on_where_it_was_saved(ask, url, oauth, machine):
    """Tokens survive a restart, and none is saved in clear."""
    kept = token(ask, url)
    saved = json.dumps(oauth.dump())
    resumed = OAuth(KEY, machine=machine)
    resumed.load(json.loads(saved))

    assert resumed.authorised(bearer(kept))
    assert kept not in saved


def test_every_rule_rests_on_something():
    """A rule names Google's page, or says that it is assumed."""
    assumed = [rule for rule in oauth_rules if rule.evidence == "assumed"]
    rested = [rule for rule in oauth_rules if rule.source.startswith("https://")]

    assert len(list(oauth_rules)) == len(assumed) + len(rested)
