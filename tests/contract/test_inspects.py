"""What every `Inspects` promises: it only looks, it never raises, and it says something a marketer can read."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.google_ads.auth import GoogleOptions
from connectors.google_ads.preflight import GoogleInspector
from connectors.meta.preflight import MetaInspector
from connectors.meta.sink import MetaOptions
from connectors.records import AssumedTarget, CheckFinding, CheckVerdict, Target
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
"""Answers in JSON that are none of the platform's."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """An inspector, what it expects, and the sandbox's servers that it asks."""

    open: Callable[..., object]
    """Makes it: `open(addresses, key_file=…, token=…)`."""
    servers: tuple[str, ...]
    """Those of the platform itself."""
    expected: tuple[AssumedTarget, ...]


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
    sale = AssumedTarget("sale", target, "EUR", sends_value=True, sends_contact=True, click_window=window)
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
"""Google's looks by both of its interfaces, whichever carries conversions: one of its two inspectors is enough."""


@pytest.fixture(params=INSPECTORS.values(), ids=INSPECTORS)
def inspected(request):
    """One inspector."""
    return request.param


@pytest.fixture
def look(inspected, sandbox):
    """Ask an inspector everything; its findings, which say something, of a platform that is as it was."""

    def findings(addresses=None, **more):
        inspector, options = inspected.open(addresses or sandbox.addresses, **{"key_file": sandbox.key_file, **more})
        before = _counted(sandbox)
        found = [*inspector.preflight(inspected.expected), *inspector.diagnose()]
        said = repr((found, options, inspector))

        assert found
        assert all(isinstance(each, CheckFinding) and each.subject.strip() and each.found.strip() for each in found)
        assert before == _counted(sandbox)
        assert [] == [secret for secret in _secrets(sandbox) if secret in said]
        return found

    return findings


def _counted(sandbox):
    """All that counts at a platform, or waits to."""
    google, ads, meta = sandbox.data_manager, sandbox.google_ads.state(), sandbox.meta.state()
    return (
        google.book(),
        google.state()["requests"].get("taken"),
        google.state()["processing"],
        ads["book"],
        meta["book"],
    )


def _secrets(sandbox):
    key = json.loads(sandbox.key_file.read_text())["private_key"]
    return ["ya29.", "PRIVATE KEY", key[100:140], *TOKENS.values(), *APP_SECRETS.values()]


def test_where_all_is_well_it_says_so(look):
    """Something was seen, and nothing is wrong."""
    verdicts = {each.verdict for each in look()}

    assert CheckVerdict.VERIFIED in verdicts
    assert CheckVerdict.FAILED not in verdicts


def test_where_nothing_listens_nothing_is_verified(look, sandbox, closed_door, tmp_path):
    """Neither the platform nor what gives tokens for it."""
    key_file = tmp_path / "key.json"
    key_file.write_text(sandbox.oauth.key_file(f"{closed_door}/token"))

    assert CheckVerdict.VERIFIED not in {
        each.verdict for each in look(dict.fromkeys(sandbox.addresses, closed_door), key_file=key_file)
    }


@failing
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_its_platform_answers_it_gives_findings(look, inspected, sandbox, fault):
    """All the while, whichever of its interfaces is asked."""
    for server in inspected.servers:
        sandbox.faults.plant(replace(FAULTS[fault], server=server, count=99))

    assert CheckVerdict.VERIFIED not in {each.verdict for each in look() if "key" not in each.subject}


@failing
@pytest.mark.parametrize("body", STRANGE)
def test_an_answer_of_another_shape_gives_findings(look, inspected, sandbox, body):
    """Well-formed, and nothing that can be made use of."""
    for server in inspected.servers:
        sandbox.faults.plant(PlannedFault(server, FaultKind.STATUS, status=200, body=body, count=99))

    assert look()


@pytest.mark.parametrize("inspected", [INSPECTORS["meta"]], ids=["meta"])
def test_an_answer_without_what_was_asked_for_verifies_nothing(look, sandbox):
    """What is not told is not known to be none."""
    sandbox.faults.plant(PlannedFault("meta", FaultKind.STATUS, status=200, body="{}", count=99))

    assert CheckVerdict.VERIFIED not in {each.verdict for each in look()}


@pytest.mark.parametrize("inspected", GOOGLE[:1])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_answers_instead_of_tokens_it_gives_findings(look, sandbox, fault):
    """What gives tokens fails the same ways."""
    sandbox.faults.plant(replace(FAULTS[fault], server="oauth", count=99))

    assert CheckVerdict.VERIFIED not in {each.verdict for each in look()}


@failing
@pytest.mark.parametrize("fault", ["HTML", "cut after", "hang"])
def test_one_look_that_fails_spoils_no_other(look, inspected, sandbox, fault):
    """What the others saw is still told."""
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
def test_a_key_file_that_is_none_is_a_failure(look, tmp_path, wrong):
    """It is found, not raised; and the file is named, not quoted."""
    key_file = tmp_path / "key.json"
    if WRONG_KEYS[wrong] is not None:
        key_file.write_text(WRONG_KEYS[wrong])
    failed = [each for each in look(key_file=key_file) if each.verdict is CheckVerdict.FAILED]

    assert failed
    assert str(key_file) in failed[0].found


def test_credentials_of_somebody_else_are_a_failure(look, sandbox, tmp_path):
    """A key the token server does not know, a token the platform does not."""
    key_file = tmp_path / "key.json"
    other = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - quick to load, guards nothing
    key_file.write_text(oauth.OAuth(other).key_file(f"{sandbox.addresses['oauth']}/token"))

    assert CheckVerdict.FAILED in {each.verdict for each in look(key_file=key_file, token="EAAnotours")}
