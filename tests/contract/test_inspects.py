"""The contract of every `PlatformInspector`: it only reads, never raises, and reports what a marketer understands."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.google_ads.options import GoogleOptions
from connectors.google_ads.preflight import GoogleInspector
from connectors.meta.preflight import MetaInspector
from connectors.meta.sink import MetaOptions
from connectors.records import CheckFinding, CheckVerdict, Target, TargetAssumptions
from connectors.sandbox.google import oauth
from connectors.sandbox.meta.wire import APP_SECRETS, TOKENS
from connectors.sandbox.platform import FaultKind, PlannedFault

CUSTOMER, MANAGER, DATASET = "1234567890", "1112223333", "1234567890"
TRANSPORTS = ("data_manager", "google_ads_api")
FAULTS = {
    "HTML": PlannedFault("", FaultKind.HTML),
    "an error page": PlannedFault("", FaultKind.HTML, status=502),
    "401": PlannedFault("", FaultKind.STATUS, status=401),
    "403": PlannedFault("", FaultKind.STATUS, status=403),
    "429": PlannedFault("", FaultKind.STATUS, status=429, retry_after=60),
    "503": PlannedFault("", FaultKind.STATUS, status=503),
    "cut before": PlannedFault("", FaultKind.CUT_BEFORE),
    "cut after": PlannedFault("", FaultKind.CUT_AFTER),
    "truncated": PlannedFault("", FaultKind.TRUNCATED),
    "hang": PlannedFault("", FaultKind.HANG, seconds=0.5),
}
STRANGE = (
    "{}",
    '{"data": [[], null, {"value": {}, "data": 7}], "error": []}',
    '{"data": {"is_valid": "yes"}, "id": 7}',
    "[]",
)
"""JSON answers that the platform never gives."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """An inspector, its expectations, and the sandbox servers it queries."""

    open: Callable[..., object]
    """Builds the inspector: `open(addresses, key_file=…, token=…)`."""
    servers: tuple[str, ...]
    """The platform's own servers."""
    expected: tuple[TargetAssumptions, ...]


def _google(transport, addresses, *, key_file, **_):
    options = GoogleOptions(
        CUSTOMER, MANAGER, key_file, transport, addresses["data_manager"], addresses["google_ads"], timeout=0.25
    )
    return GoogleInspector(options), options


def _meta(addresses, *, token=TOKENS[DATASET], **_):
    secret = APP_SECRETS[DATASET] if token == TOKENS[DATASET] else None
    options = MetaOptions(DATASET, token, secret, graph_url=addresses["meta"], timeout=(0.25, 0.25))
    return MetaInspector(options), options


def _sales(target):
    window = timedelta(days=90)
    sale = TargetAssumptions("sale", target, "EUR", sends_value=True, sends_contact=True, click_window=window)
    return (sale, replace(sale, conversion="quote", sends_contact=False, click_window=None))


INSPECTORS = {
    **{
        f"google by {transport}": Inspected(
            partial(_google, transport),
            ("google_ads", "data_manager"),
            _sales(Target(transport, CUSTOMER, "987654321", "WEB")),
        )
        for transport in TRANSPORTS
    },
    "meta": Inspected(_meta, ("meta",), _sales(Target("conversions_api", DATASET, "Purchase", "system_generated"))),
}
GOOGLE = [pytest.param(each, id=name) for name, each in INSPECTORS.items() if name != "meta"]
failing = pytest.mark.parametrize("inspected", [GOOGLE[0], pytest.param(INSPECTORS["meta"], id="meta")])
"""Google's inspectors query both of its APIs, whichever carries conversions: one of the two is enough."""


@pytest.fixture(params=INSPECTORS.values(), ids=INSPECTORS)
def inspected(request):
    """One inspector."""
    return request.param


@pytest.fixture
def look(inspected, sandbox):
    """Run every check of an inspector and return its findings; none is blank, and the platform is left unchanged."""

    def findings(addresses=None, **more):
        inspector, options = inspected.open(
            addresses or sandbox.sandbox_server_urls, **{"key_file": sandbox.key_file, **more}
        )
        before = _counted(sandbox)
        found = [*inspector.preflight(inspected.expected), *inspector.check_recent_uploads()]
        said = repr((found, options, inspector))

        assert found
        assert all(isinstance(each, CheckFinding) and each.subject.strip() and each.found.strip() for each in found)
        assert before == _counted(sandbox)
        assert [] == [secret for secret in _secrets(sandbox) if secret in said]
        return found

    return findings


def _counted(sandbox):
    """Everything that counts on a platform or is about to."""
    google, ads, meta = sandbox.data_manager, sandbox.google_ads.state(), sandbox.meta.state()
    return (
        google.conversions_json(),
        google.state()["requests"].get("taken"),
        google.state()["processing"],
        ads["book"],
        meta["book"],
    )


def _secrets(sandbox):
    key = json.loads(sandbox.key_file.read_text())["private_key"]
    return ["ya29.", "PRIVATE KEY", key[100:140], *TOKENS.values(), *APP_SECRETS.values()]


def test_verifies_a_healthy_platform(look):
    """At least one check succeeds, and none fails."""
    verdicts = {each.verdict for each in look()}

    assert CheckVerdict.VERIFIED in verdicts
    assert CheckVerdict.FAILED not in verdicts


def test_verifies_nothing_when_nothing_listens(look, sandbox, closed_door, tmp_path):
    """Both the platform and its token server are down."""
    key_file = tmp_path / "key.json"
    key_file.write_text(sandbox.oauth.key_file_json(f"{closed_door}/token"))

    assert CheckVerdict.VERIFIED not in {
        each.verdict for each in look(dict.fromkeys(sandbox.sandbox_server_urls, closed_door), key_file=key_file)
    }


@failing
@pytest.mark.parametrize("fault", FAULTS)
def test_reports_findings_whatever_fault_the_platform_has(look, inspected, sandbox, fault):
    """Every server of the platform keeps failing."""
    for server in inspected.servers:
        sandbox.faults.plant(replace(FAULTS[fault], server=server, count=99))

    assert CheckVerdict.VERIFIED not in {each.verdict for each in look() if "key" not in each.subject}


@failing
@pytest.mark.parametrize("body", STRANGE)
def test_reports_findings_for_answers_of_an_unexpected_shape(look, inspected, sandbox, body):
    """The JSON is well-formed but useless."""
    for server in inspected.servers:
        sandbox.faults.plant(PlannedFault(server, FaultKind.STATUS, status=200, body=body, count=99))

    assert look()


@pytest.mark.parametrize("inspected", [INSPECTORS["meta"]], ids=["meta"])
def test_verifies_nothing_when_the_answer_lacks_the_requested_data(look, sandbox):
    """Missing data is not evidence of absence."""
    sandbox.faults.plant(PlannedFault("meta", FaultKind.STATUS, status=200, body="{}", count=99))

    assert CheckVerdict.VERIFIED not in {each.verdict for each in look()}


@pytest.mark.parametrize("inspected", GOOGLE[:1])
@pytest.mark.parametrize("fault", FAULTS)
def test_reports_findings_whatever_fault_the_token_server_has(look, sandbox, fault):
    """Its possible failures are those of the platform."""
    sandbox.faults.plant(replace(FAULTS[fault], server="oauth", count=99))

    assert CheckVerdict.VERIFIED not in {each.verdict for each in look()}


@failing
@pytest.mark.parametrize("fault", ["HTML", "cut after", "hang"])
def test_one_failed_check_does_not_affect_the_others(look, inspected, sandbox, fault):
    """Their results are still reported."""
    sandbox.faults.plant(replace(FAULTS[fault], server=inspected.servers[0], after=1))

    assert CheckVerdict.VERIFIED in {each.verdict for each in look()}


WRONG_KEYS = {
    "none": None,
    "empty": "",
    "no JSON": "-----BEGIN PRIVATE KEY-----",
    "JSON of something else": '["service_account"]',
    "a key that is none": json.dumps(
        {"type": "service_account", "client_email": "a@b.invalid", "token_uri": "http://127.0.0.1/", "private_key": "x"}
    ),
}


@pytest.mark.parametrize("inspected", GOOGLE)
@pytest.mark.parametrize("wrong", WRONG_KEYS)
def test_invalid_key_file_is_a_failed_finding(look, tmp_path, wrong):
    """Nothing is raised; the message names the file without quoting it."""
    key_file = tmp_path / "key.json"
    if WRONG_KEYS[wrong] is not None:
        key_file.write_text(WRONG_KEYS[wrong])
    failed = [each for each in look(key_file=key_file) if each.verdict is CheckVerdict.FAILED]

    assert failed
    assert str(key_file) in failed[0].found


def test_foreign_credentials_are_a_failed_finding(look, sandbox, tmp_path):
    """The token server does not know the key, or the platform the token."""
    key_file = tmp_path / "key.json"
    other = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - quick to load, guards nothing
    key_file.write_text(oauth.OAuthServer(other).key_file_json(f"{sandbox.sandbox_server_urls['oauth']}/token"))

    assert CheckVerdict.FAILED in {each.verdict for each in look(key_file=key_file, token="EAAnotours")}
